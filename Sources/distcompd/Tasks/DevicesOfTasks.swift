// Between what the driver says of GPUs and the tasks that have them: whose each process is.

import LinuxSystem
import NodeSupervisor
import TaskModel
import TaskQueue

extension TaskRunner {
    /// Where what a task uses of GPUs is kept; nil for one of which nothing can be told.
    func deviceUse(of task: NodeSupervisor.ClaimedTask) -> DeviceUse? {
        guard let deviceWatch, let use = DeviceUse(task.share) else { return nil }
        deviceWatch.taskBegins(at: SystemClock.bootNanoseconds())
        return use
    }

    /// Has the driver asked, now and then, while there are tasks with GPUs.
    func askForDevicesIfDue() {
        deviceWatch?.askIfDue(at: SystemClock.bootNanoseconds()) { running.values.contains { $0.deviceUse != nil } }
    }

    /// Takes what the driver answered, if all of that is there.
    func takeDeviceUse() {
        guard let all = deviceWatch?.answer(at: SystemClock.bootNanoseconds()) else { return }
        let tasks = running.compactMap { number, task in task.deviceUse.map { (number, $0) } }
        let processes = Set(tasks.flatMap { $0.1.own(of: all) ?? [] }.flatMap(\.processes).map(\.process))
        let owners = owners(of: processes)
        for (number, use) in tasks { use.take(all, of: number, owners) }
    }

    /// What is used of the devices that this node gives to tasks, as the driver told last; none while no task has any.
    func deviceReadings(of resources: NodeResources) -> [DeviceReading] {
        guard let uses = deviceWatch?.lastAnswer, case .devices(let names) = resources.kinds[ResourceRequest.gpu] else {
            return []
        }
        return names.compactMap { name in
            uses.named(name).map { use in
                let percent = use.percent.map { Int($0) }
                return DeviceReading(
                    name: name, usedBytes: use.usedBytes, totalBytes: use.totalBytes, percent: percent)
            }
        }
    }

    /// Whose these are now: a number that was used anew is another's.
    private func owners(of processes: Set<Int32>) -> [Int32: DeviceUse.Owner] {
        guard !processes.isEmpty else { return [:] }
        if groups != nil {
            let tasks = Dictionary(running.map { ($0.value.group.name, $0.key) }, uniquingKeysWith: max)
            return processes.reduce(into: [:]) { owners, process in
                guard let names = ControlGroupTree.taskGroupNames(of: process) else { return }
                owners[process] = names.lazy.compactMap { tasks[$0] }.first.map { .task($0) } ?? .other
            }
        }
        var owners: [Int32: DeviceUse.Owner] = [:]
        for (number, entries) in (try? watch?.members()) ?? [:] {
            for entry in entries where processes.contains(entry.process) { owners[entry.process] = .task(number) }
        }
        for process in processes where owners[process] == nil && FileSystem.exists("/proc/\(process)") {
            owners[process] = .other
        }
        return owners
    }
}

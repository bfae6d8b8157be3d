// The tasks of this node as the kernel knows them: a group, a process, two files. It does what NodeSupervisor decided and
// answers with what came of it; it decides nothing itself.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// What tasks start from, the same for all of them.
struct TaskSettings {
    var processesMax: Int
    var hardProcessorLimit: Bool
    /// What every task finds in its environment, besides what is its own.
    var environment: [[UInt8]]
}

typealias TaskNumber = NodeSupervisor.TaskNumber
typealias Event = NodeSupervisor.Event
typealias Action = NodeSupervisor.Action

final class TaskRunner {
    private struct RunningTask {
        let group: TaskGroup
        var process: Int32?
        /// Whether the sums of its group hold what earlier tasks used, and how much is not known any more.
        var hasMixedUsage = false
    }

    /// How many bytes of a failed task's standard error go into its record.
    private static let errorTailBytesMax = 2048

    private let log: Logger
    private let groups: ControlGroupTree?
    private let launcher: ProcessLauncher
    private let outputs: OutputDirectory
    /// For the tasks launched from now on.
    var settings: TaskSettings
    /// Whether tasks are born in their (v2) group; otherwise distcomp-launch joins it. The canary has the last word.
    private(set) var spawnsInGroup = ProcessLauncher.canSpawnInGroup
    /// Stands in the names of groups, so that no two lives of a daemon ever use the same.
    private let life: String
    /// Tasks whose group may still be there.
    private var running: [TaskNumber: RunningTask] = [:]
    /// The output of tasks whose report has not been answered.
    private var kept: [TaskNumber: TaskOutput] = [:]
    private var numbers: [Int32: TaskNumber] = [:]
    /// Nil without groups: then there is nothing that takes long.
    private let standby: Standby?
    /// Launches known to have failed whose process has not been reaped yet.
    private var failures: [Int32: LauncherFailure] = [:]

    /// - Parameter groups: nil when there are none to be had; tasks are then held together by their process group alone.
    init(
        groups: ControlGroupTree?, launcher: ProcessLauncher, outputs: OutputDirectory, settings: TaskSettings,
        log: Logger
    ) {
        self.log = log
        self.groups = groups
        self.launcher = launcher
        self.outputs = outputs
        self.settings = settings
        let life = String(SystemClock.bootNanoseconds() / 1_000_000, radix: 36)
        self.life = life
        standby = groups.map { Standby(groups: $0, launcher: launcher, life: life) }
    }

    // MARK: Start

    /// Starts `true` in a group of its own and waits for its end; what went wrong, or nil. For the start of the daemon only,
    /// when there is no loop yet that waiting could hold up.
    ///
    /// Some kernels cannot have processes born in a group though the C library can: then distcomp-launch joins it.
    func launchCanary() -> String? {
        if spawnsInGroup {
            if launchCanary(named: "canary-born") == nil { return nil }
            spawnsInGroup = false
        }
        return launchCanary(named: "canary")
    }

    private func launchCanary(named name: String) -> String? {
        let group = TaskGroup(name: "\(life).\(name)")
        // What is left of it, should this fail, is cleared with other leftovers at the next start.
        defer { _ = try? groups?.remove(group) }
        do throws(SystemError) {
            try groups?.create(group, limits: TaskLimits(processesMax: settings.processesMax))
            let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
            let process = try start(
                [Array("true".utf8)], environment: settings.environment, standardOutput: null.raw,
                standardError: null.raw,
                in: group)
            let ending = try ChildProcesses.wait(for: process)
            noteFailures()
            if let failure = failures.removeValue(forKey: process) {
                return "\(describe(failure).step): \(errorText(failure.code))"
            }
            return ending == .exit(code: 0) ? nil : "it ended with \(ending)"
        } catch {
            return "\(error)"
        }
    }

    private func start(
        _ command: [[UInt8]], environment: [[UInt8]], standardOutput: Int32, standardError: Int32, in group: TaskGroup,
        memoryBytes: UInt64 = 0
    ) throws(SystemError) -> Int32 {
        try launcher.launch(
            command, environment: environment, standardOutput: standardOutput, standardError: standardError,
            joining: try groups?.joiningDescriptors(of: group, exceptUnified: spawnsInGroup) ?? [],
            bornIn: spawnsInGroup ? try groups?.cgroupDescriptor(of: group) : nil,
            dataBytesMax: groups == nil && memoryBytes > 0 ? memoryBytes : nil)
    }

    /// Makes the task's group and files and starts it: `launched`, or `launchFailed` with nothing left behind.
    func launch(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask) -> Event {
        do throws(LaunchObstacle) {
            let command = try arguments(for: task.line)
            let output = try attempt(.task) { () throws(SystemError) in
                try outputs.createOutput(named: task.line.identifier)
            }
            kept[number] = output
            let environment = environment(for: task, output: output)
            if let (process, group) = standby?.begin(
                command, environment: environment, output: output, limits: limits(for: task.line))
            {
                return begun(number, process, in: group)
            }
            let name = "\(life).\(number.rawValue).\(task.line.identifier)"
            let group = try attempt(.node) { () throws(SystemError) in
                try groups?.prepareGroup(named: name, limits: limits(for: task.line)) ?? TaskGroup(name: name)
            }
            running[number] = RunningTask(group: group)
            let process = try attempt(.task) { () throws(SystemError) in
                try start(
                    command, environment: environment, standardOutput: output.standardOutput.raw,
                    standardError: output.standardError.raw, in: group, memoryBytes: task.line.memoryBytes)
            }
            return begun(number, process, in: group)
        } catch {
            return .launchFailed(number, error.failure)
        }
    }

    private func begun(_ number: TaskNumber, _ process: Int32, in group: TaskGroup) -> Event {
        running[number] = RunningTask(group: group, process: process)
        numbers[process] = number
        failures[process] = nil  // That was of another process which had this number.
        return .launched(number)
    }

    /// Whether a launch can be made ready for the next task.
    var canStandBy: Bool { standby?.isOfUse ?? false }

    /// Makes a launch ready for the next task, unless one is.
    func standBy() throws(SystemError) { try standby?.makeReady(spawnsInGroup: spawnsInGroup) }

    /// Removes what was made ready for tasks to come.
    func clearPreparations() {
        groups?.removeSpares()
        standby?.dismiss()
    }

    private func arguments(for line: TaskLine) throws(LaunchObstacle) -> [[UInt8]] {
        do {
            return try CommandForm(line).arguments.map { Array($0.utf8) }
        } catch {
            throw LaunchObstacle(
                NodeSupervisor.LaunchFailure(step: "split the command", errno: 0, message: "\(error)", fault: .task))
        }
    }

    private func limits(for line: TaskLine) -> TaskLimits {
        var limits = TaskLimits(processesMax: settings.processesMax)
        if line.memoryBytes > 0 { limits.memoryBytesMax = line.memoryBytes }
        if line.millicores > 0 {
            // The kernel's default weight of 100 stands for one core.
            limits.processorWeight = min(10_000, max(1, line.millicores / 10))
            if settings.hardProcessorLimit { limits.processorQuotaMillicores = line.millicores }
        }
        return limits
    }

    private func environment(for task: NodeSupervisor.ClaimedTask, output: TaskOutput) -> [[UInt8]] {
        let own = [
            "DISTCOMP_TASK=\(task.line.identifier)",
            "DISTCOMP_ATTEMPT=\(task.attempt)",
            "DISTCOMP_MEMORY_BYTES=\(task.line.memoryBytes)",
            "DISTCOMP_CORES=\(coresText(task.line.millicores))",
            "DISTCOMP_OUTPUT_DIR=\(output.folderPath)",
        ]
        return settings.environment + own.map { Array($0.utf8) }
    }

    private func coresText(_ millicores: Int) -> String {
        millicores % 1000 == 0 ? String(millicores / 1000) : String(Double(millicores) / 1000)
    }

    // MARK: End

    /// Every task whose main process has ended since last asked.
    func reapEnded() -> [Event] {
        var ended: [EndedChild] = []
        while let child = ChildProcesses.nextEnded() { ended.append(child) }
        noteFailures()
        return ended.compactMap { child in
            if standby?.hasEnded(child.process) == true {
                noteStandbyEnd(child)
                return nil
            }
            // An orphan of some task that we adopted: it was in that task's group, which is dealt with as a whole.
            guard let number = numbers.removeValue(forKey: child.process) else { return nil }
            if let failure = failures.removeValue(forKey: child.process) {
                return .launchFailed(number, describe(failure))
            }
            switch child.ending {
            case .exit(let code): return .exited(number, .code(code))
            case .signal(let signal): return .exited(number, .signal(signal))
            }
        }
    }

    private func noteStandbyEnd(_ child: EndedChild) {
        let failure = failures.removeValue(forKey: child.process).map { describe($0) }
        let reason = failure.map { "\($0.step): \($0.message)" } ?? "\(child.ending)"
        let next = canStandBy ? "another will after the next task" : "tasks are launched when they come"
        log.info("the launch that waited for a task has ended (\(reason)); \(next)")
    }

    private func noteFailures() {
        for failure in launcher.failures() { failures[failure.process] = failure }
    }

    private func describe(_ failure: LauncherFailure) -> NodeSupervisor.LaunchFailure {
        NodeSupervisor.LaunchFailure(
            step: failure.step?.callName ?? "distcomp-launch", errno: failure.code, message: errorText(failure.code),
            fault: isShortage(failure.code) ? .node : .task)
    }

    /// TERM to everything in the task's group.
    func terminate(_ number: TaskNumber) throws(SystemError) {
        guard let task = running[number] else { return }
        guard let groups else { return signalProcessGroup(of: number, .terminate) }
        // A process that has just been started may not have joined its group yet.
        if try groups.processes(of: task.group).isEmpty, let process = unreapedProcess(of: number) {
            ChildProcesses.signal(.terminate, process: process)
        }
        try groups.signal(.terminate, to: task.group)
    }

    /// The end of everything in the task's group.
    func kill(_ number: TaskNumber) throws(SystemError) {
        guard let task = running[number] else { return }
        let process = unreapedProcess(of: number)
        if let groups {
            try groups.kill(task.group)
        } else if let process {
            ChildProcesses.kill(processGroup: process)
        }
        // The group does not hold one that has not joined it yet.
        if let process { ChildProcesses.kill(process: process) }
    }

    private func signalProcessGroup(of number: TaskNumber, _ signal: Signal) {
        if let process = unreapedProcess(of: number) { ChildProcesses.signal(signal, processGroup: process) }
    }

    /// The main process while its number is certainly its own: it has not been waited for.
    private func unreapedProcess(of number: TaskNumber) -> Int32? {
        guard let process = running[number]?.process, numbers[process] == number else { return nil }
        return process
    }

    /// Reads what the task used and left, and removes its group if nothing is in it any more.
    func collect(_ number: TaskNumber) throws(SystemError) -> Event {
        var usage = TaskGroupUsage()
        var removed = true
        if let groups, let task = running[number] {
            usage = try groups.usage(of: task.group)
            if task.hasMixedUsage {
                (usage.userMicroseconds, usage.systemMicroseconds, usage.memoryPeakBytes) = (nil, nil, nil)
            }
            removed = try groups.retire(task.group, after: usage)
        }
        if removed { running[number] = nil }
        let output = kept[number]
        let tail = (try? output?.standardErrorTail(bytesMax: Self.errorTailBytesMax)) ?? []
        return .collected(
            number,
            NodeSupervisor.Collected(
                usage: Usage(usage), removed: removed, stderrTail: String(decoding: tail, as: UTF8.self),
                stdoutPath: output?.standardOutputPath ?? "", stderrPath: output?.standardErrorPath ?? "",
                endedAtUnixSeconds: Double(SystemClock.wallNanoseconds()) / 1e9))
    }

    /// What the task wrote to standard output, nil when it is more than `bytesMax` or cannot be read.
    func standardOutput(of number: TaskNumber, bytesMax: Int) -> [UInt8]? {
        guard let output = kept[number] else { return [] }
        return (try? output.standardOutputContents(bytesMax: bytesMax)) ?? nil
    }

    /// To be called now and then: groups that wait in vain for a task are removed.
    func tidy() { groups?.removeIdleSpares() }

    var isOutputDiskFull: Bool { outputs.isFull }

    /// How many tasks have processes here.
    var runningCount: Int { running.count }

    /// Lets go of the output of a task whose report was answered: the files stay, the descriptors are closed.
    func forget(_ number: TaskNumber) { kept[number] = nil }

    // MARK: ReExec

    /// What the next image of this daemon must know of these tasks.
    func running(of numbers: [TaskNumber]) -> [ReExecRecord.Running] {
        numbers.compactMap { number in
            guard let task = running[number], let process = task.process, let output = kept[number] else { return nil }
            return ReExecRecord.Running(
                number: number, group: task.group.name, process: process, standardOutput: output.standardOutput.raw,
                standardError: output.standardError.raw, folderPath: output.folderPath)
        }
    }

    var statusPipe: (reading: Int32, writing: Int32) { launcher.statusPipe }

    /// Takes over a task that the image before this one started.
    func resume(_ task: ReExecRecord.Running) throws(SystemError) {
        kept[task.number] = TaskOutput(
            standardOutput: SharedDescriptor(try ReExec.kept(task.standardOutput)),
            standardError: SharedDescriptor(try ReExec.kept(task.standardError)), folderPath: task.folderPath)
        // A group is named after its first task. No group is kept in which the out-of-memory killer was, so those kills are its own.
        let parts = task.group.split(separator: ".")
        let hasMixedUsage = parts.count == 3 && parts[1] != String(task.number.rawValue)
        running[task.number] = RunningTask(
            group: TaskGroup(name: task.group), process: task.process, hasMixedUsage: hasMixedUsage)
        numbers[task.process] = task.number
    }

    // MARK: Errors

    private func attempt<Result>(
        _ fault: NodeSupervisor.LaunchFailure.Fault, _ step: () throws(SystemError) -> Result
    ) throws(LaunchObstacle) -> Result {
        do {
            return try step()
        } catch {
            let blamed = isShortage(error.code) ? .node : fault
            throw LaunchObstacle(
                NodeSupervisor.LaunchFailure(
                    step: "\(error.call) \(error.subject)", errno: error.code, message: errorText(error.code),
                    fault: blamed))
        }
    }

    /// Whether the node, not the task, ran out of something that may be there again in a moment.
    private func isShortage(_ code: Int32) -> Bool {
        [ErrorCode.again, ErrorCode.outOfMemory, ErrorCode.tooManyFiles, ErrorCode.tooManyFilesInSystem].contains(code)
    }
}

/// A launch that could not be; an error so that the steps of a launch can be written one after the other.
private struct LaunchObstacle: Error {
    let failure: NodeSupervisor.LaunchFailure

    init(_ failure: NodeSupervisor.LaunchFailure) { self.failure = failure }
}

extension Usage {
    /// What the kernel counted, in seconds; the wall time is the supervisor's to fill in.
    fileprivate init(_ usage: TaskGroupUsage) {
        self.init(
            wallSeconds: 0, userSeconds: usage.userMicroseconds.map { Double($0) / 1e6 },
            systemSeconds: usage.systemMicroseconds.map { Double($0) / 1e6 },
            memoryPeakBytes: usage.memoryPeakBytes, oomKills: usage.oomKills)
    }
}

// Who has left a task's control group. A task that reaches a service manager or a container engine can have processes started outside of
// its group, where neither its cap nor its end holds them. That cannot be prevented here; where they kept the task's environment it
// can be seen, and the person who typed `distcomp run` is told.

import LinuxSystem

struct Leavers {
    /// A process that left.
    struct Leaver: Equatable {
        let process: Int32
        let command: String
        /// The task's identifier.
        let task: String
    }

    /// Told already.
    private var known: Set<Int32> = []

    /// The processes of our tasks that are in no group of ours, each once. Looks at those of one user alone.
    ///
    /// - Parameters:
    ///   - groupName: stands in the path of every group of ours.
    ///   - outputs: where the tasks' folders are, which tells our tasks from those of others.
    mutating func found(user: UInt32, groupName: String, outputs: String) -> [Leaver] {
        let processes = Host.processes(ofUser: user)
        known.formIntersection(processes)
        let place = Array("DISTCOMP_OUTPUT_DIR=\(outputs)/".utf8)
        let name = Array("DISTCOMP_TASK=".utf8)
        return processes.filter { !known.contains($0) }.compactMap { process in
            // One that ends just now has no environment and no group any more.
            guard let environment = try? Host.environment(ofProcess: process),
                environment.contains(where: { $0.starts(with: place) }),
                let task = environment.first(where: { $0.starts(with: name) }),
                let group = try? Host.controlGroup(ofProcess: process), !"\(group)/".contains("/distcomp.\(groupName)/")
            else { return nil }
            known.insert(process)
            return Leaver(
                process: process, command: (try? FileSystem.text(of: "/proc/\(process)/comm")) ?? "?",
                task: String(decoding: task.dropFirst(name.count), as: UTF8.self))
        }
    }
}

extension Daemon {
    /// Tells who has left since last told. For a run alone: on a busy server the look at every process takes too long for the loop.
    func tellLeavers() {
        guard node.servesParent, runner.groups != nil else { return }
        let user = node.account?.userIdentifier ?? Host.userIdentifier
        for leaver in leavers.found(user: user, groupName: node.groupName, outputs: runner.outputs.path) {
            let notice =
                "process \(leaver.process) (\(leaver.command)) of task \(leaver.task.prefix(8)) has left its control group: no cap and "
                + "no timeout holds it, and it goes on after its task (a service manager or a container engine can do that)"
            log.warning("\(notice)")
            standardOutput.write(notice + "\n")
        }
    }
}

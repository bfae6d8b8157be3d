// One launch ahead of need. A node that has not launched for a while would keep its next task waiting for the kernel; see
// LinuxSystem/StandbyLaunch.swift. While tasks follow each other closely there is nothing to gain, and nothing is made ready.

import LinuxSystem

/// At most one launch that waits for a task, in a group of its own without limits, which that task's are then written to.
final class Standby {
    private let groups: ControlGroupTree
    private let launcher: ProcessLauncher
    private let life: String
    private var waiting: (launch: StandbyLaunch, group: TaskGroup)?
    private var count = 0
    /// One that went wrong would go wrong again, every time the node is quiet: then tasks are launched when they come.
    private var works = true

    init(groups: ControlGroupTree, launcher: ProcessLauncher, life: String) {
        self.groups = groups
        self.launcher = launcher
        self.life = life
    }

    /// The process that waits.
    var process: Int32? { waiting?.launch.process }

    /// Makes a launch ready unless one is.
    func makeReady(spawnsInGroup: Bool) throws(SystemError) {
        guard works, waiting == nil else { return }
        count += 1
        let group = TaskGroup(name: "\(life).standby-\(count)")
        do throws(SystemError) {
            try groups.create(group, limits: TaskLimits())
            waiting = (
                try launcher.standBy(
                    joining: groups.joiningDescriptors(of: group, exceptUnified: spawnsInGroup),
                    bornIn: spawnsInGroup ? groups.birthplace(of: group) : nil), group
            )
        } catch {
            works = false
            _ = try? groups.remove(group)  // The first refusal is the one to tell.
            throw error
        }
    }

    /// Has the launch that waits run `command`; nil when none does, or it will not: then the task is to be launched anew.
    func begin(
        _ command: [[UInt8]], environment: [[UInt8]], output: TaskOutput, limits: TaskLimits
    ) -> (process: Int32, group: TaskGroup)? {
        guard let (launch, group) = waiting else { return nil }
        do throws(SystemError) {
            try groups.setLimits(limits, of: group)
            try launch.begin(
                command, environment: environment, standardOutput: output.standardOutput.raw,
                standardError: output.standardError.raw)
        } catch {
            dismiss()  // Whatever the reason is, the other way meets it too, or does not.
            return nil
        }
        waiting = nil
        return (launch.process, group)
    }

    /// The launch that waited has ended, and was reaped.
    func ended() {
        works = false
        if let waiting { _ = try? groups.remove(waiting.group) }  // What stays is empty, and cleared at the next start.
        waiting = nil
    }

    /// Ends the launch that waits, and waits for that: it does nothing, so it is over at once.
    func dismiss() {
        guard let (launch, group) = waiting else { return }
        waiting = nil
        ChildProcesses.kill(process: launch.process)
        _ = try? ChildProcesses.wait(for: launch.process)
        _ = try? groups.remove(group)
    }
}

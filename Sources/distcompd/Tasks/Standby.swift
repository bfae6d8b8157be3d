// One launch ahead of need. A node that has not launched for a while would keep its next task waiting for the kernel; see
// LinuxSystem/StandbyLaunch.swift. While tasks follow each other closely there is nothing to gain, and nothing is made ready.

import LinuxSystem

/// At most one launch that waits for a task, in a group of its own without limits, to which that task's are then written.
final class Standby {
    private struct Waiting {
        let launch: StandbyLaunch
        let group: TaskGroup
        /// nil until its launcher has begun it.
        var process: Int32?
    }

    private let groups: ControlGroupTree
    private let launchers: Launchers
    private let life: String
    private var waiting: Waiting?
    /// The groups of those that were killed and not reaped yet.
    private var dismissed: [Int32: TaskGroup] = [:]
    private var count = 0
    private var deathCount = 0

    /// So many that ended without a task, one after the other, are taken for a sign that all would.
    private static let deathCountMax = 3

    init(groups: ControlGroupTree, launchers: Launchers, life: String) {
        self.groups = groups
        self.launchers = launchers
        self.life = life
    }

    /// False once there is no sense in trying: then tasks are launched when they come.
    var isOfUse: Bool { deathCount < Self.deathCountMax }

    /// Makes a launch ready unless one is, or no launcher can.
    func makeReady() throws(SystemError) {
        guard isOfUse, waiting == nil else { return }
        count += 1
        let group = TaskGroup(name: "\(life).standby-\(count)")
        do throws(SystemError) {
            try groups.create(group, limits: TaskLimits())
            let launch = launchers.standBy(
                joining: try groups.joiningDescriptors(of: group), bornIn: try groups.cgroupDescriptor(of: group))
            if let launch {
                waiting = Waiting(launch: launch, group: group)
            } else {
                _ = try? groups.remove(group)
            }
        } catch {
            _ = try? groups.remove(group)  // The first refusal is the one to tell.
            throw error
        }
    }

    /// Its launcher has begun it.
    func hasBegun(as process: Int32) { waiting?.process = process }

    /// Its launcher could not, or has ended and did not say that it has. Should it be there all the same, it ends by itself.
    func wasNotBegun() {
        guard let group = waiting?.group, waiting?.process == nil else { return }
        deathCount += 1
        waiting = nil
        _ = try? groups.remove(group)  // What stays is cleared at the next start.
    }

    /// A task that was told to begin.
    struct Begun {
        let process: Int32
        let group: TaskGroup
        /// When, in nanoseconds since the boot.
        let at: Int64
        /// What its launch had used of the processors by then.
        let usedBefore: TaskGroupUsage?
    }

    /// Has the launch that waits run `command`; nil when none does, or it cannot: then the task is to be launched anew, which also
    /// tells what is wrong if it still is.
    func begin(
        _ command: [[UInt8]], environment: [[UInt8]], place: LaunchPlace?, output: TaskOutput, limits: TaskLimits
    ) -> Begun? {
        guard let waiting, let process = waiting.process,
            let order = LaunchOrder(command, environment: environment, place: place)
        else { return nil }
        self.waiting = nil
        let usedBefore: TaskGroupUsage?
        let begunAt: Int64
        do throws(SystemError) {
            try groups.setLimits(limits, of: waiting.group)
            usedBefore = try groups.processorUsage(of: waiting.group)
            begunAt = SystemClock.bootNanoseconds()
            try waiting.launch.begin(
                order, standardOutput: output.standardOutput.raw, standardError: output.standardError.raw)
        } catch {
            // Not waited for: it may be in the middle of joining its group.
            ChildProcesses.kill(process: process)
            dismissed[process] = waiting.group
            return nil
        }
        deathCount = 0
        return Begun(process: process, group: waiting.group, at: begunAt, usedBefore: usedBefore)
    }

    /// Whether a process that was reaped was a launch without a task; then nothing of it remains.
    func hasEnded(_ process: Int32) -> Bool {
        if let group = dismissed.removeValue(forKey: process) {
            _ = try? groups.remove(group)  // What stays is empty, and cleared at the next start.
            return true
        }
        guard let waiting, waiting.process == process else { return false }
        deathCount += 1
        self.waiting = nil
        _ = try? groups.remove(waiting.group)
        return true
    }

    /// Ends the launch that waits, and waits for that, which may take as long as joining a group does.
    func dismiss() {
        guard let (group, process) = waiting.map({ ($0.group, $0.process) }) else { return }
        waiting = nil  // With its socket goes one of which no process is known.
        if let process {
            ChildProcesses.kill(process: process)
            _ = try? ChildProcesses.wait(for: process)
        }
        _ = try? groups.remove(group)  // What stays is empty, and cleared at the next start.
    }
}

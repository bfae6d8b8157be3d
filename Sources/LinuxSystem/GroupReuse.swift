// Groups that are used again. Making a group and removing it costs the kernel more than all else that a short task needs of it,
// so one that a task has left as it found it waits, with its control files open, for the next task of the same limits.
//
// Nobody may be able to tell. What earlier tasks used is subtracted; memory.peak is set back, and where the kernel cannot do that
// no group is used twice. Nor is one that was killed (some kernels kill whatever is born there later), whose cap was hit, that
// still holds a process, or that holds more than a little memory: pages of files that earlier tasks wrote count against it.

import CLinux
import Glibc

extension ControlGroupTree {
    /// The most groups whose control files are kept open, about ten descriptors each.
    static let openGroupsMax = 64
    /// What earlier tasks may have left in a group, in bytes. The kernel's own accounting is no finer on a few processors.
    private static let leftBytesMax: UInt64 = 2 << 20

    /// An empty group with these limits: one used before, or a new one of that name.
    public func prepareGroup(named name: String, limits: TaskLimits) throws(SystemError) -> TaskGroup {
        if let index = spareGroups.lastIndex(where: { openGroups[$0]?.limits == limits }) {
            let group = spareGroups.remove(at: index)
            spareGroupsWereUsed = true
            // Refused, it is removed as any other, and this task has a new one.
            if openGroups[group]?.resetPeak() == true { return group }
            openGroups[group] = nil
            _ = try remove(group)
        }
        let group = TaskGroup(name: name)
        try create(group, limits: limits)
        if reusesGroups, openGroups.count < Self.openGroupsMax { openGroups[group] = OpenGroup(group, limits, of: self) }
        return group
    }

    /// Keeps the group for another task, or removes it; false while processes, or dying ones, are still in it. To be called
    /// after `usage(of:)`, with what it said.
    public func retire(_ group: TaskGroup, after usage: TaskGroupUsage) throws(SystemError) -> Bool {
        if let open = openGroups[group], usage.oomKills ?? 0 == 0, open.isAsNew(leftBytesMax: Self.leftBytesMax) {
            open.countAnew()
            spareGroups.append(group)
            return true
        }
        guard try remove(group) else { return false }
        openGroups[group] = nil
        return true
    }

    /// Removes the groups that wait for a task, unless one was used since this was last called: to be called now and then.
    public func removeIdleSpares() {
        if !spareGroupsWereUsed { removeSpares() }
        spareGroupsWereUsed = false
    }

    func removeSpares() {
        for group in spareGroups {
            openGroups[group] = nil
            _ = try? remove(group)  // What stays is empty, and cleared at the next start.
        }
        spareGroups = []
    }
}

/// A group whose control files are open.
final class OpenGroup {
    let group: TaskGroup
    let limits: TaskLimits
    /// Its directory in the v2 tree.
    let birthplace: SharedDescriptor
    /// cgroup.procs, the v2 tree's first.
    let joining: [SharedDescriptor]
    /// Set when KILL went to all of it.
    var wasKilled = false
    private let events: SharedDescriptor
    private let processorStatistics: SharedDescriptor?
    private let memoryPeak: SharedDescriptor?
    private let memoryEvents: SharedDescriptor?
    private let memoryNow: SharedDescriptor
    /// The sums that stood in its files at the end of the task before the present one, and when last read.
    private var earlier = TaskGroupUsage()
    private var latest = TaskGroupUsage()

    /// Nil where it could not be used again, or the descriptors for it are not to be had.
    init?(_ group: TaskGroup, _ limits: TaskLimits, of tree: ControlGroupTree) {
        let (memory, files) =
            if let legacyMemory = tree.legacyMemory {
                (
                    legacyMemory,
                    (peak: "memory.max_usage_in_bytes", events: "memory.oom_control", now: "memory.usage_in_bytes")
                )
            } else {
                (tree.unified, (peak: "memory.peak", events: "memory.events", now: "memory.current"))
            }
        func open(_ file: String, in tasks: SharedDescriptor, _ flags: OpenFlags = [.readOnly]) -> SharedDescriptor? {
            try? SharedDescriptor(OwnedDescriptor.open("\(group.name)/\(file)", flags, below: tasks))
        }
        guard let events = open("cgroup.events", in: tree.unified),
            let joining = try? tree.joiningDescriptors(of: group), let birthplace = try? tree.birthplace(of: group),
            let now = open(files.now, in: memory)
        else { return nil }
        self.group = group
        self.limits = limits
        self.events = events
        self.joining = joining
        self.birthplace = birthplace
        processorStatistics = open("cpu.stat", in: tree.unified)
        memoryPeak = open(files.peak, in: memory, [.readWrite]) ?? open(files.peak, in: memory)
        memoryEvents = open(files.events, in: memory)
        memoryNow = now
        guard resetPeak() else { return nil }
    }

    /// Begins a new peak; false where the kernel does not (v2 before Linux 6.12). No peak at all is as good as a new one.
    func resetPeak() -> Bool {
        guard let memoryPeak else { return true }
        return (try? memoryPeak.writeAll([UInt8(ascii: "0")], subject: "tasks/\(group.name)")) != nil
    }

    /// What its present task has used; see `ControlGroupTree.usage(of:)`.
    func usage() throws(SystemError) -> TaskGroupUsage {
        latest = TaskGroupUsage(
            processorStatistics: try processorStatistics.flatMap { file throws(SystemError) in try text(of: file) },
            memoryPeak: try memoryPeak.flatMap { file throws(SystemError) in try text(of: file) },
            memoryEvents: try memoryEvents.flatMap { file throws(SystemError) in try text(of: file) })
        var usage = latest
        usage.userMicroseconds = difference(latest.userMicroseconds, earlier.userMicroseconds)
        usage.systemMicroseconds = difference(latest.systemMicroseconds, earlier.systemMicroseconds)
        usage.oomKills = difference(latest.oomKills, earlier.oomKills)
        return usage
    }

    /// Another task comes: what was read last is not its own.
    func countAnew() { earlier = latest }

    private func difference(_ sum: UInt64?, _ earlier: UInt64?) -> UInt64? {
        guard let sum, let earlier else { return sum }
        return sum > earlier ? sum - earlier : 0
    }

    /// All of a control file, or nil once its group is gone.
    private func text(of file: SharedDescriptor) throws(SystemError) -> Substring? {
        do throws(SystemError) {
            return try controlText { buffer throws(SystemError) in
                try file.read(at: 0, into: buffer, subject: "tasks/\(group.name)")
            }
        } catch  where error.code == ENODEV {
            return nil
        }
    }

    /// Whether the next task would find it as its first one did.
    func isAsNew(leftBytesMax: UInt64) -> Bool {
        guard !wasKilled, let events = try? text(of: events), events.hasPrefix("populated 0\n"),
            let now = try? text(of: memoryNow), let left = UInt64(now)
        else { return false }
        return left <= min(leftBytesMax, (limits.memoryBytesMax ?? .max) / 16)
    }
}

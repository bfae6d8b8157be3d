// Groups that are used again. Making a group and removing it costs the kernel more than all else that a short task needs of it,
// so one that a task has left as it found it waits, with its control files open, for the next task of the same limits.
//
// The next task must find it as it would find a new one. What earlier tasks used is subtracted; memory.peak is set back, and
// where the kernel cannot do that no group is used twice. Nor is one that was killed (some kernels kill whatever is born there
// later), in which the out-of-memory killer was, that still holds a process, or that holds more than a little memory: pages of
// files that earlier tasks wrote count against it. Nor one with a quota of processor time, of which an earlier task may have used
// a part.

import CLinux
import Glibc

extension ControlGroupTree {
    /// The most groups whose control files are kept open, nine descriptors each.
    static let openGroupsMax = 32
    /// What earlier tasks may have left in a group, in bytes. The kernel's own accounting is no finer on a few processors.
    private static let leftBytesMax: UInt64 = 1 << 20

    /// An empty group with these limits: one used before, or a new one of that name.
    public func prepareGroup(named name: String, limits: TaskLimits) throws(SystemError) -> TaskGroup {
        if let index = spareGroups.lastIndex(where: { reusableLimits[$0] == limits }) {
            let group = spareGroups.remove(at: index)
            if let open = openGroups[group], open.resetPeak() {
                open.wasUsed = true
                return group
            }
            removeSpare(group)
        }
        let group = TaskGroup(name: name)
        try create(group, limits: limits)
        if reusesGroups, limits.processorQuotaMillicores == nil { reusableLimits[group] = limits }
        return group
    }

    /// Keeps the group for another task, or removes it; false while processes, or dying ones, are still in it. To be called
    /// after `usage(of:)`, with what it said.
    public func retire(_ group: TaskGroup, after usage: TaskGroupUsage) throws(SystemError) -> Bool {
        if let limits = reusableLimits[group], usage.oomKills ?? 0 == 0, let open = opened(group),
            open.isAsNew(leftBytesMax: min(Self.leftBytesMax, (limits.memoryBytesMax ?? .max) / 64))
        {
            open.countAnew()
            spareGroups.append(group)
            return true
        }
        return try remove(group)
    }

    /// With its control files open, if it is one of few enough, and has just been read.
    private func opened(_ group: TaskGroup) -> OpenGroup? {
        if let open = openGroups[group] { return open }
        if openGroups.count >= Self.openGroupsMax, !spareGroups.isEmpty { removeSpare(spareGroups.removeFirst()) }
        // Without descriptors to spare it is removed as any other.
        guard openGroups.count < Self.openGroupsMax, let open = try? OpenGroup(group, of: self),
            let usage = try? open.usage(), usage.oomKills ?? 0 == 0
        else { return nil }
        guard open.resetPeak() else {
            reusesGroups = false
            reusableLimits = [:]
            return nil
        }
        openGroups[group] = open
        return open
    }

    /// Removes the groups that have waited in vain since this was last called: to be called now and then.
    public func removeIdleSpares() {
        for group in spareGroups where openGroups[group]?.wasUsed != true {
            spareGroups.removeAll { $0 == group }
            removeSpare(group)
        }
        for group in spareGroups { openGroups[group]?.wasUsed = false }
    }

    /// Removes all groups that wait for a task.
    public func removeSpares() {
        for group in spareGroups { removeSpare(group) }
        spareGroups = []
    }

    private func removeSpare(_ group: TaskGroup) {
        _ = try? remove(group)  // What stays is empty, and cleared at the next start.
    }
}

/// A group whose control files are open.
final class OpenGroup {
    let group: TaskGroup
    /// Its directory in the v2 tree.
    let cgroupDescriptor: SharedDescriptor
    /// What a process joins it by, the v2 tree's first.
    let joining: [SharedDescriptor]
    /// Whether a task has had it since somebody last looked.
    var wasUsed = true
    private let events: SharedDescriptor
    private let processorStatistics: SharedDescriptor?
    private let memoryPeak: SharedDescriptor?
    private let memoryEvents: SharedDescriptor?
    private let memoryNow: SharedDescriptor
    /// The sums that stood in its files at the end of the task before the present one, and when last read.
    private var earlier = TaskGroupUsage()
    private var latest = TaskGroupUsage()
    /// Whether nothing was in it just before they were read, so that they are the last of that task.
    private var wasEmpty = false

    /// - Throws: when a file that is there cannot be opened: without it, an end for want of memory could be told as another.
    init(_ group: TaskGroup, of tree: ControlGroupTree) throws(SystemError) {
        let (memory, files) =
            if let legacyMemory = tree.legacyMemory {
                (
                    legacyMemory,
                    (peak: "memory.max_usage_in_bytes", events: "memory.oom_control", now: "memory.usage_in_bytes")
                )
            } else {
                (tree.unified, (peak: "memory.peak", events: "memory.events", now: "memory.current"))
            }
        func open(
            _ file: String, in tasks: SharedDescriptor, _ flags: OpenFlags = [.readOnly]
        ) throws(SystemError) -> SharedDescriptor {
            SharedDescriptor(try OwnedDescriptor.open("\(group.name)/\(file)", flags, below: tasks))
        }
        /// Nil for what this kernel does not count.
        func openIfThere(
            _ file: String, in tasks: SharedDescriptor, _ flags: OpenFlags = [.readOnly]
        ) throws(SystemError) -> SharedDescriptor? {
            do throws(SystemError) {
                return try open(file, in: tasks, flags)
            } catch  where error.code == ENOENT {
                return nil
            }
        }
        self.group = group
        joining = try tree.joiningDescriptors(of: group)
        cgroupDescriptor = try tree.cgroupDescriptor(of: group)
        events = try open("cgroup.events", in: tree.unified)
        processorStatistics = try openIfThere("cpu.stat", in: tree.unified)
        // Before Linux 6.12 memory.peak is for reading only.
        do throws(SystemError) {
            memoryPeak = try openIfThere(files.peak, in: memory, [.readWrite])
        } catch  where error.code == EACCES || error.code == EPERM {
            memoryPeak = try openIfThere(files.peak, in: memory)
        }
        memoryEvents = try openIfThere(files.events, in: memory)
        memoryNow = try open(files.now, in: memory)
    }

    /// Begins a new peak; false where the kernel does not (v2 before Linux 6.12). No peak at all is as good as a new one.
    func resetPeak() -> Bool {
        guard let memoryPeak else { return true }
        return (try? memoryPeak.writeAll([UInt8(ascii: "0")], subject: "tasks/\(group.name)")) != nil
    }

    /// What its present task has used; see `ControlGroupTree.usage(of:)`.
    func usage() throws(SystemError) -> TaskGroupUsage {
        wasEmpty = try text(of: events)?.hasPrefix("populated 0\n") == true
        latest = TaskGroupUsage(
            processorStatistics: try processorStatistics.flatMap { file throws(SystemError) in try text(of: file) },
            memoryPeak: try memoryPeak.flatMap { file throws(SystemError) in try text(of: file) },
            memoryEvents: try memoryEvents.flatMap { file throws(SystemError) in try text(of: file) })
        var usage = latest
        usage.userMicroseconds = difference(latest.userMicroseconds, earlier.userMicroseconds)
        usage.systemMicroseconds = difference(latest.systemMicroseconds, earlier.systemMicroseconds)
        usage.oomKills = difference(latest.oomKills, earlier.oomKills)
        usage.oomEvents = difference(latest.oomEvents, earlier.oomEvents)
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
        guard wasEmpty, let now = try? text(of: memoryNow), let left = UInt64(now) else { return false }
        return left <= leftBytesMax
    }
}

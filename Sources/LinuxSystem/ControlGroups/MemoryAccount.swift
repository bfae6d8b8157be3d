// What the memory of a task was: asked only of tasks that used much, for it takes more reading than all else at their end.

import Glibc

/// What the memory of a task was, each figure absent where the kernel does not tell.
public struct MemoryAccount: Equatable, Sendable {
    /// What its group holds of files on disks, read or written; it could be dropped at any time.
    public var fileCacheBytes: UInt64?
    /// What it holds in files of a tmpfs. At the end: what it leaves there.
    public var tmpfsBytes: UInt64?
    /// What its programs have allocated, and the kernel keeps for them.
    public var ownBytes: UInt64?
    /// How often it was at its own limit. Some kernels do not count that under v1.
    public var limitHits: UInt64?

    public init() {}

    /// From the text of memory.stat of either version.
    init(statistics text: Substring, isLegacy: Bool) {
        // With the groups below it: v2 always counts so.
        func bytes(_ name: String) -> UInt64? { value(of: (isLegacy ? "total_" : "") + name, in: text) }
        fileCacheBytes = sum(bytes("inactive_file"), bytes("active_file"))
        tmpfsBytes = bytes("shmem")
        ownBytes = isLegacy ? bytes("rss") : sum(bytes("anon"), value(of: "kernel", in: text) ?? 0)
    }
}

private func sum(_ one: UInt64?, _ other: UInt64?) -> UInt64? {
    guard let one, let other else { return nil }
    let (sum, overflow) = one.addingReportingOverflow(other)
    return overflow ? nil : sum
}

extension ControlGroupTree {
    /// What the memory of a group is now; nil when it cannot be told.
    public func memoryAccount(of group: TaskGroup) -> MemoryAccount? {
        guard let text = try? readShort("memory.stat", of: group, in: legacyMemory ?? unified) else { return nil }
        var account = MemoryAccount(statistics: text, isLegacy: legacyMemory != nil)
        if let legacyMemory {
            account.limitHits = (try? readShort("memory.failcnt", of: group, in: legacyMemory)).flatMap { UInt64($0) }
        } else {
            account.limitHits = memoryEvent("max", of: group)
        }
        return account
    }

    /// What the memory of all tasks is now, with what ended ones left.
    public func memoryAccountOfAllTasks() -> MemoryAccount? {
        let path = taskPaths[legacyMemory == nil ? 0 : 1] + "/memory.stat"
        guard let text = try? FileSystem.text(of: path, bytesMax: 65_536) else { return nil }
        return MemoryAccount(statistics: Substring(text), isLegacy: legacyMemory != nil)
    }

    /// How many processes of a group were killed for memory, while it may go on; always nil where the kernel ends all of a group at
    /// once, as it does under v2.
    public func partialOutOfMemoryKills(in group: TaskGroup) -> UInt64? {
        guard let legacyMemory, let text = try? readShort("memory.oom_control", of: group, in: legacyMemory) else {
            return nil
        }
        return value(of: "oom_kill", in: text)
    }

    /// What the memory of a group was when the kernel killed in it for its own limit; nil where that is not known.
    public func outOfMemoryReport(of group: TaskGroup) -> OutOfMemoryReport? {
        let place = (legacyMemory == nil ? "/tasks/" : "/task-groups/") + group.name
        guard let report = outOfMemoryLog?.report(ofKillIn: place), let limit = report.limitGroup,
            limit.hasSuffix(place) || limit.contains(place + "/")
        else { return nil }
        return report
    }

    private func memoryEvent(_ name: String, of group: TaskGroup) -> UInt64? {
        (try? readShort("memory.events", of: group, in: unified)).flatMap { value(of: name, in: $0) }
    }
}

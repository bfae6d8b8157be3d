// Whose limit it was that ended a task. The kernel counts a kill in the group of the victim, whichever limit above it had been
// reached; the limit itself counts elsewhere. Those counts are compared with what they were before.

import Glibc

/// The limit for which the kernel killed a process of a task.
public enum StrikingLimit: Equatable, Sendable {
    /// The task's own.
    case own
    /// That of all tasks together.
    case allTasks
    /// One of a group above this daemon's.
    case above(MemoryLimit)
    /// None: the machine itself had no more.
    case machine
}

/// How often each group above tasks had reached its limit with nothing to reclaim, and when that was last seen to grow.
final class LimitStrikes {
    private struct Count {
        let group: SurroundingGroups.Group
        var sum: UInt64?
        var grewAtNanoseconds: Int64?
    }

    /// That of `tasks/` first, then those above, from the lowest on.
    private var counts: [Count]

    init(tasks: SurroundingGroups.Group, above groups: [SurroundingGroups.Group]) {
        counts = ([tasks] + groups).map { Count(group: $0, sum: Self.sum(of: $0)) }
    }

    /// To be called now and then, so that what is found later can be told from what was long before.
    func look(atNanoseconds now: Int64) {
        for index in counts.indices {
            let group = counts[index].group
            let sum = Self.sum(of: group)
            if let sum, let known = counts[index].sum, sum > known { counts[index].grewAtNanoseconds = now }
            counts[index].sum = sum ?? counts[index].sum
            // The peak of our own group can be begun anew.
            guard index == 0, group.version == .legacy, Self.peakIsLimit(of: group) else { continue }
            counts[index].grewAtNanoseconds = now
            _ = try? writeControlFile(group.directory + "/memory.max_usage_in_bytes", "0")
        }
    }

    /// The limit that has struck since: the latest, and of those seen at once the lowest.
    func limit(since begun: Int64, atNanoseconds now: Int64) -> StrikingLimit {
        look(atNanoseconds: now)
        let latest = counts.compactMap(\.grewAtNanoseconds).max() ?? .min
        let struck =
            latest >= begun
            ? counts.firstIndex { $0.grewAtNanoseconds == latest }
            : counts.firstIndex { $0.group.version == .legacy && Self.peakIsLimit(of: $0.group) }
        guard let struck else { return .machine }
        if struck == 0 { return .allTasks }
        let group = counts[struck].group
        // It is named even if how much it is cannot be read now.
        let limits = ((try? SurroundingGroups.memoryLimits(of: group)) ?? []).filter { $0.file != "memory.high" }
        return .above(limits.first ?? MemoryLimit(bytes: 0, group: group.name, file: "memory.max"))
    }

    private static func text(_ group: SurroundingGroups.Group, _ file: String) -> String? {
        try? FileSystem.text(of: group.directory + "/" + file)
    }

    private static func sum(of group: SurroundingGroups.Group) -> UInt64? {
        switch group.version {
        case .unified: text(group, "memory.events.local").flatMap { value(of: "oom", in: $0[...]) }
        // v1 counts no kills by the limit, and not every kernel how often it was reached.
        case .legacy: text(group, "memory.failcnt").flatMap { UInt64($0) }
        }
    }

    /// Whether a v1 group has held all that it may, as near as the kernel accounts.
    private static func peakIsLimit(of group: SurroundingGroups.Group) -> Bool {
        guard let limit = text(group, "memory.limit_in_bytes").flatMap({ SurroundingGroups.limitBytes($0) }),
            let peak = text(group, "memory.max_usage_in_bytes").flatMap({ UInt64($0) })
        else { return false }
        return peak >= limit - limit / 64
    }
}

extension ControlGroupTree {
    /// Has the limits of `groups` watched, so that `strikingLimit` can name them.
    public func watchLimits(of groups: SurroundingGroups) {
        let isUnified = memory == .unified
        let tasks = SurroundingGroups.Group(
            directory: isUnified ? taskPaths[0] : taskPaths[1], name: "tasks", version: memory, isLowest: false)
        groups.tasks = tasks
        strikes = LimitStrikes(tasks: tasks, above: groups.memoryGroups.filter { $0.version == memory })
    }

    /// To be called now and then.
    public func lookAtLimits(atNanoseconds now: Int64) { strikes?.look(atNanoseconds: now) }

    /// Whose limit it was that had processes of the task killed; nil where that cannot be told.
    ///
    /// - Parameters:
    ///   - group: the task's.
    ///   - usage: what the task used, kills included.
    ///   - memoryBytesMax: its own limit.
    ///   - begun: when it began, in nanoseconds since the boot.
    public func strikingLimit(
        in group: TaskGroup, _ usage: TaskGroupUsage, memoryBytesMax: UInt64?, since begun: Int64,
        atNanoseconds now: Int64
    ) -> StrikingLimit? {
        guard let kills = usage.oomKills, kills > 0 else { return nil }
        if let memoryBytesMax {
            switch memory {
            case .unified where usage.oomEvents ?? 1 > 0: return .own
            // A charge that is refused may be of some dozens of pages.
            case .legacy where legacyPeak(of: group, usage) >= memoryBytesMax - memoryBytesMax / 16: return .own
            case .unified, .legacy: break
            }
        }
        return strikes?.limit(since: begun, atNanoseconds: now)
    }

    /// The most it had, swap included, for that is what is limited.
    private func legacyPeak(of group: TaskGroup, _ usage: TaskGroupUsage) -> UInt64 {
        let swapped = legacyMemory.flatMap { try? readShort("memory.memsw.max_usage_in_bytes", of: group, in: $0) }
        return max(usage.memoryPeakBytes ?? .max, swapped.flatMap { UInt64($0) } ?? 0)
    }
}

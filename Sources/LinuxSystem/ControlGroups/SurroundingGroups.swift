// The control groups above ours. What they allow is all there is for this node, whatever /proc/meminfo says of the machine; and when
// one of their limits ends a task, that limit is to be named, not the task's own.

import Glibc

/// A limit on memory, and whose it is.
public struct MemoryLimit: Equatable, Sendable {
    public let bytes: UInt64
    /// The group's path in its hierarchy, as /proc/self/cgroup has it.
    public let group: String
    /// The control file it stands in, as `memory.max`.
    public let file: String

    public init(bytes: UInt64, group: String, file: String) {
        self.bytes = bytes
        self.group = group
        self.file = file
    }
}

/// A limit on processor time, and whose it is.
public struct ProcessorLimit: Equatable, Sendable {
    public let millicores: Int
    public let group: String
    public let file: String
}

/// What all groups together leave.
public struct SurroundingLimits: Equatable, Sendable {
    /// The smallest limit on memory.
    public var memory: MemoryLimit?
    /// The smallest limit on processor time.
    public var processorTime: ProcessorLimit?
    /// How much memory may still be had below every limit, what can be reclaimed counted as free; nil without a limit.
    public var memoryAvailableBytes: UInt64?

    public init() {}

    mutating func add(_ limit: MemoryLimit, availableBytes: UInt64) {
        if limit.bytes < memory?.bytes ?? .max { memory = limit }
        memoryAvailableBytes = min(memoryAvailableBytes ?? .max, availableBytes)
    }

    mutating func add(_ limit: ProcessorLimit) {
        if limit.millicores < processorTime?.millicores ?? .max { processorTime = limit }
    }
}

/// A group and those above it, from the lowest on. They are where they are; what they allow may change.
public final class SurroundingGroups {
    struct Group: Equatable {
        let directory: String
        /// Its path as people and /proc/self/cgroup have it.
        let name: String
        let version: MemoryEnforcement
        /// Whether it is the lowest of its chain: a v1 group tells there of limits that we cannot see.
        let isLowest: Bool
    }

    let memoryGroups: [Group]
    private let processorGroups: [Group]
    /// The group of all our tasks, once there is one. It may be elsewhere than below a group whose limit we heed.
    var tasks: Group?

    /// - Parameter mounts: where a process is; of several each counts.
    public init(_ mounts: [ControlGroupMounts]) {
        var (memory, processor): ([Group], [Group]) = ([], [])
        for mounts in mounts {
            let unified = Self.chain(mounts.unified, mounts.unifiedMount, .unified)
            memory += unified + Self.chain(mounts.legacyMemory, mounts.legacyMemoryMount, .legacy)
            processor +=
                unified + Self.chain(mounts.legacyProcessorTime, mounts.legacyProcessorTimeMount, .legacy)
        }
        memoryGroups = Self.withoutRepeats(memory)
        processorGroups = Self.withoutRepeats(processor)
    }

    private static func chain(_ directory: String?, _ mount: String?, _ version: MemoryEnforcement) -> [Group] {
        guard let directory, let mount else { return [] }
        return ControlGroupMounts.upwards(from: directory, to: mount).map { path in
            Group(
                directory: path, name: path.count > mount.count ? String(path.dropFirst(mount.count)) : "/",
                version: version, isLowest: path == directory)
        }
    }

    private static func withoutRepeats(_ groups: [Group]) -> [Group] {
        var seen: Set<String> = []
        return groups.filter { seen.insert($0.directory).inserted }
    }

    /// What they allow now. A file that is not there sets no limit: the real root has none, nor has a group without the controller.
    ///
    /// - Throws: when one that is there cannot be read now, as without a descriptor to spare: a limit is not over for that.
    public func limits() throws(SystemError) -> SurroundingLimits {
        var limits = SurroundingLimits()
        // Those of groups that can be seen first: v1's limit of unseen ones may be no other than theirs.
        for group in memoryGroups.reversed() {
            for limit in try Self.memoryLimits(of: group) {
                limits.add(limit, availableBytes: limit.bytes - min(limit.bytes, try heldBytes(countedBy: group)))
            }
        }
        for group in processorGroups {
            if let limit = try Self.processorLimit(of: group) { limits.add(limit) }
        }
        return limits
    }

    static func memoryLimits(of group: Group) throws(SystemError) -> [MemoryLimit] {
        func limit(_ file: String) throws(SystemError) -> MemoryLimit? {
            guard let bytes = try text(group, file).flatMap({ limitBytes($0) }) else { return nil }
            return MemoryLimit(bytes: bytes, group: group.name, file: file)
        }
        switch group.version {
        case .unified: return [try limit("memory.max"), try limit("memory.high")].compactMap { $0 }
        case .legacy:
            let own = try limit("memory.limit_in_bytes")
            guard group.isLowest, let statistics = try text(group, "memory.stat"),
                let bytes = value(of: "hierarchical_memory_limit", in: statistics[...]), bytes < limitless,
                bytes < own?.bytes ?? .max
            else { return [own].compactMap { $0 } }
            return [MemoryLimit(bytes: bytes, group: "above " + group.name, file: "hierarchical_memory_limit")]
        }
    }

    private static func processorLimit(of group: Group) throws(SystemError) -> ProcessorLimit? {
        let file: String
        let words: [Substring]
        switch group.version {
        case .unified:
            file = "cpu.max"
            words = try text(group, file)?.split(separator: " ") ?? []
        case .legacy:
            file = "cpu.cfs_quota_us"
            words = [try text(group, file), try text(group, "cpu.cfs_period_us")].compactMap { $0.map { $0[...] } }
        }
        guard words.count == 2, let millicores = millicores(quota: words[0], period: words[1]) else { return nil }
        return ProcessorLimit(millicores: millicores, group: group.name, file: file)
    }

    private func heldBytes(countedBy group: Group) throws(SystemError) -> UInt64 {
        let own = try Self.heldBytes(by: group)
        guard let tasks, tasks.version == group.version, !tasks.directory.hasPrefix(group.directory + "/") else {
            return own
        }
        return own &+ (try Self.heldBytes(by: tasks))
    }

    /// Memory in a group that cannot be had back by reclaiming: files in the page cache and in the kernel's caches can.
    private static func heldBytes(by group: Group) throws(SystemError) -> UInt64 {
        let isUnified = group.version == .unified
        guard let used = try text(group, isUnified ? "memory.current" : "memory.usage_in_bytes").flatMap({ UInt64($0) })
        else { return 0 }
        let statistics = try text(group, "memory.stat") ?? ""
        let reclaimable =
            isUnified
            ? ["active_file", "inactive_file", "slab_reclaimable"] : ["total_active_file", "total_inactive_file"]
        return reclaimable.reduce(used) { left, name in left - min(left, value(of: name, in: statistics[...]) ?? 0) }
    }

    /// Nil for a file that is not there, or where we may not look.
    static func text(_ group: Group, _ file: String) throws(SystemError) -> String? {
        do throws(SystemError) {
            return try FileSystem.text(of: group.directory + "/" + file)
        } catch  where [ENOENT, ENODEV, ENOTDIR, EACCES, EPERM].contains(error.code) {
            return nil
        }
    }

    /// v1 writes the largest number of whole pages for no limit.
    private static let limitless: UInt64 = 1 << 62

    /// The number in memory.max and its likes; nil for `max`, for v1's likes of it, and for what is no number.
    static func limitBytes(_ text: String) -> UInt64? {
        guard let bytes = UInt64(text), bytes < limitless else { return nil }
        return bytes
    }

    /// From cpu.max, or v1's two files; nil for no limit. At least a thousandth of a core.
    static func millicores(quota: Substring, period: Substring) -> Int? {
        guard let quota = Int64(quota), let period = Int64(period), quota > 0, period > 0 else { return nil }
        let (product, overflow) = quota.multipliedReportingOverflow(by: 1000)
        return overflow ? nil : Int(max(1, product / period))
    }
}

// The processors of this machine that we may use, and how they lie: which share a NUMA node, which a physical core.

import CLinux

public enum Processors {
    /// The numbers of those that `process` may run on, in order; this process by default (sched_getaffinity(2)). Empty when that
    /// cannot be told.
    public static func allowed(to process: Int32 = 0) -> [Int] {
        // The most that a Linux has been built for.
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: 8192) { numbers in
            let count = clinux_allowed_processors(process, numbers.baseAddress, Int32(numbers.count))
            return numbers.prefix(max(0, Int(count))).map { Int($0) }
        }
    }

    /// Those that we may run on by NUMA node, those of one physical core beside each other (sysfs, /sys/devices/system/node and
    /// .../cpu/cpuN/topology). One node where the kernel tells of none.
    public static func byNode() -> [[Int]] {
        let allowed = allowed()
        var nodeOfProcessor: [Int: Int] = [:]
        for node in list("/sys/devices/system/node/online") {
            for processor in list("/sys/devices/system/node/node\(node)/cpulist") { nodeOfProcessor[processor] = node }
        }
        let byNode = Dictionary(grouping: allowed) { nodeOfProcessor[$0] ?? -1 }
        return byNode.keys.sorted().compactMap { byNode[$0] }.map { processors in
            // Whoever shares a core with an earlier one stands behind it.
            processors.map { (core: siblings(of: $0).first ?? $0, number: $0) }.sorted { $0 < $1 }.map(\.number)
        }
    }

    private static func siblings(of processor: Int) -> [Int] {
        list("/sys/devices/system/cpu/cpu\(processor)/topology/thread_siblings_list")
    }

    private static func list(_ path: String) -> [Int] { (try? FileSystem.text(of: path)).map(numbers(in:)) ?? [] }

    /// The numbers in a list as the kernel writes it: `0-3,8`; see cpuset(7). Empty for what is none.
    static func numbers(in list: String) -> [Int] {
        var numbers: [Int] = []
        for range in list.split(separator: ",", omittingEmptySubsequences: false) {
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
            guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last,
                last < 8192
            else { return [] }
            numbers += first...last
        }
        return numbers
    }
}

// What this node has: the machine's memory and cores, or what the smallest limit of a control group above us leaves of them.

import LinuxSystem
import TaskModel

struct NodeAllowance: Equatable {
    let memoryBytes: UInt64
    /// Whose limit that is; nil when it is all the machine has.
    let memoryLimit: MemoryLimit?
    let millicores: Int
    let processorLimit: ProcessorLimit?

    /// What is kept for the daemon where a limit counts it together with its tasks: what it takes, its outputs and reports included.
    private static let daemonBytes: UInt64 = 64 << 20

    init(machine: MemoryReading, coreCount: Int, limits: SurroundingLimits) {
        memoryLimit = limits.memory.flatMap { $0.bytes < machine.totalBytes ? $0 : nil }
        memoryBytes = memoryLimit?.bytes ?? machine.totalBytes
        processorLimit = limits.processorTime.flatMap { $0.millicores < coreCount * 1000 ? $0 : nil }
        millicores = processorLimit?.millicores ?? coreCount * 1000
    }

    static func current(_ surroundings: SurroundingGroups) throws(SystemError) -> NodeAllowance {
        NodeAllowance(
            machine: try MemoryReading.current(), coreCount: Host.coreCount, limits: try surroundings.limits())
    }

    /// How many tasks of one core fit.
    var taskCount: Int { max(1, (millicores + 999) / 1000) }

    /// What all tasks together may use: the rest is the machine's, and the daemon's.
    func memoryBytesForTasks(keeping threshold: MemoryThreshold) -> UInt64 {
        let own = memoryLimit == nil ? 0 : min(Self.daemonBytes, memoryBytes / 4)
        return memoryBytes - min(max(threshold.bytes(ofTotal: memoryBytes), own), memoryBytes)
    }

    /// What all tasks together may use, and why it is no more, as `336 MB, for the memory.max of /shared is 400 MB`.
    func textForTasks(_ bytes: UInt64) -> String {
        AmountText.memory(bytes)
            + (memoryLimit.map { ", for the \($0.file) of \($0.group) is \(AmountText.memory($0.bytes))" } ?? "")
    }

    /// As `700 MB (of /system.slice/distcompd.service, memory.max), 0.5 cores (...)`.
    var text: String {
        func source(_ group: String, _ file: String) -> String { " (the \(file) of \(group))" }
        let memory = AmountText.memory(memoryBytes) + (memoryLimit.map { source($0.group, $0.file) } ?? "")
        let cores = Double(millicores) / 1000
        let count = cores == cores.rounded() ? "\(Int(cores))" : "\(cores)"
        return "\(memory), \(count) core\(millicores == 1000 ? "" : "s")"
            + (processorLimit.map { source($0.group, $0.file) } ?? "")
    }
}

extension MemoryReading {
    /// The machine's memory as far as the groups above us leave it.
    static func current(in surroundings: SurroundingGroups) throws(SystemError) -> MemoryReading {
        let machine = try current()
        let limits = try surroundings.limits()
        return MemoryReading(
            totalBytes: min(machine.totalBytes, limits.memory?.bytes ?? .max),
            availableBytes: min(machine.availableBytes, limits.memoryAvailableBytes ?? .max))
    }
}

extension StrikingLimit {
    /// What a task was killed by; nil for its own limit, which is told anyway.
    ///
    /// - Parameter allTasks: what all tasks together may use, in words.
    func words(allTasks: String) -> String? {
        switch self {
        case .own: nil
        case .allTasks: "the limit of all tasks of this node together (\(allTasks))"
        case .above(let limit):
            "the \(limit.file) of \(limit.group)" + (limit.bytes > 0 ? " (\(AmountText.memory(limit.bytes)))" : "")
        case .machine: "the machine, which had no more"
        }
    }
}

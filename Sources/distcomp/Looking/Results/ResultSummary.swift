// What a sweep took: the spread of time and memory of commands that are alike, and the memory to ask for the next time.

import TaskModel

/// Results by the shape of their command.
struct ResultSummary {
    /// What is known of all commands of one shape.
    struct Group {
        fileprivate(set) var shape: CommandShape
        fileprivate(set) var taskCount = 0
        fileprivate(set) var failuresByCause: [String: Int] = [:]
        fileprivate(set) var wallSeconds = Distribution()
        fileprivate(set) var memoryPeakBytes = Distribution()
        /// The same without files that could have been dropped from memory.
        fileprivate(set) var memoryNeededBytes = Distribution()
        /// What those that finished under a cap asked for, and needed of it.
        fileprivate(set) var waste = MemoryWays()
        /// The largest cap of any of them.
        fileprivate(set) var memoryCapBytes: UInt64?
        /// The largest cap that was met.
        fileprivate(set) var memoryCapBytesMet: UInt64?
        fileprivate(set) var isRest = false

        var failureCount: Int { failuresByCause.values.reduce(0, +) }
        var text: String { isRest ? "(other commands)" : shape.text }
    }

    /// Beyond this many shapes, which nobody would read, commands are counted together, so that memory is bounded.
    private static let groupsMax = 1000

    private var groupsByKey: [CommandShape.Key: Group] = [:]
    private var rest: Group?

    /// Those with the most tasks first.
    var groups: [Group] {
        (groupsByKey.values + [rest].compactMap(\.self)).sorted { ($1.taskCount, $0.text) < ($0.taskCount, $1.text) }
    }

    /// Lines that are no tasks are left out.
    mutating func add(_ result: TaskResult) {
        guard let line = result.task else { return }
        let shape = CommandShape(line)
        if groupsByKey[shape.key] != nil || groupsByKey.count < Self.groupsMax {
            groupsByKey[shape.key, default: Group(shape: shape)].add(result, line, shape)
        } else {
            if rest == nil { rest = Group(shape: shape, isRest: true) }
            rest?.add(result, line, shape)
        }
    }
}

extension ResultSummary.Group {
    fileprivate mutating func add(_ result: TaskResult, _ line: TaskLine, _ other: CommandShape) {
        shape.add(other)
        taskCount += 1
        if !result.succeeded { failuresByCause[result.causeWord, default: 0] += 1 }
        if line.memoryBytes > 0 { memoryCapBytes = max(memoryCapBytes ?? 0, line.memoryBytes) }
        if result.causeWord == "oom", line.memoryBytes > 0 {
            memoryCapBytesMet = max(memoryCapBytesMet ?? 0, line.memoryBytes)
        }
        // What never ran took no time and no memory: it would only make the others look small.
        switch result.outcome?.cause {
        case .launch, .cancelled, .nodeLost, .dependency, nil: return
        case .exit, .signal, .oom, .timeout, .memoryPressure: break
        }
        if let usage = result.outcome?.usage {
            wallSeconds.add(usage.wallSeconds)
            if let bytes = usage.memoryPeakBytes {
                memoryPeakBytes.add(Double(bytes))
                memoryNeededBytes.add(Double(usage.memoryNeededBytes ?? bytes))
                if result.succeeded {
                    waste.add(needed: usage.memoryNeededBytes ?? bytes, asked: result.outcome?.memoryCapBytes)
                }
            }
        }
    }

    /// A fifth more than the most that was needed, or twice the cap where that was too little, rounded up to what is easily
    /// written; nil where no peak is known.
    var memoryBytesToAskFor: UInt64? {
        guard memoryPeakBytes.count > 0 else { return nil }
        let wanted = max(memoryNeededBytes.maximum * 1.2, Double(memoryCapBytesMet ?? 0) * 2)
        let megabyte = Double(1 << 20)
        let step =
            wanted <= 128 * megabyte ? 8 : wanted <= 1024 * megabyte ? 32 : wanted <= 8192 * megabyte ? 256 : 1024
        return UInt64((wanted / megabyte / Double(step)).rounded(.up)) * UInt64(step) << 20
    }

    /// As a task line takes it: `96M`, `2.25G`.
    var memoryToAskFor: String? {
        guard let bytes = memoryBytesToAskFor else { return nil }
        if bytes < 1 << 30 { return "\(bytes >> 20)M" }
        let quarters = (bytes >> 20) * 4 / 1024
        let fraction = ["", ".25", ".5", ".75"][Int(quarters % 4)]
        return "\(quarters / 4)\(fraction)G"
    }

    /// Some lines for people.
    func paragraph(_ blocks: Blocks) -> String {
        var lines = [TerminalText.escaped(text)]
        let causes = failuresByCause.sorted { $0.key < $1.key }.map { "\(grouped($0.value)) \($0.key)" }
        let failures = failureCount == 0 ? "" : ", \(grouped(failureCount)) failed (\(causes.joined(separator: ", ")))"
        lines.append("  tasks   \(grouped(taskCount))\(failures)")
        if let spread = spread(wallSeconds, AmountText.roundedSeconds) {
            lines.append("  wall    \(spread)")
            lines += drawing(wallSeconds, blocks, AmountText.roundedSeconds)
        }
        if let spread = spread(memoryPeakBytes, { AmountText.memory(UInt64($0)) }) {
            let cap = memoryCapBytes.map { "cap \(AmountText.memory($0))" } ?? "no cap"
            let advice = memoryToAskFor.map { ", ask for \($0)" } ?? ""
            lines.append("  memory  \(spread)\(withoutFiles), \(cap)\(advice)")
            lines += drawing(memoryPeakBytes, blocks) { AmountText.memory(UInt64($0)) }
            if let text = waste.text { lines.append("  wasted  \(text)") }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    /// How many tasks took how much, from the least to the most; no line where there is nothing to see.
    private func drawing(_ values: Distribution, _ blocks: Blocks, _ text: (Double) -> String) -> [String] {
        guard values.maximum > values.minimum else { return [] }
        let line = blocks.line(values.counts(binCount: Blocks.columns))
        return ["          \(text(values.minimum)) \(line) \(text(values.maximum))"]
    }

    /// Told where it makes a difference.
    private var withoutFiles: String {
        guard memoryNeededBytes.maximum < memoryPeakBytes.maximum * 0.9 else { return "" }
        return " (\(AmountText.memory(UInt64(memoryNeededBytes.maximum))) without files it read or wrote)"
    }

    private func spread(_ values: Distribution, _ text: (Double) -> String) -> String? {
        guard let median = values.percentile(0.5), let late = values.percentile(0.95) else { return nil }
        return "p50 \(text(median)), p95 \(text(late)), max \(text(values.maximum))"
    }

    var json: String {
        var writer = JSONObjectWriter()
        writer.field("command", text)
        writer.field("tasks", taskCount)
        writer.field("failed", failureCount)
        writer.field("failed_by_cause", failuresByCause)
        for (name, share) in [("p50", 0.5), ("p95", 0.95), ("max", 1.0)] {
            writer.field("wall_seconds_\(name)", value(wallSeconds, share))
        }
        for (name, share) in [("p50", 0.5), ("p95", 0.95), ("max", 1.0)] {
            writer.field("memory_peak_bytes_\(name)", value(memoryPeakBytes, share).map { UInt64($0) })
        }
        writer.field("memory_needed_bytes_max", value(memoryNeededBytes, 1).map { UInt64($0) })
        writer.field("memory_cap_bytes", memoryCapBytes)
        writer.field("memory_bytes_to_ask_for", memoryBytesToAskFor)
        writer.field("memory_to_ask_for", memoryToAskFor)
        writer.field("memory_wasted_share_as_asked", waste.asAsked)
        writer.field("memory_wasted_share_auto", waste.auto?.wasted)
        writer.field("memory_failed_attempts_share_auto", waste.auto?.failed)
        writer.field("memory_wasted_share_largest", waste.largest)
        return writer.text
    }

    private func value(_ values: Distribution, _ share: Double) -> Double? {
        share == 1 ? (values.count > 0 ? values.maximum : nil) : values.percentile(share)
    }
}

/// How values above zero are spread: counted in buckets each less than one percent wide, so that what is kept is bounded
/// whatever comes, and a percentile is right to one percent.
struct Distribution {
    private var countByBucket: [UInt64: Int] = [:]
    private(set) var count = 0
    private(set) var maximum = 0.0
    private(set) var minimum = Double.infinity

    /// Values that are negative or no number count as zero.
    mutating func add(_ value: Double) {
        let value = value > 0 && value.isFinite ? value : 0
        countByBucket[Self.bucket(of: value), default: 0] += 1
        count += 1
        maximum = max(maximum, value)
        minimum = min(minimum, value)
    }

    /// The least value that `share` of all values do not exceed; nil when there is none.
    func percentile(_ share: Double) -> Double? {
        guard count > 0 else { return nil }
        let rank = min(count, max(1, Int((Double(count) * share).rounded(.up))))
        if rank == count { return maximum }
        var seen = 0
        for (bucket, size) in countByBucket.sorted(by: { $0.key < $1.key }) {
            seen += size
            if seen >= rank { return min(maximum, max(minimum, Self.middle(of: bucket))) }
        }
        return maximum
    }

    /// Each value, as exactly as it is known, and how often it was.
    var values: [(value: Double, count: Int)] {
        countByBucket.map { (min(maximum, max(minimum, Self.middle(of: $0.key))), $0.value) }
    }

    /// How many values lie in each of so many parts, all equally wide, of the range from the least to the most.
    func counts(binCount: Int) -> [Int] {
        var counts = Array(repeating: 0, count: binCount)
        guard maximum > minimum else { return counts }
        for (bucket, size) in countByBucket {
            let value = min(maximum, max(minimum, Self.middle(of: bucket)))
            let bin = Int((value - minimum) / (maximum - minimum) * Double(binCount))
            counts[min(binCount - 1, bin)] += size
        }
        return counts
    }

    /// The exponent of a number and the first seven binary digits after its leading one.
    private static func bucket(of value: Double) -> UInt64 { value.bitPattern >> 45 }

    private static func middle(of bucket: UInt64) -> Double {
        bucket == 0 ? 0 : (Double(bitPattern: bucket << 45) + Double(bitPattern: (bucket + 1) << 45)) / 2
    }
}

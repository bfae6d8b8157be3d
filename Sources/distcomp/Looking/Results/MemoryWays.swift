// What was wasted of the memory that tasks asked for, and what would have been, had they asked otherwise: seen from the end, for all of them.

import TaskModel

struct MemoryWays {
    private var needed = Distribution()
    private var peaks = MemoryPeaks()
    private var askedSum = 0.0
    private var neededSumOfAsked = 0.0

    /// A task that finished; `asked` is its cap, nil for none.
    mutating func add(needed bytes: UInt64, asked: UInt64?) {
        needed.add(Double(bytes))
        peaks.add(bytes)
        guard let asked, asked > 0 else { return }
        askedSum += Double(asked)
        neededSumOfAsked += Double(min(bytes, asked))
    }

    /// The share of what was asked for that was not needed; nil where nothing was asked for.
    var asAsked: Double? { askedSum > 0 ? 1 - neededSumOfAsked / askedSum : nil }

    /// By `--memory auto`: what 19 of 20 needed and a tenth, and for those that need more another attempt with the most that any needed and
    /// a tenth. All of an attempt that fails is wasted. Nil before five have finished.
    var auto: (wasted: Double, failed: Double)? {
        guard let first = peaks.bytesToAskFor else { return nil }
        var (asked, used, failedCount) = (0.0, 0.0, 0)
        for (bytes, count) in needed.values {
            let fits = bytes <= Double(first)
            if !fits { failedCount += count }
            asked += Double(count) * (Double(first) + (fits ? 0 : Double(peaks.bytesAfterOom(of: first) ?? 2 * first)))
            used += Double(count) * bytes
        }
        return (max(0, 1 - used / asked), Double(failedCount) / Double(failedCount + needed.count))
    }

    /// Had all asked for the most that any needed, and a fifth more.
    var largest: Double? {
        guard needed.count >= MemoryPeaks.countMin else { return nil }
        let used = needed.values.reduce(0) { $0 + $1.value * Double($1.count) }
        return max(0, 1 - used / (needed.maximum * 1.2 * Double(needed.count)))
    }

    /// For people; nil where there is nothing to compare.
    var text: String? {
        var parts: [String] = []
        if let asAsked { parts.append("\(Self.percent(asAsked)) as asked") }
        if let auto {
            parts.append(
                "\(Self.percent(auto.wasted)) by --memory auto (\(Self.percent(auto.failed)) of attempts fail)")
        }
        if let largest { parts.append("\(Self.percent(largest)) by the most and a fifth") }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    private static func percent(_ share: Double) -> String { "\(AmountText.decimal(share * 100, places: 1)) %" }
}

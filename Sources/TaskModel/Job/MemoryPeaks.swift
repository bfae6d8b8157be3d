// What tasks that are alike needed of memory, counted in buckets: little is kept, however many there are, and a percentile is right to
// three percent. The script learning.lua keeps the same in the queue, bucket by bucket, and must come to the same amounts.

import Notation

/// How much memory tasks needed that finished.
public struct MemoryPeaks: Hashable, Sendable {
    /// 32 to each doubling, by their numbers.
    public private(set) var counts: [Int: Int] = [:]
    public private(set) var count = 0
    public private(set) var largestBytes: UInt64 = 0

    /// What nobody knows before so many have ended.
    public static let countMin = 5
    /// What is asked for beyond what 19 of 20 needed.
    public static let margin = 1.1
    /// Less is not asked for: a shell and its libraries need some.
    public static let bytesMin = 16.0 * megabyte
    private static let share = 0.95
    private static let megabyte = 1_048_576.0

    public init() {}

    public mutating func add(_ bytes: UInt64) {
        guard bytes > 0 else { return }
        counts[Self.bucket(of: bytes), default: 0] += 1
        count += 1
        largestBytes = max(largestBytes, bytes)
    }

    /// Whether what is asked for is reckoned anew with the one that was added last: each time at first, then a dozen times before their
    /// number has doubled.
    public var isDue: Bool {
        count >= Self.countMin && (count <= 20 || count % (count / 10) == 0)
    }

    /// What to ask for: what 19 of 20 needed and a tenth; nil before five have ended.
    public var bytesToAskFor: UInt64? {
        guard count >= Self.countMin, let most = edgeOfMost else { return nil }
        return Self.withMargin(min(Double(largestBytes), most))
    }

    /// What 19 of 20 did not come up to; nil where there is none.
    public var edgeOfMost: Double? {
        let rank = roundedUp(Double(count) * Self.share)
        var seen = 0.0
        for (bucket, size) in counts.sorted(by: { $0.key < $1.key }) {
            seen += Double(size)
            if seen >= rank { return Self.edge(of: bucket) }
        }
        return nil
    }

    /// What a task gets that ran out of so much: the most that any needed and a tenth; nil where that is unknown, or hardly more.
    public func bytesAfterOom(of hadBytes: UInt64) -> UInt64? {
        let bytes = Self.withMargin(Double(largestBytes))
        return largestBytes > 0 && Double(bytes) * 20 > Double(hadBytes) * 21 ? bytes : nil
    }

    private static func withMargin(_ bytes: Double) -> UInt64 {
        // A record may say that a task needed any number of bytes.
        let wanted = min(max(bytesMin, bytes * margin), Double(Amount.memoryBytesMax))
        return UInt64(roundedUp(wanted / megabyte) * megabyte)
    }

    /// As frexp has it: the exponent, and the first five digits after the leading one.
    private static func bucket(of bytes: UInt64) -> Int {
        let value = Double(bytes)
        return (Int(value.exponent) + 1) * 32 + Int((value.significand - 1) * 32)
    }

    /// What is larger than all of a bucket.
    private static func edge(of bucket: Int) -> Double {
        let part = 0.5 + Double(bucket % 32 + 1) / 64
        return Double(sign: .plus, exponent: bucket / 32, significand: part)
    }
}

/// Not rounded(), which would need the C mathematics library. For what is far from the largest whole number.
func roundedUp(_ number: Double) -> Double {
    let whole = Double(Int64(number))
    return whole < number ? whole + 1 : whole
}

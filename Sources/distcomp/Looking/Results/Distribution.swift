// Percentiles of millions of measurements without keeping them.

/// How values above zero are spread: counted in buckets each less than one percent wide, so that what is kept is bounded
/// whatever comes, and a percentile is right to one percent.
struct Distribution {
    private var countByBucket: [UInt64: Int] = [:]
    private(set) var count = 0
    private(set) var maximum = 0.0
    private var minimum = Double.infinity

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

    /// The exponent of a number and the first seven binary digits after its leading one.
    private static func bucket(of value: Double) -> UInt64 { value.bitPattern >> 45 }

    private static func middle(of bucket: UInt64) -> Double {
        bucket == 0 ? 0 : (Double(bitPattern: bucket << 45) + Double(bitPattern: (bucket + 1) << 45)) / 2
    }
}

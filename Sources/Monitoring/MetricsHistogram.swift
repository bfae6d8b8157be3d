// How many amounts there were of which size, as Prometheus counts them: in a few buckets with fixed bounds, so that what several have
// counted, or one in several stretches of time, can be added.

/// Counts of amounts by their size, and their sum.
public struct MetricsHistogram: Equatable, Sendable {
    /// The largest amount of each bucket, in rising order. Above the last there is one bucket more.
    public let bounds: [Double]
    /// How many amounts are in each bucket and in no lower one; one more than ``bounds``.
    public var counts: [Int]
    /// All amounts together.
    public var sum: Double

    /// With nothing in it.
    public init(bounds: [Double]) {
        self.bounds = bounds
        counts = Array(repeating: 0, count: bounds.count + 1)
        sum = 0
    }

    public var count: Int { counts.reduce(0, +) }

    /// Adds what another with the same bounds has counted.
    public mutating func add(_ other: MetricsHistogram) {
        precondition(bounds == other.bounds, "histograms of other buckets cannot be added")
        for place in counts.indices { counts[place] += other.counts[place] }
        sum += other.sum
    }

    /// About the amount that this share of all do not exceed, as Prometheus's `histogram_quantile` has it: within a bucket all are taken
    /// to be spread evenly, and above the last bound it is the last bound. Nil where nothing was counted.
    ///
    /// - Parameter share: 0.5 is the median.
    public func quantile(_ share: Double) -> Double? {
        let total = count
        guard total > 0, let last = bounds.last else { return nil }
        let rank = min(1, max(0, share)) * Double(total)
        var below = 0
        for (place, bound) in bounds.enumerated() {
            let next = below + counts[place]
            if Double(next) >= rank, counts[place] > 0 {
                let lower = place == 0 ? 0 : bounds[place - 1]
                return lower + (bound - lower) * (rank - Double(below)) / Double(counts[place])
            }
            below = next
        }
        return last
    }
}

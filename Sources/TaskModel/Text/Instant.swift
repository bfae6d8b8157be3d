// A moment, as a number. The pure parts of the house are handed the time and never ask for it, so the type they are
// handed has no clock in it and no arithmetic that could trap.

/// A moment on the clock of this boot (CLOCK_BOOTTIME, see clock_gettime(2)), in nanoseconds.
///
/// All arithmetic saturates: a moment too far away to be written down is the farthest one that can.
public struct Instant: Comparable, Hashable, Sendable {
    public var nanoseconds: Int64

    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Later than any moment that will ever come.
    public static let distantFuture = Instant(nanoseconds: .max)

    /// This moment and `seconds` more, to the nanosecond below; a negative count goes back, NaN goes nowhere.
    public func advanced(bySeconds seconds: Double) -> Instant {
        advanced(byNanoseconds: saturatedNanoseconds(seconds: seconds))
    }

    /// This moment and `count` nanoseconds more.
    public func advanced(byNanoseconds count: Int64) -> Instant {
        let (sum, overflow) = nanoseconds.addingReportingOverflow(count)
        return Instant(nanoseconds: overflow ? (count < 0 ? .min : .max) : sum)
    }

    /// How long after `earlier` this moment is; negative when it came before.
    public func nanoseconds(since earlier: Instant) -> Int64 {
        let (difference, overflow) = nanoseconds.subtractingReportingOverflow(earlier.nanoseconds)
        return overflow ? (earlier.nanoseconds > 0 ? .min : .max) : difference
    }

    /// How long after `earlier` this moment is, in seconds; negative when it came before.
    public func seconds(since earlier: Instant) -> Double { Double(nanoseconds(since: earlier)) / 1e9 }

    public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }
}

/// Seconds as whole nanoseconds. Int64 ends a little above 9.22e18; the comparison keeps the conversion from trapping.
private func saturatedNanoseconds(seconds: Double) -> Int64 {
    let count = seconds * 1e9
    if count.isNaN { return 0 }
    if count >= 9.22e18 { return .max }
    if count <= -9.22e18 { return .min }
    return Int64(count)
}

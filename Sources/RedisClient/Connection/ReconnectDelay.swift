// How long to stay away from a Redis that is down. A fleet that lost it at one moment must not come back at one moment.

/// The delays before the first, second, ... attempt to connect again: exponential, with full jitter.
///
/// The ceiling doubles from 100 ms up to 5 s; each delay is drawn evenly between 50 ms and the ceiling.
public struct ReconnectDelay: Equatable, Sendable {
    public static let shortestNanoseconds: Int64 = 50_000_000
    public static let longestNanoseconds: Int64 = 5_000_000_000

    private var ceilingNanoseconds = shortestNanoseconds &* 2

    public init() {}

    /// The delay before the next attempt, from a random number of the caller's.
    public mutating func next(random: UInt64) -> Int64 {
        let span = UInt64(ceilingNanoseconds &- Self.shortestNanoseconds)
        let drawn = (span &+ 1).multipliedFullWidth(by: random).high
        ceilingNanoseconds = min(ceilingNanoseconds &* 2, Self.longestNanoseconds)
        return Self.shortestNanoseconds &+ Int64(drawn)
    }

    /// To be called when a session became ready; that the socket connected is not enough.
    public mutating func reset() { self = ReconnectDelay() }
}

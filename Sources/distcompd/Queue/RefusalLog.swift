// Redis may refuse every request for an hour, and each is asked again. The log is to say so, not to say it each second.

/// Tells news from what has been said before.
struct RefusalLog {
    private var saidAtNanoseconds: [String: Int64] = [:]

    /// After this time the same trouble is news again.
    static let silenceNanoseconds: Int64 = 60_000_000_000
    /// Texts remembered; Redis has no more ways to refuse than that.
    private static let textsMax = 64

    /// Whether `text` was not said within the last minute; it counts as said then.
    mutating func isNews(_ text: String, at now: Int64) -> Bool {
        if let said = saidAtNanoseconds[text], now &- said < Self.silenceNanoseconds { return false }
        if saidAtNanoseconds.count >= Self.textsMax { saidAtNanoseconds.removeAll() }
        saidAtNanoseconds[text] = now
        return true
    }
}

// Redis may refuse every request for an hour, and each is asked again. The log is to say so, not to say it each second.

import TaskModel

/// Tells news from what has been said before.
struct RefusalLog {
    private var saidAt: [String: Instant] = [:]

    /// After this time the same trouble is news again.
    static let silenceSeconds = 60.0
    /// Texts remembered; Redis has no more ways to refuse than that.
    private static let textsMax = 64

    /// Whether `text` was not said within the last minute; it counts as said then.
    mutating func isNews(_ text: String, at now: Instant) -> Bool {
        if let said = saidAt[text], now.seconds(since: said) < Self.silenceSeconds { return false }
        if saidAt.count >= Self.textsMax { saidAt.removeAll() }
        saidAt[text] = now
        return true
    }
}

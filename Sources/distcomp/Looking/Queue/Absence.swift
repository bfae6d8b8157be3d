// A Redis that is away for a moment, as when it is restarted, ends nobody's looking on.

import TaskQueue

/// Whether Redis is away, for a command that goes on looking.
struct Absence {
    /// One that is away for longer is not waited for.
    private static let secondsMax = 60.0

    private var sinceSeconds: Double?

    /// Takes in that Redis could not be asked.
    ///
    /// - Returns: what a person should know, the first time.
    /// - Throws: when it has been away for too long.
    mutating func begins(_ message: String) throws(CommandError) -> String? {
        let now = bootSeconds()
        if let sinceSeconds {
            guard now - sinceSeconds < Self.secondsMax else { throw .unreachable(message) }
            return nil
        }
        sinceSeconds = now
        return "\(message); trying again for \(duration(Self.secondsMax))"
    }

    /// Connects anew if Redis was away; whether it was.
    mutating func isOver(_ queue: QueueClient) throws(CommandError) -> Bool {
        guard sinceSeconds != nil else { return false }
        try queue.reconnect()
        _ = try queue.perform(ReadCounts(keys: queue.keys))
        sinceSeconds = nil
        return true
    }
}

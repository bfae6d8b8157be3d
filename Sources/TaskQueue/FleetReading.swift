// Who is alive: the leases of all nodes, and what holds the queue as a whole.

import RedisClient
import TaskModel

/// Reads the leases of all nodes, whether the queue is paused, and the server's clock, in one pipeline.
public struct ReadLeases: Sendable {
    private let keys: QueueKeys

    public init(keys: QueueKeys) { self.keys = keys }

    public struct Reply: Sendable {
        /// incarnation -> when its lease ends
        public let expiries: [(incarnation: String, milliseconds: Int)]
        public let isPaused: Bool
        public let isClosing: Bool
        public let serverMilliseconds: Int
    }

    public var requests: [RedisRequest] {
        [
            .command(RedisCommand("ZRANGE", keys.leases, "0", "-1", "WITHSCORES")),
            .command(RedisCommand("EXISTS", keys.prefix + "distcomp:paused")),
            .command(RedisCommand("HEXISTS", keys.todo, TaskLine.closeCommand)),
            .command(RedisCommand("TIME")),
        ]
    }

    public static func parse(_ values: [RESPValue]) throws(QueueError) -> Reply {
        guard values.count == 4, let rows = try elements(values[0]), let time = try elements(values[3]),
            time.count == 2,
            let seconds = time[0].int, let microseconds = time[1].int
        else { throw .unexpectedReply("leases") }
        var expiries: [(incarnation: String, milliseconds: Int)] = []
        // RESP3 has a pair for each, RESP2 one after the other.
        let flat = rows.flatMap { $0.elements ?? [$0] }
        for index in stride(from: 0, to: flat.count - 1, by: 2) {
            guard let name = flat[index].string, let expiry = milliseconds(flat[index + 1]) else { continue }
            expiries.append((name, expiry))
        }
        return Reply(
            expiries: expiries, isPaused: values[1].int == 1, isClosing: values[2].int == 1,
            serverMilliseconds: seconds &* 1000 &+ microseconds / 1000)
    }

    /// The node's name in the name of one of its lives.
    public static func nodeName(ofIncarnation text: String) -> String { String(text.prefix { $0 != "/" }) }
}

// Looking at the queue without changing it: how many of each, and pages of what there is. Never all at once: a queue may hold
// ten million lines.

import RedisClient
import TaskModel

/// How many tasks are in each state.
public struct QueueCounts: Equatable, Sendable {
    public var todo = 0
    public var inProgress = 0
    public var finished = 0
    /// Failed for good; what waits for another try counts as todo.
    public var failed = 0
    public var workers = 0
    public var closeRequested = false

    public init() {}
}

/// Reads the counts, in constant time.
public struct ReadCounts: Sendable {
    private let keys: QueueKeys

    public init(keys: QueueKeys) { self.keys = keys }

    public var request: RedisRequest {
        .script(RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix]))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> QueueCounts {
        let numbers = try integers(value, count: 6)
        var counts = QueueCounts()
        counts.todo = numbers[0]
        counts.inProgress = numbers[1]
        counts.finished = numbers[2]
        counts.failed = numbers[3]
        counts.workers = numbers[4]
        counts.closeRequested = numbers[5] == 1
        return counts
    }

    static let script = ScriptPrelude.script(
        "counts",
        #"""
        local closing = redis.call('HEXISTS', TODO, CLOSE)
        return {redis.call('HLEN', TODO) - closing, redis.call('HLEN', DOING), redis.call('HLEN', DONE),
          math.max(0, redis.call('HLEN', FAILED) - redis.call('SCARD', RETRYING)), redis.call('HLEN', STATUS), closing}
        """#)
}

/// One page of a hash: HSCAN from `cursor`, which begins and ends at "0".
public struct ScanHash: Sendable {
    private let key: String
    private let cursor: String
    private let countHint: Int
    private let pattern: String?

    /// - Parameters:
    ///   - countHint: how many entries Redis looks at for a page, about.
    ///   - pattern: only fields that match it, as KEYS matches names: `*`, `?`, `[a-z]`, and a backslash before these.
    public init(_ key: String, cursor: String, countHint: Int = 1000, pattern: String? = nil) {
        self.key = key
        self.cursor = cursor
        self.countHint = countHint
        self.pattern = pattern
    }

    public struct Page: Sendable {
        /// "0" after the last page.
        public let cursor: String
        public let entries: [(field: [UInt8], value: [UInt8])]
    }

    public var request: RedisRequest {
        let filter = pattern.map { ["MATCH", $0] } ?? []
        return .command(RedisCommand("HSCAN", [key, cursor, "COUNT", String(countHint)] + filter))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Page {
        guard let parts = try elements(value), parts.count == 2, let cursor = parts[0].string,
            let rows = parts[1].elements
        else { throw .unexpectedReply("HSCAN") }
        var entries: [(field: [UInt8], value: [UInt8])] = []
        for index in stride(from: 0, to: rows.count - 1, by: 2) {
            guard let field = rows[index].bytes, let value = rows[index + 1].bytes else {
                throw .unexpectedReply("HSCAN")
            }
            entries.append((field, value))
        }
        return Page(cursor: cursor, entries: entries)
    }
}

/// The values of some fields of a hash, in their order.
public struct ReadFields: Sendable {
    private let key: String
    private let fields: [[UInt8]]

    public init(_ key: String, fields: [[UInt8]]) {
        self.key = key
        self.fields = fields
    }

    public var request: RedisRequest { .command(RedisCommand(bytes: [Array("HMGET".utf8), Array(key.utf8)] + fields)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [[UInt8]?] {
        guard let parts = try elements(value) else { throw .unexpectedReply("HMGET") }
        return parts.map(\.bytes)
    }
}

/// Every script, for a connection to load when it is made.
public enum QueueScripts {
    public static let forNodes: [RedisScript] = [
        ClaimTasks.script, ReportTask.script, RegisterNode.script, Heartbeat.script, LeaveQueue.script,
        HeldTasks.script,
        AdoptLines.script, RejectLine.script,
    ]
    public static let forCommandLine: [RedisScript] = [SubmitTasks.script, ReadCounts.script, CancelTask.script]
}

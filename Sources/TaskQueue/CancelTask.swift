// Taking a task back. One that waits fails at once; one that runs is stopped by the node that holds it.

import RedisClient
import TaskModel

/// Cancels one line. Harmless when repeated.
public struct CancelTask: Sendable {
    public enum Reply: Equatable, Sendable {
        /// It waited, and has now failed as cancelled.
        case cancelled
        /// Its node has been told.
        case stopping
        /// It neither waits nor runs on a node of ours.
        case notFound
    }

    private let keys: QueueKeys
    private let line: String

    public init(_ line: String, keys: QueueKeys) {
        self.keys = keys
        self.line = line
    }

    public var request: RedisRequest {
        .script(RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, line]))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        switch value.string {
        case "cancelled": return .cancelled
        case "stopping": return .stopping
        case "not found": return .notFound
        default: throw .unexpectedReply("cancel")
        }
    }

    static let script = ScriptPrelude.script(
        "cancel",
        #"""
        local line = ARGV[2]
        if line ~= CLOSE and redis.call('HEXISTS', TODO, line) == 1 then
          redis.call('HSET', REASON, line, 'cancelled')
          redis.call('HSET', OUTCOMES, line, '0 {"state":"failed","cause":"cancelled","attempts":0,"reason":"cancelled"}')
          redis.call('HSETNX', FAILED, line, '')
          for _, key in ipairs({ATTEMPTS, LOST}) do redis.call('HDEL', key, line) end
          redis.call('SREM', RETRYING, line)
          redis.call('HDEL', TODO, line)
          return 'cancelled'
        end
        local name = redis.call('HGET', DOING, line)
        if name then
          for _, incarnation in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
            if node_name(incarnation) == name and redis.call('HEXISTS', held_key(incarnation), line) == 1 then
              redis.call('SADD', D .. 'cancel:' .. incarnation, line)
              redis.call('PUBLISH', D .. 'wake', 'cancel')
              return 'stopping'
            end
          end
        end
        return 'not found'
        """#)
}

/// The lines this incarnation holds that somebody has cancelled; each is told once.
public struct TakeCancellations: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation

    public init(keys: QueueKeys, incarnation: Incarnation) {
        self.keys = keys
        self.incarnation = incarnation
    }

    public var request: RedisRequest {
        .command(RedisCommand("SPOP", keys.prefix + "distcomp:cancel:" + incarnation.text, "100"))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [String] {
        guard let members = try elements(value) else { throw .unexpectedReply("cancellations") }
        return members.compactMap(\.string)
    }
}

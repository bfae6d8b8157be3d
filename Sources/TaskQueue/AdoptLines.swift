// Lines that an old manager put into todo are not in our index. Whoever notices pages through todo and has them added.

import RedisClient
import TaskModel

/// Adds lines to the index that are in todo. Harmless when repeated, and for lines that are in the index already.
public struct AdoptLines: Sendable {
    private let keys: QueueKeys
    private let lines: [TaskLine]

    /// - Parameter lines: at most `SubmitTasks.linesMax`.
    public init(_ lines: [TaskLine], keys: QueueKeys) {
        self.keys = keys
        self.lines = Array(lines.prefix(SubmitTasks.linesMax))
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix])
        for line in lines {
            call.append(line.text)
            call.append(line.memoryBytes)
            call.append(line.millicores)
            call.append(line.priority)
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) {
        if let error = value.error { throw QueueError(error) }
    }

    // A line waiting for its retry is in todo and must not be taken before its time, so it is left alone.
    static let script = ScriptPrelude.script(
        "adopt",
        #"""
        local added = 0
        for i = 2, #ARGV, 4 do
          local line, memory, millicores, priority = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
          if redis.call('HEXISTS', TODO, line) == 1 and
            not redis.call('ZSCORE', DELAYED, memory .. ' ' .. millicores .. ' ' .. priority .. '\n' .. line) then
            local failed_on = redis.call('HGET', FAILED, line) or ''
            if failed_on ~= '' then redis.call('SADD', RETRYING, line) end
            index(line, memory, millicores, priority, failed_on, redis.call('INCR', SEQUENCE))
            added = added + 1
          end
        end
        if added > 0 then wake() end
        return added
        """#)
}

/// A line in todo that is no task: it fails with its reason rather than wait for ever.
public struct RejectLine: Sendable {
    private let keys: QueueKeys
    private let line: [UInt8]
    private let reason: String

    public init(_ line: [UInt8], reason: String, keys: QueueKeys) {
        self.keys = keys
        self.line = line
        self.reason = reason
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix])
        call.append(bytes: line)
        call.append(reason)
        return .script(call)
    }

    static let script = ScriptPrelude.script(
        "reject",
        #"""
        local line, reason = ARGV[2], ARGV[3]
        if redis.call('HEXISTS', TODO, line) == 0 then return 0 end
        redis.call('HSET', REASON, line, reason)
        redis.call('HSET', OUTCOMES, line, '0 {"state":"failed","cause":"launch","attempts":0,"launch_step":"read the line","launch_error":' .. cjson.encode(reason) .. '}')
        redis.call('HSET', FAILED, line, '')
        redis.call('HDEL', TODO, line)
        return 1
        """#)
}

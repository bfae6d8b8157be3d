// Saying how a task ended. Accepted from the holder of the attempt's token alone, so a report may be sent again until it is
// answered, and a node that was taken for dead cannot overwrite what came after it.

import RedisClient
import TaskModel

/// One report.
public struct ReportTask: Equatable, Sendable {
    public enum Result: Equatable, Sendable {
        /// Exit 0. `value` is what finished_tasks holds: `worker: <JSON string of stdout>`.
        case finished(value: [UInt8], record: String)
        /// Anything else. It goes back to todo while it has failed on fewer than `attemptsMax` workers.
        case failed(reason: String, record: String, attemptsMax: Int, retryMilliseconds: Int)
        /// Back to todo without a mark, as if it had not been taken.
        case returned
    }

    public enum Reply: Equatable, Sendable {
        case accepted
        /// This very report was accepted before.
        case duplicate
        /// The task is no longer this incarnation's.
        case stale
    }

    let keys: QueueKeys
    let incarnation: Incarnation
    public let line: String
    let token: String
    let result: Result

    public init(keys: QueueKeys, incarnation: Incarnation, line: String, token: String, result: Result) {
        self.keys = keys
        self.incarnation = incarnation
        self.line = line
        self.token = token
        self.result = result
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(
            Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text, line, token])
        switch result {
        case .finished(let value, let record):
            call.append("finished")
            call.append(record)
            call.append(bytes: value)
        case .failed(let reason, let record, let attemptsMax, let retryMilliseconds):
            call.append("failed")
            call.append(record)
            call.append(reason)
            call.append(attemptsMax)
            call.append(retryMilliseconds)
        case .returned:
            call.append("returned")
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        switch value.string {
        case "accepted": return .accepted
        case "duplicate": return .duplicate
        case "stale": return .stale
        default: throw .unexpectedReply("report")
        }
    }

    static let script = ScriptPrelude.script(
        "report",
        #"""
        local me, line, token, kind, record = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
        local held = held_key(me)
        local entry = redis.call('HGET', held, line)
        local own, memory, millicores, priority = string.match(entry or '', '^(%d+) (%d+) (%d+) (-?%d+)')
        if own ~= token then
          local before = redis.call('HGET', OUTCOMES, line)
          if before and string.sub(before, 1, #token + 1) == token .. ' ' then return 'duplicate' end
          return 'stale'
        end
        priority = tonumber(priority)
        if kind == 'finished' then
          redis.call('HSET', DONE, line, ARGV[7])
          redis.call('HSET', OUTCOMES, line, token .. ' ' .. record)
          if redis.call('HDEL', FAILED, line) == 1 then
            redis.call('HDEL', REASON, line)
            redis.call('SREM', RETRYING, line)
          end
          for _, key in ipairs({ATTEMPTS, LOST}) do redis.call('HDEL', key, line) end
        elseif kind == 'failed' then
          local workers = (redis.call('HGET', FAILED, line) or '') .. node_name(me) .. ','
          local _, count = string.gsub(workers, ',', '')
          redis.call('HSET', REASON, line, ARGV[7])
          redis.call('HSET', OUTCOMES, line, token .. ' ' .. record)
          if count < tonumber(ARGV[8]) then
            redis.call('SADD', RETRYING, line)
            redis.call('HSET', FAILED, line, workers)
            redis.call('HINCRBY', ATTEMPTS, line, 1)
            -- Twice as long each time, an hour at most.
            local pause = math.min(3600000, tonumber(ARGV[9]) * 2 ^ math.min(20, count - 1))
            put_back(line, memory, millicores, priority, pause > 0 and milliseconds() + pause or nil)
            wake()
          else
            redis.call('HSET', FAILED, line, workers)
            redis.call('SREM', RETRYING, line)
            redis.call('HDEL', ATTEMPTS, line)
            redis.call('HDEL', LOST, line)
          end
        else
          put_back(line, memory, millicores, priority, nil)
          wake()
        end
        redis.call('HDEL', DOING, line)
        redis.call('HDEL', held, line)
        return 'accepted'
        """#)
}

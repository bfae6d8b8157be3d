// Adding tasks. A line that is waiting, running or finished is left alone, so loading a file again adds only what is missing,
// and what had finally failed is tried anew.

import RedisClient
import TaskModel

/// What came of submitting lines.
public struct SubmitReply: Equatable, Sendable {
    public var added = 0
    public var inTodo = 0
    public var inProgress = 0
    public var finished = 0

    public init() {}

    public mutating func add(_ other: SubmitReply) {
        added += other.added
        inTodo += other.inTodo
        inProgress += other.inProgress
        finished += other.finished
    }
}

/// Submits up to `linesMax` lines at once. Harmless when repeated: what was added is then already in todo.
public struct SubmitTasks: Sendable {
    /// A script that ran longer would hold up every node; `unpack` has its limit at 8,000 as well.
    public static let linesMax = 1000

    private let keys: QueueKeys
    private let lines: ArraySlice<TaskLine>

    /// - Parameter lines: only the first `linesMax` are submitted.
    public init(_ lines: ArraySlice<TaskLine>, keys: QueueKeys) {
        self.keys = keys
        self.lines = lines.prefix(Self.linesMax)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix])
        call.arguments.reserveCapacity(1 + lines.count * 4)
        for line in lines {
            call.append(line.text)
            call.append(line.memoryBytes)
            call.append(line.millicores)
            call.append(line.priority)
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> SubmitReply {
        let counts = try integers(value, count: 4)
        var reply = SubmitReply()
        (reply.added, reply.inTodo, reply.inProgress, reply.finished) = (counts[0], counts[1], counts[2], counts[3])
        return reply
    }

    static let script = ScriptPrelude.script(
        "submit", flags: ScriptPrelude.refusingOutOfMemory,
        #"""
        local lines, added, in_todo, in_progress, finished = {}, 0, 0, 0, 0
        for i = 2, #ARGV, 4 do lines[#lines + 1] = ARGV[i] end
        local waiting = redis.call('HMGET', TODO, unpack(lines))
        local running = redis.call('HMGET', DOING, unpack(lines))
        local new, seen, by_class = {}, {}, {}
        local sequence = redis.call('INCRBY', SEQUENCE, #lines) - #lines
        for i, line in ipairs(lines) do
          if waiting[i] or seen[line] then in_todo = in_todo + 1
          elseif running[i] then in_progress = in_progress + 1
          elseif redis.call('HEXISTS', DONE, line) == 1 then finished = finished + 1
          else
            seen[line] = true
            added = added + 1
            new[#new + 1] = line
            local at = (i - 1) * 4 + 3
            local class = class_name(ARGV[at], ARGV[at + 1], '')
            local list = by_class[class] or {}
            by_class[class] = list
            list[#list + 1] = score(tonumber(ARGV[at + 2]), sequence + i)
            list[#list + 1] = line
          end
        end
        if added > 0 then
          -- What failed for good begins anew, without the marks of its last life.
          if redis.call('HDEL', FAILED, unpack(new)) > 0 then
            for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST}) do redis.call('HDEL', key, unpack(new)) end
            redis.call('SREM', RETRYING, unpack(new))
          end
          for class, list in pairs(by_class) do
            redis.call('ZADD', class_key(class), unpack(list))
            refresh_class(class)
          end
          local fields = {}
          for _, line in ipairs(new) do
            fields[#fields + 1] = line
            fields[#fields + 1] = ''
          end
          redis.call('HSET', TODO, unpack(fields))
          wake()
        end
        return {added, in_todo, in_progress, finished}
        """#)
}

// Taking tasks: the one script every running task has gone through.

import RedisClient
import TaskModel

/// Takes up to `count` tasks that fit, highest priority first and first come first served within it, and renews the lease.
///
/// Each line is noted as held by this incarnation, then as in progress, and leaves todo last. A reply that is lost loses
/// nothing: `HeldTasks` tells what was taken.
public struct ClaimTasks: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let count: Int
    private let freeMemoryBytes: UInt64
    private let freeMillicores: Int

    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, count: Int, freeMemoryBytes: UInt64,
        freeMillicores: Int
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.count = min(max(0, count), 1000)
        self.freeMemoryBytes = freeMemoryBytes
        self.freeMillicores = freeMillicores
    }

    /// A task taken.
    public struct Claimed: Equatable, Sendable {
        public let line: String
        public let token: String
        /// 1 for the first.
        public let attempt: Int
    }

    public struct Reply: Equatable, Sendable {
        public let tasks: [Claimed]
        /// WORKER_COMMAND_CLOSE is set: finish what runs, and stop.
        public let closeRequested: Bool
        /// Lines are waiting that the index does not know: an old manager added them.
        public let needsSweep: Bool
        /// When the next retry is due, in milliseconds from now; nil when none waits.
        public let dueMilliseconds: Int?
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text])
        call.append(leaseMilliseconds)
        call.append(count)
        call.append(freeMemoryBytes)
        call.append(freeMillicores)
        return .script(call)
    }

    /// - Throws: `QueueError.fenced` when what this incarnation held belongs to others now.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 4, let rows = parts[0].elements, let due = parts[3].int
        else {
            throw .unexpectedReply("claim")
        }
        var tasks: [Claimed] = []
        for index in stride(from: 0, to: rows.count - 2, by: 3) {
            guard let line = rows[index].string, let token = rows[index + 1].string, let attempt = rows[index + 2].int
            else {
                throw .unexpectedReply("claim")
            }
            tasks.append(Claimed(line: line, token: token, attempt: attempt))
        }
        return Reply(
            tasks: tasks, closeRequested: parts[1].int == 1, needsSweep: parts[2].int == 1,
            dueMilliseconds: due < 0 ? nil : due)
    }

    static let script = ScriptPrelude.script(
        "claim",
        #"""
        local me, lease, want = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
        local free_memory, free_millicores = tonumber(ARGV[5]), tonumber(ARGV[6])
        local now, name, held = milliseconds(), node_name(ARGV[2]), held_key(ARGV[2])
        if is_fenced(me) then return redis.error_reply('FENCED the lease is over') end
        redis.call('ZADD', LEASES, 'XX', now + lease, me)
        promote_delayed(now)

        local closing = redis.call('HEXISTS', TODO, CLOSE)
        local taken, asked = {}, want
        if closing == 1 or redis.call('EXISTS', D .. 'paused') == 1 then want = 0 end

        -- Nodes alive that could take a line which failed here; while there is one, it is theirs.
        local others
        local function another_could(exclusion, memory, millicores)
          if not others then
            others = {}
            for _, other in ipairs(redis.call('ZRANGEBYSCORE', LEASES, now, '+inf')) do
              local total_memory, total_millicores = string.match(redis.call('HGET', NODES, other) or '', '^(%d+) (%d+)')
              if total_memory then
                others[#others + 1] = {node_name(other), tonumber(total_memory), tonumber(total_millicores)}
              end
            end
          end
          for _, other in ipairs(others) do
            if not lists(exclusion, other[1]) and other[2] >= memory and other[3] >= millicores then return true end
          end
          return false
        end

        -- How many tasks of a class fit into what is free now.
        local function room(memory, millicores)
          local n = want
          if memory > 0 then n = math.min(n, math.floor(free_memory / memory)) end
          if millicores > 0 then n = math.min(n, math.floor(free_millicores / millicores)) end
          return n
        end

        -- The classes in the order of their heads, those that fit. Looked at again after each batch: room has changed.
        local classes, candidates = redis.call('ZRANGE', CLASSES, 0, 4999, 'WITHSCORES'), {}
        for i = 1, #classes, 2 do
          local memory, millicores, exclusion = string.match(classes[i], '^(%d+):(%d+):(.*)$')
          candidates[#candidates + 1] = {classes[i], tonumber(classes[i + 1]), tonumber(memory), tonumber(millicores), exclusion}
        end
        local first, budget = 1, 64
        while want > 0 and first <= #candidates and budget > 0 do
          local class, _, memory, millicores, exclusion = unpack(candidates[first])
          local n = room(memory, millicores)
          if n < 1 or (exclusion ~= '' and lists(exclusion, name) and another_could(exclusion, memory, millicores)) then
            first = first + 1
          else
            budget = budget - 1
            local rows = redis.call('ZRANGE', class_key(class), 0, n - 1, 'WITHSCORES')
            -- Only as far as the head of the next class: beyond it that class is due.
            local limit = candidates[first + 1] and candidates[first + 1][2] or math.huge
            local lines, gone = {}, {}
            for i = 1, #rows, 2 do
              if i > 1 and tonumber(rows[i + 1]) > limit then break end
              lines[#lines + 1] = rows[i]
            end
            if #lines > 0 then
              local waiting = redis.call('HMGET', TODO, unpack(lines))
              local holding, doing, leaving = {}, {}, {}
              local token = redis.call('INCRBY', SEQUENCE, #lines) - #lines
              for i, line in ipairs(lines) do
                if waiting[i] then
                  local attempt = tonumber(redis.call('HGET', ATTEMPTS, line) or 0) + 1
                  local band = tonumber(rows[i * 2])
                  local priority = 4096 - math.floor(band / 1099511627776)
                  holding[#holding + 1] = line
                  holding[#holding + 1] = (token + i) .. ' ' .. memory .. ' ' .. millicores .. ' ' .. priority .. ' ' .. attempt
                  doing[#doing + 1] = line
                  doing[#doing + 1] = name
                  leaving[#leaving + 1] = line
                  taken[#taken + 1] = line
                  taken[#taken + 1] = tostring(token + i)
                  taken[#taken + 1] = attempt
                end
              end
              if #leaving > 0 then
                redis.call('HSET', held, unpack(holding))
                redis.call('HSET', DOING, unpack(doing))
                redis.call('HDEL', TODO, unpack(leaving))
                want = want - #leaving
                free_memory = free_memory - memory * #leaving
                free_millicores = free_millicores - millicores * #leaving
              end
              redis.call('ZREM', class_key(class), unpack(lines))
            end
            local head = refresh_class(class)
            if head then
              -- Back among the others, by its new head.
              local entry, at = candidates[first], first
              entry[2] = head
              while candidates[at + 1] and candidates[at + 1][2] < head do
                candidates[at] = candidates[at + 1]
                at = at + 1
              end
              candidates[at] = entry
            else
              first = first + 1
            end
          end
        end

        -- Came up short: perhaps there is more than the index knows.
        local sweep = 0
        if #taken / 3 < asked then
          local known = redis.call('ZCARD', DELAYED)
          for _, class in ipairs(redis.call('ZRANGE', CLASSES, 0, 4999)) do known = known + redis.call('ZCARD', class_key(class)) end
          if redis.call('HLEN', TODO) - closing > known then sweep = 1 end
        end
        local due, next_retry = -1, redis.call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')
        if next_retry[2] then due = math.max(0, tonumber(next_retry[2]) - now) end
        return {taken, closing, sweep, due}
        """#)
}

// A node's place in the queue: it registers, keeps its lease alive, and leaves. A node that is heard of no more loses its
// lease, and any other node puts its tasks back.

import RedisClient
import TaskModel

/// One life of a node. What it holds is noted under this name, and a new life never mistakes the old one's tasks for its own.
public struct Incarnation: Hashable, Sendable {
    /// `name/machine/life`.
    public let text: String

    /// The same life, as another program of it knows it.
    public init(inheriting text: String) { self.text = text }

    /// - Parameters:
    ///   - name: the node's name, without a slash.
    ///   - machine: tells two machines apart that were given one name.
    ///   - life: grows from one life to the next on the same machine, so that a registration that was long on its way cannot
    ///     end the life that came after it.
    public init(name: String, machine: String, life: Int64) {
        let digits = String(UInt64(bitPattern: life), radix: 16)
        text = "\(name)/\(machine)/\(String(repeating: "0", count: 16 - digits.count))\(digits)"
    }

    /// Reads back ``text``; nil when it is none.
    init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, Configuration.isNodeName(String(parts[0])), !parts[1].isEmpty, parts[2].count == 16,
            UInt64(parts[2], radix: 16) != nil
        else { return nil }
        self.text = text
    }
}

/// Announces a new life of a node. Tasks of its earlier lives on the same machine go back to todo at once: it has ended them.
public struct RegisterNode: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let memoryBytes: UInt64
    private let millicores: Int
    private let status: String

    /// - Parameter status: the value of `worker_status`.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, memoryBytes: UInt64, millicores: Int,
        status: String
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.status = status
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text])
        call.append(leaseMilliseconds)
        call.append(memoryBytes)
        call.append(millicores)
        call.append(status)
        return .script(call)
    }

    /// - Throws: `QueueError.nameTaken` when another machine is alive under the name.
    public static func parse(_ value: RESPValue) throws(QueueError) {
        if let error = value.error { throw QueueError(error) }
    }

    static let script = ScriptPrelude.script(
        "register",
        ReapScript.source + #"""
            local me, lease, now = ARGV[2], tonumber(ARGV[3]), milliseconds()
            local name, machine = string.match(me, '^([^/]*)/([^/]*)/')
            for _, other in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
              local other_name, other_machine = string.match(other, '^([^/]*)/([^/]*)/')
              if other_name == name and other ~= me then
                if other_machine ~= machine and lease_is_live(other, now) then return redis.error_reply('NAMETAKEN ' .. name) end
                -- Names differ in their lives alone, of equal length: the later one compares as greater.
                if other_machine == machine and lease_is_live(other, now) and other > me then
                  return redis.error_reply('OUTDATED a later life of this node has registered')
                end
                if other_machine == machine then reap(other, 1000) end
              end
            end
            redis.call('HSET', NODES, me, ARGV[4] .. ' ' .. ARGV[5])
            redis.call('ZADD', LEASES, now + lease, me)
            redis.call('HSET', STATUS, name, ARGV[6])
            return 'OK'
            """#)
}

/// Renews the lease, writes `worker_status`, and looks after what belongs to nobody: tasks of dead nodes, retries that are due.
public struct Heartbeat: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let status: String
    private let mayReap: Bool

    /// - Parameters:
    ///   - status: the value of `worker_status`.
    ///   - mayReap: false while this node has been connected for less than a lease: after an outage every lease looks over.
    public init(keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, mayReap: Bool) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.status = status
        self.mayReap = mayReap
    }

    public struct Reply: Equatable, Sendable {
        public let closeRequested: Bool
        /// How many tasks of dead nodes were put back.
        public let reapedCount: Int
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text])
        call.append(leaseMilliseconds)
        call.append(status)
        call.append(mayReap ? 1 : 0)
        return .script(call)
    }

    /// - Throws: `QueueError.fenced` when others have begun to take over what this incarnation held.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        let counts = try integers(value, count: 2)
        return Reply(closeRequested: counts[0] == 1, reapedCount: counts[1])
    }

    static let script = ScriptPrelude.script(
        "heartbeat",
        ReapScript.source + #"""
            local me, lease, now = ARGV[2], tonumber(ARGV[3]), milliseconds()
            if is_fenced(me) then return redis.error_reply('FENCED the lease is over') end
            redis.call('ZADD', LEASES, 'XX', now + lease, me)
            redis.call('HSET', STATUS, node_name(me), ARGV[4])
            promote_delayed(now)
            local reaped = 0
            if ARGV[5] == '1' then
              for _, dead in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', '(' .. now, 'LIMIT', 0, 10)) do
                reaped = reaped + reap(dead, 200)
              end
            end
            return {redis.call('HEXISTS', TODO, CLOSE), reaped}
            """#)
}

/// Takes this life of the node out of the queue; what it still held goes back to todo without a mark.
public struct LeaveQueue: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation

    public init(keys: QueueKeys, incarnation: Incarnation) {
        self.keys = keys
        self.incarnation = incarnation
    }

    public var request: RedisRequest {
        .script(RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text]))
    }

    static let script = ScriptPrelude.script(
        "leave",
        ReapScript.source + "return reap(ARGV[2], 1000, true)")
}

/// What the queue thinks an incarnation holds: the answer to a claim may have been lost on its way.
public struct HeldTasks: Sendable {
    private let keys: QueueKeys
    private let incarnation: Incarnation

    public init(keys: QueueKeys, incarnation: Incarnation) {
        self.keys = keys
        self.incarnation = incarnation
    }

    public var request: RedisRequest {
        .script(RedisScriptCall(Self.script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text]))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [ClaimTasks.Claimed] {
        guard let rows = try elements(value) else { throw .unexpectedReply("held") }
        var tasks: [ClaimTasks.Claimed] = []
        for index in stride(from: 0, to: rows.count - 1, by: 2) {
            guard let line = rows[index].string, let fields = rows[index + 1].string?.split(separator: " "),
                fields.count == 5,
                let attempt = Int(fields[4])
            else { throw .unexpectedReply("held") }
            tasks.append(ClaimTasks.Claimed(line: line, token: String(fields[0]), attempt: attempt))
        }
        return tasks
    }

    // HGETALL is fine here: a node holds no more than its slots.
    static let script = ScriptPrelude.script("held", #"return redis.call('HGETALL', held_key(ARGV[2]))"#)
}

/// Putting back what a dead node held, for the scripts that do.
enum ReapScript {
    static let source = #"""
        -- Ends an incarnation, which can renew its lease no more, and puts back up to `limit` of its tasks; it is forgotten
        -- with the last. Unless it left in order (`unmarked`), the attempt counts, and a line that has taken three nodes with
        -- it stays failed.
        local function reap(incarnation, limit, unmarked)
          redis.call('ZADD', LEASES, 'XX', 0, incarnation)
          local held, count = held_key(incarnation), 0
          local rows = redis.call('HSCAN', held, 0, 'COUNT', limit)[2]
          for i = 1, #rows, 2 do
            local line = rows[i]
            local memory, millicores, priority, attempt =
              string.match(rows[i + 1], '^%d+ (%d+) (%d+) (-?%d+) (%d+)$')
            local lost = 0
            if not unmarked then
              lost = redis.call('HINCRBY', LOST, line, 1)
              redis.call('HINCRBY', ATTEMPTS, line, 1)
            end
            if lost >= 3 then
              -- Under no token: a report that still comes is stale, not a repetition of this.
              redis.call('HSET', OUTCOMES, line, '0 {"state":"failed","cause":"node-lost","worker":' ..
                cjson.encode(node_name(incarnation)) .. ',"attempts":' .. attempt .. ',"reason":"node lost 3 times"}')
              redis.call('HSET', REASON, line, 'node lost 3 times while it ran: it is not tried again')
              redis.call('HSET', FAILED, line, (redis.call('HGET', FAILED, line) or '') .. node_name(incarnation) .. ',')
              redis.call('SREM', RETRYING, line)
              redis.call('HDEL', ATTEMPTS, line)
              redis.call('HDEL', LOST, line)
            elseif redis.call('HEXISTS', DONE, line) == 0 then
              put_back(line, memory, millicores, tonumber(priority), nil)
            end
            redis.call('HDEL', DOING, line)
            redis.call('HDEL', held, line)
            count = count + 1
          end
          if redis.call('EXISTS', held) == 0 then
            redis.call('ZREM', LEASES, incarnation)
            redis.call('HDEL', NODES, incarnation)
            redis.call('DEL', D .. 'cancel:' .. incarnation)
            local name, live = node_name(incarnation), false
            for _, other in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do live = live or node_name(other) == name end
            if not live then redis.call('HDEL', STATUS, name) end
          end
          if count > 0 then wake() end
          return count
        end

        """#
}

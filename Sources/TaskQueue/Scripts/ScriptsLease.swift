// A node's place in the queue: registering, the heartbeat, leaving, and putting back what dead nodes held.

import RedisClient

enum ScriptsLease {
    static let register = ScriptPrelude.script(
        "register",
        #"""
        -- Idempotent: registering again renews the lease. Stopped half-way: earlier lives of the node are reaped further by the
        -- next try or by any heartbeat.

        """#, lease, reaping,
        #"""
        local me, duration, now = ARGV[2], tonumber(ARGV[3]), milliseconds()
        local name, machine = string.match(me, '^([^/]*)/([^/]*)/')
        for _, other in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
          local other_name, other_machine = string.match(other, '^([^/]*)/([^/]*)/')
          if other_name == name and other ~= me then
            if other_machine ~= machine and is_live(other, now) then return redis.error_reply('NAMETAKEN ' .. name) end
            -- Names differ in their lives alone, of equal length: the later one compares as greater.
            if other_machine == machine and is_live(other, now) and other > me then
              return redis.error_reply('OUTDATED a later life of this node has registered')
            end
            if other_machine == machine then reap(other, 1000) end
          end
        end
        describe(me, ARGV[5], ARGV[6], ARGV[7])
        redis.call('ZADD', LEASES, now + duration, me)
        redis.call('HSET', STATUS, name, ARGV[4])
        return 'OK'
        """#)

    static let heartbeat = ScriptPrelude.script(
        "heartbeat",
        #"""
        -- Idempotent: each task is put back once. Stopped half-way: what was not put back yet is still held by the dead node.

        """#, lease, reaping, recovering,
        #"""
        local me, now = ARGV[2], milliseconds()
        if not renew(me, now, tonumber(ARGV[3])) then return FENCED end
        redis.call('HSET', STATUS, node_name(me), ARGV[4])
        describe(me, ARGV[7], ARGV[8], ARGV[9])
        promote_delayed(now)
        local reaped, recovered = 0, 0
        if ARGV[5] == '1' then
          for _, dead in ipairs(redis.call('ZRANGEBYSCORE', LEASES, '-inf', '(' .. now, 'LIMIT', 0, 10)) do
            reaped = reaped + reap(dead, 200)
          end
          recovered = recover_missing(now - tonumber(ARGV[6]))
        end
        return {redis.call('HEXISTS', TODO, CLOSE), reaped, recovered, redis.call('EXISTS', PAUSED),
          redis.call('EXISTS', cancel_key(me), revoked_key(me)) > 0 and 1 or 0,
          redis.call('SISMEMBER', DRAINED, node_name(me))}
        """#)

    static let leave = ScriptPrelude.script(
        "leave",
        #"""
        -- Idempotent: who has left holds nothing. Stopped half-way: its lease is over, and others reap the rest.

        """#, lease, reaping,
        #"""
        reap(ARGV[2], 1000, true)
        return redis.call('HLEN', held_key(ARGV[2]))
        """#)

    static let held = ScriptPrelude.script(
        "held", flags: ScriptPrelude.readingOnly,
        #"""
        -- Writes nothing. A node holds few more than it has slots, so all of it is told at once.
        local rows, cursor = {}, '0'
        repeat
          local page = redis.call('HSCAN', held_key(ARGV[2]), cursor, 'COUNT', 500)
          cursor = page[1]
          for i = 1, #page[2], 2 do
            rows[#rows + 1] = page[2][i]
            rows[#rows + 1] = page[2][i + 1]
            rows[#rows + 1] = ARGV[3] == '1' and redis.call('HGET', SIGNATURES, page[2][i])
          end
        until cursor == '0'
        return rows
        """#)

    /// What a node's own requests begin with.
    static let lease = #"""
        local FENCED = redis.error_reply('FENCED the lease is over')

        local function is_live(incarnation, now)
          local expiry = redis.call('ZSCORE', LEASES, incarnation)
          return expiry and tonumber(expiry) >= now
        end

        -- A lease that is merely over can still be renewed: Redis was away, perhaps for everybody, and what runs need not be
        -- thrown away. One whose tasks are being given to others (0), or have been, cannot.
        local function renew(incarnation, now, duration)
          local expiry = redis.call('ZSCORE', LEASES, incarnation)
          if not expiry or tonumber(expiry) == 0 then return false end
          redis.call('ZADD', LEASES, 'XX', now + duration, incarnation)
          return true
        end

        local function describe(incarnation, memory, millicores, version)
          redis.call('HSET', NODES, incarnation, memory .. ' ' .. millicores .. ' ' .. version)
          redis.call('ZADD', SIZES, memory, incarnation)
        end

        """#

    private static let reaping =
        ScriptsReport.ending + #"""
            -- What becomes of one task of a node that is gone. Unless it left in order (`unmarked`), the attempt counts, and a line
            -- that has taken three nodes with it stays failed.
            local function put_back_held(incarnation, line, entry, unmarked)
              local memory, millicores, s, attempt = string.match(entry, '^%d+ (%d+) (%d+) (%d+) (%d+)$')
              local name = node_name(incarnation)
              local owner = redis.call('HGET', DOING, line)
              if not memory or owner and owner ~= name or redis.call('HEXISTS', DONE, line) == 1 then return end
              -- Taken from the node by hand, and failed for good elsewhere.
              if not owner and redis.call('HEXISTS', TODO, line) == 0 and redis.call('HEXISTS', FAILED, line) == 1
                and redis.call('SISMEMBER', RETRYING, line) == 0 then return end
              local lost = 0
              if not unmarked then
                redis.call('HSET', ATTEMPTS, line, attempt)
                lost = redis.call('HINCRBY', LOST, line, 1)
              end
              if redis.call('HEXISTS', cancel_key(incarnation), line) == 1 then
                unindex(line, memory, millicores)
                fail_for_good(line, '0', 'cancelled', cancelled_record(name, attempt))
              elseif lost >= 3 then
                unindex(line, memory, millicores)
                redis.call('HSET', FAILED, line, (redis.call('HGET', FAILED, line) or '') .. name .. ',')
                fail_for_good(line, '0', 'poison: node lost 3 times', '{"state":"failed","cause":"node-lost","worker":' ..
                  cjson.encode(name) .. ',"attempts":' .. attempt .. ',"reason":"poison: node lost 3 times"}')
              else
                put_back(line, memory, millicores, s)
              end
              redis.call('HDEL', DOING, line)
            end

            local function forget_incarnation(incarnation)
              redis.call('HDEL', NODES, incarnation)
              redis.call('ZREM', SIZES, incarnation)
              redis.call('DEL', cancel_key(incarnation), revoked_key(incarnation))
              redis.call('ZREM', LEASES, incarnation)
              local name, live = node_name(incarnation), false
              for _, other in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do live = live or node_name(other) == name end
              if not live then redis.call('HDEL', STATUS, name) end
            end

            -- Ends an incarnation, which can renew its lease no more, and puts back up to about `limit` of its tasks; it is
            -- forgotten with the last.
            local function reap(incarnation, limit, unmarked)
              redis.call('ZADD', LEASES, 'XX', 0, incarnation)
              local held, count = held_key(incarnation), 0
              local rows = redis.call('HSCAN', held, 0, 'COUNT', limit)[2]
              for i = 1, #rows, 2 do
                put_back_held(incarnation, rows[i], rows[i + 1], unmarked)
                redis.call('HDEL', held, rows[i])
                count = count + 1
              end
              if redis.call('EXISTS', held) == 0 then forget_incarnation(incarnation) end
              if count > 0 then wake() end
              return count
            end

            """#

    private static let recovering = #"""
        -- Lines an old worker has dropped, seen missing before `until_then`. Old workers die one at a time: a hundred lines gone at
        -- once were removed by somebody, and stay so.
        local function recover_missing(until_then)
          local is_removal, count = redis.call('ZCARD', MISSING) >= 100, 0
          for _, entry in ipairs(redis.call('ZRANGEBYSCORE', MISSING, '-inf', until_then, 'LIMIT', 0, 100)) do
            local memory, millicores, s, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
            if line and not is_removal and redis.call('HEXISTS', TODO, line) == 0 and redis.call('HEXISTS', DOING, line) == 0
              and redis.call('HEXISTS', DONE, line) == 0
              and (redis.call('HEXISTS', FAILED, line) == 0 or redis.call('SISMEMBER', RETRYING, line) == 1) then
              put_back(line, memory, millicores, s)
              count = count + 1
            end
            redis.call('ZREM', MISSING, entry)
          end
          if count > 0 then wake() end
          return count
        end

        """#
}

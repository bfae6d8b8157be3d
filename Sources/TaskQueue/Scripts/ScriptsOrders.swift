// What people order: cancel, requeue, forget, pause, resume. Trying again is beside submitting.

import RedisClient

enum ScriptsOrders {
    static let cancel = ScriptPrelude.script(
        "cancel",
        #"""
        -- Idempotent: what was cancelled no longer waits; a running task is noted once, until its attempt is over. Stopped
        -- half-way: it still waits, and is cancelled again.

        """#, ScriptsReport.ending, holders,
        #"""
        local line = ARGV[2]
        if line ~= CLOSE and redis.call('HEXISTS', TODO, line) == 1 then
          if ARGV[3] then
            redis.call('ZREM', DELAYED, delayed_entry(line, ARGV[3], ARGV[4], band_of(tonumber(ARGV[5]))))
            unindex(line, ARGV[3], ARGV[4])
          end
          fail_for_good(line, '0', 'cancelled', cancelled_record('', redis.call('HGET', ATTEMPTS, line) or '0'))
          return 'cancelled'
        end
        local holder, entry = holder_of(line)
        if not holder then return 'not found' end
        redis.call('HSET', cancel_key(holder), line, string.match(entry, '^%d+'))
        redis.call('PUBLISH', D .. 'wake', 'cancel')
        return 'stopping'
        """#)

    static let requeue = ScriptPrelude.script(
        "requeue",
        #"""
        -- Idempotent: what was put back is no longer in progress. Stopped half-way: in todo and still in progress, it is put back
        -- again; or taken by another, which the report of its holder finds out.

        """#, holders,
        #"""
        local count, has_revoked = 0, false
        for i = 2, #ARGV, 4 do
          local line = ARGV[i]
          local holder, entry = holder_of(line)
          if redis.call('HEXISTS', DOING, line) == 1 then
            local token, memory, millicores, s = string.match(entry or '', '^(%d+) (%d+) (%d+) (%d+) ')
            if token then
              -- Its holder is told to stop, and gets nothing until it has heard.
              redis.call('HSET', revoked_key(holder), line, token)
              put_back(line, memory, millicores, s)
              has_revoked = true
            else
              local band = band_of(tonumber(ARGV[i + 3]))
              put_back(line, ARGV[i + 1], ARGV[i + 2], score(band, redis.call('INCR', SEQUENCE)))
            end
            redis.call('HDEL', DOING, line)
            if holder then
              redis.call('HDEL', cancel_key(holder), line)
              redis.call('HDEL', held_key(holder), line)
            end
            count = count + 1
          end
        end
        if has_revoked then redis.call('PUBLISH', D .. 'wake', 'cancel') end
        if count > 0 then wake() end
        return count
        """#)

    static let takeCancellations = ScriptPrelude.script(
        "cancellations",
        #"""
        -- Cancellations are told until the attempt is over. What was taken away is told once: should that answer be lost, the
        -- node finds out when it compares what it runs with what it holds.
        local me, lines = ARGV[2], {}
        local rows = redis.call('HSCAN', cancel_key(me), 0, 'COUNT', 100)[2]
        for i = 1, #rows, 2 do
          local entry = redis.call('HGET', held_key(me), rows[i]) or ''
          if string.match(entry, '^%d+') == rows[i + 1] then
            lines[#lines + 1] = rows[i]
          else
            redis.call('HDEL', cancel_key(me), rows[i])
          end
        end
        rows = redis.call('HSCAN', revoked_key(me), 0, 'COUNT', 100)[2]
        for i = 1, #rows, 2 do
          lines[#lines + 1] = rows[i]
          redis.call('HDEL', revoked_key(me), rows[i])
        end
        return lines
        """#)

    static let forget = ScriptPrelude.script(
        "forget",
        #"""
        -- Idempotent: what was forgotten is not there. Stopped half-way: it is still in its hash, and is forgotten again.
        local is_failed, lines = ARGV[2] == 'failed', {}
        local from = is_failed and FAILED or DONE
        for i = 3, #ARGV, 3 do
          local line = ARGV[i]
          if redis.call('HEXISTS', from, line) == 1 and not (is_failed and redis.call('SISMEMBER', RETRYING, line) == 1) then
            lines[#lines + 1] = line
            -- An old worker that ran it has left it in the index, where it would look like a line that was dropped.
            if ARGV[i + 1] ~= '' and redis.call('HEXISTS', TODO, line) == 0 then
              remove_all(class_name(ARGV[i + 1], ARGV[i + 2], redis.call('HGET', FAILED, line) or ''), {line})
            end
          end
        end
        if #lines == 0 then return 0 end
        if is_failed then redis.call('HDEL', REASON, unpack(lines)) end
        for _, key in ipairs({OUTCOMES, SIGNATURES}) do redis.call('HDEL', key, unpack(lines)) end
        return redis.call('HDEL', from, unpack(lines))
        """#)

    static let pause = ScriptPrelude.script(
        "pause",
        #"""
        -- Idempotent: paused is paused.
        if ARGV[2] == '1' then return redis.call('SET', PAUSED, 1) end
        if redis.call('DEL', PAUSED) == 1 then redis.call('PUBLISH', D .. 'wake', 'todo') end
        return redis.status_reply('OK')
        """#)

    static let drain = ScriptPrelude.script(
        "drain",
        #"""
        -- Idempotent: drained is drained. Answers for each node how many tasks it holds, or why nothing was done: -1 where there is no
        -- such node, -2 where it is an old worker.
        local held = {}
        for _, me in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
          local name = node_name(me)
          held[name] = (held[name] or 0) + redis.call('HLEN', held_key(me))
        end
        local answers, resumed = {}, false
        for i = 3, #ARGV do
          local name = ARGV[i]
          if ARGV[2] ~= '1' then
            if redis.call('SREM', DRAINED, name) == 1 then resumed = true elseif not held[name] then held[name] = -1 end
          elseif held[name] then
            redis.call('SADD', DRAINED, name)
          else
            held[name] = redis.call('HEXISTS', STATUS, name) == 1 and -2 or -1
          end
          answers[#answers + 1] = held[name] or 0
        end
        if resumed then redis.call('PUBLISH', D .. 'wake', 'todo') end
        return answers
        """#)

    /// Who holds a line that is in progress.
    private static let holders = #"""
        local incarnations
        local function holder_of(line)
          local name = redis.call('HGET', DOING, line)
          if not name then return nil end
          if not incarnations then
            incarnations = {}
            for _, incarnation in ipairs(redis.call('ZRANGE', LEASES, 0, -1)) do
              local of_name = incarnations[node_name(incarnation)] or {}
              of_name[#of_name + 1] = incarnation
              incarnations[node_name(incarnation)] = of_name
            end
          end
          for _, incarnation in ipairs(incarnations[name] or {}) do
            local entry = redis.call('HGET', held_key(incarnation), line)
            if entry then return incarnation, entry end
          end
        end

        """#
}

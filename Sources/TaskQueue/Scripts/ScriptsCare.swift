// Scripts for what the old system leaves behind: lines in todo without an index, and fields of todo that are no task lines.

import RedisClient

enum ScriptsCare {
    static let adopt = ScriptPrelude.script(
        "adopt",
        #"""
        -- Idempotent: an entry that is there stays as it is. Stopped half-way: some lines are indexed, and the others still not.
        local added = 0
        for i = 2, #ARGV, 5 do
          local field, line, memory, millicores, band = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], band_of(tonumber(ARGV[i + 4]))
          if field ~= CLOSE and redis.call('HEXISTS', TODO, field) == 1 then
            -- The line without its surrounding white space is what we know a task by.
            local known = field == line or redis.call('HEXISTS', DOING, line) == 0 and redis.call('HEXISTS', DONE, line) == 0
            if field ~= line then
              if known then redis.call('HSET', TODO, line, '') end
              redis.call('HDEL', TODO, field)
            end
            -- One that waits for its retry is in todo too, and must not be taken before its time.
            if known and not redis.call('ZSCORE', DELAYED, delayed_entry(line, memory, millicores, band)) then
              local failed_on = redis.call('HGET', FAILED, line)
              if failed_on then redis.call('SADD', RETRYING, line) end
              enter_if_new(line, memory, millicores, failed_on or '', score(band, redis.call('INCR', SEQUENCE)))
              added = added + 1
            end
          end
        end
        -- The sweep goes on; and when it is over, the next may wait as long as this one may have taken.
        redis.call('PEXPIRE', D .. 'sweeper', math.max(5000, math.floor(redis.call('HLEN', TODO) / 100)))
        if added > 0 then wake() end
        return added
        """#)

    static let reject = ScriptPrelude.script(
        "reject",
        #"""
        -- Idempotent: what was rejected is no longer in todo. Stopped half-way: it is rejected again.

        """#, ScriptsReport.ending,
        #"""
        local line, reason = ARGV[2], ARGV[3]
        if line == CLOSE or redis.call('HEXISTS', TODO, line) == 0 then return 0 end
        fail_for_good(line, '0', reason,
          '{"state":"failed","cause":"launch","attempts":0,"launch_step":"read the line","launch_error":' ..
          cjson.encode(reason) .. ',"reason":' .. cjson.encode(reason) .. '}')
        return 1
        """#)
}

// The script that says how a task ended, and what others share with it about endings.

import RedisClient

enum ScriptsReport {
    // What ends well is nearly all that is reported, and needs nothing of the index, whose functions would cost as much as the rest.
    static let report = ScriptPrelude.script(
        "report", beforeIndex: endingWell, ending,
        #"""
        if kind == 'finished' then
          unindex(line, memory, millicores)
          finish()
          redis.call('HDEL', TODO, line)
        elseif kind == 'failed' then
          local workers = (redis.call('HGET', FAILED, line) or '') .. name .. ','
          local _, count = string.gsub(workers, ',', '')
          if count < tonumber(ARGV[8]) and not is_cancelled then
            redis.call('SADD', RETRYING, line)
            redis.call('HSET', FAILED, line, workers)
            redis.call('HSET', REASON, line, ARGV[7])
            redis.call('HSET', OUTCOMES, line, token .. ' ' .. record)
            redis.call('HSET', ATTEMPTS, line, attempt)
            -- Twice as long each time, an hour at most.
            local pause = math.min(3600000, tonumber(ARGV[9]) * 2 ^ math.min(20, count - 1))
            if pause > 0 then
              redis.call('HSET', TODO, line, '')
              redis.call('ZADD', DELAYED, milliseconds() + pause, delayed_entry(line, memory, millicores, math.floor(s / BAND)))
            else
              put_back(line, memory, millicores, behind(s))
              wake()
            end
          else
            unindex(line, memory, millicores)
            redis.call('HSET', FAILED, line, workers)
            fail_for_good(line, token, ARGV[7], record)
          end
        elseif is_cancelled then
          unindex(line, memory, millicores)
          fail_for_good(line, token, 'cancelled', cancelled_record(name, attempt))
        else
          put_back(line, memory, millicores, s)
          wake()
        end
        return let_go()
        """#)

    private static let endingWell = #"""
        -- Idempotent: accepted once, by the token of the attempt, which goes with the held entry, last. A repetition is told from
        -- a stranger by the token beside the outcome. Stopped half-way: still held, so it is accepted when it comes again.
        local me, line, token, kind, record = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
        local held, name = held_key(me), node_name(me)
        local own, memory, millicores, s, attempt =
          string.match(redis.call('HGET', held, line) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
        local function was_told()
          return string.sub(redis.call('HGET', OUTCOMES, line) or '', 1, #token + 1) == token .. ' '
        end
        if own ~= token then return was_told() and 'duplicate' or 'stale' end
        local owner = redis.call('HGET', DOING, line)
        if owner and owner ~= name or not owner and redis.call('HEXISTS', DONE, line) == 1 and not was_told() then
          -- Somebody has moved it to todo by hand, and another has it now, or had it.
          redis.call('HDEL', held, line)
          return 'stale'
        end

        local is_cancelled = redis.call('HEXISTS', cancel_key(me), line) == 1
        local function let_go()
          if is_cancelled then redis.call('HDEL', cancel_key(me), line) end
          redis.call('HDEL', DOING, line)
          redis.call('HDEL', held, line)
          return 'accepted'
        end

        local function finish()
          redis.call('HSET', OUTCOMES, line, token .. ' ' .. record)
          redis.call('HSET', DONE, line, ARGV[7])
          redis.call('SREM', RETRYING, line)
          if redis.call('HEXISTS', FAILED, line) == 1 then
            redis.call('HDEL', REASON, line)
            redis.call('HDEL', FAILED, line)
          end
          if attempt ~= '1' then
            redis.call('HDEL', ATTEMPTS, line)
            redis.call('HDEL', LOST, line)
          end
          redis.call('HDEL', SIGNATURES, line)
        end

        -- Moved to todo by hand, it may be there.
        if kind == 'finished' and redis.call('HEXISTS', TODO, line) == 0 then
          finish()
          return let_go()
        end

        """#

    /// A line's last ending, for every script that can bring it about.
    static let ending = #"""
        local function cancelled_record(worker, attempt)
          return '{"state":"failed","cause":"cancelled","worker":' .. cjson.encode(worker) .. ',"attempts":' .. attempt ..
            ',"reason":"cancelled"}'
        end

        -- The token is '0' for an ending nobody reported: a report that still comes is stale, not a repetition of this.
        local function fail_for_good(line, token, reason, record)
          redis.call('HSET', REASON, line, reason)
          redis.call('HSET', OUTCOMES, line, token .. ' ' .. record)
          redis.call('HSETNX', FAILED, line, '')
          redis.call('SREM', RETRYING, line)
          redis.call('HDEL', ATTEMPTS, line)
          redis.call('HDEL', LOST, line)
          redis.call('HDEL', TODO, line)
        end

        """#
}

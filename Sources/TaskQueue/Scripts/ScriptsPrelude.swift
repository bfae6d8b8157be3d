// What every script begins with: the key names, the server's clock, the index, and the way back to todo.
//
// The index is a hint, never the truth: a line is waiting when it is a field of `todo_tasks`, whatever the index says. So a
// stale entry is dropped when it is met, and a missing one is added when somebody notices.
//
//   distcomp:class:<memory>:<millicores>:<exclusion>   zset, member line, score = band of its priority, then order of arrival.
//       <exclusion> is the line's field in failed_tasks ("w1,w2,"): a node skips a whole class that failed on it, however long.
//   distcomp:classes                                   zset, member class, score that of its first line.
//   distcomp:fits                                      zset, member class, score its memory: what fits, when much does not.
//   distcomp:indexed                                   how many entries all classes have together.
//   distcomp:delayed                                   zset of lines that wait for their retry, score = when, in ms.
//   distcomp:missing                                   zset of lines the index knew and nobody has, score = since when, in ms.
//
// Crashes. Redis applies a script as one: a client sees all of it or nothing, and the append-only file takes its writes as one
// block, so a file cut off anywhere holds whole scripts. What remains is a script that fails half-way (a command refused by an
// ACL, a key of the wrong type); it is not undone. So in each script what makes a line known somewhere comes before what
// makes it unknown elsewhere: cut at any point, a line is in one place too many, never in none.

import RedisClient

enum ScriptPrelude {
    /// Claims, reports and the like go on when Redis is out of memory: they are what makes room again.
    static let allowingOutOfMemory = "#!lua flags=allow-oom\n"
    /// Submitting is refused then, before it has written anything.
    static let refusingOutOfMemory = "#!lua\n"
    /// What only looks may run when nothing may be written, on a replica too.
    static let readingOnly = "#!lua flags=no-writes\n"

    /// A script of the prelude and `parts`, which follow it in their order.
    ///
    /// - Parameter beforeIndex: what knows only the names, and may end the script.
    static func script(
        _ name: String, flags: String = allowingOutOfMemory, beforeIndex: String = "", _ parts: String...
    ) -> RedisScript {
        RedisScript(name: name, source: flags + names + beforeIndex + index + parts.joined())
    }

    private static let names = #"""
        local p = ARGV[1]
        local TODO, DOING, DONE = p .. 'todo_tasks', p .. 'in_progress_tasks', p .. 'finished_tasks'
        local FAILED, REASON, STATUS = p .. 'failed_tasks', p .. 'task_fail_reason', p .. 'worker_status'
        local D = p .. 'distcomp:'
        local CLASSES, FITS, INDEXED, SEQUENCE = D .. 'classes', D .. 'fits', D .. 'indexed', D .. 'sequence'
        local DELAYED, MISSING, RETRYING = D .. 'delayed', D .. 'missing', D .. 'retrying'
        local OUTCOMES, ATTEMPTS, LOST = D .. 'outcomes', D .. 'attempts', D .. 'lost'
        local SIGNATURES = D .. 'signatures'
        local LEASES, NODES, SIZES = D .. 'leases', D .. 'nodes', D .. 'sizes'
        local FED, PAUSED, DRAINED = D .. 'fed', D .. 'paused', D .. 'drained'
        local CLOSE = 'WORKER_COMMAND_CLOSE'

        local function milliseconds()
          local t = redis.call('TIME')
          return t[1] * 1000 + math.floor(t[2] / 1000)
        end

        local function class_key(class) return D .. 'class:' .. class end
        local function held_key(incarnation) return D .. 'held:' .. incarnation end
        local function cancel_key(incarnation) return D .. 'cancel:' .. incarnation end
        local function revoked_key(incarnation) return D .. 'revoked:' .. incarnation end
        local function node_name(incarnation) return string.match(incarnation, '^[^/]*') end
        local function lists(exclusion, name) return string.find(',' .. exclusion, ',' .. name .. ',', 1, true) ~= nil end

        -- Told unless all have been told and nobody has asked in vain since: a thousand lines a call, to a thousand nodes that
        -- are busy, would be a million messages. For a second at most, should an asker have died before it slept.
        local function wake()
          if redis.call('SET', FED, 1, 'NX', 'PX', 1000) then redis.call('PUBLISH', D .. 'wake', 'todo') end
        end

        """#

    private static let index = #"""
        -- Higher priorities get lower scores; 13 bits of priority and 40 of arrival fit a double exactly.
        local BAND = 1099511627776
        local function band_of(priority) return math.max(0, math.min(8191, 4096 - priority)) end
        local function score(band, sequence) return band * BAND + sequence % BAND end
        local function class_name(memory, millicores, exclusion) return memory .. ':' .. millicores .. ':' .. exclusion end

        -- Up to 1,000 lines into one class: score, line, score, line, ..., `head` the lowest score. The head may come to be too
        -- low, never too high: who takes from a class looks. A class that is known and has no line is forgotten then; one that
        -- has lines and is not known would never be looked at, so it is made known first.
        local function enter_all(class, memory, head, entries)
          if redis.call('ZADD', CLASSES, 'LT', head, class) == 1 then redis.call('ZADD', FITS, memory, class) end
          local added = redis.call('ZADD', class_key(class), unpack(entries))
          if added > 0 then redis.call('INCRBY', INDEXED, added) end
        end

        local function enter(line, memory, millicores, exclusion, s)
          enter_all(class_name(memory, millicores, exclusion), memory, s, {s, line})
        end

        -- As `enter`, but a line that is in the class keeps its place.
        local function enter_if_new(line, memory, millicores, exclusion, s)
          local place = redis.call('ZSCORE', class_key(class_name(memory, millicores, exclusion)), line)
          enter(line, memory, millicores, exclusion, place or s)
        end

        local function remove_all(class, lines)
          local removed = redis.call('ZREM', class_key(class), unpack(lines))
          if removed > 0 then redis.call('DECRBY', INDEXED, removed) end
        end

        -- Makes the head of a class true again; returns it, nil when the class is empty and gone.
        local function refresh_class(class)
          local head = redis.call('ZRANGE', class_key(class), 0, 0, 'WITHSCORES')[2]
          if head then
            redis.call('ZADD', CLASSES, head, class)
          else
            redis.call('ZREM', FITS, class)
            redis.call('ZREM', CLASSES, class)
            if redis.call('EXISTS', CLASSES) == 0 then redis.call('DEL', INDEXED) end
          end
          return tonumber(head)
        end

        -- Before a line leaves todo other than by a claim: an entry that stayed would look like a line an old worker dropped.
        local function unindex(line, memory, millicores)
          if redis.call('HEXISTS', TODO, line) == 0 then return end
          local class = class_name(memory, millicores, redis.call('HGET', FAILED, line) or '')
          remove_all(class, {line})
          refresh_class(class)
        end

        -- Back to todo: to its old place (`s` is its score of then), or behind all others of its priority.
        local function put_back(line, memory, millicores, s)
          redis.call('HSET', TODO, line, '')
          enter(line, memory, millicores, redis.call('HGET', FAILED, line) or '', s)
        end

        local function behind(s) return score(math.floor(s / BAND), redis.call('INCR', SEQUENCE)) end

        -- Waiting in todo for a retry, kept with what is needed to index it.
        local function delayed_entry(line, memory, millicores, band)
          return memory .. ' ' .. millicores .. ' ' .. band .. '\n' .. line
        end

        local function promote_delayed(now)
          local due = redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 100)
          for _, entry in ipairs(due) do
            local memory, millicores, band, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
            if line and redis.call('HEXISTS', TODO, line) == 1 then
              enter(line, memory, millicores, redis.call('HGET', FAILED, line) or '',
                score(tonumber(band), redis.call('INCR', SEQUENCE)))
            end
            redis.call('ZREM', DELAYED, entry)
          end
          if #due > 0 then wake() end
        end

        """#
}

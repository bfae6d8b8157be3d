// What every script begins with: the key names, the server's clock, and the index.
//
// The index is a hint, never the truth: a line is waiting when it is a field of `todo_tasks`, whatever the index says. So a
// stale entry is dropped when it is met, and a missing one is added when somebody notices.
//
//   distcomp:class:<memory>:<millicores>:<exclusion>   zset, member line, score = band of its priority, then order of arrival.
//       <exclusion> is the line's field in failed_tasks ("w1,w2,"): a node skips a whole class that failed on it, however long.
//   distcomp:classes                                   zset, member class, score that of its first line.
//   distcomp:delayed                                   zset of lines that wait for their retry, score = when, in ms.
//
// Scripts do not roll back when Redis dies in the middle, but their effects reach the append-only file as one block. Within a
// script the destructive write comes last all the same: what is read half-way is then too much, never too little.

import RedisClient

enum ScriptPrelude {
    /// Claims, reports and the like go on when Redis is out of memory: they are what makes room again.
    static let allowingOutOfMemory = "#!lua flags=allow-oom\n"
    /// Submitting is refused then.
    static let refusingOutOfMemory = "#!lua\n"

    static let source = #"""
        local p = ARGV[1]
        local TODO, DOING, DONE = p .. 'todo_tasks', p .. 'in_progress_tasks', p .. 'finished_tasks'
        local FAILED, REASON, STATUS = p .. 'failed_tasks', p .. 'task_fail_reason', p .. 'worker_status'
        local D = p .. 'distcomp:'
        local CLASSES, SEQUENCE, DELAYED = D .. 'classes', D .. 'sequence', D .. 'delayed'
        local LEASES, NODES, OUTCOMES = D .. 'leases', D .. 'nodes', D .. 'outcomes'
        local ATTEMPTS, LOST, RETRYING = D .. 'attempts', D .. 'lost', D .. 'retrying'
        local CLOSE = 'WORKER_COMMAND_CLOSE'

        local function milliseconds()
          local t = redis.call('TIME')
          return t[1] * 1000 + math.floor(t[2] / 1000)
        end

        -- Higher priorities get lower scores; 13 bits of priority and 40 of arrival fit a double exactly.
        local function score(priority, sequence)
          local band = math.max(0, math.min(8191, 4096 - priority))
          return band * 1099511627776 + sequence
        end

        local function class_name(memory, millicores, exclusion)
          return memory .. ':' .. millicores .. ':' .. (exclusion or '')
        end

        local function class_key(class) return D .. 'class:' .. class end

        -- The score of a class is that of its first line; LT lowers it, and a class that grew behind its head keeps it.
        local function index(line, memory, millicores, priority, exclusion, sequence)
          local class, s = class_name(memory, millicores, exclusion), score(priority, sequence)
          if redis.call('ZADD', class_key(class), 'NX', s, line) == 1 then redis.call('ZADD', CLASSES, 'LT', s, class) end
        end

        local function refresh_class(class)
          local head = redis.call('ZRANGE', class_key(class), 0, 0, 'WITHSCORES')
          if head[2] then redis.call('ZADD', CLASSES, head[2], class) else redis.call('ZREM', CLASSES, class) end
          return tonumber(head[2])
        end

        -- A line that waits in todo for a retry, kept with what is needed to index it.
        local function delay(line, memory, millicores, priority, due)
          redis.call('ZADD', DELAYED, due, memory .. ' ' .. millicores .. ' ' .. priority .. '\n' .. line)
        end

        local function promote_delayed(now)
          for _, entry in ipairs(redis.call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, 100)) do
            local memory, millicores, priority, line = string.match(entry, '^(%d+) (%d+) (-?%d+)\n(.*)$')
            if line and redis.call('HEXISTS', TODO, line) == 1 then
              index(line, memory, millicores, tonumber(priority), redis.call('HGET', FAILED, line) or '',
                redis.call('INCR', SEQUENCE))
            end
            redis.call('ZREM', DELAYED, entry)
          end
        end

        local function held_key(incarnation) return D .. 'held:' .. incarnation end
        local function node_name(incarnation) return string.match(incarnation, '^[^/]*') end
        local function lists(exclusion, name) return string.find(',' .. exclusion, ',' .. name .. ',', 1, true) ~= nil end
        local function wake() redis.call('PUBLISH', D .. 'wake', 'todo') end

        -- Back to todo, after a failure or because its node is gone.
        local function put_back(line, memory, millicores, priority, due)
          redis.call('HSET', TODO, line, '')
          if due then
            delay(line, memory, millicores, priority, due)
          else
            index(line, memory, millicores, priority, redis.call('HGET', FAILED, line) or '', redis.call('INCR', SEQUENCE))
          end
        end

        local function lease_is_live(incarnation, now)
          local expiry = redis.call('ZSCORE', LEASES, incarnation)
          return expiry and tonumber(expiry) >= now
        end

        -- Whether the tasks of an incarnation are being given to others, or have been. A lease that is merely over can still
        -- be renewed: Redis was away, perhaps for everybody, and what runs need not be thrown away.
        local function is_fenced(incarnation)
          local expiry = redis.call('ZSCORE', LEASES, incarnation)
          return not expiry or tonumber(expiry) == 0
        end

        """#

    static func script(_ name: String, flags: String = allowingOutOfMemory, _ body: String) -> RedisScript {
        RedisScript(name: name, source: flags + source + body)
    }
}

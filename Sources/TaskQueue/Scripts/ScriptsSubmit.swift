// The script that adds tasks, and the one that tries failed ones anew: they differ in which lines they take.

import RedisClient

enum ScriptsSubmit {
    static let submit = ScriptPrelude.script(
        "submit", flags: ScriptPrelude.refusingOutOfMemory,
        #"""
        -- Idempotent: a line it added is in todo when it comes again. Stopped half-way: indexed and not in todo, the entry is
        -- dropped; in todo with the marks of its last failure, a claim sees them and honours them.

        """#, addNew,
        #"""
        local lines, rest, signed, in_todo, in_progress, finished = {}, {}, {}, 0, 0, 0
        for i = 2, #ARGV, 5 do lines[#lines + 1] = ARGV[i] end
        if #lines == 0 then return {0, 0, 0, 0} end
        local waiting = redis.call('HMGET', TODO, unpack(lines))
        local running = redis.call('HMGET', DOING, unpack(lines))
        local seen = {}
        for i, line in ipairs(lines) do
          local at, is_done = i * 5 - 3, false
          if waiting[i] or seen[line] then in_todo = in_todo + 1
          elseif running[i] then in_progress = in_progress + 1
          -- Not HMGET: what finished_tasks holds may be a megabyte each.
          elseif redis.call('HEXISTS', DONE, line) == 1 then
            finished = finished + 1
            is_done = true
          else
            seen[line] = true
            rest[#rest + 1] = at
          end
          -- Also of one that waits unsigned, or is running and may be tried again.
          if ARGV[at + 4] ~= '' and not is_done then
            signed[#signed + 1] = line
            signed[#signed + 1] = ARGV[at + 4]
          end
        end
        if #signed > 0 then redis.call('HSET', SIGNATURES, unpack(signed)) end
        add_new(rest)
        return {#rest, in_todo, in_progress, finished}
        """#)

    static let retry = ScriptPrelude.script(
        "retry", flags: ScriptPrelude.refusingOutOfMemory,
        #"""
        -- Idempotent: what was queued is in todo and not failed for good when it comes again. Stopped half-way: as submit.

        """#, addNew,
        #"""
        local rest, hastened, seen = {}, 0, {}
        for i = 2, #ARGV, 4 do
          local line = ARGV[i]
          if seen[line] then  -- Named twice.
          elseif redis.call('HEXISTS', TODO, line) == 1 then
            -- One that waits for its time need not wait any longer.
            local entry = delayed_entry(line, ARGV[i + 1], ARGV[i + 2], band_of(tonumber(ARGV[i + 3])))
            local due = redis.call('ZSCORE', DELAYED, entry)
            if due and tonumber(due) > 0 then
              redis.call('ZADD', DELAYED, 'XX', 0, entry)
              hastened = hastened + 1
            end
          elseif redis.call('HEXISTS', FAILED, line) == 1 and redis.call('HEXISTS', DOING, line) == 0
            and redis.call('HEXISTS', DONE, line) == 0 then
            rest[#rest + 1] = i
          end
          seen[line] = true
        end
        add_new(rest)
        if hastened > 0 then promote_delayed(milliseconds()) end
        return {#rest, hastened}
        """#)

    private static let addNew = #"""
        -- Puts lines into todo for the first time, or the first time of a new life. `positions` says where in ARGV each line is;
        -- memory, millicores and priority follow it.
        local function add_new(positions)
          if #positions == 0 then return end
          local sequence = redis.call('INCRBY', SEQUENCE, #positions) - #positions
          local by_class, new, fields = {}, {}, {}
          for i, at in ipairs(positions) do
            local s = score(band_of(tonumber(ARGV[at + 3])), sequence + i)
            local class = class_name(ARGV[at + 1], ARGV[at + 2], '')
            local entries = by_class[class]
            if not entries then
              entries = {head = s, memory = ARGV[at + 1]}
              by_class[class] = entries
            end
            entries.head = math.min(entries.head, s)
            entries[#entries + 1] = s
            entries[#entries + 1] = ARGV[at]
            new[i] = ARGV[at]
            fields[i * 2 - 1], fields[i * 2] = ARGV[at], ''
          end
          for class, entries in pairs(by_class) do enter_all(class, entries.memory, entries.head, entries) end
          redis.call('HSET', TODO, unpack(fields))
          -- What failed for good begins anew, without the marks of its last life.
          if redis.call('HDEL', FAILED, unpack(new)) > 0 then
            redis.call('SREM', RETRYING, unpack(new))
            for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST}) do redis.call('HDEL', key, unpack(new)) end
          end
          wake()
        end

        """#
}

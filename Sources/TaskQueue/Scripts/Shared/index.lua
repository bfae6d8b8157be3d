-- The index of waiting lines, and the ways into todo.
--
-- The index is a hint, never the truth: a line waits when it is a field of `todo_tasks`, whatever the index says. So an entry
-- without its line is dropped when it is met, and a missing one is added when somebody notices.

--
-- The lines of a job are in classes of its own, and its tasks are of one size, but for those that `retry` gave another: what the queue
-- knows of that is what counts, and with it change all that wait. A node that knows nothing of jobs takes such a class for one that fits
-- nowhere.
--
-- Most lines of a job wait for their first try, in the order in which they came. They stand in a list, FRESH, each behind its score in
-- hexadecimal digits, which is half of what a sorted set takes; it is a part of the job's plain class, that of its size and of no
-- exclusion. The same digits are the line's value in todo: an entry whose line has another value there, or none, is stale.

-- uses names waking noticing owning

-- Higher priorities get lower scores.
local function band_of(priority) return math.max(0, math.min(BAND_MAX, BAND_ZERO - priority)) end
local function score(band, sequence) return band * BAND + sequence % BAND end

local job_sizes, jobs_with_own = {}, {}
local function size_in(record)
  return (string.match(record, '"memory":(%d+)') or '0') .. ':' .. (string.match(record, '"millicores":(%d+)') or '0')
end

-- By the record where the size was lost: a list of another class would be looked at by nobody.
local function job_size()
  job_sizes[job] = job_sizes[job] or call('HGET', JOB_SIZES, job) or size_in(call('HGET', JOBS, job) or '')
  return job_sizes[job]
end

-- What a job waits for before anything of it is given out, see telling.lua: `waits`, or `broken` and a job; false for nothing.
local gates = {}
local function is_gated()
  if gates[job] == nil then gates[job] = job ~= '' and call('HGET', JOBS_GATED, job) end
  return gates[job]
end

local function plain_class() return '@' .. job .. ' ' .. job_size() .. ':' end

local function has_own()
  if jobs_with_own[job] == nil then jobs_with_own[job] = call('EXISTS', OWN) == 1 end
  return jobs_with_own[job]
end

-- `memory:millicores timeout` of a line that has what its job has not; else false.
local function own_of(line) return has_own() and call('HGET', OWN, line) end

local function class_name(line, memory, millicores, exclusion)
  if job == '' then return memory .. ':' .. millicores .. ':' .. exclusion end
  local own = own_of(line)
  return '@' .. job .. ' ' .. (own and string.match(own, '^%d+:%d+') or job_size()) .. ':' .. exclusion
end

local function digits_of(s) return string.format('%x', s) end
local function score_of(digits) return tonumber(digits, 16) end

-- The score in digits, and the line of an entry of FRESH. What is not of our making waits nowhere under such a name, and is stale.
local function parts_of_fresh(entry)
  local space = string.find(entry, ' ', 1, true)
  local digits = space and string.sub(entry, 1, space - 1)
  if not digits or string.find(digits, '%X') or digits == '' then return '0', entry end
  return digits, string.sub(entry, space + 1)
end
local function score_of_fresh(position)
  local entry = call('LINDEX', FRESH, position)
  return entry and score_of((parts_of_fresh(entry)))
end

-- Where a line stands in FRESH; nil where it does not.
local function fresh_score(line)
  local digits = job ~= '' and call('HGET', TODO, line)
  return digits and digits ~= '' and score_of(digits) or nil
end

local function memory_of(class) return string.match(class, '^(%d+):') or string.match(class, '^@%w+ (%d+):') end

-- Up to 1,000 lines into one class: score, line, score, line, ..., `head` the lowest score. The head may come to be too
-- low, never too high: who takes from a class looks. A class that is known and has no line is forgotten then; one that
-- has lines and is not known would never be looked at, so it is made known first.
local function make_known(class, head)
  if is_gated() then
    call('ZADD', job_key(job .. ASIDE), 'LT', head, class)
    return
  end
  local owner = owner_of(job)
  if call('ZADD', classes_of(owner), 'LT', head, class) == 1 then
    if owner == '' then call('ZADD', FITS, memory_of(class), class) end
    make_owner_known()
  end
end

local function enter_all(class, head, entries)
  make_known(class, head)
  local added = call('ZADD', class_key(class), unpack(entries))
  -- What old managers add, for which this is counted, is of no job.
  if added > 0 and job == '' then call('INCRBY', INDEXED, added) end
end

local function enter(line, memory, millicores, exclusion, s)
  enter_all(class_name(line, memory, millicores, exclusion), s, {s, line})
end

-- As `enter`, but a line that is in the class keeps its place.
local function enter_if_new(line, memory, millicores, exclusion, s)
  local place = call('ZSCORE', class_key(class_name(line, memory, millicores, exclusion)), line)
  enter(line, memory, millicores, exclusion, place or s)
end

local function remove_all(class, lines)
  local removed = call('ZREM', class_key(class), unpack(lines))
  if removed > 0 and job == '' then call('DECRBY', INDEXED, removed) end
end

-- The head of a class is this; nil: the class is empty and gone.
local function set_head(class, head)
  if is_gated() then
    if head then call('ZADD', job_key(job .. ASIDE), head, class) else call('ZREM', job_key(job .. ASIDE), class) end
    return head
  end
  local owner = owner_of(job)
  if not head then
    call('ZREM', classes_of(owner), class)
    if owner ~= '' then return end
    call('ZREM', FITS, class)
    if call('EXISTS', CLASSES) == 0 then call('DEL', INDEXED) end
  elseif call('ZADD', classes_of(owner), head, class) == 1 then
    if owner == '' then call('ZADD', FITS, memory_of(class), class) end
    make_owner_known()
  end
  return head
end

-- Makes the head of a class true again; returns it, nil when the class is empty and gone.
local function refresh_class(class)
  local head = tonumber(call('ZRANGE', class_key(class), 0, 0, 'WITHSCORES')[2])
  if job ~= '' and class == plain_class() then
    local first = score_of_fresh(0)
    head = head and first and math.min(head, first) or head or first
  end
  return set_head(class, head)
end

-- What a line of the present job has of its own from now on, false for nothing; with that, and with what its job has or is about to have,
-- it is of this size. Where it waits for its turn it keeps its place, among those of that size; what is of the plain class stays there where
-- the whole class becomes one of that size, see `change`.
local function set_own(line, own, size, moves_plain)
  local exclusion, value = call('HGET', FAILED, line) or '', call('HGET', TODO, line)
  local from, to = class_name(line, 0, 0, exclusion), '@' .. job .. ' ' .. size .. ':' .. exclusion
  local is_plain = from == '@' .. job .. ' ' .. job_size() .. ':' .. exclusion
  local place = value and from ~= to and (moves_plain or not is_plain)
    and (fresh_score(line) or call('ZSCORE', class_key(from), line))
  if own then call('HSET', OWN, line, own) else call('HDEL', OWN, line) end
  jobs_with_own[job] = nil
  if not place then return end
  enter_all(to, place, {place, line})
  call('HSET', TODO, line, '')
  call('ZREM', class_key(from), line)
  if call('HLEN', TODO) == 1 then call('DEL', FRESH) end  -- As in `unindex`.
  refresh_class(from)
end

-- Before a line leaves todo other than by a claim: an entry that stayed would look like a line an old worker dropped. One in FRESH
-- is stale when the line has left.
local function unindex(line, memory, millicores)
  local value = call('HGET', TODO, line)
  if not value then return end
  local number = job ~= '' and string.match(value, '^~(%d+) ')
  if number then call('SREM', job_key(job .. DEPENDENT), number) end
  local class = class_name(line, memory, millicores, call('HGET', FAILED, line) or '')
  remove_all(class, {line})
  refresh_class(class)
  -- The last to leave takes what is stale with it, which else might stand there for ever: nobody need be large enough to meet it.
  if job ~= '' and call('HLEN', TODO) == 1 then
    call('DEL', FRESH)
    refresh_class(plain_class())
  end
end

-- Back to todo: to its old place (`s` is its score of then), or behind all others of its priority.
local function put_back(line, memory, millicores, s)
  call('HSET', TODO, line, '')
  enter(line, memory, millicores, call('HGET', FAILED, line) or '', s)
end

local function behind(s) return score(math.floor(s / BAND), call('INCR', SEQUENCE)) end

-- Waiting in todo for a retry, kept with what is needed to index it: of a job, that is in the job, where it may change.
local function delayed_entry(line, memory, millicores, band)
  if job ~= '' then memory, millicores, band = 0, 0, 0 end
  return memory .. ' ' .. millicores .. ' ' .. band .. '\n' .. line
end

-- A job that waits for its time stands among them, as a line without a command.
local function delayed_job(id) return '0 0 0\n@' .. id .. ' ' end

local function band_of_job()
  return band_of(tonumber(string.match(call('HGET', JOBS, job) or '', '"priority":(-?%d+)') or 0))
end

local function promote_from(delayed, now)
  local due = call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)
  for _, entry in ipairs(due) do
    local memory, millicores, band, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
    if line then use_job_of(line) end
    if entry == delayed_job(job) then note_change('gate ' .. job) end
    if line and call('HEXISTS', TODO, line) == 1 then
      -- One that went back as it asked has its old place.
      local count, place = string.match(job ~= '' and call('HGET', REQUEUES, line) or '', '^(%d+) (%d+)$')
      enter(line, memory, millicores, call('HGET', FAILED, line) or '',
        place or score(job == '' and tonumber(band) or band_of_job(), call('INCR', SEQUENCE)))
      if place then call('HSET', REQUEUES, line, count) end
    end
    call('ZREM', delayed, entry)
  end
  use_job('')
  return #due
end

local function promote_delayed(now)
  use_job('')
  if promote_from(DELAYED, now) + promote_from(JOBS_DELAYED, now) > 0 then wake() end
end

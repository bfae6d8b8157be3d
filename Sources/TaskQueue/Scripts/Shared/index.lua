-- The index of waiting lines, and the ways into todo.
--
-- The index is a hint, never the truth: a line waits when it is a field of `todo_tasks`, whatever the index says. So an entry
-- without its line is dropped when it is met, and a missing one is added when somebody notices.

--
-- The lines of a job are in classes of its own, and its tasks are of one size: what the queue knows of that is what counts, and with it
-- change all that wait. A node that knows nothing of jobs takes such a class for one that fits nowhere.

-- uses names waking

-- Higher priorities get lower scores.
local function band_of(priority) return math.max(0, math.min(BAND_MAX, BAND_ZERO - priority)) end
local function score(band, sequence) return band * BAND + sequence % BAND end

local job_sizes = {}
local function class_name(memory, millicores, exclusion)
  if job == '' then return memory .. ':' .. millicores .. ':' .. exclusion end
  job_sizes[job] = job_sizes[job] or call('HGET', JOB_SIZES, job) or '0:0'
  return '@' .. job .. ' ' .. job_sizes[job] .. ':' .. exclusion
end

local function memory_of(class) return string.match(class, '^(%d+):') or string.match(class, '^@%w+ (%d+):') end

-- Up to 1,000 lines into one class: score, line, score, line, ..., `head` the lowest score. The head may come to be too
-- low, never too high: who takes from a class looks. A class that is known and has no line is forgotten then; one that
-- has lines and is not known would never be looked at, so it is made known first.
local function enter_all(class, head, entries)
  if call('ZADD', CLASSES, 'LT', head, class) == 1 then call('ZADD', FITS, memory_of(class), class) end
  local added = call('ZADD', class_key(class), unpack(entries))
  -- What old managers add, for which this is counted, is of no job.
  if added > 0 and job == '' then call('INCRBY', INDEXED, added) end
end

local function enter(line, memory, millicores, exclusion, s)
  enter_all(class_name(memory, millicores, exclusion), s, {s, line})
end

-- As `enter`, but a line that is in the class keeps its place.
local function enter_if_new(line, memory, millicores, exclusion, s)
  local place = call('ZSCORE', class_key(class_name(memory, millicores, exclusion)), line)
  enter(line, memory, millicores, exclusion, place or s)
end

local function remove_all(class, lines)
  local removed = call('ZREM', class_key(class), unpack(lines))
  if removed > 0 and job == '' then call('DECRBY', INDEXED, removed) end
end

-- Makes the head of a class true again; returns it, nil when the class is empty and gone.
local function refresh_class(class)
  local head = call('ZRANGE', class_key(class), 0, 0, 'WITHSCORES')[2]
  if head then
    call('ZADD', CLASSES, head, class)
  else
    call('ZREM', FITS, class)
    call('ZREM', CLASSES, class)
    if call('EXISTS', CLASSES) == 0 then call('DEL', INDEXED) end
  end
  return tonumber(head)
end

-- Before a line leaves todo other than by a claim: an entry that stayed would look like a line an old worker dropped.
local function unindex(line, memory, millicores)
  if call('HEXISTS', TODO, line) == 0 then return end
  local class = class_name(memory, millicores, call('HGET', FAILED, line) or '')
  remove_all(class, {line})
  refresh_class(class)
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

local function band_of_job()
  return band_of(tonumber(string.match(call('HGET', JOBS, job) or '', '"priority":(-?%d+)') or 0))
end

local function promote_from(delayed, now)
  local due = call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, 100)
  for _, entry in ipairs(due) do
    local memory, millicores, band, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
    if line then use_job_of(line) end
    if line and call('HEXISTS', TODO, line) == 1 then
      enter(line, memory, millicores, call('HGET', FAILED, line) or '',
        score(job == '' and tonumber(band) or band_of_job(), call('INCR', SEQUENCE)))
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

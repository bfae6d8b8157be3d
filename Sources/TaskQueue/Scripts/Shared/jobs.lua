-- What is noted of a job: its name, what its tasks may use, and what they are, a line each. Only the last never changes.

-- uses index
-- uses later recounting

local function parts_of(record)
  local name, settings, definition = string.match(record, '^([^\n]*)\n([^\n]*)\n(.*)$')
  return name or '', settings or '{}', definition or '{}'
end

local function is_learning(settings) return string.find(settings, '"memory_auto":true', 1, true) ~= nil end

local function with_memory(settings, memory) return (string.gsub(settings, '"memory":%d+', '"memory":' .. memory, 1)) end

-- Names are made unique by a number behind them. Of thousands of one name only a few are looked at: a number that is free behind one
-- that is not.
local function free_name(wanted)
  if call('HEXISTS', JOB_NAMES, wanted) == 0 then return wanted end
  local taken, free = 1, 2
  while call('HEXISTS', JOB_NAMES, wanted .. '-' .. free) == 1 do taken, free = free, free * 2 end
  while free - taken > 1 do
    local middle = math.floor((taken + free) / 2)
    if call('HEXISTS', JOB_NAMES, wanted .. '-' .. middle) == 1 then taken = middle else free = middle end
  end
  return wanted .. '-' .. free
end

-- All that waits takes the new size, whatever it had, or only what had this one: its classes get another name. What stands in FRESH is of
-- the plain class of any size.
local function resize(id, size, only)
  local start, known = '@' .. id .. ' ', is_gated() and job_key(id .. ASIDE) or classes_of(owner_of(job))
  for _, class in ipairs(call('ZRANGE', known, 0, -1)) do
    local had, exclusion
    if string.sub(class, 1, #start) == start then had, exclusion = string.match(class, '^(%d+:%d+):(.*)$', #start + 1) end
    local renamed = had and had == (only or had) and start .. size .. ':' .. exclusion
    if renamed and renamed ~= class then
      local head = call('ZSCORE', known, class)
      call('ZADD', known, 'LT', head, renamed)
      if known == CLASSES then call('ZADD', FITS, memory_of(renamed), renamed) end
      if call('EXISTS', class_key(class)) == 0 then  -- All of it is in FRESH.
      elseif call('EXISTS', class_key(renamed)) == 0 then
        call('RENAME', class_key(class), class_key(renamed))  -- Millions may wait.
      else
        call('ZUNIONSTORE', class_key(renamed), 2, class_key(class), class_key(renamed), 'AGGREGATE', 'MIN')
        call('DEL', class_key(class))
      end
      call('ZREM', FITS, class)
      call('ZREM', known, class)
    end
  end
  call('HSET', JOB_SIZES, id, size)
  wake()
end

-- Which nodes it is for, what it needs of them, and whether there may be second copies of its tasks, stand by themselves too: claims look for
-- that. Returns whether the first or the second is new.
local function note_places(id, settings)
  local is_idempotent = string.find(settings, '"idempotent":true', 1, true)
  call(is_idempotent and 'SADD' or 'SREM', JOBS_IDEMPOTENT, id)
  local is_new = false
  for field, key in pairs({where = JOB_WHERES, resources = JOB_NEEDS}) do
    local text = string.match(settings, '"' .. field .. '":"([^"]*)"') or false
    if call('HGET', key, id) ~= text then
      if key == JOB_NEEDS and has_several() then recount_needs(id) end
      if text then call('HSET', key, id, text) else call('HDEL', key, id) end
      is_new = true
    end
  end
  return is_new
end

local function timeout_in(settings) return string.match(settings, '"timeout":([%d.e+-]+)') or '' end

-- The record last: a user who may not do all of this is told, and may do it again.
local function change(id, name, size, settings, definition, resets_own)
  local record = name .. '\n' .. settings .. '\n' .. definition
  if call('HGET', JOBS, id) == record and not resets_own then return end
  local known = select(2, parts_of(call('HGET', JOBS, id) or ''))
  -- What single tasks were given is over when the job is given something.
  if resets_own or call('HGET', JOB_SIZES, id) ~= size or timeout_in(known) ~= timeout_in(settings) then
    use_job(id)
    call('UNLINK', OWN)
    resize(id, size)
    use_job('')
  end
  if note_places(id, settings) then wake() end
  call('HSET', JOBS, id, record)
  call('INCR', JOB_REVISION)
end

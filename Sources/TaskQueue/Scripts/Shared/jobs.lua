-- What is noted of a job: its name, what its tasks may use, and what they are, a line each. Only the last never changes.

-- uses index
-- uses later recounting

local function parts_of(record)
  local name, settings, definition = string.match(record, '^([^\n]*)\n([^\n]*)\n(.*)$')
  return name or '', settings or '{}', definition or '{}'
end

-- Settings by their names. They are not looked for in the text, where a sweep's columns stand too, under whatever names.
local function fields_of(settings)
  local is_read, fields = pcall(cjson.decode, settings)
  return is_read and type(fields) == 'table' and fields or {}
end

-- What is a number or true is looked for all the same: no name that somebody chose stands before such.
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

-- All that waits and had this size takes the new one: its classes get another name. What stands in FRESH is of the plain class of any size.
local function resize(id, size, only)
  local start, known = '@' .. id .. ' ', is_gated() and job_key(id .. ASIDE) or classes_of(owner_of(job))
  for _, class in ipairs(call('ZRANGE', known, 0, -1)) do
    local had, exclusion
    if string.sub(class, 1, #start) == start then had, exclusion = string.match(class, '^(%d+:%d+):(.*)$', #start + 1) end
    local renamed = had == only and start .. size .. ':' .. exclusion
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
  local fields, is_new = fields_of(settings), false
  call(fields.idempotent == true and 'SADD' or 'SREM', JOBS_IDEMPOTENT, id)
  for field, key in pairs({where = JOB_WHERES, resources = JOB_NEEDS}) do
    local text = type(fields[field]) == 'string' and fields[field]
    if call('HGET', key, id) ~= text then
      if key == JOB_NEEDS and has_several() then recount_needs(id) end
      if text then call('HSET', key, id, text) else call('HDEL', key, id) end
      is_new = true
    end
  end
  return is_new
end

local function timeout_in(settings) return string.match(settings, '"timeout":([%d.e+-]+)') or '' end

-- As OWN has it.
local function timeout_text(settings)
  local text = timeout_in(settings)
  return text == '' and 'default' or tonumber(text) == 0 and 'none' or text
end

local function is_same(one, other)
  return one == other or tonumber(one) ~= nil and tonumber(one) == tonumber(other)
end

-- What a task has that had `own` of something, of which its job had `old` and has `new` from now on. What it had from its job it has from it
-- still; and what all are to have it has as well. Else it keeps what is its own, unless its job has more now; 0 and what is no number are
-- not less than anything.
local function followed(own, old, new, is_for_all)
  if is_for_all or is_same(own, old) then return new end
  local had, has = tonumber(own), tonumber(new)
  local is_less = had and has and had > 0 and had < has
  return is_less and not is_same(old, new) and new or own
end

-- What single tasks of the present job have of their own, now that it is to have this size and these settings, of which all are to have what
-- is `given` (`memory`, `cores`, `timeout`, `max`). By what it has until then it is told what is their own. There may be millions, and each
-- call sees to some: returns where the next is to begin; nil: that was all.
--
-- Until the last call the job has what it had, and there may be no last one. So what a task has of its own, and where it waits, are at one all
-- the time: it keeps also what its job is about to have, for the next order to find. Once the job has it, calls from `+` drop that.
local function follow_own(size, old_settings, settings, given, cursor)
  local has_it, from = string.match(cursor, '^(%+?)(%d+)$')
  local page = call('HSCAN', OWN, from or '0', 'COUNT', 200)
  local is_dropped = has_it == '+' or from == '0' and page[1] == '0'
  local had_memory, had_cores = string.match(job_size(), '^(%d+):(%d+)$')
  local new_memory, new_cores = string.match(size, '^(%d+):(%d+)$')
  local had_timeout, new_timeout = timeout_text(old_settings), timeout_text(settings)
  local function is_given(word) return string.find(given, word, 1, true) ~= nil end
  for i = 1, #page[2], 2 do
    local line, own = page[2][i], page[2][i + 1]
    local memory, cores, timeout, rest = string.match(own, '^(%d+):(%d+) (%S+)(.*)$')
    if memory then
      local keeps = memory
      memory = followed(memory, had_memory, new_memory, is_given('memory'))
      cores = followed(cores, had_cores, new_cores, is_given('cores'))
      timeout = followed(timeout, had_timeout, new_timeout, is_given('timeout'))
      if is_given('max') then rest = string.gsub(rest, ' max=%d+', '') end
      -- What it had when its memory ran out.
      if is_given('memory') or memory ~= keeps then rest = string.gsub(rest, ' from=%d+', '') end
      local is_plain = memory == new_memory and cores == new_cores and is_same(timeout, new_timeout) and rest == ''
      local has = not (is_plain and is_dropped) and memory .. ':' .. cores .. ' ' .. timeout .. rest
      if has ~= own then set_own(line, has, memory .. ':' .. cores, not is_dropped) end
    end
  end
  return page[1] ~= '0' and has_it .. page[1] or nil
end

-- The record last: a user who may not do all of this is told, and may do it again. Returns where this is to go on when it is asked for again,
-- `+` before it where the job has all of it already; nil: that was all.
local function change(id, name, size, settings, definition, given, cursor)
  given, cursor = given or '', cursor or '0'
  local record, before = name .. '\n' .. settings .. '\n' .. definition, call('HGET', JOBS, id)
  local old_settings = select(2, parts_of(before or ''))
  if string.byte(cursor) == 43 then
    use_job(id)
    local onward = follow_own(job_size(), old_settings, old_settings, '', cursor)
    use_job('')
    return onward
  end
  if before == record and given == '' then return nil end
  use_job(id)
  local had, onward = job_size(), nil
  if given ~= '' or had ~= size or timeout_in(old_settings) ~= timeout_in(settings) then
    onward = follow_own(size, old_settings, settings, given, cursor)
    if onward then
      use_job('')
      return onward
    end
    if call('HGET', JOB_SIZES, id) ~= size then resize(id, size, had) else wake() end
    job_sizes[id] = nil
    onward = cursor ~= '0' and '+0' or nil
  end
  use_job('')
  if note_places(id, settings) then wake() end
  call('HSET', JOBS, id, record)
  call('INCR', JOB_REVISION)
  return onward
end

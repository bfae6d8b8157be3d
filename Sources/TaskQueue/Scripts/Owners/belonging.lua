-- Whose a job is, for who opens one.

-- uses index using

-- Who is the first: the one who asks now, while there is nothing; nobody known, where something is there already.
local function first_owner(wanted)
  local is_empty = call('EXISTS', JOBS, JOB_OWNERS, CLASSES, TODO, DOING) == 0
  local known = call('GET', OWNER)
  if is_empty and wanted ~= '' then known = wanted elseif not known then known = '' end
  call('SET', OWNER, known)
  return known
end

local function move_classes(id, from, to)
  local start = '@' .. id .. ' '
  for _, class in ipairs(call('ZRANGE', classes_of(from), 0, -1)) do
    if string.sub(class, 1, #start) == start then
      call('ZADD', classes_of(to), 'LT', call('ZSCORE', classes_of(from), class), class)
      if to == '' then call('ZADD', FITS, memory_of(class), class) else call('ZREM', FITS, class) end
      call('ZREM', classes_of(from), class)
      make_owner_known()
    end
  end
end

-- Whose a job is from now on.
local function own_job(id, wanted)
  local owner = wanted == first_owner(wanted) and '' or wanted
  use_job(id)
  local was = owner_of(job)
  if owner ~= was then
    local is_first = not has_several()
    settle_uses()
    if owner ~= '' then call('HSET', JOB_OWNERS, id, owner) end
    owners[id], has_owners = owner, true
    if is_first then
      measure_fleet()
      -- The first has had all turns up to now.
      local use = use_in(nil, '')
      use.last = tonumber(call('GET', TOKENS) or 0)
      note_use('', use)
      use_job('')
      if call('EXISTS', CLASSES) == 1 then make_owner_known() end
      use_job(id)
    end
    move_classes(id, was, owner)
    if owner == '' then call('HDEL', JOB_OWNERS, id) end
    if call('HLEN', DOING) > 0 then recount() end
  end
  use_job('')
end

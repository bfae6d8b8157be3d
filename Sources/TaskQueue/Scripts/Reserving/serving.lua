-- A claim of a node that is reserved, see reserving.lua.

-- uses timeouts using

-- The node may expect room that it has not got yet.
local function is_free_for(class)
  local memory, millicores = string.match(call('HGET', NODES, me) or '', '^(%d+) (%d+)')
  if not memory then return false end
  local seen, cursor = {}, '0'
  repeat
    local page = call('HSCAN', held, cursor, 'COUNT', 500)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local of_task, cores = string.match(page[2][i + 1], '^%d+ (%d+) (%d+) ')
      if of_task and not seen[page[2][i]] then memory, millicores = memory - of_task, millicores - cores end
      seen[page[2][i]] = true
    end
  until cursor == '0'
  return memory + 0 >= class.memory and millicores + 0 >= class.millicores
end

-- The first task of the class; whether there was one to be had.
local function take_one(class)
  local wanted, tries = want, 8
  if has_several() then count_own(me) end
  while want == wanted and class.head and tries > 0 do
    helping, tries = 1, tries - 1
    class.head = take(class, math.huge)
  end
  helping = math.huge
  if want == wanted then return false end
  if has_several() then
    use_job(class.job)
    add_use(owner_of(job), gained_memory, gained_millicores, last_given, needs and needs.gained)
  end
  -- The next of them has stood for as long: it was not its turn that came.
  local note = class.head and string.match(call('HGET', STANDING, class.name) or '', '^%d+( %d+ %l)$')
  if note then call('HSET', STANDING, class.name, string.format('%.0f', class.head) .. note) end
  return true
end

-- What may pass, and how that is noted.
local function pass_by(ends, memory, millicores, since, name)
  local timeout, grace = string.match(call('HGET', TIMEOUTS, me) or '', '^(%d+) (%d+)$')
  local reserved = class_of(name, 0)
  local rest = {memory = tonumber(memory), millicores = tonumber(millicores), refusals = 48, name = name}
  function rest.lets_pass(class, line)
    local limit = timeout_of(line, tonumber(timeout or 0))
    if limit > 0 and now + limit + (grace or 0) <= ends + 0 then return true end
    local fits = class.memory <= rest.memory and class.millicores <= rest.millicores
    if fits and not (needs and needs.overlap(class, reserved)) then
      rest.memory, rest.millicores, rest.is_less = rest.memory - class.memory, rest.millicores - class.millicores, true
      return true
    end
    rest.refusals = rest.refusals - 1
    return false
  end
  function rest.note()
    if not rest.is_less then return end
    call('HSET', RESERVED, me, string.format('%s %.0f %.0f %s %s', ends, rest.memory, rest.millicores, since, name))
  end
  return rest
end

local function serve_reserved()
  local ends, memory, millicores, since, name = string.match(reservation, '^(%d+) (%d+) (%d+) (%d+ %d+) (.+)$')
  reservation = nil
  local class = class_of(name or '', nil)
  use_job(class.job)
  class.head = tonumber(call('ZSCORE', classes_of(owner_of(job)), class.name))
  local is_wanted = class.head and call('SISMEMBER', JOBS_PAUSED, class.job) == 0 and is_for(class, own_labels)
  if is_wanted and not (room(class) >= 1 and is_free_for(class) and take_one(class)) then
    reservation = pass_by(ends, memory, millicores, since, name)
  else
    call('HDEL', RESERVED, me)
  end
end

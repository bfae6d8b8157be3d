-- What runs for owners becomes less. Each report of a fleet of several owners says so: it only notes it, in USES_ENDED, a line
-- `job memory millicores` each, and whoever goes by USES, or changes what such a line is read by, settles that before. A lone APPEND
-- costs a report a quarter of what an owner's use would, and of sixteen reports most are of the same few owners.

-- uses owning measuring

-- What tasks of a job have of resources, by name; nil where it asks for none.
local needs_of_jobs = {}
local function needs_of(of)
  if needs_of_jobs[of] == nil then
    local text, needs = of ~= '' and call('HGET', JOB_NEEDS, of) or '', {}
    for name, amount in string.gmatch(text, '([%l%d_]+):(%d+)') do needs[name] = tonumber(amount) end
    needs_of_jobs[of] = next(needs) and needs or false
  end
  return needs_of_jobs[of] or nil
end

-- One that asks for no cores takes a slot of its node, which is as much as a core.
local function slot_of(millicores)
  millicores = tonumber(millicores)
  return millicores > 0 and millicores or SLOT_MILLICORES
end

-- So many tasks of a job, which ask for so much together, run no more. For whom nothing runs nothing of resources is left either, also
-- of what should not have been there.
local function lessen_use(use, of, count, memory, millicores)
  use.memory, use.millicores = math.max(0, use.memory - memory), math.max(0, use.millicores - millicores)
  if use.millicores == 0 then
    use.resources = nil
  elseif use.resources then
    for name, amount in pairs(needs_of(of) or {}) do
      local had = use.resources[name]
      if had then had.amount = had.amount - amount * count end
      if had and had.amount <= 0 then use.resources[name] = nil end
    end
  end
end

local function note_uses(uses)
  local fields, places = {}, {}
  for owner, use in pairs(uses) do
    fields[#fields + 1], fields[#fields + 2] = owner, text_of_use(use)
    places[#places + 1], places[#places + 2] = string.format('%d', place_of(use)), owner
  end
  if #fields == 0 then return end
  call('HSET', USES, unpack(fields))
  call('ZADD', OWNERS, 'XX', unpack(places))
end

-- What runs for owners of whom something was noted, without that and `more` of the kind; nil where there is nothing of it.
local function uses_without_ended(more)
  local noted = redis.pcall('GET', USES_ENDED)
  noted = (type(noted) == 'string' and noted or '') .. (more or '')
  if noted == '' then return nil end
  local ended, jobs = {}, {}
  for of, memory, millicores in string.gmatch(noted, '(%w*) (%d+) (%d+)\n') do
    local sum = ended[of]
    if not sum then
      sum = {0, 0, 0}
      ended[of], jobs[#jobs + 1] = sum, of
    end
    sum[1], sum[2], sum[3] = sum[1] + 1, sum[2] + memory, sum[3] + slot_of(millicores)
  end
  local uses = {}
  for _, of in ipairs(jobs) do
    local owner, sum = owner_of(of), ended[of]
    local text = not uses[owner] and call('HGET', USES, owner)
    if text then uses[owner] = use_in(text, owner) end
    if uses[owner] then lessen_use(uses[owner], of, sum[1], sum[2], sum[3]) end
  end
  return uses
end

-- At most as much as USES_ENDED_MAX and a line or two.
local function settle_uses(more)
  local uses = uses_without_ended(more)
  if not uses then return end
  note_uses(uses)
  call('DEL', USES_ENDED)
end

-- What runs for each owner now, which is what nodes hold for them: see owning.lua.

-- uses counting measuring

-- One that asks for no cores takes a slot of its node, which is as much as a core.
local function slot_of(millicores)
  millicores = tonumber(millicores)
  return millicores > 0 and millicores or SLOT_MILLICORES
end

local function note_use(owner, use)
  call('HSET', USES, owner, text_of_use(use))
  call('ZADD', OWNERS, 'XX', string.format('%d', place_of(use)), owner)
end

-- What runs for an owner is so much more, the last of it given under this token.
local function add_use(owner, memory, millicores, token)
  local use = use_in(call('HGET', USES, owner), owner)
  use.memory, use.millicores, use.last = use.memory + memory, use.millicores + millicores, math.max(use.last, token)
  note_use(owner, use)
end

-- A line of the present job is held by this node from now on.
local function count_in(incarnation, memory, millicores, token)
  if is_counted(incarnation) then add_use(owner_of_job(), memory, slot_of(millicores), tonumber(token)) end
end

-- From now on all that this node holds is in USES.
local function count_own(incarnation)
  if not has_several() or is_counted(incarnation) then return end
  local sums, seen, cursor = {}, {}, '0'
  repeat
    local page = call('HSCAN', held_key(incarnation), cursor, 'COUNT', 500)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local token, memory, millicores = string.match(page[2][i + 1], '^(%d+) (%d+) (%d+) ')
      if memory and not seen[page[2][i]] then
        use_job_of(page[2][i])
        local sum = sums[owner_of_job()] or {0, 0, 0}
        sums[owner_of_job()] = {sum[1] + memory, sum[2] + slot_of(millicores), math.max(sum[3], token)}
      end
      seen[page[2][i]] = true
    end
  until cursor == '0'
  use_job('')
  call('SET', counted_key(incarnation), 1)
  counted[incarnation] = true
  for owner, sum in pairs(sums) do add_use(owner, sum[1], sum[2], sum[3]) end
end

local function each_use(change)
  local cursor = '0'
  repeat
    local page = call('HSCAN', USES, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do change(page[2][i], page[2][i + 1]) end
  until cursor == '0'
end

-- Every node is to count what it holds anew.
local function recount()
  for _, incarnation in ipairs(call('ZRANGE', LEASES, 0, -1)) do call('DEL', counted_key(incarnation)) end
  counted = {}
  each_use(function(owner, text)
    local use = use_in(text, owner)
    use.memory, use.millicores = 0, 0
    note_use(owner, use)
  end)
end

-- By what uses are divided, where that has changed.
local function set_units(owner, text)
  local use = use_in(text, owner)
  use.memory_unit, use.millicores_unit = units_of(owner)
  note_use(owner, use)
end

-- What the nodes have together.
local function measure_fleet()
  local memory, millicores, seen, cursor = 0, 0, {}, '0'
  repeat
    local page = call('HSCAN', NODES, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local of_node, cores = string.match(page[2][i + 1], '^(%d+) (%d+) ')
      if of_node and not seen[page[2][i]] then memory, millicores = memory + of_node, millicores + cores end
      seen[page[2][i]] = true
    end
  until cursor == '0'
  local text = string.format('%.0f %.0f', memory, millicores)
  if call('GET', FLEET) == text then return end
  call('SET', FLEET, text)
  each_use(set_units)
end

-- What runs for each owner now, which is what nodes hold for them: see owning.lua.

-- uses lessening counting

local function note_use(owner, use) note_uses({[owner] = use}) end

-- So much more of each resource.
local function gain_resources(use, owner, amounts)
  local unit_of
  for name, amount in pairs(amounts) do
    use.resources = use.resources or {}
    if not use.resources[name] then
      if not unit_of then unit_of = select(3, units_of(owner)) end
      use.resources[name] = {amount = 0, unit = unit_of(name)}
    end
    use.resources[name].amount = use.resources[name].amount + amount
  end
end

-- What runs for an owner is so much more, the last of it given under this token.
local function add_use(owner, memory, millicores, token, resources)
  local use = use_in(call('HGET', USES, owner), owner)
  use.memory, use.millicores, use.last = use.memory + memory, use.millicores + millicores, math.max(use.last, token)
  if resources then gain_resources(use, owner, resources) end
  note_use(owner, use)
end

-- A line of the present job is held by this node from now on.
local function count_in(incarnation, memory, millicores, token)
  if is_counted(incarnation) then add_use(owner_of(job), memory, slot_of(millicores), tonumber(token), needs_of(job)) end
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
        local sum = sums[owner_of(job)] or {0, 0, 0, {}}
        sums[owner_of(job)] = {sum[1] + memory, sum[2] + slot_of(millicores), math.max(sum[3], token), sum[4]}
        for name, amount in pairs(needs_of(job) or {}) do sum[4][name] = (sum[4][name] or 0) + amount end
      end
      seen[page[2][i]] = true
    end
  until cursor == '0'
  use_job('')
  call('SET', counted_key(incarnation), 1)
  counted[incarnation] = true
  for owner, sum in pairs(sums) do add_use(owner, sum[1], sum[2], sum[3], sum[4]) end
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
  call('DEL', USES_ENDED)
  for _, incarnation in ipairs(call('ZRANGE', LEASES, 0, -1)) do call('DEL', counted_key(incarnation)) end
  counted = {}
  each_use(function(owner, text)
    local use = use_in(text, owner)
    use.memory, use.millicores, use.resources = 0, 0, nil
    note_use(owner, use)
  end)
end

-- By what uses are divided, where that has changed.
local function set_units(owner, text)
  local use, unit_of = use_in(text, owner), nil
  use.memory_unit, use.millicores_unit, unit_of = units_of(owner)
  for name, of in pairs(use.resources or {}) do of.unit = unit_of(name) end
  note_use(owner, use)
end

-- Each entry of a hash once.
local function each_entry(key, visit)
  local seen, cursor = {}, '0'
  repeat
    local page = call('HSCAN', key, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if not seen[page[2][i]] then visit(page[2][i + 1]) end
      seen[page[2][i]] = true
    end
  until cursor == '0'
end

-- What the nodes have together of resources: ` gpu:8000 licence:4000`.
local function resources_of_fleet()
  local totals, names, text = {}, {}, ''
  each_entry(RESOURCES, function(of_node)
    for name, kind, count in string.gmatch(of_node, '([%l%d_]+):(d?)(%d+)') do
      if not totals[name] then names[#names + 1] = name end
      totals[name] = (totals[name] or 0) + count * (kind == 'd' and 1000 or 1)
    end
  end)
  table.sort(names)
  for _, name in ipairs(names) do text = text .. string.format(' %s:%.0f', name, totals[name]) end
  return text
end

-- What the nodes have together.
local function measure_fleet()
  local memory, millicores = 0, 0
  each_entry(NODES, function(of_node)
    local of_memory, cores = string.match(of_node, '^(%d+) (%d+) ')
    if of_memory then memory, millicores = memory + of_memory, millicores + cores end
  end)
  local text = string.format('%.0f %.0f%s', memory, millicores, resources_of_fleet())
  if call('GET', FLEET) == text then return end
  call('SET', FLEET, text)
  each_use(set_units)
end

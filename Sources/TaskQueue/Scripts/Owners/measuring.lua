-- An owner's share of the fleet.

-- An owner's place in the line. By share: the largest of those of memory, of cores and of each resource that jobs may ask for. Of two with
-- the same, who was given something longer ago is first, and so it is, exactly, of those for whom nothing runs: else one whose tasks are
-- short would be first for ever. In whole numbers, which are written and read faster: millionths of the fleet, and then milliseconds, which
-- begin anew after six days. Below 0.004 and from 4.2 on steps are a part of the share instead, so that also shares of a millionth or of many
-- fleets, which small and large weights make of what runs, are told apart: 128 and 131,072 for each doubling.
local function place_of(use)
  if use.millicores == 0 then return use.last - IDLE_OWNERS end
  local share = math.max(use.memory / use.memory_unit, use.millicores / use.millicores_unit)
  for _, of in pairs(use.resources or {}) do
    if of.unit > 0 then share = math.max(share, of.amount / of.unit) end
  end
  local steps = share * 1000000
  local part, power = math.frexp(steps)
  local doublings = power + 2 * part - 2
  if steps < 4096 then steps = 128 * (doublings + 20) elseif steps >= 4194304 then steps = 131072 * (doublings + 10) end
  steps = math.max(0, math.min(math.floor(steps), 8388607))
  return steps * 536870912 + math.floor(use.last / 1024) % 536870912
end

-- A share of 2 makes what somebody uses count half. Of a fleet of which nothing is known a core goes with 4 GiB; and of a resource that no
-- node is known to have, 0: it does not count. The third is a function of a resource's name.
local function units_of(owner)
  local name = owner ~= '' and owner or call('GET', OWNER) or ''
  local weight = tonumber(call('HGET', SHARES, name) or 1) or 1
  if not (weight > 0 and weight < math.huge) then weight = 1 end
  local memory, millicores, resources = string.match(call('GET', FLEET) or '', '^(%d+) (%d+)(.*)$')
  local function unit(total, otherwise)
    total = tonumber(total or 0)
    return math.max(1, math.floor((total > 0 and total or otherwise) * weight))
  end
  local function unit_of(resource)
    local total = tonumber(string.match(resources or '', ' ' .. resource .. ':(%d+)') or 0)
    return total > 0 and unit(total) or 0
  end
  return unit(memory, 4294967296), unit(millicores, 1000), unit_of
end

-- What is behind the fifth number: ` gpu:3000/8000 licence:500/4000`, so much of a resource and by what that is divided. Most have none of
-- any, and nothing stands there; so it did for all before resources counted.
local function resources_in(text)
  local resources = {}
  for name, amount, unit in string.gmatch(text, ' ([%l%d_]+):(%d+)/(%d+)') do
    resources[name] = {amount = tonumber(amount), unit = tonumber(unit)}
  end
  return resources
end

-- The token of the last that was given is that of their turn.
local function use_in(text, owner)
  local memory, millicores, memory_unit, millicores_unit, last, resources =
    string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)(.*)$')
  local use = {memory = tonumber(memory or 0), millicores = tonumber(millicores or 0), last = tonumber(last or 0)}
  use.memory_unit, use.millicores_unit = tonumber(memory_unit), tonumber(millicores_unit)
  if not memory then
    use.memory_unit, use.millicores_unit = units_of(owner)
  elseif resources ~= '' then
    use.resources = resources_in(resources)
  end
  return use
end

local function text_of_use(use)
  -- Not by %d, which makes of what is beyond its range a number that none is.
  local text = string.format('%.0f %.0f %.0f %.0f %.0f', use.memory, use.millicores, use.memory_unit, use.millicores_unit, use.last)
  if not use.resources then return text end
  local names = {}
  for name in pairs(use.resources) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    text = text .. string.format(' %s:%.0f/%.0f', name, use.resources[name].amount, use.resources[name].unit)
  end
  return text
end

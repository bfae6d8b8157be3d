-- An owner's share of the fleet.

-- One that asks for no cores takes a slot of its node, which is as much as a core.
local function cores_of(millicores)
  millicores = tonumber(millicores)
  return millicores > 0 and millicores or SLOT_MILLICORES
end

-- The larger of the shares of memory and of cores, in whole numbers, which are written and read faster. What else nodes may have some day
-- is to be a third.
local function share_of(use)
  return math.floor(math.max(use.memory / use.memory_unit, use.millicores / use.millicores_unit) * SHARE_UNIT)
end

-- A share of 2 makes what somebody uses count half. Of a fleet of which nothing is known a core goes with 4 GiB.
local function units_of(owner)
  local name = owner ~= '' and owner or call('GET', OWNER) or ''
  local weight = tonumber(call('HGET', SHARES, name) or 1) or 1
  local memory, millicores = string.match(call('GET', FLEET) or '', '^(%d+) (%d+)$')
  local function unit(total, otherwise)
    total = tonumber(total or 0)
    return math.max(1, math.floor((total > 0 and total or otherwise) * weight))
  end
  return unit(memory, 4294967296), unit(millicores, 1000)
end

local function use_in(text, owner)
  local memory, millicores, memory_unit, millicores_unit = string.match(text or '', '^(%d+) (%d+) (%d+) (%d+)$')
  local use = {memory = tonumber(memory or 0), millicores = tonumber(millicores or 0)}
  use.memory_unit, use.millicores_unit = tonumber(memory_unit), tonumber(millicores_unit)
  if not memory then use.memory_unit, use.millicores_unit = units_of(owner) end
  return use
end

local function text_of_use(use)
  return string.format('%d %d %d %d', use.memory, use.millicores, use.memory_unit, use.millicores_unit)
end

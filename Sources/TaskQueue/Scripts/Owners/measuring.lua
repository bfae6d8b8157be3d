-- An owner's share of the fleet.

-- An owner's place in the line. By share: the larger of those of memory and of cores; what else nodes may have some day is to be a third.
-- Of two with the same, who was given something longer ago is first, and so it is, exactly, of those for whom nothing runs: else one
-- whose tasks are short would be first for ever. In whole numbers, which are written and read faster: millionths of the fleet, and then
-- milliseconds, which begin anew after six days.
local function place_of(use)
  if use.millicores == 0 then return use.last - IDLE_OWNERS end
  local share = math.max(use.memory / use.memory_unit, use.millicores / use.millicores_unit)
  return math.min(math.floor(share * 1000000), 8388607) * 536870912 + math.floor(use.last / 1024) % 536870912
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

-- The token of the last that was given is that of their turn.
local function use_in(text, owner)
  local memory, millicores, memory_unit, millicores_unit, last =
    string.match(text or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  local use = {memory = tonumber(memory or 0), millicores = tonumber(millicores or 0), last = tonumber(last or 0)}
  use.memory_unit, use.millicores_unit = tonumber(memory_unit), tonumber(millicores_unit)
  if not memory then use.memory_unit, use.millicores_unit = units_of(owner) end
  return use
end

local function text_of_use(use)
  return string.format('%d %d %d %d %d', use.memory, use.millicores, use.memory_unit, use.millicores_unit, use.last)
end

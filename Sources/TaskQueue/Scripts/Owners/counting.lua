-- Which nodes are counted, and what they hold no more: see owning.lua.

-- uses later noting

local counted = {}
local function is_counted(incarnation)
  if counted[incarnation] == nil then counted[incarnation] = call('EXISTS', counted_key(incarnation)) == 1 end
  return counted[incarnation]
end

-- A line of the present job is not held by this node any more; what was noted of it says what it had.
local function count_out(incarnation, entry)
  local memory, millicores = string.match(entry or '', '^%d+ (%d+) (%d+) ')
  if memory and is_counted(incarnation) then note_ended(memory, millicores) end
end

local function stop_counting(incarnation)
  if call('DEL', counted_key(incarnation)) == 1 then counted[incarnation] = false end
end

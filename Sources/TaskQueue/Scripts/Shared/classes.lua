-- What the name of a class says.

local function class_of(class, head)
  local of, memory, millicores, exclusion = string.match(class, '^@(%w+) (%d+):(%d+):(.*)$')
  if not of then memory, millicores, exclusion = string.match(class, '^(%d+):(%d+):(.*)$') end
  -- One that is not of our making fits nowhere.
  return {
    name = class, job = of or '', head = tonumber(head), exclusion = exclusion or '', memory = tonumber(memory) or math.huge,
    millicores = tonumber(millicores) or 0, memory_text = memory, millicores_text = millicores,
  }
end

-- Who holds a line that is in progress.

-- uses names

local incarnations
local function holder_of(line)
  local name = call('HGET', DOING, line)
  if not name then return nil end
  if not incarnations then
    incarnations = {}
    for _, incarnation in ipairs(call('ZRANGE', LEASES, 0, -1)) do
      local of_name = incarnations[node_name(incarnation)] or {}
      of_name[#of_name + 1] = incarnation
      incarnations[node_name(incarnation)] = of_name
    end
  end
  for _, incarnation in ipairs(incarnations[name] or {}) do
    local entry = call('HGET', held_key(incarnation), line)
    if entry then return incarnation, entry end
  end
end

-- What runs for an owner becomes less. As measuring.lua would do it, but each report of a fleet of several owners does this.

-- uses later yielding

-- By what a task of the present job had.
local function lessen_use(owner, memory, millicores)
  local had_memory, had_millicores, memory_unit, millicores_unit, last, resources =
    string.match(call('HGET', USES, owner) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)(.*)$')
  if not had_memory then return end
  memory = math.max(0, had_memory - memory)
  millicores = math.max(0, had_millicores - (millicores + 0 > 0 and millicores or SLOT_MILLICORES))
  local share = 0
  if resources ~= '' then resources, share = yield_resources(resources, millicores) end
  call('HSET', USES, owner,
    string.format('%d %d %s %s %s%s', memory, millicores, memory_unit, millicores_unit, last, resources))
  local place = last - IDLE_OWNERS
  if millicores > 0 then
    share = math.max(share, memory / memory_unit, millicores / millicores_unit)
    place = math.min(math.floor(share * 1000000), 8388607) * 536870912 + math.floor(last / 1024) % 536870912
  end
  call('ZADD', OWNERS, 'XX', string.format('%d', place), owner)
end

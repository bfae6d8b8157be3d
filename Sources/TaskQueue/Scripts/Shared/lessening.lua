-- What runs for an owner becomes less.

local function lessen_use(owner, memory, millicores)
  local had_memory, had_millicores, memory_unit, millicores_unit =
    string.match(call('HGET', USES, owner) or '', '^(%d+) (%d+) (%d+) (%d+)$')
  if not had_memory then return end
  memory = math.max(0, had_memory - memory)
  millicores = math.max(0, had_millicores - (millicores + 0 > 0 and millicores or SLOT_MILLICORES))
  if millicores > 0 then
    call('HSET', USES, owner, string.format('%d %d %s %s', memory, millicores, memory_unit, millicores_unit))
  else
    call('HDEL', USES, owner)
  end
  local share = math.floor(math.max(memory / memory_unit, millicores / millicores_unit) * SHARE_UNIT)
  call('ZADD', OWNERS, 'XX', string.format('%d', share), owner)
end

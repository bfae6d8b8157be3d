#!lua flags=no-writes
-- Writes nothing.

-- uses names clock

local now, first, rows = milliseconds(), tonumber(ARGV[2]), {}
local leases = call('ZRANGE', LEASES, first, first + NODES_PAGE - 1, 'WITHSCORES')
for i = 1, #leases, 2 do
  local me = leases[i]
  local memory, millicores, version = string.match(call('HGET', NODES, me) or '', '^(%d+) (%d+) (.*)$')
  rows[#rows + 1] = {me, math.floor(tonumber(leases[i + 1]) - now), call('HLEN', held_key(me)),
    memory or '0', millicores or '0', version or '', call('SISMEMBER', DRAINED, node_name(me))}
end
return rows

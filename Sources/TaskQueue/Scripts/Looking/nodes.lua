#!lua flags=no-writes
-- Writes nothing. A lease is told to be over when nobody has observed the clock since either: where no node is alive, the queue's time
-- stands still.

-- uses names clock

local now, first, rows = server_milliseconds(), tonumber(ARGV[2]), {}
read_clock()
if server then now = queue + math.max(0, now - server) end
local leases = call('ZRANGE', LEASES, first, first + NODES_PAGE - 1, 'WITHSCORES')
for i = 1, #leases, 2 do
  local me = leases[i]
  local memory, millicores, version, address = string.match(call('HGET', NODES, me) or '', '^(%d+) (%d+) (%S*) ?(%S*)$')
  local ends, class = string.match(call('HGET', RESERVED, me) or '', '^(%d+) %d+ %d+ %d+ %d+ (.+)$')
  if ends and ends ~= '0' then ends = string.format('%.0f', math.max(1, ends - now)) end
  rows[#rows + 1] = {me, math.floor(tonumber(leases[i + 1]) - now), call('HLEN', held_key(me)),
    memory or '0', millicores or '0', version or '', call('SISMEMBER', DRAINED, node_name(me)),
    call('HGET', TROUBLES, me) or '', address or '', call('HGET', LABELS, me) or '', call('HGET', RESOURCES, me) or '',
    class or '', ends or '0', call('HGET', DEVICE_USE, me) or ''}
end
return rows

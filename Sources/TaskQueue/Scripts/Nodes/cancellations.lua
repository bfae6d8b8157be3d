#!lua flags=allow-oom
-- Cancellations are told until the attempt is over. What was taken away is told once: should that answer be lost, the
-- node finds out when it compares what it runs with what it holds.

-- uses some

local me, lines = ARGV[2], {}
local rows = some_of(cancel_key(me), 100)
for i = 1, #rows, 2 do
  local entry = call('HGET', held_key(me), rows[i]) or ''
  if string.match(entry, '^%d+') == rows[i + 1] then
    lines[#lines + 1] = rows[i]
  else
    call('HDEL', cancel_key(me), rows[i])
  end
end
rows = some_of(revoked_key(me), 100)
for i = 1, #rows, 2 do
  lines[#lines + 1] = rows[i]
  call('HDEL', revoked_key(me), rows[i])
end
return lines

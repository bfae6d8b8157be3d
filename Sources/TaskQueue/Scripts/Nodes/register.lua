#!lua flags=allow-oom
-- Idempotent: registering again renews the lease. Stopped half-way: earlier lives of the node are reaped further by the
-- next try or by any heartbeat.

-- uses names clock index lease reaping

local me, duration, now = ARGV[2], tonumber(ARGV[3]), milliseconds()
local name, machine = string.match(me, '^([^/]*)/([^/]*)/')
for _, other in ipairs(call('ZRANGE', LEASES, 0, -1)) do
  local other_name, other_machine = string.match(other, '^([^/]*)/([^/]*)/')
  if other_name == name and other ~= me then
    if other_machine ~= machine and is_live(other, now) then return redis.error_reply('NAMETAKEN ' .. name) end
    -- Names differ in their lives alone, of equal length: the later one compares as greater.
    if other_machine == machine and is_live(other, now) and other > me then
      return redis.error_reply('OUTDATED a later life of this node has registered')
    end
    if other_machine == machine then reap(other, 1000) end
  end
end
describe(me, ARGV[5], ARGV[6], ARGV[7])
call('ZADD', LEASES, now + duration, me)
call('HSET', STATUS, name, ARGV[4])
return 'OK'

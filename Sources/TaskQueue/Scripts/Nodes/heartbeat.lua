#!lua flags=allow-oom
-- Idempotent: each task is put back once. Stopped half-way: what was not put back yet is still held by the dead node.

-- uses names clock index lease reaping

-- Lines an old worker has dropped, seen missing before `until_then`. Old workers die one at a time: a hundred lines gone at
-- once were removed by somebody, and stay so.
local function recover_missing(until_then)
  local is_removal, count = call('ZCARD', MISSING) >= 100, 0
  for _, entry in ipairs(call('ZRANGEBYSCORE', MISSING, '-inf', until_then, 'LIMIT', 0, 100)) do
    local memory, millicores, s, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
    if line and not is_removal and call('HEXISTS', TODO, line) == 0 and call('HEXISTS', DOING, line) == 0
      and call('HEXISTS', DONE, line) == 0
      and (call('HEXISTS', FAILED, line) == 0 or call('SISMEMBER', RETRYING, line) == 1) then
      put_back(line, memory, millicores, s)
      count = count + 1
    end
    call('ZREM', MISSING, entry)
  end
  if count > 0 then wake() end
  return count
end

local me, now = ARGV[2], milliseconds()
if not renew(me, now, tonumber(ARGV[3])) then return FENCED end
call('HSET', STATUS, node_name(me), ARGV[4])
describe(me, ARGV[7], ARGV[8], ARGV[9])
promote_delayed(now)
local reaped, recovered = 0, 0
if ARGV[5] == '1' then
  for _, dead in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', '(' .. now, 'LIMIT', 0, 10)) do
    reaped = reaped + reap(dead, 200)
  end
  recovered = recover_missing(now - tonumber(ARGV[6]))
end
return {call('HEXISTS', TODO, CLOSE), reaped, recovered, call('EXISTS', PAUSED),
  call('EXISTS', cancel_key(me), revoked_key(me)) > 0 and 1 or 0,
  call('SISMEMBER', DRAINED, node_name(me))}

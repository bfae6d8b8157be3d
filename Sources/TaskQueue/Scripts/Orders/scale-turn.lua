#!lua flags=allow-oom
-- Idempotent. Whose turn it is to make the fleet larger and smaller: whoever asked first has it, for so long as he says each time; none is
-- how he gives it up. Answers who else has it and for how long still, in milliseconds; nobody and 0 where it is the caller's.

-- uses clock

local me, duration = ARGV[2], tonumber(ARGV[3])
local now = server_milliseconds()
local holder, ends = string.match(call('HGET', SCALING, 'turn') or '', '^(%S+) (%d+)$')
local left = holder and holder ~= me and holder ~= ARGV[4] and tonumber(ends) - now or 0
-- One that ends later than anybody can say was given by a clock that has been set back since.
if left > 0 and left <= SCALE_TURN_MAX then return {holder, left} end
if duration > 0 then
  call('HSET', SCALING, 'turn', me .. ' ' .. string.format('%.0f', now + duration))
elseif holder == me then
  call('HDEL', SCALING, 'turn')
end
return {'', 0}

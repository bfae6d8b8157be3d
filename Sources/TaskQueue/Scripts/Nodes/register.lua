#!lua flags=allow-oom
-- Idempotent: registering again renews the lease. Stopped half-way: earlier lives of the node are reaped further by the
-- next try or by any heartbeat. Where the node says that it still runs something, its earlier lives keep what they hold until it has
-- said what, see restore: others would be given it meanwhile.

-- uses names clock index lease reaping
-- uses later telling

local me, duration = ARGV[2], tonumber(ARGV[3])
for _, key in ipairs({TODO, DOING, DONE, FAILED, REASON, STATUS}) do
  local kind = call('TYPE', key).ok
  if kind ~= 'hash' and kind ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. key .. ' is a ' .. kind .. ', not a hash: rename or delete it')
  end
end

local now = observe(duration)
-- The lives that this node knows to have been its own. A registration that was long on its way does not know of those that came
-- after it, so it ends none of them.
local own = {}
for i = 16, #ARGV do own[ARGV[i]] = true end
local runs_something = ARGV[15] == '1'

local function address_of(incarnation)
  return string.match(call('HGET', NODES, incarnation) or '', '^%d+ %d+ %S* (%S+)$') or '-'
end

-- In the time of quiet after a silence nobody is known to be dead.
local function remaining(incarnation)
  local expiry = expiry_of(incarnation)
  return expiry and math.ceil(math.max(expiry, quiet) - now) or 0
end

local name, machine = string.match(me, '^([^/]*)/([^/]*)/')
local over = {}
for _, other in ipairs(call('ZRANGE', LEASES, 0, -1)) do
  local other_name, other_machine = string.match(other, '^([^/]*)/([^/]*)/')
  if other_name == name and other ~= me then
    local left = remaining(other)
    if other_machine ~= machine then
      if left > 0 then
        return redis.error_reply('NAMETAKEN ' .. name .. ' ' .. address_of(other) .. ' ' .. left)
      end
    elseif left > 0 and not own[other] then
      return redis.error_reply('TWIN ' .. address_of(other) .. ' ' .. left)
    elseif not (runs_something and own[other]) then
      over[#over + 1] = other
    end
  end
end

for _, other in ipairs(over) do reap(other, LINES_MAX) end
if call('EXISTS', TELLING) == 1 then tell_some() end
local identity = named_queue(ARGV[5])
pass_lost_tokens(ARGV[14], ARGV[5])
describe(me, 6)
call('ZADD', LEASES, now + duration, me)
call('HSET', STATUS, name, ARGV[4])
-- Whoever had it started is to know that it came, however short it stays.
if call('HEXISTS', SCALING, 'node ' .. name) == 1 then call('HSET', SCALING, 'came ' .. name, '1') end
return {'OK', silence, identity}

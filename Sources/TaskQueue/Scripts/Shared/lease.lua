-- What the requests of a node begin with.

local FENCED = redis.error_reply('FENCED the lease is over')

local function is_live(incarnation, now)
  local expiry = call('ZSCORE', LEASES, incarnation)
  return expiry and tonumber(expiry) >= now
end

-- A lease that is merely over can still be renewed: Redis was away, perhaps for everybody, and what runs need not be
-- thrown away. One whose tasks are being given to others (0), or have been, cannot.
local function renew(incarnation, now, duration)
  local expiry = call('ZSCORE', LEASES, incarnation)
  if not expiry or tonumber(expiry) == 0 then return false end
  call('ZADD', LEASES, 'XX', now + duration, incarnation)
  return true
end

local function describe(incarnation, memory, millicores, version)
  call('HSET', NODES, incarnation, memory .. ' ' .. millicores .. ' ' .. version)
  call('ZADD', SIZES, memory, incarnation)
end

-- What the requests of a node begin with.

-- uses waking

-- The queue's own name, by which nodes tell it from one that was put in its place; nil where it has none.
local function queue_identity()
  local identity = call('HGET', QUEUE, 'id')
  if identity and #identity == IDENTITY_DIGITS and not string.find(identity, '[^0-9a-f]') then return identity end
end

-- The same, or else `candidate` from now on.
local function named_queue(candidate)
  local identity = queue_identity()
  if not identity then call('HSET', QUEUE, 'id', candidate) end
  return identity or candidate
end

-- A server that is another process than the last one we heard of may have lost the last seconds, and its clock may be behind: the next
-- tokens are beyond all that were given in them, and by how far is chance, should this be lost as well. Where nodes never agree on
-- which process it is, it ends in time: a double holds tokens exactly up to nine times as much.
local function pass_lost_tokens(server_run, chance)
  if server_run == '' or call('HGET', QUEUE, 'run') == server_run then return end
  local t = call('TIME')
  local time = t[1] * 1000000 + t[2]
  local last = math.max(tonumber(call('GET', TOKENS) or 0), time)
  if last < time + 1e15 then
    call('SET', TOKENS, string.format('%.0f', last + TOKENS_LOST_MAX + tonumber(string.sub(chance, -8), 16)))
  end
  call('HSET', QUEUE, 'run', server_run)
end

local function fenced() return redis.error_reply('FENCED ' .. (queue_identity() or '-') .. ' the lease is over') end

-- A lease that is merely over can still be renewed: Redis was away, perhaps for everybody, and what runs need not be
-- thrown away. One whose tasks are being given to others (0), or have been, cannot.
local function expiry_of(incarnation)
  local expiry = tonumber(call('ZSCORE', LEASES, incarnation) or 0)
  return expiry > 0 and expiry or nil
end

local function renew(incarnation, now, duration)
  if not expiry_of(incarnation) then return false end
  call('ZADD', LEASES, 'XX', now + duration, incarnation)
  return true
end

-- What a node says of itself stands in ARGV: memory, millicores, version, address, trouble, labels, resources, use of devices.
local function describe(incarnation, at)
  call('HSET', NODES, incarnation, table.concat(ARGV, ' ', at, at + 3))
  call('ZADD', SIZES, ARGV[at], incarnation)
  if ARGV[at + 4] == '' then
    call('HDEL', TROUBLES, incarnation)
  else
    call('HSET', TROUBLES, incarnation, ARGV[at + 4])
  end
  local is_other = false
  for i, key in ipairs({LABELS, RESOURCES}) do
    local text = ARGV[at + 4 + i]
    if text ~= (call('HGET', key, incarnation) or '') then
      if text == '' then call('HDEL', key, incarnation) else call('HSET', key, incarnation, text) end
      is_other = true
    end
  end
  if is_other then wake() end  -- It may be what a job waits for.
  if ARGV[at + 7] == '' then
    call('HDEL', DEVICE_USE, incarnation)
  else
    call('HSET', DEVICE_USE, incarnation, ARGV[at + 7])
  end
end

-- Putting back what a node held that is gone.

-- uses names index ending some leaving copies
-- uses later tallying

-- What becomes of one task of a node that is gone. Unless it left in order (`unmarked`), the attempt counts, and a line
-- that has taken three nodes with it stays failed.
local function put_back_held(incarnation, line, entry, unmarked)
  use_job_of(line)
  local memory, millicores, s, attempt = string.match(entry, '^%d+ (%d+) (%d+) (%d+) (%d+)$')
  local name = node_name(incarnation)
  local owner, copier = call('HGET', DOING, line), copier_of(line)
  if copier == incarnation then return forget_copy(line) end
  if not memory or owner and owner ~= name or call('HEXISTS', DONE, line) == 1 then return end
  -- Taken from the node by hand, and failed for good elsewhere.
  if not owner and (has_failed_for_good(line) or has_left()) then return end
  if copier and call('HEXISTS', cancel_key(incarnation), line) == 0 then
    -- Of two copies one is left, and nothing is lost.
    call('HSET', DOING, line, node_name(copier))
    return forget_copy(line)
  end
  drop_copy(line)
  local lost = 0
  if not unmarked then
    call('HSET', ATTEMPTS, line, attempt)
    lost = call('HINCRBY', LOST, line, 1)
  end
  if call('HEXISTS', cancel_key(incarnation), line) == 1 then
    unindex(line, memory, millicores)
    fail_for_good(line, '0', 'cancelled', cancelled_record(name, attempt))
  elseif lost >= NODES_LOST_MAX then
    unindex(line, memory, millicores)
    call('HSET', FAILED, line, (call('HGET', FAILED, line) or '') .. name .. ',')
    fail_for_good(line, '0', 'poison: node lost 3 times', '{"state":"failed","cause":"node-lost","worker":' ..
      cjson.encode(name) .. ',"attempts":' .. attempt .. ',"reason":"poison: node lost 3 times"}')
  else
    put_back(line, memory, millicores, s)
    tally(unmarked and 'returned' or 'again:node-lost')
  end
  call('HDEL', DOING, line)
end

local function forget_incarnation(incarnation)
  call('HDEL', NODES, incarnation)
  call('HDEL', TROUBLES, incarnation)
  call('HDEL', LABELS, incarnation)
  call('HDEL', TIMEOUTS, incarnation)
  call('HDEL', RESERVED, incarnation)
  call('HDEL', RESOURCES, incarnation)
  call('HDEL', DEVICE_USE, incarnation)
  call('HDEL', COPIED, incarnation)
  call('ZREM', SIZES, incarnation)
  call('DEL', cancel_key(incarnation), revoked_key(incarnation))
  call('ZREM', LEASES, incarnation)
  stop_counting(incarnation)
  local name, live = node_name(incarnation), false
  for _, other in ipairs(call('ZRANGE', LEASES, 0, -1)) do live = live or node_name(other) == name end
  if not live then call('HDEL', STATUS, name) end
end

-- Ends an incarnation, which can renew its lease no more, and puts back up to about `limit` of its tasks; it is
-- forgotten with the last.
local function reap(incarnation, limit, unmarked)
  call('ZADD', LEASES, 'XX', 0, incarnation)
  local held, count = held_key(incarnation), 0
  local rows = some_of(held, limit)
  for i = 1, #rows, 2 do
    put_back_held(incarnation, rows[i], rows[i + 1], unmarked)
    call('HDEL', held, rows[i])
    count_out(incarnation, rows[i + 1])
    count = count + 1
  end
  use_job('')
  if call('EXISTS', held) == 0 then forget_incarnation(incarnation) end
  if count > 0 then wake() end
  return count
end

#!lua flags=no-writes
-- Writes nothing.

-- How many of failed_tasks have not failed for good: they are to be tried again, or an old worker has finished them. Exact where they
-- are not too many to look at; of more it is known when heartbeats have settled them.
local function not_for_good()
  local count = call('SCARD', RETRYING)
  if count == 0 or count > RETRIES_COUNTED_MAX then return count end
  local lines = call('SMEMBERS', RETRYING)
  local failed, failed_on = call('HMGET', FAILED, unpack(lines)), call('HMGET', FAILED_ON, unpack(lines))
  local todo, doing = call('HMGET', TODO, unpack(lines)), call('HMGET', DOING, unpack(lines))
  count = 0
  for i, line in ipairs(lines) do
    if failed[i] and (todo[i] or doing[i] or failed[i] == failed_on[i] or call('HEXISTS', DONE, line) == 1) then
      count = count + 1
    end
  end
  return count
end

local closing = call('HEXISTS', TODO, CLOSE)
return {call('HLEN', TODO) - closing, call('HLEN', DOING), call('HLEN', DONE),
  math.max(0, call('HLEN', FAILED) - not_for_good()), call('HLEN', STATUS), closing,
  call('EXISTS', PAUSED), call('ZCARD', DELAYED), call('HGET', QUEUE, 'id') or '', call('HGET', QUEUE, 'restored') or 0}

-- Lines that failed here and are to be tried again, RETRYING, where old workers may have them too: what became of such a try an old
-- worker says in the six hashes alone. FAILED_ON holds what FAILED said when our scripts last saw to the line, so that a further
-- failure can be told from a line that is just between two hashes, or was dropped between them.

local function keep_retrying(line, failed_on)
  call('SADD', RETRYING, line)
  call('HSET', FAILED_ON, line, failed_on)
end

local function stop_retrying(line)
  if call('SREM', RETRYING, line) == 1 then call('HDEL', FAILED_ON, line) end
end

-- What has become of a member of RETRYING.
local function retry_state(line)
  if call('HEXISTS', TODO, line) == 1 or call('HEXISTS', DOING, line) == 1 then return 'waiting' end
  if call('HEXISTS', DONE, line) == 1 then return 'finished' end
  local failed_on = call('HGET', FAILED, line)
  if not failed_on then return 'forgotten' end
  return failed_on == call('HGET', FAILED_ON, line) and 'waiting' or 'failed'
end

local function has_failed_for_good(line)
  if call('HEXISTS', FAILED, line) == 0 then return false end
  if call('SISMEMBER', RETRYING, line) == 1 then return retry_state(line) == 'failed' end
  return call('HEXISTS', TODO, line) == 0 and call('HEXISTS', DOING, line) == 0 and call('HEXISTS', DONE, line) == 0
end

-- Draws the line under a try that has ended elsewhere.
local function settle(line)
  if call('SISMEMBER', RETRYING, line) == 0 then return end
  local state = retry_state(line)
  if state == 'waiting' then return end
  if state == 'finished' then
    call('HDEL', REASON, line)
    call('HDEL', FAILED, line)
  end
  call('HDEL', ATTEMPTS, line)
  call('HDEL', LOST, line)
  stop_retrying(line)
end

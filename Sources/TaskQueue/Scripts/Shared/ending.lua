-- The last ending of a line, for every script that can bring it about.

-- uses retries noticing
-- uses later accounting

local function cancelled_record(worker, attempt)
  return '{"state":"failed","cause":"cancelled","worker":' .. cjson.encode(worker) .. ',"attempts":' .. attempt ..
    ',"reason":"cancelled"}'
end

-- The token is '0' for an ending nobody reported: a report that still comes is stale, not a repetition of this.
-- What it asked for and when it was begun is known of what was reported.
local function fail_for_good(line, token, reason, record, asked, delay)
  notice(line)
  call('HSET', REASON, line, reason)
  call('HSET', OUTCOMES, line, token .. ' ' .. record)
  call('HSETNX', FAILED, line, '')
  stop_retrying(line)
  for _, key in ipairs({ATTEMPTS, LOST, REQUEUES}) do call('HDEL', key, line) end
  call('HDEL', TODO, line)
  tally_ending('failed', record, asked, delay)
end

-- Jobs that are to be given out no more once so many of their tasks have failed. JOBS_HALTED says of each that has come to that what
-- becomes of what runs: `soon`, it may end; `now`, it is taken away. It is paused as if by hand.

-- uses taking some

-- Of the present job, which has to be halted now; as many as one script may, and heartbeats see to the rest.
local function take_away_some(limit)
  for i, line in ipairs(some_of(DOING, limit)) do
    if i % 2 == 1 then take_away(line, '0', '0', band_of(0)) end
  end
  tell_holders()
end

-- JOB_HALTS says how many tasks of a job have failed for good since it was let go on last; what was cancelled is none of them.
local function halt_if_due(count)
  -- In the settings, which are the second line: in the third a variable of the tasks may have this name.
  local rule = string.match(call('HGET', JOBS, job) or '', '^[^\n]*\n[^\n]-"halt":"(%a+,fail=[%d.]+%%?)"')
  if not rule or call('HEXISTS', JOBS_HALTED, job) == 1 then return end
  local manner, number, percent = string.match(rule, '^(%a+),fail=([%d.]+)(%%?)$')
  local bound = tonumber(number) or math.huge
  if percent == '%' then
    bound = bound / 100 * (call('HLEN', TODO) + call('HLEN', DOING) + call('HLEN', DONE) + call('HLEN', FAILED)
      - call('SCARD', RETRYING))
  end
  if count == 0 or count < bound then return end
  call('SADD', JOBS_PAUSED, job)
  call('HSET', JOBS_HALTED, job, manner)
  if manner == 'now' then take_away_some(1000) end
end

-- Somebody lets it go on.
local function lift_halt()
  call('HDEL', JOB_HALTS, job)
  if call('HDEL', JOBS_HALTED, job) == 0 then return false end
  call('SREM', JOBS_PAUSED, job)
  return true
end

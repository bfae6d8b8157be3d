-- How many tasks of a job, or of none, are in which state.

-- uses times

-- How many of failed_tasks have not failed for good: they are to be tried again, or an old worker has finished them. Exact where they
-- are not too many to look at; of more it is known when heartbeats have settled them.
local function not_for_good()
  local count = call('SCARD', RETRYING)
  -- No old worker has to do with jobs.
  if job ~= '' or count == 0 or count > RETRIES_COUNTED_MAX then return count end
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

local has_left, has_times = call('EXISTS', JOBS_LEFT) == 1, call('EXISTS', JOB_TIMES) == 1

-- In todo, in progress, finished, failed for good; of those in todo how many wait for others, and for a time that their job waits for, and
-- when that is.
local function states_of(name)
  use_job(name)
  local dependent, timed, at = 0, 0, name ~= '' and has_times and begins_at(name) or 0
  -- Of a job that waits for others all that is to be done does; else tasks that wait for others are known by their number.
  if at > 0 then
    timed = call('HLEN', TODO)
  elseif name ~= '' then
    dependent = call('HEXISTS', JOBS_GATED, name) == 1 and call('HLEN', TODO) or call('SCARD', job_key(name .. DEPENDENT))
  end
  local todo, done, failed = call('HLEN', TODO), call('HLEN', DONE), math.max(0, call('HLEN', FAILED) - not_for_good())
  -- Those whose records have left.
  local finished, failed_before = string.match(has_left and call('HGET', JOBS_LEFT, name) or '', '^(%d+) (%d+) ')
  if finished then done, failed = done + finished, failed + failed_before end
  if name == '' then todo = todo - call('HEXISTS', TODO, CLOSE) end
  return todo, call('HLEN', DOING), done, failed, dependent, timed, at
end

#!lua flags=no-writes
-- Writes nothing. Of one job, of what is of none (''), or of all together ('*').

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

local closing, delayed = call('HEXISTS', TODO, CLOSE), call('ZCARD', DELAYED)
local todo, doing, done, failed, dependent, timed, first = 0, 0, 0, 0, 0, 0, 0
local has_left, has_times = call('EXISTS', JOBS_LEFT) == 1, call('EXISTS', JOB_TIMES) == 1
local function add(name)
  use_job(name)
  -- Of a job that waits for others all that is to be done does; else tasks that wait for others are known by their number.
  if name ~= '' then
    local at = has_times and begins_at(name) or 0
    if at > 0 then
      timed = timed + call('HLEN', TODO)
      first = first > 0 and math.min(first, at) or at
    else
      dependent = dependent + (call('HEXISTS', JOBS_GATED, name) == 1 and call('HLEN', TODO) or call('SCARD', job_key(name .. DEPENDENT)))
    end
  end
  -- Those whose records have left.
  local finished, failed_before = string.match(has_left and call('HGET', JOBS_LEFT, name) or '', '^(%d+) (%d+) ')
  if finished then done, failed = done + finished, failed + failed_before end
  todo, doing, done = todo + call('HLEN', TODO), doing + call('HLEN', DOING), done + call('HLEN', DONE)
  failed = failed + math.max(0, call('HLEN', FAILED) - not_for_good())
  if name == '' then todo = todo - closing end
end
if ARGV[2] == '*' then
  add('')
  delayed = delayed + call('ZCARD', JOBS_DELAYED)
  local seen, cursor = {}, '0'
  repeat
    local page = call('HSCAN', JOBS, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if not seen[page[2][i]] then add(page[2][i]) end
      seen[page[2][i]] = true
    end
  until cursor == '0'
else
  add(ARGV[2])
end
return {todo, doing, done, failed, call('HLEN', STATUS), closing, call('EXISTS', PAUSED), delayed,
  call('HGET', QUEUE, 'id') or '', call('HGET', QUEUE, 'restored') or 0, dependent, timed, first}

#!lua flags=no-writes
-- Writes nothing. What a job waits for, and a task of it where one is named. The job's gate; of each job that it is to wait for
-- identifier, way, name, how many of its tasks wait, run, have finished and have failed, whether tasks are still added, and whether it is paused; then how many
-- tasks the one waits for, and of a few of them the line and where it is; how long the job has to wait at least, and until when that is by
-- Redis's clock.

-- uses telling

local id, line = ARGV[2], ARGV[3]
local jobs, tasks, count = {}, {}, 0
for of, way in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):(%a+)') do
  use_job(of)
  local is_known = call('HEXISTS', JOBS, of) == 1
  local finished, failed = string.match(call('HGET', JOBS_LEFT, of) or '0 0 0', '^(%d+) (%d+) ')
  for _, part in ipairs({of, way, is_known and name_of_job(of) or '', call('HLEN', TODO), call('HLEN', DOING),
    call('HLEN', DONE) + (finished or 0), call('HLEN', FAILED) + (failed or 0) - call('SCARD', RETRYING), call('HEXISTS', JOB_LOADS, of),
    call('SISMEMBER', JOBS_PAUSED, of)}) do jobs[#jobs + 1] = part end
end
local number = line ~= '' and call('HGET', job_key(id .. NUMBERS), line)
if number then
  local needs = job_key(id .. NEEDS)
  count = count_of(needs, number)
  local start = call('ZCOUNT', needs, '-inf', '(' .. number)
  for _, need in ipairs(call('ZRANGE', needs, start, start + math.min(count, 8) - 1)) do
    local of, other = string.match(need, '^%d+ (%w+) (%d+)$')
    local parent = of and call('HGET', job_key(of .. LINES), other)
    if parent then
      use_job(of)
      tasks[#tasks + 1] = parent
      tasks[#tasks + 1] = state_of(parent) == 'waits' and call('HEXISTS', DOING, parent) == 1 and 'runs' or state_of(parent)
    end
  end
end
return {call('HGET', JOBS_GATED, id) or '', jobs, count, tasks, time_left(id), begins_at(id)}

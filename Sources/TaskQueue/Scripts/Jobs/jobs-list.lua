#!lua flags=no-writes
-- Writes nothing. A page of the jobs: the next cursor, then of each its identifier, what is noted of it, whether it is paused (2: halted),
-- how many of its tasks wait, run, have finished, have failed, and are to be tried again; how many of those that wait do so for others,
-- and what the job as a whole waits for.

local page = call('HSCAN', JOBS, ARGV[2], 'COUNT', 250)
local rows = {page[1]}
for i = 1, #page[2], 2 do
  local name = page[2][i]
  use_job(name)
  local row = {name, page[2][i + 1], call('SISMEMBER', JOBS_PAUSED, name) + call('HEXISTS', JOBS_HALTED, name), call('HLEN', TODO), call('HLEN', DOING),
    call('HLEN', DONE), call('HLEN', FAILED), call('SCARD', RETRYING), call('SCARD', job_key(name .. DEPENDENT)),
    call('HGET', JOBS_GATED, name) or ''}
  for _, part in ipairs(row) do rows[#rows + 1] = part end
end
return rows

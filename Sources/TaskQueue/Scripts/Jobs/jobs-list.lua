#!lua flags=no-writes
-- Writes nothing. A page of the jobs: the next cursor, then of each its identifier, what is noted of it, whether it is paused (2: halted),
-- how many of its tasks wait, run, have finished, have failed, and are to be tried again, and when what was known of them left, 0 for never;
-- how many of those that wait do so for others, what the job as a whole waits for, and when by Redis's clock it may begin, 0 for at once.

-- uses times

local page = call('HSCAN', JOBS, ARGV[2], 'COUNT', 250)
local rows = {page[1]}
for i = 1, #page[2], 2 do
  local name = page[2][i]
  use_job(name)
  local finished, failed, at = string.match(call('HGET', JOBS_LEFT, name) or '0 0 0', '^(%d+) (%d+) (%d+)$')
  local row = {name, page[2][i + 1], call('SISMEMBER', JOBS_PAUSED, name) + call('HEXISTS', JOBS_HALTED, name), call('HLEN', TODO), call('HLEN', DOING),
    call('HLEN', DONE) + (finished or 0), call('HLEN', FAILED) + (failed or 0), call('SCARD', RETRYING), tonumber(at or 0),
    call('SCARD', job_key(name .. DEPENDENT)), call('HGET', JOBS_GATED, name) or '', begins_at(name)}
  for _, part in ipairs(row) do rows[#rows + 1] = part end
end
return rows

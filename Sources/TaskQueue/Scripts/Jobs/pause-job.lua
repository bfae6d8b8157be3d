#!lua flags=allow-oom
-- Idempotent: paused is paused.

-- uses halting

use_job(ARGV[2])
if call('HEXISTS', JOBS, job) == 0 then return 'unknown' end
if ARGV[3] == '1' then
  call('SADD', JOBS_PAUSED, job)
elseif lift_halt() or call('SREM', JOBS_PAUSED, job) == 1 then
  wake()
end
return 'changed'

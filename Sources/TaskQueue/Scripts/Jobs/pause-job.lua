#!lua flags=allow-oom
-- Idempotent: paused is paused.

if call('HEXISTS', JOBS, ARGV[2]) == 0 then return 'unknown' end
if ARGV[3] == '1' then
  call('SADD', JOBS_PAUSED, ARGV[2])
elseif call('SREM', JOBS_PAUSED, ARGV[2]) == 1 then
  call('PUBLISH', WAKE, 'todo')
end
return 'changed'

#!lua flags=allow-oom
-- Idempotent: what was cancelled no longer waits; a running task is noted once, until its attempt is over. Stopped
-- half-way: it still waits, and is cancelled again.

-- uses names index ending holders
-- uses later telling

local line = ARGV[2]
use_job_of(line)
if line ~= CLOSE and call('HEXISTS', TODO, line) == 1 then
  if ARGV[3] then
    call('ZREM', DELAYED, delayed_entry(line, ARGV[3], ARGV[4], band_of(tonumber(ARGV[5]))))
    unindex(line, ARGV[3], ARGV[4])
  end
  fail_for_good(line, '0', 'cancelled', cancelled_record('', call('HGET', ATTEMPTS, line) or '0'))
  tell_some()
  return 'cancelled'
end
local holder, entry = holder_of(line)
if not holder then return 'not found' end
call('HSET', cancel_key(holder), line, string.match(entry, '^%d+'))
call('PUBLISH', WAKE, 'cancel')
return 'stopping'

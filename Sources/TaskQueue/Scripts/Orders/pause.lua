#!lua flags=allow-oom
-- Idempotent: paused is paused.

if ARGV[2] == '1' then return call('SET', PAUSED, 1) end
if call('DEL', PAUSED) == 1 then call('PUBLISH', WAKE, 'todo') end
return redis.status_reply('OK')

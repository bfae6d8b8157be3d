#!lua flags=allow-oom
-- All has been added to a job that was to be. Idempotent. Stopped half-way: whoever waits for it is told all the same, by a heartbeat.

-- uses noticing
-- uses later telling

local id = ARGV[2]
if call('HGET', JOB_LOADS, id) ~= ARGV[3] then return 'unknown' end
use_job(id)
local is_awaited = ways_awaited() ~= ''
call('HDEL', JOB_LOADS, id)
if is_awaited then note_change('job ' .. id) end
tell_some()
return 'changed'

#!lua flags=allow-oom
-- All has been added to a job that was to be; or, with ARGV[4], nothing more will be, for it was refused: then it is as complete as it was
-- before that. Idempotent. Stopped half-way: whoever waits for it is told all the same, by a heartbeat.

-- uses noticing
-- uses later telling

local id = ARGV[2]
local load, before = string.match(call('HGET', JOB_LOADS, id) or '', '^(%S+) ?(%S*)$')
-- Who adds to it now began meanwhile, and has nobody behind it any more.
if load and before == ARGV[3] then
  call('HSET', JOB_LOADS, id, load)
  return 'changed'
end
if load ~= ARGV[3] then return 'unknown' end
if ARGV[4] == '1' and before ~= '' then
  call('HSET', JOB_LOADS, id, before)
  return 'changed'
end
use_job(id)
local is_awaited = ways_awaited() ~= ''
call('HDEL', JOB_LOADS, id)
if is_awaited then note_change('job ' .. id) end
tell_some()
return 'changed'

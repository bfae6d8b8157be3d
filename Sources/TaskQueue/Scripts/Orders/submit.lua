#!lua
-- Idempotent: a line it added is in todo when it comes again. Stopped half-way: indexed and not in todo, the entry is
-- dropped; in todo with the marks of its last failure, a claim sees them and honours them.

-- uses names index adding lease leaving

local lines, rest, signed, in_todo, in_progress, finished = {}, {}, {}, 0, 0, 0
for i = 3, #ARGV, 5 do lines[#lines + 1] = ARGV[i] end
named_queue(ARGV[2])
if #lines == 0 then return {0, 0, 0, 0} end
use_job_of(lines[1])  -- As all of them.
if job ~= '' and call('HEXISTS', JOBS, job) == 0 then
  return redis.error_reply('NOJOB the job of these tasks has been forgotten meanwhile, or the queue emptied')
end
if has_left() then
  return redis.error_reply('LEFT what had finished of this job has left Redis, so that it would run again')
end
local waiting = call('HMGET', TODO, unpack(lines))
local running = call('HMGET', DOING, unpack(lines))
local seen = {}
for i, line in ipairs(lines) do
  local at, is_done = i * 5 - 2, false
  if waiting[i] or seen[line] then in_todo = in_todo + 1
  elseif running[i] then in_progress = in_progress + 1
  -- Not HMGET: what finished_tasks holds may be a megabyte each.
  elseif call('HEXISTS', DONE, line) == 1 then
    finished = finished + 1
    is_done = true
  else
    seen[line] = true
    rest[#rest + 1] = at
  end
  -- Also of one that waits unsigned, or is running and may be tried again.
  if ARGV[at + 4] ~= '' and not is_done then
    signed[#signed + 1] = line
    signed[#signed + 1] = ARGV[at + 4]
  end
end
if #signed > 0 then call('HSET', SIGNATURES, unpack(signed)) end
add_new(rest)
tell_some()
return {#rest, in_todo, in_progress, finished}

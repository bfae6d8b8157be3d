#!lua
-- Idempotent: a line it added is in todo when it comes again. Stopped half-way: indexed and not in todo, the entry is
-- dropped; in todo with the marks of its last failure, a claim sees them and honours them; what waited for others waits for them still, or
-- for nothing and is told nothing by them.

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
local has_needs, has_entered = job ~= '' and call('EXISTS', job_key(job .. NEEDS)) == 1, false
-- Whoever asks for a line without others has it wait for none, whatever was said before; `value` where it waits for some.
local function wait_for_none(line, value)
  local number = value and string.match(value, '^~(%d+) ') or call('HGET', job_key(job .. NUMBERS), line)
  if not number then return end
  if value then
    enter(line, 0, 0, '', noted_score(line, value))
    call('SREM', job_key(job .. DEPENDENT), number)
    call('HSET', TODO, line, '')
    has_entered = true
  end
  for _, name in ipairs({NEEDS, BROKEN}) do call('ZREMRANGEBYSCORE', job_key(job .. name), number, number) end
end
local waiting = call('HMGET', TODO, unpack(lines))
local running = call('HMGET', DOING, unpack(lines))
local seen = {}
for i, line in ipairs(lines) do
  local at, is_done = i * 5 - 2, false
  if waiting[i] or seen[line] then
    in_todo = in_todo + 1
    if job ~= '' and not seen[line] and string.byte(waiting[i]) == 126 then
      seen[line] = true
      wait_for_none(line, waiting[i])
    end
  elseif running[i] then in_progress = in_progress + 1
  -- Not HMGET: what finished_tasks holds may be a megabyte each.
  elseif call('HEXISTS', DONE, line) == 1 then
    finished = finished + 1
    is_done = true
  else
    seen[line] = true
    rest[#rest + 1] = at
    if has_needs then wait_for_none(line) end
  end
  -- Also of one that waits unsigned, or is running and may be tried again.
  if ARGV[at + 4] ~= '' and not is_done then
    signed[#signed + 1] = line
    signed[#signed + 1] = ARGV[at + 4]
  end
end
if #signed > 0 then call('HSET', SIGNATURES, unpack(signed)) end
add_new(rest)
if has_entered then wake() end
tell_some()
return {#rest, in_todo, in_progress, finished}

-- A second copy of a task, which another node runs beside the first. COPIES of its job says which: line -> `incarnation token`. The task is in progress
-- by the first; what ends the first copy or the second ends the other, or lets it go on. Only jobs that were declared idempotent have such.

-- uses names counting

local function forget_copy(line) call('HDEL', job_key(job .. COPIES), line) end

-- Who runs the second copy.
local function copier_of(line)
  local entry = job ~= '' and call('HGET', job_key(job .. COPIES), line)
  local copier = entry and string.match(entry, '^(.*) %d+$') or nil
  -- A script that made the task the second one's was stopped half-way.
  if copier and call('HGET', DOING, line) == node_name(copier) then
    forget_copy(line)
    return nil
  end
  return copier
end

-- The task is not this life's any more, which is told to stop it, and gets nothing until it has heard.
local function revoke(incarnation, line)
  local entry = call('HGET', held_key(incarnation), line)
  if not entry then return end
  call('HSET', revoked_key(incarnation), line, string.match(entry, '^%d+'))
  call('HDEL', cancel_key(incarnation), line)
  call('HDEL', held_key(incarnation), line)
  count_out(incarnation, entry)
  call('PUBLISH', WAKE, 'cancel')
end

-- There is to be one copy at most.
local function drop_copy(line)
  local copier = copier_of(line)
  if not copier then return end
  revoke(copier, line)
  forget_copy(line)
end

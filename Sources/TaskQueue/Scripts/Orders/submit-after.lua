#!lua
-- Tasks of one job that wait for others, of this job or another; or that have another size than their job. Idempotent: what waits already
-- waits for what is said now, unless it waits for nothing, and has the size that is said now. Stopped half-way: what a task waits for is known before the task, so it is added when it comes again.
--
-- Of each: line, memory, millicores, priority, signature, what it has of its own, a word of which the letters are `f` for the first and
-- `l` for the last call about this line, which may wait for more than one call can say; how many it waits for, and these.

-- uses names index adding lease leaving

named_queue(ARGV[2])
local id = string.match(ARGV[3] or '', '^@(%w+) ') or ''
if id == '' or call('HEXISTS', JOBS, id) == 0 then
  return redis.error_reply('NOJOB the job of these tasks has been forgotten meanwhile, or the queue emptied')
end

use_job(id)
if has_left() then
  return redis.error_reply('LEFT what had finished of this job has left Redis, so that it would run again')
end

local function number_of(of, line)
  local numbers = job_key(of .. NUMBERS)
  local number = call('HGET', numbers, line)
  if not number then
    number = string.format('%.0f', call('HLEN', numbers) + 1)
    call('HSET', job_key(of .. LINES), number, line)
    call('HSET', numbers, line, number)
  end
  return number
end

local are_awaited = {}
local function await(of)
  if are_awaited[of] then return end
  are_awaited[of] = true
  local ways = call('HGET', JOBS_AWAITED, of) or ''
  if not string.find(ways, 't', 1, true) then call('HSET', JOBS_AWAITED, of, ways .. 't') end
  awaited[of] = nil
end

-- Has this one wait for a task, unless that has finished. One that has failed is told of, as all others are.
local function wait_for(number, parent)
  use_job_of(parent)
  local of, state = job, state_of(parent)
  use_job(id)
  if of == '' or state == 'finished' or state == 'forgotten' then return end
  local other = number_of(of, parent)
  await(of)
  call('ZADD', job_key(id .. NEEDS), number, number .. ' ' .. of .. ' ' .. other)
  call('ZADD', job_key(of .. CHILDREN), other, other .. ' ' .. id .. ' ' .. number)
  if state == 'failed' then note_change('task ' .. of .. ' ' .. other) end
end

-- One that waits for nothing has from now on what is said of it now, but for what it got when its memory ran out of just that.
local function give_own(line, own)
  local known = own_of(line)
  local grown, from = string.match(known or '', '^%d+(:.*) from=(%d+)$')
  if own == known or grown and own == from .. grown then return end
  set_own(line, own, string.match(own, '^%d+:%d+'), true)
end

local counts, at = {0, 0, 0, 0}, 3
local function add(i)
  if i then counts[i] = counts[i] + 1 end
end
while ARGV[at] do
  local line, priority, signature, own, part, count = ARGV[at], ARGV[at + 3], ARGV[at + 4], ARGV[at + 5], ARGV[at + 6], tonumber(ARGV[at + 7])
  local is_first, is_last = string.find(part, 'f', 1, true), string.find(part, 'l', 1, true)
  use_job(id)
  local value = call('HGET', TODO, line)
  local is_new = not value and call('HEXISTS', DOING, line) == 0 and call('HEXISTS', DONE, line) == 0
  if is_new or value and string.byte(value) == 126 then
    if signature ~= '' then call('HSET', SIGNATURES, line, signature) end
    if own ~= '' then
      call('HSET', OWN, line, own)
      jobs_with_own[id] = true
    end
    -- One that waits for nothing, and has a size of its own alone, needs no number.
    local is_plain = count == 0 and is_first and is_last
    local number = is_plain and (call('HGET', job_key(id .. NUMBERS), line) or 0) or number_of(id, line)
    local needs, rest = job_key(id .. NEEDS), number .. ' rest'
    if is_first then
      call('ZREMRANGEBYSCORE', needs, number, number)
      call('ZREMRANGEBYSCORE', job_key(id .. BROKEN), number, number)
    end
    call('ZADD', needs, number, rest)
    for i = at + 8, at + 7 + count do wait_for(number, ARGV[i]) end
    if is_new then
      if counts[1] == 0 then drop_noted() end
      notice(line)
      let_wait(line, number, score(band_of(tonumber(priority)), call('INCR', SEQUENCE)))
      if call('HDEL', FAILED, line) > 0 then
        for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST, REQUEUES}) do call('HDEL', key, line) end
      end
    end
    if is_last then
      if count_of(needs, number) == 1 then
        value = call('HGET', TODO, line)
        enter(line, 0, 0, '', noted_score(line, value))
        call('SREM', job_key(id .. DEPENDENT), number)
        call('HSET', TODO, line, '')
      end
      call('ZREM', needs, rest)
    end
    if is_first then add(is_new and 1 or 2) end
  elseif is_first then
    if value and own ~= '' then give_own(line, own) end
    add(value and 2 or call('HEXISTS', DONE, line) == 1 and 4 or 3)
  end
  at = at + 8 + count
end
if counts[1] > 0 then note_arrival(call('GET', SEQUENCE)) end
if string.sub(is_gated() or '', 1, 6) == 'broken' then note_change('tasks ' .. id) end
wake()
tell_some()
return counts

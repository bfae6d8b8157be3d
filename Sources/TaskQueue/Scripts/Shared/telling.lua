-- Telling those that wait for others.
--
-- A task that waits for others is in todo with the value `~NUMBER SCORE`, and nowhere in the index. NEEDS of its job has an entry for each
-- task that it waits for, which is the truth, BROKEN one for each of these that has failed for good, and CHILDREN of the other's job one
-- by which it is found. A job that waits for others is in JOBS_GATED, and its classes stand aside.
--
-- All of it goes by the states that are found, and what makes a task known comes before what makes a change forgotten. So to be told twice
-- is to be told once, and a script that is stopped half-way leaves its change noted. Each script tells a bounded number, and the next one
-- goes on.

-- uses index ending noticing some times

-- Of a line of the present job.
local function state_of(line)
  if call('HEXISTS', TODO, line) == 1 or call('HEXISTS', DOING, line) == 1 then return 'waits' end
  if call('HEXISTS', DONE, line) == 1 then return 'finished' end
  return call('HEXISTS', FAILED, line) == 1 and 'failed' or 'forgotten'
end

local function count_of(key, number) return call('ZCOUNT', key, number, number) end

-- A line of the present job that is nowhere, or has failed, waits now: for others, or for its turn.
local function let_wait(line, number, s)
  if number and count_of(job_key(job .. NEEDS), number) > 0 then
    call('SADD', job_key(job .. DEPENDENT), number)
    call('HSET', TODO, line, '~' .. number .. ' ' .. digits_of(s))
  else
    enter(line, 0, 0, '', s)
    call('HSET', TODO, line, '')
  end
end

-- The score that a line was given when it was submitted, which may be noted in its value in todo.
local function noted_score(line, value)
  local digits = value and (string.match(value, '^~%d+ (%x+)$') or string.match(value, '^(%x+)$'))
  local entry = not digits and call('ZSCORE', class_key(class_name(line, 0, 0, call('HGET', FAILED, line) or '')), line)
  return digits and score_of(digits) or tonumber(entry) or score(band_of_job(), 0)
end

-- How a line is called for people: by its name, or by its command.
local function shown(line)
  local text = string.match(line, '^@%w+ (.*)$') or line
  if string.byte(text) == 123 then
    local is_read, fields = pcall(cjson.decode, text)
    local name = is_read and type(fields) == 'table' and (fields.name or fields.command)
    if type(name) == 'string' then text = name end
  end
  if #text <= 80 then return text end
  return (string.gsub(string.sub(text, 1, 77), '[\192-\247]?[\128-\191]*$', '')) .. '...'
end

-- A line of the present job can never run: `parent` has failed.
local function end_in_vain(line, value, parent)
  local number, s = string.match(value, '^~(%d+) '), noted_score(line, value)
  local reason = 'dependency: ' .. parent .. ' failed'
  if number then call('SREM', job_key(job .. DEPENDENT), number) end
  call('ZREM', DELAYED, delayed_entry(line, 0, 0, 0))
  fail_for_good(line, '0', reason, '{"state":"failed","cause":"dependency","worker":"","attempts":' ..
    (call('HGET', ATTEMPTS, line) or 0) .. ',"place":"' .. digits_of(s) .. '","parent":' .. cjson.encode(parent) ..
    ',"reason":' .. cjson.encode(reason) .. '}')
end

local function record_in_vain(line)
  local record = call('HGET', OUTCOMES, line) or ''
  return string.sub(record, 1, 2) == '0 ' and string.find(record, '"cause":"dependency"', 1, true) and record
end

-- A line of the present job that had ended in vain waits again, unless there is another reason.
local function revive(line)
  local record = call('HEXISTS', FAILED, line) == 1 and call('HEXISTS', TODO, line) == 0 and record_in_vain(line)
  if not record or string.sub(is_gated() or '', 1, 6) == 'broken' then return end
  local number = call('HGET', job_key(job .. NUMBERS), line)
  if number and count_of(job_key(job .. BROKEN), number) > 0 then return end
  notice(line)
  local digits = string.match(record, '"place":"(%x+)"')
  let_wait(line, number, digits and score_of(digits) or score(band_of_job(), 0))
  for _, key in ipairs({REASON, OUTCOMES, FAILED}) do call('HDEL', key, line) end
end

local has_let_in = false

-- One of those that wait for a task, which is in this state. Whether the task need not be looked for by it any more.
local function tell_task(of, number, parent, state, name)
  use_job(of)
  local needs, broken, need = job_key(of .. NEEDS), job_key(of .. BROKEN), number .. ' ' .. parent
  local line = call('ZSCORE', needs, need) and call('HGET', job_key(of .. LINES), number)
  if not line then return true end
  if state == 'failed' then
    call('ZADD', broken, number, need)
    local value = call('HGET', TODO, line)
    if value and string.byte(value) == 126 then end_in_vain(line, value, name) end
    return false
  end
  -- What failed, and was forgotten then, has failed.
  if state == 'forgotten' and call('ZSCORE', broken, need) then return false end
  call('ZREM', broken, need)
  local value = call('HGET', TODO, line)
  if not value then
    revive(line)
    value = call('HGET', TODO, line)
  end
  if state == 'waits' then return false end
  if value and string.byte(value) == 126 and count_of(needs, number) == 1 then
    enter(line, 0, 0, '', noted_score(line, value))
    call('SREM', job_key(of .. DEPENDENT), number)
    call('HSET', TODO, line, '')
    has_let_in = true
  end
  call('ZREM', needs, need)
  return true
end

-- Whom a task that has failed names: what it had waited for itself, if that is why.
local function culprit(line)
  local record = record_in_vain(line)
  local is_read, fields = pcall(cjson.decode, record and string.sub(record, 3) or '')
  return is_read and type(fields.parent) == 'string' and fields.parent or shown(line)
end

-- Of each kind of change: tells at most so many, and says how many, and from where the next shall go on; nil when all have been told.

local function tell_tasks(id, number, cursor, limit)
  use_job(id)
  local line, children = call('HGET', job_key(id .. LINES), number), job_key(id .. CHILDREN)
  local state = line and state_of(line) or 'forgotten'
  local name = state == 'failed' and culprit(line)
  local start = cursor and call('ZRANK', children, cursor)
  start = start and start + 1 or call('ZCOUNT', children, '-inf', '(' .. number)
  local rows, over, kept = call('ZRANGE', children, start, start + limit - 1, 'WITHSCORES'), {}, nil
  local count = 0
  for i = 1, #rows, 2 do
    if rows[i + 1] ~= number then break end
    count = count + 1
    local of, child = string.match(rows[i], '^%d+ (%w+) (%d+)$')
    if not of or tell_task(of, child, id .. ' ' .. number, state, name) then
      over[#over + 1] = rows[i]
    else
      kept = rows[i]
    end
  end
  if #over > 0 then call('ZREM', children, unpack(over)) end
  return count, count == limit and (kept or cursor or '') or nil
end

local function job_state(id)
  use_job(id)
  if call('HEXISTS', JOBS, id) == 0 then return 'forgotten' end
  if call('HEXISTS', JOB_LOADS, id) == 1 or call('HLEN', TODO) + call('HLEN', DOING) > 0 then return 'waits' end
  -- What has left Redis had ended.
  local failed_before = tonumber(string.match(call('HGET', JOBS_LEFT, id) or '', '^%d+ (%d+) ') or 0)
  if call('HLEN', FAILED) + failed_before > call('SCARD', RETRYING) then return 'failed' end
  return string.find(call('HGET', JOBS_AWAITED, id) or '', 'f', 1, true) and 'forgotten' or 'finished'
end

-- What a job waits for, by the states of these and the time now; nil for nothing. By hand it is let in where the job that failed has been forgotten.
local function gate_of(id, was, is_by_hand)
  local waits = nil
  for of, way in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):(%a+)') do
    local state = way == 'each' and 'finished' or job_state(of)
    if state == 'waits' then
      waits = 'waits'
    elseif state == 'failed' and way == 'ok' or state == 'forgotten' and was == 'broken ' .. of and not is_by_hand then
      return 'broken ' .. of
    end
  end
  local left = time_left(id)
  if left == 0 then return waits end
  -- There claims see when they are to come again; and Redis's clock may have been set since.
  call('ZADD', JOBS_DELAYED, read_now() + left, delayed_job(id))
  return 'waits'
end

local function forget_time(id)
  if call('HDEL', JOB_TIMES, id) == 1 then call('ZREM', JOBS_DELAYED, delayed_job(id)) end
end

-- Whether its classes are all known now; few jobs have more than one.
local function open_gate(id)
  local aside = job_key(id .. ASIDE)
  local rows = call('ZRANGE', aside, 0, TELL_MAX - 1, 'WITHSCORES')
  use_job(id)
  local owner = owner_of(job)
  for i = 1, #rows, 2 do
    call('ZADD', classes_of(owner), 'LT', rows[i + 1], rows[i])
    if owner == '' then call('ZADD', FITS, memory_of(rows[i]) or 0, rows[i]) end
    make_owner_known()
    call('ZREM', aside, rows[i])
  end
  wake()
  if #rows == 2 * TELL_MAX then return false end
  for of in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):') do call('SREM', job_key(of .. WAITERS), id) end
  forget_time(id)
  call('HDEL', JOBS_GATED, id)
  gates[id] = false
  return true
end

-- Whether nothing more is to be done about it.
local function settle_gate(id, is_by_hand)
  local was = call('HGET', JOBS_GATED, id)
  if not was then return true end
  local is = gate_of(id, was, is_by_hand)
  if was == is then return true end
  if string.sub(is or was, 1, 6) == 'broken' or string.sub(was, 1, 6) == 'broken' then note_change('tasks ' .. id) end
  if not is then return open_gate(id) end
  call('HSET', JOBS_GATED, id, is)
  gates[id] = is
  return true
end

local function tell_jobs(id, _, cursor, limit)
  local page = call('SSCAN', job_key(id .. WAITERS), cursor or '0', 'COUNT', math.min(limit, 100))
  for _, waiter in ipairs(page[2]) do note_change('gate ' .. waiter) end
  return 1 + #page[2], page[1] ~= '0' and page[1] or nil
end

local function tell_gate(id)
  return 10, not settle_gate(id) and '' or nil
end

local function name_of_job(id) return string.match(call('HGET', JOBS, id) or '', '^([^\n]+)\n') or id end

local function tell_all_of(id, _, cursor, limit)
  use_job(id)
  local parent = string.match(is_gated() or '', '^broken (%w+)$')
  if not parent then
    local page = call('HSCAN', FAILED, cursor or '0', 'COUNT', limit)
    for i = 1, #page[2], 2 do revive(page[2][i]) end
    return 1 + #page[2] / 2, page[1] ~= '0' and page[1] or nil
  end
  local name, page = name_of_job(parent), some_of(TODO, limit)
  for i = 1, #page, 2 do end_in_vain(page[i], page[i + 1], name) end
  if #page > 0 then return #page / 2, '' end
  -- Nothing of it waits: what is in the index is stale.
  for _, class in ipairs(call('ZRANGE', job_key(id .. ASIDE), 0, limit - 1)) do
    call('UNLINK', class_key(class))
    call('ZREM', job_key(id .. ASIDE), class)
  end
  call('UNLINK', FRESH)
  return 1, call('EXISTS', job_key(id .. ASIDE)) == 1 and '' or nil
end

local KINDS = {gate = tell_gate, job = tell_jobs, task = tell_tasks, tasks = tell_all_of}

-- Whether all have been told.
local function tell(budget)
  while budget > 0 do
    local item = call('ZRANGE', TELLING, 0, 0)[1]
    if not item then break end
    local kind, id, number = string.match(item, '^(%l+) (%w+) ?(%d*)$')
    local cursor, count, onward = call('HGET', TOLD, item), 1, nil
    -- Whatever notes this again meanwhile begins it anew.
    call('HDEL', TOLD, item)
    if KINDS[kind] then count, onward = KINDS[kind](id, number, cursor ~= '' and cursor, budget) end
    if onward then
      if onward ~= '' then call('HSET', TOLD, item, onward) end
    else
      call('ZREM', TELLING, item)
    end
    budget = budget - math.max(1, count)
  end
  use_job('')
  if has_let_in then wake() end
  return call('EXISTS', TELLING) == 0
end

-- Where there is anything to tell, at the end of a script.
local function tell_some() return call('EXISTS', TELLING) == 0 or tell(TELL_MAX) end

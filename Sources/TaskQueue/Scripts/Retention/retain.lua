#!lua flags=allow-oom
-- Not idempotent: each call does the next step. Stopped half-way, or its answer lost: what was looked at is looked at again, and what has
-- left has left.

-- Results leave Redis by age. What is known of them is looked through a few hundred a call, since nothing keeps them in the order of
-- their ends: that would cost every report, and memory for each task. One node at a time does it, as long as it goes on asking.
--
-- A *pass* goes through all there is once or twice. Where it is a number of results or of bytes that counts, it first *measures*: how many
-- ended in each minute, hour or day, and what they take; from which follows before when all leave. Then it *releases*: outputs that are
-- older, and jobs of which nothing waits or runs and every task is older. What is of no job keeps its records: but for them its lines
-- would run again when they are loaded again.

-- uses clock disowning

local me, rule = ARGV[2], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[5]
local keep_seconds, keep_count, bytes_max = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local pause, budget = tonumber(ARGV[6]), tonumber(ARGV[7])
local now, unix = read_now(), math.floor(server_milliseconds() / 1000)

local NAMES = {'worker', 'until', 'rule', 'stage', 'begun', 'unix', 'next', 'cursor', 'job', 'at', 'latest', 'count',
  'outputs', 'records', 'gone', 'jobs'}
local state, known = {}, call('HMGET', RETENTION, unpack(NAMES))
for i, name in ipairs(NAMES) do state[name] = known[i] or '' end
local function number(name) return tonumber(state[name]) or 0 end

-- Others come back when whoever does it may have stopped.
if state.worker ~= me and number('until') > now then return {RETENTION_RIGHT, 0, 0, 0} end

local function begin_stage(stage) state.stage, state.cursor, state.job, state.at = stage, '0', '', '0' end
if state.stage == '' then
  -- Another rule takes effect within a minute, and no sooner: two nodes may have been given different ones.
  local due = rule == state.rule and number('next') or math.min(number('next'), number('begun') + RETENTION_PAUSE)
  if due > now then return {due - now, 0, 0, 0} end
  call('DEL', RETENTION, RETENTION_AGES, RETENTION_JOBS)
  state.rule, state.begun, state.unix, state.gone, state.jobs = rule, now, unix, 0, 0
  state.records = keep_seconds > 0 and unix - keep_seconds or 0
  state.outputs = state.records
  begin_stage((keep_count > 0 or bytes_max > 0) and 'measure' or 'release')
  call('ZADD', RETENTION_JOBS, 0, '-')
end

local begun = number('unix')

-- Text within the record has a backslash before its quotes, and is not mistaken for this.
local function ended_at(outcome)
  local _, last = string.find(outcome, '"finished_at":', 1, true)
  return last and tonumber(string.match(outcome, '^[%d.]+', last + 1))
end

-- Minutes for a day, hours for a month, then days.
local function width_of(ended)
  local age = begun - ended
  return age < 86400 and 60 or age < 2592000 and 3600 or 86400
end

local function measure(rows)
  local ages, starts = {}, {}
  for i = 1, #rows, 2 do
    local ended = ended_at(rows[i + 1]) or 0
    local output = call('HSTRLEN', DONE, rows[i])
    local width = width_of(ended)
    local start = math.floor(ended / width) * width
    if not ages[start] then
      ages[start] = {0, 0, 0}
      starts[#starts + 1] = start
    end
    local age, fixed = ages[start], 2 * #rows[i] + #rows[i + 1] + RESULT_BYTES
    age[1] = age[1] + 1
    if output > OUTPUT_BYTES_KEPT then age[2] = age[2] + output else fixed = fixed + output end
    age[3] = age[3] + fixed
  end
  if #starts == 0 then return end
  local before = call('HMGET', RETENTION_AGES, unpack(starts))
  for i, start in ipairs(starts) do
    local a, b, c = string.match(before[i] or '0 0 0', '^(%d+) (%d+) (%d+)$')
    local age = ages[start]
    call('HSET', RETENTION_AGES, start, string.format('%.0f %.0f %.0f', age[1] + a, age[2] + b, age[3] + c))
  end
end

-- From what was measured: before when outputs leave, and before when records do. A bucket is not divided: of a number of results, more
-- rather than fewer stay; of bytes, fewer rather than more.
local function set_bounds()
  local ages, cursor, outputs, records = {}, '0', 0, 0
  repeat
    local page = call('HSCAN', RETENTION_AGES, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      local a, b, c = string.match(page[2][i + 1], '^(%d+) (%d+) (%d+)$')
      local start = tonumber(page[2][i])
      ages[#ages + 1] = {start, tonumber(a), tonumber(b), tonumber(c), start + width_of(start)}
      outputs, records = outputs + b, records + c
    end
  until cursor == '0'
  table.sort(ages, function(one, other) return one[1] > other[1] end)
  local function first_beyond(place, limit)
    local sum = 0
    for _, age in ipairs(ages) do
      sum = sum + age[place]
      if sum > limit then return age end
    end
  end
  local function raise(name, bound) if bound and bound > number(name) then state[name] = bound end end
  local age = keep_count > 0 and first_beyond(2, keep_count - 1)
  if age then
    raise('outputs', age[1])
    raise('records', age[1])
  end
  if bytes_max > 0 and outputs + records > bytes_max then
    age = first_beyond(3, bytes_max - records)
    raise('outputs', age and age[5])
    age = first_beyond(4, bytes_max)
    raise('records', age and age[5])
  end
  raise('outputs', number('records'))
end

local function release(rows)
  local bound, latest = number('outputs'), number('latest')
  for i = 1, #rows, 2 do
    local line, outcome = rows[i], rows[i + 1]
    local ended = ended_at(outcome) or 0
    if ended > latest then latest = ended end
    local worker = ended < bound and string.match(outcome, '^%d+ {"state":"finished".-"worker":"([^"\\]+)"')
    if worker and call('HSTRLEN', DONE, line) > OUTPUT_BYTES_KEPT then
      call('HSET', DONE, line, worker .. ': stdout left Redis at ' .. unix)
      state.gone = number('gone') + 1
    end
  end
  state.latest = latest
end

-- Nothing of the job waits or runs, and since when it was first looked at nothing was added to it.
local function is_over() return call('HLEN', TODO) + call('HLEN', DOING) == 0 end

local function begin_job()
  use_job(state.job == '-' and '' or state.job)
  state.at, state.latest = '0', 0
  state.count = call('HLEN', OUTCOMES)
  if state.stage == 'release' and job ~= '' and is_over() then call('HSET', RETENTION, 'quiet:' .. job, '1') end
end

local function end_job()
  if state.stage ~= 'release' or job == '' then return end
  local was_quiet = call('HDEL', RETENTION, 'quiet:' .. job) == 1
  -- How its tasks ended is told to those that wait for them first.
  if call('HEXISTS', JOBS_AWAITED, job) == 1 and call('EXISTS', TELLING) == 1 then return end
  if not was_quiet or not is_over() or call('HLEN', OUTCOMES) ~= number('count') then return end
  local latest = number('latest')
  if latest == 0 then  -- What was cancelled before it ran has no time of its own.
    latest = tonumber(string.match(call('HGET', JOBS, job) or '', '"submitted_at":([%d.]+)')) or unix
  end
  local finished, failed = call('HLEN', DONE), call('HLEN', FAILED)
  if latest >= number('records') or finished + failed == 0 then return end
  call('HSET', JOBS_LEFT, job, finished .. ' ' .. failed .. ' ' .. unix)
  call('UNLINK', DONE, FAILED, REASON, RETRYING, FAILED_ON, OUTCOMES, ATTEMPTS, LOST, REQUEUES, SIGNATURES, FRESH, OWN,
    job_key(job .. PEAKS))
  disown(job)
  state.jobs = number('jobs') + 1
end

-- The next job, or else the next page of them; false at the end.
local function next_job()
  local first = call('ZRANGE', RETENTION_JOBS, 0, 0)[1]
  if first then
    call('ZREM', RETENTION_JOBS, first)
    state.job = first
    begin_job()
    return true
  end
  if state.cursor == 'end' then return false end
  local page = call('HSCAN', JOBS, state.cursor, 'COUNT', 20)
  state.cursor = page[1] == '0' and 'end' or page[1]
  for i = 1, #page[2], 2 do call('ZADD', RETENTION_JOBS, 0, page[2][i]) end
  return true
end

local function end_stage()
  if state.stage == 'measure' then
    set_bounds()
    if number('outputs') > 0 then
      begin_stage('release')
      call('ZADD', RETENTION_JOBS, 0, '-')
      return
    end
  end
  -- Where a number of bytes counts, half of the time may be spent on it; days can wait.
  local rest = math.max(RETENTION_PAUSE, now - number('begun'))
  if keep_count == 0 and bytes_max == 0 then rest = math.max(rest, math.min(3600000, keep_seconds * 1000 / 48)) end
  begin_stage('')
  state.next = now + math.floor(rest)
  call('DEL', RETENTION_AGES)
end

if state.job ~= '' then use_job(state.job == '-' and '' or state.job) end
while budget > 0 and state.stage ~= '' do
  if state.job == '' then
    budget = budget - 10
    if not next_job() then end_stage() end
  else
    local page = call('HSCAN', OUTCOMES, state.at, 'COUNT', budget)
    if state.stage == 'measure' then measure(page[2]) else release(page[2]) end
    state.at = page[1]
    budget = budget - math.max(10, #page[2] / 2)
    if state.at == '0' then
      end_job()
      state.job = ''
    end
  end
end

local is_over_now = state.stage == ''
state.worker, state['until'] = me, is_over_now and 0 or now + RETENTION_RIGHT
local fields = {}
for _, name in ipairs(NAMES) do
  fields[#fields + 1] = name
  fields[#fields + 1] = type(state[name]) == 'number' and string.format('%.0f', state[name]) or state[name]
end
call('HSET', RETENTION, unpack(fields))
return {is_over_now and math.max(1, number('next') - now) or pause, is_over_now and 1 or 0, number('gone'), number('jobs')}

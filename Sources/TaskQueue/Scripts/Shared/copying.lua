-- Second copies of what runs for long, for a node that has room where nothing waits that it may be given: of jobs that were declared idempotent, a task that has run for twice as
-- long as 19 of 20 that finished, and for COPY_AGE_MIN milliseconds. The first copy stays the one in progress, see copies.lua.

-- uses copies holders percentile using dating

-- How far a look has come that does not see everything at once. Entries of a page: as many as there are, where they are few.
local function next_page(command, key, place, count)
  local page = call(command, key, call('HGET', TOLD, place) or '0', 'COUNT', count)
  if page[1] == '0' then call('HDEL', TOLD, place) else call('HSET', TOLD, place, page[1]) end
  return page[2]
end

-- What of the present job has run for so long, the longest first.
local function late_tasks(bound)
  local late, rows = {}, next_page('HSCAN', DOING, 'copies ' .. job, 200)
  for i = 1, math.min(#rows, 1000), 2 do
    local line = rows[i]
    if rows[i + 1] ~= name and not copier_of(line) then
      local _, entry = holder_of(line)
      local token, memory, millicores, s, attempt = string.match(entry or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
      if token and age_of(token) > bound then
        late[#late + 1] = {line = line, token = token + 0, memory = memory, millicores = millicores, score = s, attempt = attempt}
      end
    end
  end
  table.sort(late, function(a, b) return a.token < b.token end)
  return late
end

local function give_copy(task)
  local token = string.format('%.0f', new_tokens(1))
  call('HSET', held, task.line, table.concat({token, task.memory, task.millicores, task.score, task.attempt}, ' '))
  call('HSET', job_key(job .. COPIES), task.line, me .. ' ' .. token)
  if is_counted(me) then add_use(owner_of(job), task.memory, slot_of(task.millicores), tonumber(token), needs_of(job)) end
  given_jobs[job] = true
  taken[#taken + 1] = {
    task.line, token, tonumber(task.attempt), ARGV[7] == '1' and call('HGET', SIGNATURES, task.line), own_of(task.line)}
  if needs then needs.take({job = job}, 1) end
  want, free_memory, free_millicores = want - 1, free_memory - task.memory, free_millicores - task.millicores
end

local function copy_late_tasks()
  local usual, count = most_of(job_key(job .. TIMES))
  for _, task in ipairs(late_tasks(count < LEARNED_MIN and math.huge or math.max(usual * 2, COPY_AGE_MIN))) do
    local class = {
      job = job, exclusion = call('HGET', FAILED, task.line) or '', memory = tonumber(task.memory), millicores = tonumber(task.millicores)}
    if want > 0 and not is_passed_over(class) then give_copy(task) end
  end
end

-- Whether something waits that this node may be given when more of it is free: all was looked at, and there was no room. What is paused, for
-- other nodes, or larger than all of this one may wait for days. Of many not all are looked at.
local function is_any_awaited()
  local memory, millicores = string.match(call('HGET', NODES, me) or '', '^(%d+) (%d+)')
  if not memory then return true end
  local left = 64
  local function is_awaited(class)
    return class.memory <= memory + 0 and class.millicores <= millicores + 0
      and not (is_a_job_paused and call('SISMEMBER', JOBS_PAUSED, class.job) == 1) and is_for(class, own_labels)
      and (not needs or needs.could_hold(class, {incarnation = me}))
      and not (class.exclusion ~= '' and lists(class.exclusion, name) and another_could(class))
  end
  local function is_any_of(owner)
    for _, known in ipairs(call('ZRANGE', classes_of(owner), 0, left)) do
      left = left - 1
      if left < 0 or is_awaited(class_of(known, 0)) then return true end
    end
  end
  if is_any_of('') then return true end
  for _, owner in ipairs(has_several() and call('ZRANGE', OWNERS, 0, 64) or {}) do
    left = left - 1
    if left < 0 or owner ~= '' and is_any_of(owner) then return true end
  end
  return false
end

-- Whether there may be something to give some time: anything runs of such jobs, or that has not been looked at now.
local function copy_some()
  if tonumber(call('HGET', COPIED, me) or 0) > now or is_any_awaited() then return true end
  local may_come = false
  helping, helping_millicores = math.huge, math.huge
  -- Jobs that have ended are among them until they are forgotten.
  local page = next_page('SSCAN', JOBS_IDEMPOTENT, 'copies', 1000)
  table.sort(page)
  for _, id in ipairs(page) do
    use_job(id)
    if call('HLEN', DOING) > 0 then
      may_come = true
      copy_late_tasks()
    end
  end
  if may_come then call('HSET', COPIED, me, string.format('%.0f', now + COPY_PAUSE)) end
  use_job('')
  return may_come
end

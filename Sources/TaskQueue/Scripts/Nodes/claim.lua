#!lua flags=allow-oom
-- Not idempotent by itself: called twice it takes twice, and the first answer may be lost. `held` tells the node what it
-- was given. Stopped half-way: noted as held and still in todo, the line goes back with the lease of its node.

-- uses names clock index lease retries labels classes
-- uses later telling
-- uses later needing
-- uses later waits

local me, lease, want = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local free_memory, free_millicores = tonumber(ARGV[5]), tonumber(ARGV[6])
local now, name, held = observe(lease), node_name(me), held_key(me)
if not renew(me, now, lease) then return fenced() end

local function first_delayed()
  local own = tonumber(call('ZRANGE', DELAYED, 0, 0, 'WITHSCORES')[2])
  local of_jobs = tonumber(call('ZRANGE', JOBS_DELAYED, 0, 0, 'WITHSCORES')[2])
  return own and of_jobs and math.min(own, of_jobs) or own or of_jobs
end
local next_retry = first_delayed()
if next_retry and next_retry <= now then
  promote_delayed(now)
  next_retry = first_delayed()
end

local closing, paused, held_back, has_orders, is_a_job_paused = call('HEXISTS', TODO, CLOSE), 0, 0, 0, false
local all_are_told, own_labels, reservation, needs = true, nil, nil, nil
do
  -- Mostly there is nothing of these. Each is counted as often as it is named: an odd number is with the last.
  local found = call('EXISTS', PAUSED, PAUSED, JOBS_PAUSED, JOBS_PAUSED, TELLING, TELLING, JOB_WHERES, JOB_WHERES, JOB_NEEDS, JOB_NEEDS,
    RESERVED, RESERVED, revoked_key(me), revoked_key(me), cancel_key(me), cancel_key(me), JOB_OWNERS)
  has_owners = found % 2 == 1
  if found > 1 then
    if call('EXISTS', TELLING) == 1 then
      all_are_told = tell_some()
      next_retry = first_delayed()  -- A job that waits for a time of day may have to wait longer than was thought.
    end
    is_a_job_paused = call('EXISTS', JOBS_PAUSED) == 1
    own_labels = call('EXISTS', JOB_WHERES) == 1 and labels_of(me)
    needs = call('EXISTS', JOB_NEEDS) == 1 and needing()
    paused = call('EXISTS', PAUSED)
    reservation = call('HGET', RESERVED, me)
    -- What was taken away from this node by hand must not come back to it before it knows.
    held_back = call('EXISTS', revoked_key(me))
    has_orders = held_back == 1 and 1 or call('EXISTS', cancel_key(me))
  end
end
-- A key of another type would be met when a task has been given and can be neither noted nor reported. TODO and FAILED are read before
-- that; and for the time of a step of the clock, those that only a report needs may be trusted.
call('HLEN', DOING)
if is_clock_kept then
  call('HLEN', DONE)
  call('HLEN', REASON)
end

-- What was sent before a silence gives nothing: its sender may have gone on since as if it had never been answered.
local taking_on = want > 0 and tonumber(ARGV[8]) == silence and closing == 0 and paused == 0 and held_back == 0
  and call('SISMEMBER', DRAINED, name) == 0

-- How many more tasks their owner is given before others have their turn, with how many cores, and what he has been given in it.
local helping, helping_millicores, gained_memory, gained_millicores, last_given = math.huge, math.huge, 0, 0, 0

-- One that asks for no cores takes a slot of its node, which is as much as a core.
local function cores_of(class) return class.millicores > 0 and class.millicores or SLOT_MILLICORES end

-- How many tasks of a class fit into what is free now.
local function room(class)
  local n = math.min(want, helping)
  if helping_millicores < math.huge then
    n = math.min(n, math.ceil((helping_millicores - gained_millicores) / cores_of(class)))
  end
  if class.memory > 0 then n = math.min(n, math.floor(free_memory / class.memory)) end
  if class.millicores > 0 then n = math.min(n, math.floor(free_millicores / class.millicores)) end
  return needs and needs.room(class, n) or n
end

-- Nodes by their memory, the largest first, read as far as they are needed.
local nodes, nodes_end = {}, false
local function node_at(i)
  if not nodes[i] and not nodes_end then
    local rows = call('ZREVRANGE', SIZES, #nodes, #nodes + 31, 'WITHSCORES')
    nodes_end = #rows < 64
    for row = 1, #rows, 2 do
      local expiry, other = call('ZSCORE', LEASES, rows[row]), node_name(rows[row])
      nodes[#nodes + 1] = {
        incarnation = rows[row], name = other, memory = tonumber(rows[row + 1]), labels = own_labels and labels_of(rows[row]),
        takes_on = expiry and tonumber(expiry) >= now and call('SISMEMBER', DRAINED, other) == 0
          and call('HEXISTS', TROUBLES, rows[row]) == 0,
        millicores = tonumber(string.match(call('HGET', NODES, rows[row]) or '', '^%d+ (%d+)') or 0),
      }
    end
  end
  return nodes[i]
end

-- Which nodes jobs are for, where they say so.
local wheres = {}
local function is_for(class, labels)
  if not own_labels or class.job == '' then return true end
  local where = wheres[class.job]
  if where == nil then
    where = call('HGET', JOB_WHERES, class.job)
    wheres[class.job] = where
  end
  return not where or is_meant(where, labels)
end

-- Whether another node that takes tasks could take what failed here; while there is one, it is theirs.
local comparisons = 20000
local function another_could(class)
  local i = 1
  while true do
    local node = node_at(i)
    if not node or node.memory < class.memory then return false end
    if comparisons <= 0 then return true end
    if node.takes_on and node.millicores >= class.millicores and not lists(class.exclusion, node.name)
      and is_for(class, node.labels) and (not needs or needs.could_hold(class, node)) then
      return true
    end
    comparisons, i = comparisons - 1, i + 1
  end
end

local function is_passed_over(class)
  return room(class) < 1
    or reservation and (class.is_held_back or class.name == reservation.name or reservation.refusals <= 0)
    or is_a_job_paused and call('SISMEMBER', JOBS_PAUSED, class.job) == 1
    or not is_for(class, own_labels)
    or class.exclusion ~= '' and lists(class.exclusion, name) and another_could(class)
end

-- Tokens are times in microseconds, pushed apart: no two are the same, even if Redis has lost its last second. A claim takes as many as
-- it may need, and gives back what is left in the end.
local next_token, last_token
local function new_tokens(count)
  if not next_token then
    local t = call('TIME')
    next_token = math.max(tonumber(call('GET', TOKENS) or 0), t[1] * 1000000 + t[2]) + 1
    last_token = next_token + want - 1
    call('SET', TOKENS, string.format('%.0f', last_token))
  end
  next_token = next_token + count
  return next_token - count
end

-- The index knows a line that is not in todo. An old worker has it, or had it and died between taking it out of todo and
-- saying so: then it is nowhere, and comes back after a grace. Many at once were removed on purpose.
local function not_in_todo(class, line, s, failed_on)
  if call('HEXISTS', DOING, line) == 1 then return end
  if call('HEXISTS', DONE, line) == 1 then
    if call('HDEL', FAILED, line) == 1 then call('HDEL', REASON, line) end
    stop_retrying(line)
  elseif (failed_on or '') ~= class.exclusion or failed_on and call('SISMEMBER', RETRYING, line) == 0 then
    stop_retrying(line)  -- Failed for good, perhaps by an old worker.
  -- No old worker has to do with jobs.
  elseif job == '' and call('ZCARD', MISSING) < MISSING_MAX then
    call('ZADD', MISSING, 'NX', now, class.memory_text .. ' ' .. class.millicores_text .. ' ' .. s .. '\n' .. line)
  end
end

local taken, given_jobs, waits, stale, has_moved = {}, {}, {}, 0, false
local function give(class, lines, scores, has_marks)
  if job ~= '' then given_jobs[job] = true end
  local holding, doing = {}, {}
  local attempts = has_marks and call('HMGET', ATTEMPTS, unpack(lines)) or {}
  local signatures = ARGV[7] == '1' and call('HMGET', SIGNATURES, unpack(lines)) or {}
  local owns = has_marks and job ~= '' and has_own() and call('HMGET', OWN, unpack(lines)) or {}
  local token = new_tokens(#lines)
  for i, line in ipairs(lines) do
    local attempt, own = tonumber(attempts[i] or 0) + 1, string.format('%.0f', token + i - 1)
    holding[i * 2 - 1] = line
    holding[i * 2] = own .. ' ' .. class.memory_text .. ' ' .. class.millicores_text .. ' ' .. scores[i] .. ' ' .. attempt
    doing[i * 2 - 1], doing[i * 2] = line, name
    taken[#taken + 1] = {line, own, attempt, signatures[i] or false, owns[i] or false}
  end
  call('HSET', held, unpack(holding))
  call('HSET', DOING, unpack(doing))
  call('HDEL', TODO, unpack(lines))
  waits[#waits + 1] = {scores, attempts}
  want, helping = want - #lines, helping - #lines
  free_memory = free_memory - class.memory * #lines
  free_millicores = free_millicores - class.millicores * #lines
  if needs and needs.take(class, #lines) then helping = 0 end
  last_given = token + #lines - 1
  gained_memory = gained_memory + class.memory * #lines
  gained_millicores = gained_millicores + cores_of(class) * #lines
end

-- The first lines of a class, none behind `limit`, with their scores and their values in todo: from its sorted set, if it has one, or from
-- FRESH, which the plain class of a job has besides, by which of the two begins earlier. Of FRESH also what is known of its first entries,
-- one more than may be taken, and where the sorted set begins.
local function first_lines(class, limit, has_set)
  local count, lines, scores, values = math.min(1000, room(class) + stale), {}, {}, {}
  if class.job ~= '' and class.name == plain_class() then
    local entries = call('LRANGE', FRESH, 0, count)
    local first = entries[1] and score_of((parts_of_fresh(entries[1])))
    local other = has_set and tonumber(call('ZRANGE', class_key(class.name), 0, 0, 'WITHSCORES')[2]) or nil
    if first and (not other or first < other) then
      limit = math.min(limit, other or math.huge)
      for i = 1, math.min(count, #entries) do
        local digits, line = parts_of_fresh(entries[i])
        local s = score_of(digits)
        if s > limit then break end
        lines[i], scores[i], values[i] = line, string.format('%.0f', s), digits
      end
      return lines, scores, values, entries, other
    end
    limit = math.min(limit, first or math.huge)
  end
  local rows = call('ZRANGE', class_key(class.name), 0, count - 1, 'WITHSCORES')
  for i = 1, #rows, 2 do
    if tonumber(rows[i + 1]) > limit then break end
    lines[#lines + 1], scores[#scores + 1], values[#values + 1] = rows[i], rows[i + 1], ''
  end
  return lines, scores, values
end

-- Takes what fits from the head of a class, but nothing that comes after `limit`: another class is due there. Returns the new head.
local function take(class, limit)
  use_job(class.job)
  gates[job] = false  -- Else its class stood aside.
  local n = room(class)
  local has_marks, has_set = true, true
  if job ~= '' then
    -- Of most jobs nothing has failed, and all that waits is in FRESH.
    local known = call('EXISTS', FAILED, FAILED, ATTEMPTS, ATTEMPTS, OWN, OWN, class_key(class.name))
    has_marks, has_set = known > 1, known % 2 == 1
  end
  local lines, scores, values, fresh, other = first_lines(class, limit, has_set)
  if #lines == 0 then return refresh_class(class.name) end
  local waiting = call('HMGET', TODO, unpack(lines))
  local failed_on = has_marks and call('HMGET', FAILED, unpack(lines)) or {}
  local given, given_scores, gone = {}, {}, 0
  for i, line in ipairs(lines) do
    if not waiting[i] then
      stale = stale + 1
      not_in_todo(class, line, scores[i], failed_on[i])
    elseif job ~= '' and waiting[i] ~= values[i] then
      stale = stale + 1  -- It waits elsewhere in the index.
    elseif (failed_on[i] or '') ~= class.exclusion then
      -- An old worker failed it and put it back.
      if failed_on[i] then keep_retrying(line, failed_on[i]) else stop_retrying(line) end
      if fresh then call('HSET', TODO, line, '') end
      enter_if_new(line, class.memory_text, class.millicores_text, failed_on[i] or '', scores[i])
      has_moved = true
    elseif #given < n and not (reservation and not reservation.lets_pass(class, line)) then
      given[#given + 1] = line
      given_scores[#given] = scores[i]
    else
      class.is_held_back = #given < n
      break
    end
    gone = i
  end
  if #given > 0 then give(class, given, given_scores, has_marks) end
  if fresh then
    if gone > 0 then call('LTRIM', FRESH, gone, -1) end
    local first = fresh[gone + 1] and score_of((parts_of_fresh(fresh[gone + 1])))
    return set_head(class.name, first and other and math.min(first, other) or first or other)
  end
  -- By rank, for all of them stand at the head: one descent into the skip list instead of one for each.
  local removed = gone > 0 and call('ZREMRANGEBYRANK', class_key(class.name), 0, gone - 1) or 0
  if job == '' and removed > 0 then call('DECRBY', INDEXED, removed) end
  return refresh_class(class.name)
end

local budget = 64

-- An owner's classes in their order, read as far as they are needed. The first page is a short one: of a thousand jobs, each with a class
-- of its own, a claim most often gets what it wants from the first.
local function list_of(owner, page)
  return {owner = owner, known = classes_of(owner), window = {}, at = 1, is_full = true, passed = 0, page = page}
end

local function read_page(list)
  local rows = call('ZRANGE', list.known, list.passed, list.passed + list.page - 1, 'WITHSCORES')
  list.window, list.at, list.is_full = {}, 1, #rows == list.page * 2
  list.page = PAGE
  for i = 1, #rows, 2 do list.window[#list.window + 1] = class_of(rows[i], rows[i + 1]) end
end

-- Hundreds of classes stand in front and do not fit. So that small nodes are not starved by large tasks, the largest that
-- do fit are looked at by themselves. It is known which these are of the first owner.
local function read_what_fits(list)
  local classes = list.owner == '' and call('ZREVRANGEBYSCORE', FITS, free_memory, 0, 'LIMIT', 0, 256) or {}
  local window = {}
  list.window, list.at, list.is_full = window, 1, false
  if #classes == 0 then return end
  local heads = call('ZMSCORE', CLASSES, unpack(classes))
  for i, class in ipairs(classes) do
    if heads[i] then window[#window + 1] = class_of(class, heads[i]) end
  end
  table.sort(window, function(a, b) return a.head < b.head end)
end

-- Thousands may stand in front that do not fit, being of jobs that are paused or too large by their cores. Each claim looks at some of
-- the others, and each at others, so that none is passed over for ever.
local has_looked_further = false
local function read_others(list)
  list.has_looked_further, has_looked_further = true, true
  local start = PASSED_MAX + server_milliseconds() % math.max(1, call('ZCARD', list.known) - PASSED_MAX)
  local rows = call('ZRANGE', list.known, start, start + PASSED_MAX - 1, 'WITHSCORES')
  list.window, list.at, list.is_full = {}, 1, false
  for i = 1, #rows, 2 do list.window[#list.window + 1] = class_of(rows[i], rows[i + 1]) end
end

-- Back among the others, by its new head. Behind a full page there are more: the next page finds it in its place.
local function move_back(list, class)
  local i, window = list.at, list.window
  while window[i + 1] and window[i + 1].head < class.head do
    window[i] = window[i + 1]
    i = i + 1
  end
  window[i] = class
  if i == #window and list.is_full then window[i] = nil end
end

-- An older version that put something of another owner's back made its class known as of the first.
local function is_misplaced(list, class)
  if not has_several() or class.job == '' then return false end
  if list.owner ~= '' then
    owners[class.job] = list.owner
    return false
  end
  use_job(class.job)
  local owner = owner_of(job)
  if owner == '' then return false end
  call('ZADD', classes_of(owner), 'LT', class.head, class.name)
  make_owner_known()
  call('ZREM', FITS, class.name)
  call('ZREM', CLASSES, class.name)
  return true
end

-- Gives an owner's tasks in their order; returns whether there may be more of them.
local function walk(list)
  while want > 0 and helping > 0 and gained_millicores < helping_millicores and budget > 0 do
    -- The last of a full page does not tell where the next class begins.
    if list.is_full and list.at >= #list.window then
      if list.passed < PASSED_MAX then read_page(list) else read_what_fits(list) end
    end
    local class, following = list.window[list.at], list.window[list.at + 1]
    if not class and has_moved then
      -- To a class that may stand anywhere, so all are looked at again.
      has_moved, list.passed, list.is_full, list.window, list.at = false, 0, true, {}, 1
    elseif not class and list.passed >= PASSED_MAX and not list.has_looked_further then
      read_others(list)
    elseif not class then
      return false
    elseif is_passed_over(class) then
      list.passed, list.at = list.passed + 1, list.at + 1
    elseif is_misplaced(list, class) then
      budget, list.at = budget - 1, list.at + 1
    else
      budget = stale < STALE_MAX and budget - 1 or 0
      class.head = take(class, following and following.head or math.huge)
      if class.head then move_back(list, class) else list.at = list.at + 1 end
    end
  end
  return true
end

-- uses later serving
-- uses later sharing
-- uses later copying
if taking_on then
  if reservation then serve_reserved() end
  if has_several() then share_out() else walk(list_of('', 4)) end
  if reservation then reservation.note() end
  -- Nobody tells when a task has run for long.
  if want > 0 and budget > 0 and call('EXISTS', JOBS_IDEMPOTENT) == 1 and copy_some() then has_looked_further = true end
end
if #waits > 0 then tally_waits(waits) end
if next_token and next_token <= last_token then call('SET', TOKENS, string.format('%.0f', next_token - 1)) end
use_job('')
-- uses later departing
local function answer()
  local function tasks_told()
    local told = {}
    for i, task in ipairs(taken) do
      for part = 1, 5 do told[i * 5 - 5 + part] = task[part] end
    end
    return told
  end

  -- The jobs of these, but for those that the node knows as they are now.
  local function jobs_told()
    if not next(given_jobs) then return {} end
    local revision = call('GET', JOB_REVISION) or '0'
    local told, unknown = {revision}, {}
    for of in pairs(given_jobs) do
      if revision ~= ARGV[10] or not string.find(ARGV[11], ' ' .. of .. ' ', 1, true) then unknown[#unknown + 1] = of end
    end
    local records = unknown[1] and call('HMGET', JOBS, unpack(unknown))
    for i, of in ipairs(unknown) do told[i * 2], told[i * 2 + 1] = of, records[i] or '' end
    return told
  end

  -- Whether this node is to look for lines that an old manager added: they are in todo and not in the index. Entries that an old worker left
  -- in the index may make up for them in number, so whoever finds nothing has a look all the same, now and then.
  local function is_to_sweep()
    -- Came up short, and there is nothing to look further at: whoever adds tells us.
    local short = taking_on and want > 0 and budget > 0
    if short then call('DEL', FED) end
    local delayed, waiting = next_retry and call('ZCARD', DELAYED) or 0, call('HLEN', TODO) - closing
    if waiting <= delayed or not is_over(SWEEPER, now) then return 0 end
    if waiting <= tonumber(call('GET', INDEXED) or 0) + delayed then
      if not short or not is_over(SWEPT, now) then return 0 end
      keep_until(SWEPT, now + math.max(600000, waiting))
    end
    -- The right is this node's for so long, and for as much again after each page.
    keep_until(SWEEPER, now + SWEEP_PAUSE)
    return 1
  end

  -- In how many milliseconds to come again; -1: when somebody tells.
  local function due_in()
    local due = next_retry and math.max(0, next_retry - now) or -1
    if taking_on and want > 0 and (budget <= 0 or not all_are_told) then due = 0 end
    if has_looked_further and want > 0 then due = math.min(due < 0 and 5000 or due, 5000) end
    return due
  end

  local sweeps, due = is_to_sweep(), due_in()
  -- A node that has had nothing for long leaves if it was looked for whatever there is, and there was nothing.
  local leaves = ARGV[12] == '1' and tonumber(ARGV[8]) == silence and #taken == 0 and sweeps == 0 and due ~= 0 and held_back == 0
    and call('EXISTS', held) == 0
  if leaves then depart() end
  return {tasks_told(), closing, sweeps, due, paused, has_orders, held_back, silence, leaves and 1 or 0, jobs_told()}
end

return answer()

-- Big tasks are not starved. Where one has waited for long though an empty node would hold it, and others that come after it are given
-- what becomes free, a node is reserved for it: what is free there is kept, and others pass only if they must have ended when it can begin, or
-- fit beside it. It is for the first task of its class, whichever that is when there is room: then the reservation is over.
--
--   RESERVED   incarnation -> `until memory millicores since token class`: by when the task fits there at the latest, in the queue's time, or 0 where
--              nobody knows, and how much of the node others may take that run for longer
--   STANDING   of the classes that stand first: class -> `score since how`, the score of its first task when it was looked at last, since when
--              that has been so, and `m` where it was another before, `n` where the class was new then
--   ARRIVALS   how many had arrived by when: how long a task waits is told by its score
--   TIMEOUTS   incarnation -> the timeout of tasks that have none, and how long after a timeout a task has gone, in milliseconds; of nodes
--              that keep to reservations
--
-- Whose heartbeat comes first looks, every few seconds. Nothing of it is done by claims, but for those of a node that is reserved.

-- uses timeouts labels classes needing dating

local after = reserve_after
local needs = call('EXISTS', JOB_NEEDS) == 1 and needing()
-- So many running tasks are looked at, and so many times a node is held against a class.
local held_left, comparisons = 2048, 5000

local function all_of(key)
  local all, cursor = {}, '0'
  repeat
    local page = call('HSCAN', key, cursor, 'COUNT', 100)
    cursor = page[1]
    for i = 1, #page[2], 2 do all[page[2][i]] = page[2][i + 1] end
  until cursor == '0'
  return all
end

-- What had arrived so long ago has waited for long; nil where nobody looked then.
local function arrived_before(time)
  local last = tonumber(call('ZREVRANGE', ARRIVALS, 0, 0, 'WITHSCORES')[2])
  if not last or now - last >= after / 16 then
    call('ZADD', ARRIVALS, 'NX', now, call('GET', SEQUENCE) or '0')
    call('ZREMRANGEBYRANK', ARRIVALS, 0, -33)
  end
  return tonumber(call('ZREVRANGEBYSCORE', ARRIVALS, string.format('%.0f', time), '-inf', 'LIMIT', 0, 1)[1])
end

-- The classes that stand first, in the order in which it is their turn.
local function first_classes()
  local line, known = {}, {CLASSES}
  if has_several() then
    known = {}
    for i, owner in ipairs(call('ZRANGE', OWNERS, 0, 7)) do known[i] = classes_of(owner) end
  end
  local page = math.floor(64 / math.max(1, #known))
  for _, key in ipairs(known) do
    local rows = call('ZRANGE', key, 0, page - 1, 'WITHSCORES')
    for i = 1, #rows, 2 do
      local class = class_of(rows[i], rows[i + 1])
      if call('SISMEMBER', JOBS_PAUSED, class.job) == 0 then line[#line + 1] = class end
    end
    if #rows == page * 2 and #line > 0 then line[#line].is_not_last = true end
  end
  return line
end

-- Which of them have not been served of late, though others were that come after them.
local function find_standing(line)
  local names, notes = {}, {}
  for i, class in ipairs(line) do names[i] = class.name end
  local before = #names > 0 and call('HMGET', STANDING, unpack(names)) or {}
  for i, class in ipairs(line) do
    local head, since, how = string.match(before[i] or '', '^(%d+) (%d+) (%l)$')
    if tonumber(head) ~= class.head then since, how = now, head and 'm' or 'n' end
    class.since, class.has_moved = tonumber(since), how == 'm'
    notes[i * 2 - 1], notes[i * 2] = class.name, string.format('%.0f %.0f %s', class.head, class.since, how)
  end
  call('DEL', STANDING)
  if #notes > 0 then call('HSET', STANDING, unpack(notes)) end
  local last = 0
  for i = #line, 1, -1 do
    local class = line[i]
    if class.is_not_last then last = now end  -- Something of what stands behind may be served.
    class.is_standing, class.is_overtaken = now - class.since >= after / 10, last > class.since
    if class.has_moved then last = math.max(last, class.since) end
  end
end

local has_wheres = call('EXISTS', JOB_WHERES) == 1
local function is_for_node(class, incarnation)
  local where = has_wheres and class.job ~= '' and call('HGET', JOB_WHERES, class.job)
  return not where or is_meant(where, labels_of(incarnation))
end

local function takes_on(incarnation)
  return tonumber(call('ZSCORE', LEASES, incarnation) or 0) >= now and call('SISMEMBER', DRAINED, node_name(incarnation)) == 0
    and call('HEXISTS', TROUBLES, incarnation) == 0
end

-- Whether more than so many tasks of a class wait.
local function has_more_than(count, class)
  use_job(class.job)
  local rest = count - call('ZCARD', class_key(class.name))
  return rest < 0 or class.job ~= '' and class.name == plain_class() and call('LINDEX', FRESH, rest) ~= false
end

-- What is known of a node that keeps to reservations and takes tasks; else nil.
local function node_of(incarnation)
  local timeout, grace = string.match(call('HGET', TIMEOUTS, incarnation) or '', '^(%d+) (%d+)$')
  local memory, millicores = string.match(call('HGET', NODES, incarnation) or '', '^(%d+) (%d+)')
  if not timeout or not memory or not takes_on(incarnation) then return nil end
  return {
    incarnation = incarnation, name = node_name(incarnation), memory = tonumber(memory), millicores = tonumber(millicores),
    timeout = tonumber(timeout), grace = tonumber(grace),
  }
end

-- Nodes that could be reserved.
local function read_nodes(reserved)
  local nodes = {}
  for _, incarnation in ipairs(call('ZREVRANGE', SIZES, 0, 63)) do
    if not reserved[incarnation] then nodes[#nodes + 1] = node_of(incarnation) end
  end
  return nodes
end

-- What runs there, by when it must have ended.
local function read_held(node)
  local key = held_key(node.incarnation)
  held_left = held_left - call('HLEN', key)
  if held_left < 0 then return end
  node.held, node.used_memory, node.used_millicores = {}, 0, 0
  for line, entry in pairs(all_of(key)) do
    local token, memory, millicores = string.match(entry, '^(%d+) (%d+) (%d+) ')
    if token then
      use_job_of(line)
      local timeout = timeout_of(line, node.timeout)
      local left = timeout > 0 and math.max(0, timeout + node.grace - math.max(0, age_of(token))) or math.huge
      node.held[#node.held + 1] = {left = left, memory = memory, millicores = millicores, job = job, token = tonumber(token)}
      node.used_memory, node.used_millicores = node.used_memory + memory, node.used_millicores + millicores
    end
  end
  table.sort(node.held, function(a, b) return a.left < b.left end)
end

-- In how long a class fits there at the latest, and what others may take that run for longer. Where what runs has no limit nobody knows, and
-- it is enough that what is there now should end. Who has some of the resources that it needs has to end in any case.
local function room_in(node, class)
  local used_memory, used_millicores, left = node.used_memory, node.used_millicores, 0
  for _, task in ipairs(node.held) do
    local fits = node.memory - used_memory >= class.memory and node.millicores - used_millicores >= class.millicores
    if not fits or needs and needs.overlap(class, task) then
      used_memory, used_millicores, left = used_memory - task.memory, used_millicores - task.millicores, task.left
    end
  end
  if left == math.huge then used_memory, used_millicores = 0, 0 end
  return left, node.memory - used_memory - class.memory, node.millicores - used_millicores - class.millicores
end

local function could_hold(node, class)
  return class.memory <= node.memory and class.millicores <= node.millicores and is_for_node(class, node.incarnation)
    and (not needs or needs.could_hold(class, node))
end

-- The node where there is room soonest, or the one on which least runs. Not one that goes to those who stand before it, and are served.
local function best_node(nodes, class, ahead)
  local best
  for _, node in ipairs(nodes) do
    comparisons = comparisons - 1
    local may = comparisons > 0 and not node.is_reserved and not lists(class.exclusion, node.name) and could_hold(node, class)
    may = may and call('HEXISTS', RESERVED_IN_VAIN, node.incarnation .. ' ' .. class.name) == 0
    for _, other in ipairs(ahead) do
      if not may then break end
      comparisons = comparisons - 1
      may = comparisons > 0 and not could_hold(node, other)
    end
    if may and not node.held then read_held(node) end
    if may and node.held then
      local left, memory, millicores = room_in(node, class)
      local load = node.used_memory / node.memory + node.used_millicores / math.max(1, node.millicores)
      if not best or left < best.left or left == best.left and load < best.load then
        best = {node = node, left = left, memory = memory, millicores = millicores, load = load}
      end
    end
  end
  return best
end

local function reserve(node, class, since, token, left, memory, millicores)
  call('HSET', RESERVED, node.incarnation, string.format('%.0f %.0f %.0f %s %s %s', left < math.huge and now + left + 1000 or 0,
    memory, millicores, since, token, class.name))
end

-- What is left to others beside the task without what they have begun since, which may be there when it begins.
local function less_what_passed(node, token, memory, millicores)
  for _, task in ipairs(node.held) do
    if task.token > tonumber(token) then memory, millicores = memory - task.memory, millicores - task.millicores end
  end
  return math.max(0, memory), math.max(0, millicores)
end

-- What still holds; how many there are, and of each class.
local function check_reserved()
  local reserved, count, counts = all_of(RESERVED), 0, {}
  for incarnation, record in pairs(reserved) do
    local ends, since, token, name = string.match(record, '^(%d+) %d+ %d+ (%d+) (%d+) (.+)$')
    local class = class_of(name or '', 0)
    use_job(class.job)
    counts[class.name] = (counts[class.name] or 0) + 1
    local node = node_of(incarnation)
    local is_wanted = node and call('ZSCORE', classes_of(owner_of(job)), class.name)
      and call('SISMEMBER', JOBS_PAUSED, class.job) == 0 and could_hold(node, class)
      and has_more_than(counts[class.name] - 1, class)
    -- There was no room in time: something else takes it, or what runs has no limit. Others have their turn, for as long as this may take.
    local is_in_vain = is_wanted and now > (ends == '0' and since + 3 * after or ends + math.max(1000, after / 4))
    if is_in_vain then
      call('HSET', RESERVED_IN_VAIN, incarnation .. ' ' .. class.name, string.format('%.0f', now + 6 * after))
    end
    if is_wanted and not is_in_vain then
      count = count + 1
      -- What ended before its time makes it sooner, and makes room for others. It is never put off.
      read_held(node)
      local left, memory, millicores = math.huge, 0, 0
      if node.held then left, memory, millicores = room_in(node, class) end
      if ends == '0' and left == math.huge and node.held then memory, millicores = less_what_passed(node, token, memory, millicores) end
      if node.held and (ends == '0' or now + left + 1000 <= ends + 0) then
        reserve(node, class, since, token, left, memory, millicores)
      end
    else
      counts[class.name] = counts[class.name] - 1
      reserved[incarnation] = nil
      call('HDEL', RESERVED, incarnation)
      wake()
    end
  end
  for which, ends in pairs(all_of(RESERVED_IN_VAIN)) do
    if tonumber(ends) <= now then call('HDEL', RESERVED_IN_VAIN, which) end
  end
  return reserved, count, counts
end

local function look_at_reservations()
  keep_until(LOOKED, now + math.min(5000, math.floor(after / 20)))
  if call('EXISTS', CLASSES, OWNERS) == 0 or call('EXISTS', PAUSED) == 1 or call('HEXISTS', TODO, CLOSE) == 1 then
    if call('DEL', RESERVED) == 1 then wake() end
    call('DEL', STANDING, ARRIVALS)
    return
  end
  local arrived, line = arrived_before(now - after), first_classes()
  find_standing(line)
  local reserved, count, counts = check_reserved()
  local most, nodes, ahead, found = math.max(1, math.floor(call('ZCARD', LEASES) / 4)), nil, {}, 0
  for _, class in ipairs(line) do
    if count >= most or found == 4 then break end  -- The rest by the next look.
    if not class.is_standing then
      ahead[#ahead + 1] = class
    elseif arrived and class.is_overtaken and class.head % BAND <= arrived and has_more_than(counts[class.name] or 0, class) then
      nodes = nodes or read_nodes(reserved)
      local best = best_node(nodes, class, ahead)
      if best then
        count, found, best.node.is_reserved = count + 1, found + 1, true
        reserve(best.node, class, string.format('%.0f', now), call('GET', TOKENS) or '0', best.left, best.memory, best.millicores)
      end
    end
  end
  use_job('')
end

-- Lines that are new to todo.

-- uses index telling arriving

-- By hand a task goes on also where what failed has been forgotten, as a job does, see gate_of. Of some of those that failed for it; where
-- there are more, one is among them that has not been forgotten, or else it can be asked for again; so can those of a call that come behind
-- as many as one may look at.
local parents, looks = {}, 20000
local function drop_forgotten(id, number)
  local needs = looks > 0 and call('ZRANGEBYSCORE', job_key(id .. BROKEN), number, number, 'LIMIT', 0, 100) or {}
  local forgotten = {}
  looks = looks - #needs
  for _, need in ipairs(needs) do
    local parent, of, other = string.match(need, '^%d+ ((%w+) (%d+))$')
    if parent and parents[parent] == nil then
      local line = call('HGET', job_key(of .. LINES), other)
      use_job(of)
      parents[parent] = line and state_of(line) or 'forgotten'
      use_job(id)
    end
    if parents[parent] == 'forgotten' then forgotten[#forgotten + 1] = need end
  end
  if #forgotten == 0 then return end
  call('ZREM', job_key(id .. BROKEN), unpack(forgotten))
  call('ZREM', job_key(id .. NEEDS), unpack(forgotten))
end

-- Those of failed lines that may begin anew. What could not run for want of others goes on with these, by itself; and what waits for
-- others though it failed otherwise (it was cancelled) waits again.
local function without_vain(positions)
  local id, gate = job, is_gated()
  if gate then
    settle_gate(id, true)
    use_job(id)
    gate = is_gated()
  end
  local is_broken, has_needs = string.sub(gate or '', 1, 6) == 'broken', call('EXISTS', job_key(job .. NEEDS)) == 1
  if not is_broken and not has_needs then return positions end
  local rest = {}
  for _, at in ipairs(positions) do
    local line = ARGV[at]
    local number = has_needs and call('HGET', job_key(job .. NUMBERS), line)
    if number then drop_forgotten(id, number) end
    if is_broken or number and count_of(job_key(job .. BROKEN), number) > 0 then  -- It stays where it is.
    elseif number and count_of(job_key(job .. NEEDS), number) > 0 then
      notice(line)
      let_wait(line, number, score(band_of(tonumber(ARGV[at + 3])), call('INCR', SEQUENCE)))
      for _, key in ipairs({REASON, OUTCOMES, FAILED}) do call('HDEL', key, line) end
    else
      rest[#rest + 1] = at
    end
  end
  return rest
end

-- Puts lines into todo for the first time, or the first time of a new life. They are of one job.
-- `positions` says where in ARGV each line is; memory, millicores and priority follow it.
-- What waits for others does not begin by being asked for again: it waits still, or goes on when that which failed does. Returns how many
-- wait now.
local function add_new(positions, is_asked_again)
  if is_asked_again and job ~= '' and #positions > 0 then positions = without_vain(positions) end
  if #positions == 0 then return 0 end
  local sequence = call('INCRBY', SEQUENCE, #positions) - #positions
  note_arrival(sequence + #positions)
  local by_class, new, fields, fresh = {}, {}, {}, {}
  local last = job ~= '' and (score_of_fresh(-1) or 0)
  for i, at in ipairs(positions) do
    local line, s = ARGV[at], score(band_of(tonumber(ARGV[at + 3])), sequence + i)
    local class = class_name(line, ARGV[at + 1], ARGV[at + 2], '')
    new[i] = line
    fields[i * 2 - 1], fields[i * 2] = line, ''
    if ways_awaited() ~= '' then notice(line) end
    -- The list is in order from the first to the last: what goes before its last does not go there.
    if job ~= '' and class == plain_class() and s > last then
      last = s
      fresh.head = fresh.head or s
      fields[i * 2] = digits_of(s)
      fresh[#fresh + 1] = digits_of(s) .. ' ' .. line
    else
      local entries = by_class[class] or {head = s}
      by_class[class] = entries
      entries.head = math.min(entries.head, s)
      entries[#entries + 1] = s
      entries[#entries + 1] = line
    end
  end
  for class, entries in pairs(by_class) do enter_all(class, entries.head, entries) end
  if fresh.head then
    make_known(plain_class(), fresh.head)
    call('RPUSH', FRESH, unpack(fresh))
  end
  call('HSET', TODO, unpack(fields))
  -- What failed for good begins anew, without the marks of its last life.
  local again = call('HDEL', FAILED, unpack(new))
  if again < #new then remember_failures() end
  if again > 0 then
    call('SREM', RETRYING, unpack(new))
    for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST, REQUEUES, FAILED_ON}) do call('HDEL', key, unpack(new)) end
  end
  if string.sub(is_gated() or '', 1, 6) == 'broken' then note_change('tasks ' .. job) end
  -- Whoever looks whether all of the job has ended learns that more was added meanwhile.
  if job ~= '' then call('HDEL', RETENTION, 'quiet:' .. job) end
  wake()
  return #positions
end

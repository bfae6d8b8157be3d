-- Lines that are new to todo.

-- uses index

-- Puts lines into todo for the first time, or the first time of a new life. They are of one job.
-- `positions` says where in ARGV each line is; memory, millicores and priority follow it.
local function add_new(positions)
  if #positions == 0 then return end
  local sequence = call('INCRBY', SEQUENCE, #positions) - #positions
  local by_class, new, fields, fresh = {}, {}, {}, {}
  local last = job ~= '' and (score_of_fresh(-1) or 0)
  for i, at in ipairs(positions) do
    local line, s = ARGV[at], score(band_of(tonumber(ARGV[at + 3])), sequence + i)
    local class = class_name(line, ARGV[at + 1], ARGV[at + 2], '')
    new[i] = line
    fields[i * 2 - 1], fields[i * 2] = line, ''
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
  if call('HDEL', FAILED, unpack(new)) > 0 then
    call('SREM', RETRYING, unpack(new))
    for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST, FAILED_ON}) do call('HDEL', key, unpack(new)) end
  end
  -- Whoever looks whether all of the job has ended learns that more was added meanwhile.
  if job ~= '' then call('HDEL', RETENTION, 'quiet:' .. job) end
  wake()
end

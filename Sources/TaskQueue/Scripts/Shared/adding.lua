-- Lines that are new to todo.

-- uses index

-- Puts lines into todo for the first time, or the first time of a new life. They are of one job.
-- `positions` says where in ARGV each line is; memory, millicores and priority follow it.
local function add_new(positions)
  if #positions == 0 then return end
  local sequence = call('INCRBY', SEQUENCE, #positions) - #positions
  local by_class, new, fields = {}, {}, {}
  for i, at in ipairs(positions) do
    local s = score(band_of(tonumber(ARGV[at + 3])), sequence + i)
    local class = class_name(ARGV[at + 1], ARGV[at + 2], '')
    local entries = by_class[class]
    if not entries then
      entries = {head = s}
      by_class[class] = entries
    end
    entries.head = math.min(entries.head, s)
    entries[#entries + 1] = s
    entries[#entries + 1] = ARGV[at]
    new[i] = ARGV[at]
    fields[i * 2 - 1], fields[i * 2] = ARGV[at], ''
  end
  for class, entries in pairs(by_class) do enter_all(class, entries.head, entries) end
  call('HSET', TODO, unpack(fields))
  -- What failed for good begins anew, without the marks of its last life.
  if call('HDEL', FAILED, unpack(new)) > 0 then
    call('SREM', RETRYING, unpack(new))
    for _, key in ipairs({REASON, OUTCOMES, ATTEMPTS, LOST, FAILED_ON}) do call('HDEL', key, unpack(new)) end
  end
  wake()
end

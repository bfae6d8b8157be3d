#!lua flags=no-writes
-- Writes nothing. What was counted since ever, and of the queue what is told by a look at few keys.

-- uses clock owning classes whole
-- uses summing

local now = server_milliseconds()
local sums, totals = whole(METRICS_OPEN), whole(METRICS)
local noted = redis.pcall('GET', METRICS_NOTED)
if type(noted) == 'string' then
  for field, number in pairs(sums_of(noted)) do sums[field] = string.format('%.0f', (sums[field] or 0) + number) end
end

local function flat(fields)
  local list = {}
  for field, value in pairs(fields) do
    list[#list + 1] = field
    list[#list + 1] = value
  end
  return list
end

-- Since when the first of what could be given out waits; -1 where nothing does, or nobody knows. Of many hundred classes those that are
-- next are looked at.
local function oldest()
  local heads, known = {}, {CLASSES}
  if has_several() then
    known = {}
    for i, owner in ipairs(call('ZRANGE', OWNERS, 0, 63)) do known[i] = classes_of(owner) end
  end
  for _, key in ipairs(known) do
    local rows = call('ZRANGE', key, 0, 511, 'WITHSCORES')
    for i = 1, #rows, 2 do heads[#heads + 1] = {name = rows[i], place = rows[i + 1] % BAND} end
  end
  table.sort(heads, function(a, b) return a.place < b.place end)
  for _, head in ipairs(heads) do
    if call('SISMEMBER', JOBS_PAUSED, class_of(head.name, 0).job) == 0 then
      local note = redis.pcall('ZRANGE', METRICS_ARRIVALS, string.format('%.0f', head.place), '+inf', 'BYSCORE', 'LIMIT', 0, 1)
      return note[1] and string.format('%.0f', math.max(0, now - note[1])) or -1
    end
  end
  return -1
end

return {string.format('%.0f', now), flat(totals), flat(sums), oldest(), call('HLEN', JOBS), call('SCARD', JOBS_PAUSED),
  call('HLEN', JOBS_HALTED), call('EXISTS', PAUSED), call('ZCARD', DELAYED) + call('ZCARD', JOBS_DELAYED), call('HEXISTS', TODO, CLOSE)}

-- How long tasks had waited when they are given out for the first time: since they were added, by their place in the order of arrival. Of a
-- job or task that waited for others, or for its time, that is a part of it. What was added by a version before 1.1 is told with what came
-- after it, and not at all while nothing has.

-- uses tallying clock

-- Of each class that something was taken from the scores of its lines, and how often each was tried before. So many different moments
-- of a class are told apart.
local function tally_waits(classes)
  local now, events = server_milliseconds(), {}
  local from, to, waited, count = 0, 0, nil, 0
  local function tell()
    if waited and count > 0 then events[#events + 1] = string.format('wait %.0f %d - -\n', math.max(0, now - waited), count) end
    count = 0
  end
  for _, class in ipairs(classes) do
    local scores, attempts, looks = class[1], class[2], 0
    for i, s in ipairs(scores) do
      local place = s % BAND
      if not attempts[i] then
        if (place < from or place > to) and looks < METRICS_LOOKS_MAX then
          tell()
          local note = redis.pcall('ZRANGEBYSCORE', METRICS_ARRIVALS, string.format('%.0f', place), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
          looks, from, to, waited = looks + 1, place, tonumber(note[2]) or math.huge, tonumber(note[1])
        end
        count = count + 1
      end
    end
  end
  tell()
  if events[1] then tally_events(table.concat(events)) end
end

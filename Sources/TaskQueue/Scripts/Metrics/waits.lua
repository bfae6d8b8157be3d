-- How long tasks had waited when they are given out for the first time: since they were added, by their place in the order of arrival. Of a
-- job or task that waited for others, or for its time, that is a part of it. What was added by a version before 1.1 is told with what came
-- after it, and not at all while nothing has.

-- uses tallying clock

-- Scores of lines of one class, and how often each was tried before. So many different moments are told apart.
local function tally_waits(scores, attempts)
  local now = server_milliseconds()
  local from, to, waited, count, looks = 0, 0, nil, 0, 0
  local function tell()
    if waited and count > 0 then tally('wait', string.format('%.0f', math.max(0, now - waited)), count) end
    count = 0
  end
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
  tell()
end

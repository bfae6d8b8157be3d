-- The index keeps the order in which lines came, not when. So it is noted in METRICS_ARRIVALS, whenever some are added, how many had come
-- by then: score, how many; member, Redis's clock in milliseconds, in steps of METRICS_STEP. Of the older half, when there are too many, every
-- other is dropped, and again: the longer ago, the less exactly it is known.

-- uses clock

local function note_arrival(count)
  local time = server_milliseconds()
  local is_new = redis.pcall('ZADD', METRICS_ARRIVALS, string.format('%.0f', count), string.format('%.0f', time - time % METRICS_STEP))
  if is_new ~= 1 or redis.pcall('ZCARD', METRICS_ARRIVALS) <= METRICS_ARRIVALS_MAX then return end
  local members, dropped = redis.pcall('ZRANGE', METRICS_ARRIVALS, 0, METRICS_ARRIVALS_MAX / 2 - 1), {}
  for i = 1, #members, 2 do dropped[#dropped + 1] = members[i] end
  redis.pcall('ZREM', METRICS_ARRIVALS, unpack(dropped))
end

-- Closes the slot that is open, and opens the present one: its sums are added to those since ever, and put into the ring in place of those
-- of a day before. A clock that was set back has a slot closed twice; then they are added.

-- uses summing whole

local function close_slot()
  sum_up()
  local open = tonumber(redis.pcall('HGET', METRICS, 'slot') or nil)
  redis.pcall('HSET', METRICS, 'slot', string.format('%.0f', math.floor(server_milliseconds() / METRICS_SLOT)))
  local sums = whole(METRICS_OPEN)
  if not open or not next(sums) then return end
  redis.pcall('DEL', METRICS_OPEN)
  local ring, slot = metrics_key(open % METRICS_SLOTS), string.format('%.0f', open)
  if redis.pcall('HGET', ring, 'slot') ~= slot then
    redis.pcall('DEL', ring)
    redis.pcall('HSET', ring, 'slot', slot)
  end
  for field, number in pairs(sums) do
    redis.pcall('HINCRBY', METRICS, field, number)
    redis.pcall('HINCRBY', ring, field, number)
  end
end

-- Every five minutes a slot of what is counted is closed, by whichever node's heartbeat comes first: see tallying.lua.

-- uses clock
-- uses later closing

local function keep_slots()
  if redis.pcall('HGET', METRICS, 'slot') ~= string.format('%.0f', math.floor(server_milliseconds() / METRICS_SLOT)) then close_slot() end
end

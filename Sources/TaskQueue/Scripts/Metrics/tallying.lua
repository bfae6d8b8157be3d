-- What monitoring shows is counted here: how tasks ended, how long they waited and ran, what they asked for and needed. Each event is
-- noted as a few words behind the others in METRICS_NOTED, which costs one APPEND; every few hundred are summed at once, see summing.lua.
--
--   METRICS_NOTED   what is not summed yet, at most METRICS_NOTED_MAX bytes and one event
--   METRICS_OPEN    field -> number, of the five minutes that go on
--   METRICS         the same since ever, without these; and `slot`, the number of these five minutes
--   metrics_key(n)  the same of five minutes that are over; n is their number modulo METRICS_SLOTS, and `slot` says which they are
--
-- Nothing that goes wrong here fails a script: a user who may not write this, or a key of another type, costs a count and no task.

-- uses later summing

local function tally_events(text)
  local size = redis.pcall('APPEND', METRICS_NOTED, text)
  if type(size) == 'number' and size > METRICS_NOTED_MAX then sum_up() end
end

-- A word for what came to pass, and up to four amounts.
local function tally(what, first, second, third, fourth)
  tally_events(what .. ' ' .. (first or '-') .. ' ' .. (second or '-') .. ' ' .. (third or '-') .. ' ' .. (fourth or '-') .. '\n')
end

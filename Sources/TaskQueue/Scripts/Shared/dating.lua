-- For how long a task has run at least. Its token is the time when it was given; but for an hour or two after a server was met for the first
-- time tokens are beyond the time, see pass_lost_tokens. So heartbeats note in TOKEN_TIMES how far they had come by when.

-- uses clock

local function date_tokens()
  local last, time = tonumber(call('GET', TOKENS) or 0), server_milliseconds()
  if last <= (time + 1000) * 1000 then return end
  local noted = call('ZREVRANGE', TOKEN_TIMES, 0, 0, 'WITHSCORES')
  if noted[1] and (last <= tonumber(noted[2]) or math.abs(time - noted[1]) < TOKEN_TIMES_STEP) then return end
  call('ZADD', TOKEN_TIMES, string.format('%.0f', last), string.format('%.0f', time))
  call('ZREMRANGEBYRANK', TOKEN_TIMES, 0, -1 - TOKEN_TIMES_MAX)
end

-- In milliseconds, of what was given under a token.
local function age_of(token)
  local time = server_milliseconds()
  local by = call('ZRANGEBYSCORE', TOKEN_TIMES, token, '+inf', 'LIMIT', 0, 1)[1]
  return math.max(time - math.floor(token / 1000), by and time - by or 0)
end

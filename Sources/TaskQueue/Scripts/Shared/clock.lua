-- The server's clock.

local function milliseconds()
  local t = call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

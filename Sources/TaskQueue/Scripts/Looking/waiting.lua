#!lua flags=no-writes
-- Writes nothing. How many lines of these classes wait, before a place in the order of all, or, without one, at all. Of a list with
-- entries that are stale it may be too many.

-- uses index

local limit = tonumber(ARGV[2]) or math.huge

-- FRESH is in order.
local function fresh_before_limit()
  local low, high = 0, call('LLEN', FRESH)
  if limit == math.huge then return high end
  while low < high do
    local middle = math.floor((low + high) / 2)
    if score_of_fresh(middle) < limit then low = middle + 1 else high = middle end
  end
  return low
end

local count = 0
for i = 3, #ARGV do
  local class = ARGV[i]
  use_job(string.match(class, '^@(%w+) ') or '')
  if limit == math.huge then
    count = count + call('ZCARD', class_key(class))
  else
    count = count + call('ZCOUNT', class_key(class), '-inf', '(' .. ARGV[2])
  end
  if job ~= '' and class == plain_class() then count = count + math.min(fresh_before_limit(), call('HLEN', TODO)) end
end
return count

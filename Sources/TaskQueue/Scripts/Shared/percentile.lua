-- Of many amounts it is kept how many there were in each of a few buckets, 32 to each doubling, as TaskModel's MemoryPeaks does, which must
-- come to the same.

local function bucket_of(amount)
  local part, exponent = math.frexp(amount)
  return string.format('%.0f', exponent * 32 + math.floor((part - 0.5) * 64))
end

-- What 19 of 20 did not come up to, and how many there are; nil where there is none. The hash may hold other fields too.
local function most_of(key)
  local sizes, buckets, count, cursor = {}, {}, 0, '0'
  repeat
    local page = call('HSCAN', key, cursor, 'COUNT', 1000)
    for i = 1, #page[2], 2 do
      local bucket = tonumber(page[2][i])
      if bucket and not sizes[bucket] then
        sizes[bucket] = tonumber(page[2][i + 1])
        buckets[#buckets + 1] = bucket
        count = count + sizes[bucket]
      end
    end
    cursor = page[1]
  until cursor == '0'
  table.sort(buckets)
  local rank, seen = math.ceil(count * 0.95), 0
  for _, bucket in ipairs(buckets) do
    seen = seen + sizes[bucket]
    if seen >= rank then return math.ldexp(0.5 + (bucket % 32 + 1) / 64, math.floor(bucket / 32)), count end
  end
  return nil, count
end

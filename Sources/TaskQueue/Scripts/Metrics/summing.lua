-- Sums what was noted, see tallying.lua. Fields are:
--
--   finished, failed:CAUSE, again:CAUSE       attempts that ended so; the last: whose task waits for another
--   launch:STEP                               launches that failed, among these
--   returned, refused, lost                   attempts that went back without a mark; reports refused; leases of nodes lost
--   wait:BOUND, delay:BOUND, run:BOUND        how many took so many milliseconds at most, and more than the bound before
--   asked:BOUND, peak:BOUND                   the same of bytes
--   wait:sum, asked:sum and the like          all of them together, in milliseconds or KiB
--
-- All of it is bounded: names that are not known are `other`.

local function sums_of(noted)
  local times, sizes, causes, steps = METRICS_MILLISECONDS, METRICS_BYTES, METRICS_CAUSES, METRICS_STEPS
  local sums, meters = {}, {}
  local function add(field, number) sums[field] = (sums[field] or 0) + number end
  -- Most of this is done for each of some hundred events, so strings are made in the end alone, and amounts of which many are alike are read once.
  local floor = math.floor
  local function meter(name, bounds, factor, unit, are_alike)
    local counts, known, last = {}, {}, #bounds
    local one = {name = name, bounds = bounds, counts = counts, sum = 0}
    meters[#meters + 1] = one
    return function(text, count)
      local place, units
      local seen = are_alike and known[text]
      if seen then
        place, units = seen[1], seen[2]
      else
        local amount = tonumber(text)
        if not amount or amount < 0 then return end
        amount = amount * factor
        if amount > 1e15 then amount = 1e15 end
        place, units = 1, floor(amount / unit + 0.5)
        while place <= last and amount > bounds[place] do place = place + 1 end
        if are_alike then known[text] = {place, units} end
      end
      counts[place] = (counts[place] or 0) + count
      one.sum = one.sum + units * count
    end
  end
  local waited, delayed, ran = meter('wait', times, 1, 1), meter('delay', times, 1, 1, true), meter('run', times, 1000, 1)
  local asked, peaked = meter('asked', sizes, 1, 1024, true), meter('peak', sizes, 1, 1024)
  for what, first, second, third, fourth in string.gmatch(noted, '(%S+) (%S+) (%S+) (%S+) (%S+)\n') do
    if what == 'wait' then
      waited(first, tonumber(second) or 0)
    else
      if what == 'finished' then
        add(what, 1)
      else
        local way, cause, step = string.match(what, '^(%l+):([%l-]+):?([%l_]*)$')
        add(cause and way .. ':' .. (causes[cause] and cause or 'other') or what, 1)
        if cause and step ~= '' then add('launch:' .. (steps[step] and step or 'other'), 1) end
      end
      if first ~= '-' then ran(first, 1) end
      if second ~= '-' then asked(second, 1) end
      if third ~= '-' then peaked(third, 1) end
      if fourth ~= '-' then delayed(fourth, 1) end
    end
  end
  for _, one in ipairs(meters) do
    for place, count in pairs(one.counts) do
      add(one.name .. ':' .. (one.bounds[place] and string.format('%.0f', one.bounds[place]) or 'inf'), count)
    end
    if next(one.counts) then add(one.name .. ':sum', one.sum) end
  end
  return sums
end

local function sum_up()
  local noted = redis.pcall('GET', METRICS_NOTED)
  if type(noted) ~= 'string' then return end
  redis.pcall('DEL', METRICS_NOTED)
  for field, number in pairs(sums_of(noted)) do
    redis.pcall('HINCRBY', METRICS_OPEN, field, string.format('%.0f', number))
  end
end

-- How attempts ended, and what they used, is noted by their records: see tallying.lua.

-- uses later tallying

-- An attempt has ended as its record says: for good, or its task waits for another (`again`). How much memory it asked for, and how many
-- milliseconds after it was given to its node it began, are not known of all.
local function tally_ending(what, record, asked, delay)
  if what ~= 'finished' then
    local cause = string.match(record, '"cause":"([%l-]+)"') or 'other'
    what = what .. ':' .. cause
    if cause == 'launch' then what = what .. ':' .. (string.match(record, '"launch_step":"([%l_]+)') or 'other') end
  end
  -- Looked for as plain text, and the pattern begins there: a pattern that is looked for takes three times as long.
  local _, at = string.find(record, '"wall_seconds":', 1, true)
  local wall, peak
  if at then wall, peak = string.match(record, '^([%d.e-]+),"cpu_seconds":[^,]*,"memory_peak_bytes":(%d*)', at + 1) end
  tally(what, wall, asked, peak ~= '' and peak or nil, delay ~= '' and delay or nil)
end

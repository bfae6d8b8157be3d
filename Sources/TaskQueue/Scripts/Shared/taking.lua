-- Taking away what is in progress, whoever runs it.

-- uses names index holders copies

local has_revoked = false

-- Back to todo; where nobody is known to hold it, as a line of this size and band. Whether it was in progress.
local function take_away(line, memory, millicores, band)
  local holder, entry = holder_of(line)
  if call('HEXISTS', DOING, line) == 0 then return false end
  drop_copy(line)
  local token, held_memory, held_millicores, s = string.match(entry or '', '^(%d+) (%d+) (%d+) (%d+) ')
  if token then
    -- Its holder is told to stop, and gets nothing until it has heard.
    call('HSET', revoked_key(holder), line, token)
    put_back(line, held_memory, held_millicores, s)
    has_revoked = true
  else
    put_back(line, memory, millicores, score(band, call('INCR', SEQUENCE)))
  end
  call('HDEL', DOING, line)
  if holder then
    call('HDEL', cancel_key(holder), line)
    call('HDEL', held_key(holder), line)
    count_out(holder, entry)
  end
  return true
end

local function tell_holders() if has_revoked then call('PUBLISH', WAKE, 'cancel') end end

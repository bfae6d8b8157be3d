#!lua flags=allow-oom
-- Idempotent: an entry that is there stays as it is. Stopped half-way: some lines are indexed, and the others still not.

-- uses clock index retries arriving

local added = 0
for i = 2, #ARGV, 5 do
  local field, line, memory, millicores, band = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], band_of(tonumber(ARGV[i + 4]))
  if field ~= CLOSE and call('HEXISTS', TODO, field) == 1 then
    -- The line without its surrounding white space is what we know a task by.
    local known = field == line or call('HEXISTS', DOING, line) == 0 and call('HEXISTS', DONE, line) == 0
    if field ~= line then
      if known then call('HSET', TODO, line, '') end
      call('HDEL', TODO, field)
    end
    -- One that waits for its retry is in todo too, and must not be taken before its time.
    if known and not call('ZSCORE', DELAYED, delayed_entry(line, memory, millicores, band)) then
      local failed_on = call('HGET', FAILED, line)
      if failed_on then keep_retrying(line, failed_on) end
      enter_if_new(line, memory, millicores, failed_on or '', score(band, call('INCR', SEQUENCE)))
      added = added + 1
    end
  end
end
-- The sweep goes on; and when it is over, the next may wait as long as this one may have taken.
local now = read_now()
if not is_over(SWEEPER, now) then keep_until(SWEEPER, now + math.max(SWEEP_PAUSE, math.floor(call('HLEN', TODO) / 100))) end
if added > 0 then
  note_arrival(call('GET', SEQUENCE))
  wake()
end
return added

#!lua flags=allow-oom
-- Idempotent: what was put back is no longer in progress. Stopped half-way: in todo and still in progress, it is put back
-- again; or taken by another, which the report of its holder finds out.

-- uses names index holders

local count, has_revoked = 0, false
for i = 2, #ARGV, 4 do
  local line = ARGV[i]
  use_job_of(line)
  local holder, entry = holder_of(line)
  if call('HEXISTS', DOING, line) == 1 then
    local token, memory, millicores, s = string.match(entry or '', '^(%d+) (%d+) (%d+) (%d+) ')
    if token then
      -- Its holder is told to stop, and gets nothing until it has heard.
      call('HSET', revoked_key(holder), line, token)
      put_back(line, memory, millicores, s)
      has_revoked = true
    else
      local band = band_of(tonumber(ARGV[i + 3]))
      put_back(line, ARGV[i + 1], ARGV[i + 2], score(band, call('INCR', SEQUENCE)))
    end
    call('HDEL', DOING, line)
    if holder then
      call('HDEL', cancel_key(holder), line)
      call('HDEL', held_key(holder), line)
    end
    count = count + 1
  end
end
if has_revoked then call('PUBLISH', WAKE, 'cancel') end
if count > 0 then wake() end
return count

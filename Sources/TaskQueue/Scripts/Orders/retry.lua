#!lua
-- Idempotent: what was queued is in todo and not failed for good when it comes again. Stopped half-way: as submit.

-- uses names clock index adding

-- What they are given that their job has not: '' for nothing.
local own = ARGV[2]
local rest, hastened, seen = {}, 0, {}
use_job_of(ARGV[3] or '')  -- As all of them.
local function give_own(line)
  if own ~= '' and job ~= '' then call('HSET', OWN, line, own) end
end
for i = 3, #ARGV, 4 do
  local line = ARGV[i]
  if seen[line] then  -- Named twice.
  elseif call('HEXISTS', TODO, line) == 1 then
    -- One that waits for its time need not wait any longer.
    local entry = delayed_entry(line, ARGV[i + 1], ARGV[i + 2], band_of(tonumber(ARGV[i + 3])))
    local due = call('ZSCORE', DELAYED, entry)
    if due then give_own(line) end
    if due and tonumber(due) > 0 then
      call('ZADD', DELAYED, 'XX', 0, entry)
      hastened = hastened + 1
    end
  elseif call('HEXISTS', FAILED, line) == 1 and call('HEXISTS', DOING, line) == 0
    and call('HEXISTS', DONE, line) == 0 then
    give_own(line)
    rest[#rest + 1] = i
  end
  seen[line] = true
end
local queued = add_new(rest, true)
if hastened > 0 then promote_delayed(read_now()) end
tell_some()
return {queued, hastened}

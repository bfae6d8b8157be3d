#!lua flags=allow-oom
-- Idempotent: what was put back is no longer in progress. Stopped half-way: in todo and still in progress, it is put back
-- again; or taken by another, which the report of its holder finds out.

-- uses taking

local count = 0
for i = 2, #ARGV, 4 do
  use_job_of(ARGV[i])
  if take_away(ARGV[i], ARGV[i + 1], ARGV[i + 2], band_of(tonumber(ARGV[i + 3]))) then count = count + 1 end
end
tell_holders()
if count > 0 then wake() end
return count

#!lua flags=allow-oom
-- Other settings for a job, or another name, or both: the name '' stays as it is. Idempotent. Stopped half-way: as open-job.

-- uses jobs halting

local id, wanted, size, settings, given = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
-- What of the settings all tasks are to have, whatever they had of their own: words, see follow_own; 1: their size and timeout.
given = given == '1' and 'memory cores timeout' or given == '0' and '' or given or ''
local record = call('HGET', JOBS, id)
if not record then return 'unknown' end
local name, old_settings, definition = parts_of(record)
if wanted ~= '' and wanted ~= name then
  if call('HEXISTS', JOB_NAMES, wanted) == 1 then return 'taken' end
  call('HSET', JOB_NAMES, wanted, id)
  call('HDEL', JOB_NAMES, name)
  name = wanted
end
if not change(id, name, size ~= '' and size or call('HGET', JOB_SIZES, id), settings ~= '' and settings or old_settings, definition,
  given) then
  return 'going'
end
use_job(id)
if settings ~= '' and fields_of(settings).halt ~= fields_of(old_settings).halt then
  -- What has failed so far counts by another rule, and without one nothing is halted.
  if call('HEXISTS', JOBS_HALTED, id) == 1 then
    if lift_halt() then wake() end
  else
    halt_if_due(tonumber(call('HGET', JOB_HALTS, id) or 0))
  end
end
return 'changed'

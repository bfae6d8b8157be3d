#!lua flags=allow-oom
-- Other settings for a job, or another name, or both: the name '' stays as it is. Idempotent. Stopped half-way: as open-job.

-- uses jobs

local id, wanted, size, settings = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local record = call('HGET', JOBS, id)
if not record then return 'unknown' end
local name, old_settings, definition = parts_of(record)
if wanted ~= '' and wanted ~= name then
  if call('HEXISTS', JOB_NAMES, wanted) == 1 then return 'taken' end
  call('HSET', JOB_NAMES, wanted, id)
  call('HDEL', JOB_NAMES, name)
  name = wanted
end
change(id, name, size ~= '' and size or call('HGET', JOB_SIZES, id), settings ~= '' and settings or old_settings, definition)
return 'changed'

#!lua flags=allow-oom
-- Other settings for a job, or another name, or both: the name '' stays as it is. Idempotent. Stopped half-way: as open-job.

-- uses jobs halting circling

-- `given`: what of the settings all tasks are to have, whatever they had of their own: words, see follow_own. `cursor`: where an earlier call
-- of the same said that this is to go on; '0' for the first.
local id, wanted, size, settings, given, cursor = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local record = call('HGET', JOBS, id)
if not record then return {'unknown', id} end
local name, old_settings, definition = parts_of(record)
-- For which jobs it is to wait then, `JOB:ok JOB:any`; the order for that follows. What would refuse it refuses all of this.
local parents = {}
for of in string.gmatch(ARGV[8] or '', '(%w+):') do
  if call('HEXISTS', JOBS, of) == 0 then return {'unknown', of} end
  parents[of] = true
end
local circle = circle_over(id, parents)
if circle then return {'circle', unpack(circle)} end
-- It has all of this already, but for what is left of its tasks' own.
local is_changed = string.byte(cursor) == 43
if not is_changed and wanted ~= '' and wanted ~= name then
  if call('HEXISTS', JOB_NAMES, wanted) == 1 then return {'taken', wanted} end
  call('HSET', JOB_NAMES, wanted, id)
  call('HDEL', JOB_NAMES, name)
  name = wanted
end
local onward = change(id, name, size ~= '' and size or call('HGET', JOB_SIZES, id), settings ~= '' and settings or old_settings, definition,
  given, cursor)
if is_changed or onward and string.byte(onward) ~= 43 then return {onward and 'going' or 'changed', onward or id} end
use_job(id)
if settings ~= '' and fields_of(settings).halt ~= fields_of(old_settings).halt then
  -- What has failed so far counts by another rule, and without one nothing is halted.
  if call('HEXISTS', JOBS_HALTED, id) == 1 then
    if lift_halt() then wake() end
  else
    halt_if_due(tonumber(call('HGET', JOB_HALTS, id) or 0))
  end
end
return {onward and 'going' or 'changed', onward or id}

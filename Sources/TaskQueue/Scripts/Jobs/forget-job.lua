#!lua flags=allow-oom
-- Removes a job of which nothing waits or runs, and all that is known of its tasks. Idempotent. Stopped half-way: it is still there,
-- with less known of its tasks, and is forgotten again.

-- uses jobs noticing disowning
-- uses later lessening
-- uses later telling

local id, fingerprint = ARGV[2], ARGV[3]
local record = call('HGET', JOBS, id)
if not record then return 'unknown' end
use_job(id)
if call('HLEN', TODO) + call('HLEN', DOING) > 0 then return 'busy' end
-- How it ended is told to those that wait for it while it is known; also where whoever added to it never said that this was all.
call('HDEL', JOB_LOADS, id)
if ways_awaited() ~= '' then
  note_change('job ' .. id)
  if not tell_some() then return 'telling' end
  use_job(id)
end
-- By what it asked for, which is not known any more then; `disown` does so for jobs of others than the first owner.
if has_several() then settle_uses() end
for of in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):') do call('SREM', job_key(of .. WAITERS), id) end
for _, name in ipairs({NUMBERS, LINES, CHILDREN, NEEDS, BROKEN, DEPENDENT, WAITERS, ASIDE, PEAKS, COPIES, TIMES, FORGOTTEN}) do call('UNLINK', job_key(id .. name)) end
call('ZREM', JOBS_DELAYED, delayed_job(id))
for _, key in ipairs({JOB_AFTER, JOB_TIMES, JOBS_GATED, JOBS_AWAITED, JOB_LOADS}) do call('HDEL', key, id) end
call('UNLINK', TODO, DOING, DONE, FAILED, REASON, RETRYING, FAILED_ON, OUTCOMES, ATTEMPTS, LOST, REQUEUES, SIGNATURES, FRESH, OWN)
if call('HGET', JOB_FINGERPRINTS, fingerprint) == id then call('HDEL', JOB_FINGERPRINTS, fingerprint) end
call('SREM', JOBS_PAUSED, id)
call('HDEL', JOBS_HALTED, id)
call('HDEL', JOB_HALTS, id)
call('HDEL', JOBS_LEFT, id)
call('HDEL', JOB_SIZES, id)
call('HDEL', JOB_WHERES, id)
call('SREM', JOBS_IDEMPOTENT, id)
call('HDEL', TOLD, 'copies ' .. id)
call('HDEL', JOB_NEEDS, id)
call('HDEL', JOB_NAMES, (parts_of(record)))
disown(id)
call('HDEL', JOBS, id)
call('INCR', JOB_REVISION)
return 'changed'

#!lua
-- What a job waits for from now on: `JOB:ok JOB:any JOB:each`, by their identifiers; '' for nothing, '-' for what it did. Of `each` nothing
-- is made here, its tasks say it. And when it may begin: `in MILLISECONDS`, `at MILLISECONDS` since 1970, `none`, or '' for when it was to
-- before. Idempotent, but that a delay begins anew. Stopped half-way: as before, or it waits, and the next heartbeat lets it in where it
-- need not.

-- uses telling clock circling

local id, stays = ARGV[2], ARGV[3] == '-'
local conditions = stays and call('HGET', JOB_AFTER, id) or ARGV[3]
local when, amount = string.match(ARGV[4] or '', '^(%l+) ?(%d*)$')
if call('HEXISTS', JOBS, id) == 0 then return {'unknown', id} end

local parents = {}
for of, way in string.gmatch(conditions, '(%w+):(%a+)') do
  if call('HEXISTS', JOBS, of) == 0 and not stays then return {'unknown', of} end
  parents[of] = parents[of] or way == 'each' and 'each' or 'j'
  if way ~= 'each' then parents[of] = 'j' end
end

local circle = circle_over(id, parents)
if circle then return {'circle', unpack(circle)} end

for of in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):') do call('SREM', job_key(of .. WAITERS), id) end
if when == 'none' then
  forget_time(id)
elseif when then
  local time = when == 'at' and 'server ' .. amount or string.format('queue %.0f', read_now() + amount)
  call('HSET', JOB_TIMES, id, time)
end
local is_gating = when and when ~= 'none'
for of, way in pairs(parents) do
  if way == 'j' and call('HEXISTS', JOBS, of) == 1 then
    -- What it waited for before it does again, where it is to wait for its time: it may have been let in since.
    is_gating = is_gating or not stays
    local ways = call('HGET', JOBS_AWAITED, of) or ''
    if not string.find(ways, 'j', 1, true) then call('HSET', JOBS_AWAITED, of, ways .. 'j') end
    call('SADD', job_key(of .. WAITERS), id)
  end
end
use_job(id)
if is_gating then
  if not is_gated() then
    call('HSET', JOBS_GATED, id, 'waits')
    gates[id] = 'waits'
  end
  -- What waited for nothing until now stands aside.
  local start, known = '@' .. id .. ' ', classes_of(owner_of(job))
  for _, class in ipairs(call('HLEN', TODO) > 0 and call('ZRANGE', known, 0, -1) or {}) do
    if string.sub(class, 1, #start) == start then
      call('ZADD', job_key(id .. ASIDE), 'LT', call('ZSCORE', known, class), class)
      call('ZREM', FITS, class)
      call('ZREM', known, class)
    end
  end
end
call('HSET', JOB_AFTER, id, conditions)
if not settle_gate(id, true) then note_change('gate ' .. id) end
tell_some()
return {'changed', call('HGET', JOBS_GATED, id) or ''}

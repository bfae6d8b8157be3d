#!lua
-- What a job waits for from now on: `JOB:ok JOB:any JOB:each`, by their identifiers; '' for nothing. Of `each` nothing is made here, its
-- tasks say it. Idempotent. Stopped half-way: as before, or it waits, and the next heartbeat lets it in where it need not.

-- uses telling clock

local id, conditions = ARGV[2], ARGV[3]
if call('HEXISTS', JOBS, id) == 0 then return {'unknown', id} end

local parents = {}
for of, way in string.gmatch(conditions, '(%w+):(%a+)') do
  if call('HEXISTS', JOBS, of) == 0 then return {'unknown', of} end
  parents[of] = parents[of] or way == 'each' and 'each' or 'j'
  if way ~= 'each' then parents[of] = 'j' end
end

-- The way from a job over those that it waits for to this one.
local looked_at, left = {}, CIRCLE_MAX
local function circle(of)
  if of == id then return {of} end
  if looked_at[of] then return nil end
  looked_at[of], left = true, left - 1
  if left < 0 then return {of, of} end
  for other in string.gmatch(call('HGET', JOB_AFTER, of) or '', '(%w+):') do
    local found = circle(other)
    if found then
      table.insert(found, 1, of)
      return found
    end
  end
end
for of in pairs(parents) do
  local found = circle(of)
  if found then return {'circle', id, unpack(found, 1, 50)} end
end

for of in string.gmatch(call('HGET', JOB_AFTER, id) or '', '(%w+):') do call('SREM', job_key(of .. WAITERS), id) end
local is_gating = false
for of, way in pairs(parents) do
  if way == 'j' then
    is_gating = true
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
  local start, known = '@' .. id .. ' ', classes_of(owner_of_job())
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

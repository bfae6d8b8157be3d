#!lua flags=allow-oom
-- Idempotent: each task is put back once. Stopped half-way: what was not put back yet is still held by the dead node.

-- uses names clock index lease reaping halting dating
-- uses later telling
-- uses later slots

-- Lines an old worker has dropped, seen missing before `until_then`. Old workers die one at a time: a hundred lines gone at
-- once were removed by somebody, and stay so.
local function recover_missing(until_then)
  local is_removal, count = call('ZCARD', MISSING) >= MISSING_MAX, 0
  for _, entry in ipairs(call('ZRANGEBYSCORE', MISSING, '-inf', until_then, 'LIMIT', 0, 100)) do
    local memory, millicores, s, line = string.match(entry, '^(%d+) (%d+) (%d+)\n(.*)$')
    if line and not is_removal and call('HEXISTS', TODO, line) == 0 and call('HEXISTS', DOING, line) == 0
      and call('HEXISTS', DONE, line) == 0
      and not has_failed_for_good(line) then
      put_back(line, memory, millicores, s)
      count = count + 1
    end
    call('ZREM', MISSING, entry)
  end
  if count > 0 then wake() end
  return count
end

-- A try that an old worker has ended is known from the six hashes alone; a few are looked at in each beat.
local function settle_some()
  if call('EXISTS', RETRYING) == 0 then return end
  local cursor = call('GET', SETTLED) or '0'
  if #cursor > 19 or string.find(cursor, '%D') then cursor = '0' end
  local page = call('SSCAN', RETRYING, cursor, 'COUNT', 50)
  for _, line in ipairs(page[2]) do settle(line) end
  if page[1] ~= '0' then
    call('SET', SETTLED, page[1])
  elseif cursor ~= '0' then
    call('DEL', SETTLED)
  end
end

-- What runs of jobs that were halted at once is too much for one script.
local function take_away_halted()
  if call('EXISTS', JOBS_HALTED) == 0 then return end
  local page = some_of(JOBS_HALTED, 20)
  for i = 1, #page, 2 do
    use_job(page[i])
    if page[i + 1] == 'now' and call('HLEN', DOING) > 0 then take_away_some(200) end
  end
  use_job('')
end

-- Whatever was not noted when it came to pass (a job that is complete but for those who added to it and are gone) is found so.
local function look_at_gates()
  if call('EXISTS', JOBS_GATED) == 0 then return end
  local page = call('HSCAN', JOBS_GATED, call('HGET', TOLD, 'gates') or '0', 'COUNT', 20)
  call('HSET', TOLD, 'gates', page[1])
  for i = 1, math.min(#page[2], 80), 2 do note_change('gate ' .. page[2][i]) end
end

local me, lease, asked_in, elapsed = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[5]), tonumber(ARGV[6])
local now, expiry = observe(lease), expiry_of(me)
if not expiry then return fenced() end
-- More time has passed here than there, since this node last renewed: the request was long under way, or Redis's clock is ahead.
if now - (expiry - lease) > elapsed + lease / 6 then
  queue, server = now, server_milliseconds()
  begin_silence(lease)
end
renew(me, now, lease)
call('HSET', STATUS, node_name(me), ARGV[4])
local identity = named_queue(ARGV[8])
pass_lost_tokens(ARGV[17], ARGV[8])
describe(me, 9)
date_tokens()
keep_slots()
-- uses later minding
if call('EXISTS', JOB_OWNERS) == 1 then look_after_owners() end
promote_delayed(now)
settle_some()
take_away_halted()
-- Something is to be put back, or will be unless its node is heard of: whether all could be heard until then is only known if
-- somebody looks at the clock all the while.
local function is_any_before(key, time)
  return #call('ZRANGEBYSCORE', key, '-inf', string.format('%.0f', time), 'LIMIT', 0, 1) > 0
end
local reaped, recovered = 0, 0
local doubtful_until, missing_until = now + math.floor(lease * 3 / 5), now - tonumber(ARGV[7])
local is_any_doubtful, is_any_missing = is_any_before(LEASES, doubtful_until), is_any_before(MISSING, missing_until)
if asked_in == silence and now >= quiet then
  if is_any_doubtful then
    for _, dead in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', '(' .. string.format('%.0f', now), 'LIMIT', 0, 10)) do
      if expiry_of(dead) then tally('lost') end  -- Once: it is 0 from then on.
      reaped = reaped + reap(dead, 200)
    end
    is_any_doubtful = is_any_before(LEASES, doubtful_until)
  end
  if is_any_missing then
    recovered = recover_missing(missing_until)
    is_any_missing = is_any_before(MISSING, missing_until)
  end
end
look_at_gates()
if call('EXISTS', TELLING) == 1 then tell_some() end
-- After how long nodes are reserved, 0: never; and what this one says of timeouts.
local reserve_after, timeouts = tonumber(ARGV[#ARGV - 2]), ARGV[#ARGV - 1] .. ' ' .. ARGV[#ARGV]
-- uses later reserving
if reserve_after == 0 then
  if call('HDEL', TIMEOUTS, me) == 1 then call('HDEL', RESERVED, me) end
else
  call('HSET', TIMEOUTS, me, timeouts)
  if is_over(LOOKED, now) then look_at_reservations() end
end
return {call('HEXISTS', TODO, CLOSE), reaped, recovered, call('EXISTS', PAUSED),
  call('EXISTS', cancel_key(me), revoked_key(me)) > 0 and 1 or 0,
  call('SISMEMBER', DRAINED, node_name(me)), silence, identity, (is_any_doubtful or is_any_missing) and 1 or 0}

#!lua flags=allow-oom
-- Idempotent: accepted once, by the token of the attempt, which goes with the held entry, last. A repetition is told from
-- a stranger by the token beside the outcome. Stopped half-way: still held, so it is accepted when it comes again.

-- uses names leaving noting tallying accounting

local me, line, token, record = ARGV[2], ARGV[3], ARGV[4], ARGV[6]
-- Of a job that was declared idempotent another node may run a second copy, which the node says by a sign behind the kind. Behind that, in
-- how many milliseconds after it was given it was begun, where the node knows.
local kind, sign, delay = string.match(ARGV[5], '^(%a+)(%+?):?(%d*)$')
local held, name = held_key(me), node_name(me)
use_job_of(line)
local own, memory, millicores, s, attempt =
  string.match(call('HGET', held, line) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')

-- It runs no more for the owner of its job, where there are several.
local is_counted
local function stop_use()
  if is_counted == nil then is_counted = call('EXISTS', counted_key(me)) == 1 end
  if is_counted then note_ended(memory, millicores) end
end

local function was_told()
  return string.sub(call('HGET', OUTCOMES, line) or '', 1, #token + 1) == token .. ' '
end
local function refuse()
  tally('refused')
  return 'stale'
end
if own ~= token then return was_told() and 'duplicate' or refuse() end
-- uses later pairing
if sign == '+' and leave_to_other() then return 'accepted' end
local owner = call('HGET', DOING, line)
if owner and owner ~= name or not owner and (call('HEXISTS', DONE, line) == 1 and not was_told() or has_left()) then
  -- Somebody has moved it to todo by hand, and another has it now, or had it.
  call('HDEL', held, line)
  stop_use()
  return refuse()
end

-- How often it went back as it asked is told with how it ended: to that only these belong, which have been tried before.
local requeues = attempt ~= '1' and job ~= '' and record and string.match(call('HGET', REQUEUES, line) or '', '^%d+')
local function with_requeues(count) return string.sub(record, 1, -2) .. ',"requeues":' .. count .. '}' end
if requeues then record = with_requeues(requeues) end

local is_cancelled = call('HEXISTS', cancel_key(me), line) == 1
local function let_go()
  if is_cancelled then call('HDEL', cancel_key(me), line) end
  call('HDEL', DOING, line)
  call('HDEL', held, line)
  stop_use()
  return 'accepted'
end

local function finish()
  call('HSET', OUTCOMES, line, token .. ' ' .. record)
  call('HSET', DONE, line, ARGV[7])
  -- Of most jobs nothing has failed; and mostly there is one owner.
  -- Each is counted as often as it is named: an odd number is with the last.
  local marks = call('EXISTS', RETRYING, RETRYING, FAILED, FAILED, counted_key(me))
  is_counted = marks % 2 == 1
  if marks > 1 then
    if call('SREM', RETRYING, line) == 1 then call('HDEL', FAILED_ON, line) end
    if call('HEXISTS', FAILED, line) == 1 then
      call('HDEL', REASON, line)
      call('HDEL', FAILED, line)
    end
  end
  if attempt ~= '1' then
    call('HDEL', ATTEMPTS, line)
    call('HDEL', LOST, line)
    if requeues then call('HDEL', REQUEUES, line) end
  end
  call('HDEL', SIGNATURES, line)
  tally_ending('finished', record, memory, delay)
end

-- Moved to todo by hand, it may be there.
local ends_well = kind == 'finished' and call('HEXISTS', TODO, line) == 0
-- Most jobs learn nothing, and nobody waits for them.
if ends_well and not ARGV[8] and sign == '' and (job == '' or call('HEXISTS', JOBS_AWAITED, job) == 0) then
  finish()
  return let_go()
end

-- What ends well is nearly all that is reported, and needs nothing of these, which would cost as much as all before.
-- uses noticing
-- uses later learning
-- uses later timing

local function finish_and_learn()
  notice(line)
  finish()
  if ARGV[8] then learn() end
  if sign == '+' then learn_time() end
end
if ends_well then
  finish_and_learn()
  let_go()
  if call('EXISTS', TELLING) == 0 then return 'accepted' end
end

-- uses clock index ending halting margin
-- uses later telling

-- It ran out of memory, and goes back to its place with more and without a mark; false where it has had all it can have. What it has of its
-- own is noted first, and with it the same comes to pass if this is stopped half-way.
local function goes_on_with_more()
  local wanted, rest = string.match(ARGV[10], '^(%d+)(:.*)$')
  wanted = tonumber(wanted)
  local had, most = tonumber(memory), tonumber(ARGV[11])
  if most then
    local largest = tonumber(call('HGET', job_key(job .. PEAKS), 'largest') or 0)
    -- The first time, and where that is clearly more than it had. A page is added to what its job may come to ask for, so that it is in a
    -- class of its own.
    if largest > 0 and with_margin(largest) * 20 > had * 21 and tonumber(string.match(rest, ' from=(%d+)')) == had then
      wanted = with_margin(largest) + 4096
    end
    if most == 0 then most = tonumber(call('ZREVRANGE', SIZES, 0, 0, 'WITHSCORES')[2] or 0) end
    wanted = math.min(wanted, most)
  end
  if wanted <= had then return false end
  local plain = tonumber(string.match(job_size(), '^%d+'))
  -- Its job has been given more since.
  local has_it = not own_of(line) and (plain == 0 or plain >= wanted)
  if not has_it then
    call('HSET', OWN, line, string.format('%.0f', wanted) .. rest)
    jobs_with_own[job] = true
  end
  call('HSET', OUTCOMES, line, token .. ' ' .. record)
  call('HSET', ATTEMPTS, line, attempt)
  put_back(line, memory, millicores, s)
  wake()
  return true
end

-- It asked to go back, and does, without a mark; false where it has been back as often as one may. It keeps its place, for that is how
-- long it has waited; but one that asks soon after it was begun is begun again later, twice as late each time, so that it does not spin.
-- Stopped half-way it may be counted twice.
local function goes_back(ran)
  local count = (tonumber(requeues) or 0) + 1
  if count > REQUEUES_MAX then return false end
  local pause = math.min(REQUEUE_PAUSE_MAX, 1000 * 2 ^ math.min(20, count - 1)) - ran
  if requeues then record = string.gsub(record, ',"requeues":%d+}$', '}') end
  call('HSET', OUTCOMES, line, token .. ' ' .. with_requeues(count))
  call('HSET', ATTEMPTS, line, attempt)
  call('HSET', REQUEUES, line, pause > 0 and count .. ' ' .. s or count)
  if pause > 0 then
    call('HSET', TODO, line, '')
    call('ZADD', DELAYED, read_now() + pause, delayed_entry(line, memory, millicores, 0))
  else
    put_back(line, memory, millicores, s)
    wake()
  end
  return true
end

local function reason()
  if not requeues then return ARGV[7] end
  return ARGV[7] .. '; it went back to the queue ' .. requeues .. (requeues == '1' and ' time' or ' times') ..
    (tonumber(requeues) >= REQUEUES_MAX and ', the most that is allowed' or '')
end

if ends_well then
  tell_some()
  return 'accepted'
elseif kind == 'finished' then
  unindex(line, memory, millicores)
  finish_and_learn()
  call('HDEL', TODO, line)
elseif kind == 'failed' and job ~= '' and not is_cancelled
  and ((ARGV[10] or '') ~= '' and goes_on_with_more() or ARGV[12] and goes_back(tonumber(ARGV[12]))) then
  tally_ending('again', record, memory, delay)  -- It waits.
elseif kind == 'failed' then
  local workers = (call('HGET', FAILED, line) or '') .. name .. ','
  local _, count = string.gsub(workers, ',', '')
  if count < tonumber(ARGV[8]) and not is_cancelled and not ARGV[12] then
    keep_retrying(line, workers)
    call('HSET', FAILED, line, workers)
    call('HSET', REASON, line, reason())
    call('HSET', OUTCOMES, line, token .. ' ' .. record)
    call('HSET', ATTEMPTS, line, attempt)
    tally_ending('again', record, memory, delay)
    -- Twice as long each time, an hour at most.
    local pause = math.min(RETRY_PAUSE_MAX, tonumber(ARGV[9]) * 2 ^ math.min(20, count - 1))
    if pause > 0 then
      call('HSET', TODO, line, '')
      call('ZADD', DELAYED, read_now() + pause, delayed_entry(line, memory, millicores, math.floor(s / BAND)))
    else
      put_back(line, memory, millicores, behind(s))
      wake()
    end
  else
    unindex(line, memory, millicores)
    call('HSET', FAILED, line, workers)
    fail_for_good(line, token, reason(), record, memory, delay)
    let_go()
    if job ~= '' and not is_cancelled then halt_if_due(call('HINCRBY', JOB_HALTS, job, 1)) end
    if call('EXISTS', TELLING) == 1 then tell_some() end
    return 'accepted'
  end
elseif is_cancelled then
  unindex(line, memory, millicores)
  fail_for_good(line, token, 'cancelled', cancelled_record(name, attempt), memory, delay)
else
  tally('returned')
  put_back(line, memory, millicores, s)
  wake()
end
let_go()
if call('EXISTS', TELLING) == 1 then tell_some() end
return 'accepted'

#!lua flags=allow-oom
-- What a node runs, told to a queue that may not know of it: it was emptied, or is that of an hour ago. Idempotent: what was restored
-- is held when it is told again. Stopped half-way: noted as held and still in todo, as after a claim. With the last of it, what earlier
-- lives of the node hold besides goes back.

-- uses names clock index lease retries reaping jobs leaving using
-- uses later telling

local me, is_last, earlier_count = ARGV[2], ARGV[3] == '1', tonumber(ARGV[4])
if not expiry_of(me) then return fenced() end
local now, name, held = read_now(), node_name(me), held_key(me)

-- Other lives of this node that the queue still knows, and whether their leases hold. Its own earlier ones have ended, whatever the
-- queue thinks: what they hold is this one's.
local others, own = {}, {}
for i = 5, 4 + earlier_count do own[ARGV[i]] = true end
for _, other in ipairs(call('ZRANGE', LEASES, 0, -1)) do
  if other ~= me and node_name(other) == name then others[#others + 1] = other end
end
local function is_live(incarnation)
  if own[incarnation] then return false end
  local expiry = expiry_of(incarnation)
  return expiry and (expiry >= now or now < (quiet or 0))
end

-- Whether somebody else has the line, or it has ended; the lives that are over and note it as held go to `over`.
local function is_taken(line, token, over)
  if line == CLOSE or #token > TOKEN_DIGITS_MAX or string.find(token, '%D') then return true end
  if call('HEXISTS', DONE, line) == 1 or has_failed_for_good(line) or has_left() then return true end
  if call('HEXISTS', revoked_key(me), line) == 1 then return true end
  local owner = call('HGET', DOING, line)
  if owner and owner ~= name then return true end
  for _, other in ipairs(others) do
    if call('HEXISTS', held_key(other), line) == 1 then
      if is_live(other) then return true end
      over[#over + 1] = other
    end
  end
  return false
end

-- Whoever put the line back has marked it as lost with its node, which lives: as if it had not been put back. A line that is back in
-- todo since Redis lost a moment has no such mark. A first try has none in any case, whatever others made of the line meanwhile: its
-- report counts on that.
local function undo_mark(line, attempt)
  if attempt == '1' then
    call('HDEL', LOST, line)
    call('HDEL', ATTEMPTS, line)
  elseif call('HGET', ATTEMPTS, line) == attempt then
    if call('HINCRBY', LOST, line, -1) <= 0 then call('HDEL', LOST, line) end
    call('HSET', ATTEMPTS, line, attempt - 1)
  end
end

-- The queue was emptied, and knows nothing of the job either. Meanwhile another may have come by its name, or be what was asked for.
local function restore_job(record)
  if job == '' or record == '' or call('HEXISTS', JOBS, job) == 1 then return end
  local wanted, settings, definition = parts_of(record)
  local name = free_name(wanted)
  call('HSET', JOB_SIZES, job, size_in(settings))
  note_places(job, settings)
  call('HSET', JOBS, job, name .. '\n' .. settings .. '\n' .. definition)
  call('HSET', JOB_NAMES, name, job)
  local fingerprint = string.match(settings, '"fingerprint":"(%x+)"')
  if fingerprint then call('HSETNX', JOB_FINGERPRINTS, fingerprint, job) end
  call('INCR', JOB_REVISION)
end

local function restore(line, token, memory, millicores, band, attempt, record, own)
  use_job_of(line)
  restore_job(record)
  local function keep_own()
    if own == '' or job == '' then return end
    call('HSETNX', OWN, line, own)
    jobs_with_own[job] = true
  end
  local entry = call('HGET', held, line)
  if entry and string.match(entry, '^%d+') ~= token then return 'taken' end
  if entry then
    keep_own()
    return 'held'
  end
  -- Its report was accepted, and the answer lost: told again it is a duplicate. Taken up again it would count twice.
  local ended = string.match(call('HGET', OUTCOMES, line) or '', '^%d+')
  if ended == token then return 'held' end
  local over = {}
  -- Tokens grow: with that of a later try this one is over too.
  if is_taken(line, token, over) or ended and tonumber(ended) > tonumber(token) then return 'taken' end
  -- What was given behind it and lost is passed over as in pass_lost_tokens; the last digits are as good as chance since then.
  local last = tonumber(call('GET', TOKENS) or 0)
  if last < tonumber(token) then
    call('SET', TOKENS, string.format('%.0f', tonumber(token) + TOKENS_LOST_MAX + last % TOKENS_LOST_MAX))
  end
  local class = class_name(line, memory, millicores, call('HGET', FAILED, line) or '')
  local s = fresh_score(line) or call('ZSCORE', class_key(class), line) or score(band, call('INCR', SEQUENCE))
  call('HSET', held, line, token .. ' ' .. memory .. ' ' .. millicores .. ' ' .. string.format('%.0f', s) .. ' ' .. attempt)
  count_in(me, memory, millicores, token)
  call('HSET', DOING, line, name)
  local was_put_back = call('HEXISTS', TODO, line) == 1
  if was_put_back then
    call('ZREM', DELAYED, delayed_entry(line, memory, millicores, band))
    unindex(line, memory, millicores)
    call('HDEL', TODO, line)
  end
  keep_own()  -- Not before: it waited in the class of what was known.
  if was_put_back or attempt == '1' then undo_mark(line, attempt) end
  for _, other in ipairs(over) do
    count_out(other, call('HGET', held_key(other), line))
    call('HDEL', held_key(other), line)
  end
  call('HINCRBY', QUEUE, 'restored', 1)
  return 'restored'
end

local answers = {}
for i = 5 + earlier_count, #ARGV, 8 do
  answers[#answers + 1] = restore(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], band_of(tonumber(ARGV[i + 4])),
    ARGV[i + 5], ARGV[i + 6], ARGV[i + 7])
end
for _, other in ipairs(is_last and others or {}) do
  if own[other] then reap(other, LINES_MAX) end
end
if call('EXISTS', TELLING) == 1 then tell_some() end
return answers

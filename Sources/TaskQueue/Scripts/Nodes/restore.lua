#!lua flags=allow-oom
-- What a node runs, told to a queue that may not know of it: it was emptied, or is that of an hour ago. Idempotent: what was restored
-- is held when it is told again. Stopped half-way: noted as held and still in todo, as after a claim.

-- uses names clock index lease retries

local me = ARGV[2]
if not expiry_of(me) then return fenced() end
local now, name, held = read_now(), node_name(me), held_key(me)

-- Other lives of this node that the queue still knows, and whether their leases hold.
local others = {}
for _, other in ipairs(call('ZRANGE', LEASES, 0, -1)) do
  if other ~= me and node_name(other) == name then others[#others + 1] = other end
end
local function is_live(incarnation)
  local expiry = expiry_of(incarnation)
  return expiry and (expiry >= now or now < (quiet or 0))
end

-- Whether somebody else has the line, or it has ended; the lives that are over and note it as held go to `over`.
local function is_taken(line, token, over)
  if line == CLOSE or #token > TOKEN_DIGITS_MAX or string.find(token, '%D') then return true end
  if call('HEXISTS', DONE, line) == 1 or has_failed_for_good(line) then return true end
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
-- todo since Redis lost a moment has no such mark.
local function undo_mark(line, attempt)
  if call('HGET', ATTEMPTS, line) ~= attempt then return end
  if call('HINCRBY', LOST, line, -1) <= 0 then call('HDEL', LOST, line) end
  if tonumber(attempt) > 1 then call('HSET', ATTEMPTS, line, attempt - 1) else call('HDEL', ATTEMPTS, line) end
end

local function restore(line, token, memory, millicores, band, attempt)
  local entry = call('HGET', held, line)
  if entry then return string.match(entry, '^%d+') == token and 'held' or 'taken' end
  -- Its report was accepted, and the answer lost: told again it is a duplicate. Taken up again it would count twice.
  local ended = string.match(call('HGET', OUTCOMES, line) or '', '^%d+')
  if ended == token then return 'held' end
  local over = {}
  -- Tokens grow: with that of a later try this one is over too.
  if is_taken(line, token, over) or ended and tonumber(ended) > tonumber(token) then return 'taken' end
  if tonumber(call('GET', TOKENS) or 0) < tonumber(token) then call('SET', TOKENS, token) end
  local class = class_name(memory, millicores, call('HGET', FAILED, line) or '')
  local s = call('ZSCORE', class_key(class), line) or score(band, call('INCR', SEQUENCE))
  call('HSET', held, line, token .. ' ' .. memory .. ' ' .. millicores .. ' ' .. string.format('%.0f', s) .. ' ' .. attempt)
  call('HSET', DOING, line, name)
  if call('HEXISTS', TODO, line) == 1 then
    call('ZREM', DELAYED, delayed_entry(line, memory, millicores, band))
    unindex(line, memory, millicores)
    call('HDEL', TODO, line)
    undo_mark(line, attempt)
  end
  for _, other in ipairs(over) do call('HDEL', held_key(other), line) end
  call('HINCRBY', QUEUE, 'restored', 1)
  return 'restored'
end

local answers = {}
for i = 3, #ARGV, 6 do
  answers[#answers + 1] =
    restore(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3], band_of(tonumber(ARGV[i + 4])), ARGV[i + 5])
end
return answers

#!lua flags=allow-oom
-- Idempotent: what was forgotten is not there. Stopped half-way: it is still in its hash, and is forgotten again; or it is not noted to have
-- finished, and tasks that would wait for it are refused.

-- uses index retries noticing

local is_failed, lines, has_taken = ARGV[2] == 'failed', {}, {}
use_job(ARGV[3])  -- In whose hashes they are: what an old manager added may only look as if it were of a job.
local from = is_failed and FAILED or DONE
-- Where an ending is meant that somebody has read, no other is forgotten: it may have been tried again, and ended, since. '-' stands for
-- one of which there is no record.
local function is_meant(line, token)
  if token == '' then return true end
  local outcome = call('HGET', OUTCOMES, line)
  if token == '-' then return not outcome end
  return outcome and string.sub(outcome, 1, #token + 1) == token .. ' '
end
for i = 4, #ARGV, 4 do
  local line = ARGV[i]
  settle(line)
  local number = ways_awaited() ~= '' and call('HGET', job_key(job .. NUMBERS), line)
  if has_taken[line] then  -- Named twice.
  elseif number and call('ZSCORE', TELLING, 'task ' .. job .. ' ' .. number) then  -- How it ended has not been told to all yet.
  elseif is_meant(line, ARGV[i + 3]) and call('HEXISTS', from, line) == 1
    and not (is_failed and call('SISMEMBER', RETRYING, line) == 1) then
    lines[#lines + 1] = line
    has_taken[line] = true
    -- An old worker that ran it has left it in the index, where it would look like a line that was dropped.
    if ARGV[i + 1] ~= '' and call('HEXISTS', TODO, line) == 0 then
      remove_all(class_name(line, ARGV[i + 1], ARGV[i + 2], call('HGET', FAILED, line) or ''), {line})
    end
  end
end
if #lines == 0 then return 0 end
if is_failed then
  if string.find(ways_awaited(), 'j', 1, true) then
    if call('EXISTS', TELLING) == 1 then return 0 end  -- Nor how the job did.
    forget_failures()
  end
  call('HDEL', REASON, unpack(lines))
end
for _, key in ipairs({OUTCOMES, SIGNATURES, OWN}) do call('HDEL', key, unpack(lines)) end
-- What waits for its like in this job is told by this whether all that are not known had finished: without it they may have failed, or
-- never have been added. See ForgottenTasks.
local count = call('HDEL', from, unpack(lines))
if job ~= '' then
  local forgotten = job_key(job .. FORGOTTEN)
  call('HINCRBY', forgotten, is_failed and 'failed' or 'finished', count)
  if not is_failed then
    local sum = tonumber(call('HGET', forgotten, 'sum') or 0)
    for _, line in ipairs(lines) do sum = (sum + tonumber(string.sub(redis.sha1hex(line), 1, DIGEST_DIGITS), 16)) % DIGESTS end
    call('HSET', forgotten, 'sum', string.format('%.0f', sum))
  end
end
return count

#!lua
-- Idempotent: the same is asked for again, and its job is there. Stopped half-way: a job without tasks, or one whose lines wait in a
-- class of another size than the job now says, where the next claim finds them all the same.

-- uses jobs halting belonging circling

local wanted, is_chosen, fingerprint, size, settings, definition = ARGV[2], ARGV[3] == '1', ARGV[4], ARGV[5], ARGV[6], ARGV[7]
-- Who adds tasks says so by `load`, and takes it back by loaded-job: until then the job is not complete for others who wait for it. Of
-- several at once the last counts.
local load = ARGV[8]
-- Whose it is; '' where nobody says so. Redis tells no script which user it runs for, but what that user may do: the names of users that
-- `distcomp acl` makes are keys which they alone may read, see QueueAccess. Who may not be the owner he says, unasked (ARGV[10]), is none.
local owner = ARGV[9] or ''
if owner ~= '' and not redis.acl_check_cmd('GET', owner_right_key(owner)) then
  if ARGV[10] == '1' then return redis.error_reply('NOTOWNER this Redis user may not submit as ' .. owner) end
  owner = ''
end

-- For which jobs it is to wait, `JOB:ok JOB:any`; the order for that follows. What would refuse it refuses all of this.
local parents = {}
for of in string.gmatch(ARGV[11] or '', '(%w+):') do
  if call('HEXISTS', JOBS, of) == 0 then return {of, '', 'unknown', ''} end
  parents[of] = true
end

-- A name that was chosen says which job is meant; else what is asked for does.
local id = is_chosen and call('HGET', JOB_NAMES, wanted) or not is_chosen and call('HGET', JOB_FINGERPRINTS, fingerprint)
local record = id and call('HGET', JOBS, id)
if record then
  local name, _, known = parts_of(record)
  if known ~= definition then return {id, name, 'other', known} end
  -- What has finished is not known any more, and would run again.
  local left = call('HGET', JOBS_LEFT, id)
  if left then return {id, name, 'left', left} end
  local circle = circle_over(id, parents)
  if circle then return {id, name, 'circle', table.concat(circle, ' ')} end
  -- Who was to add tasks before, and has not said that it has, stands behind that: should this one be refused, it is as it was.
  if load ~= '' then
    local before = string.match(call('HGET', JOB_LOADS, id) or '', '^%S+')
    if before ~= load then call('HSET', JOB_LOADS, id, before and load .. ' ' .. before or load) end
  end
  -- What its tasks need is known by now, whatever they were to have in the beginning.
  local learned = is_learning(settings) and tonumber(call('HGET', job_key(id .. PEAKS), 'count') or 0) >= LEARNED_MIN
    and string.match(call('HGET', JOB_SIZES, id) or '', '^%d+')
  if learned and is_learning(record) then
    settings = with_memory(settings, learned)
    size = string.gsub(size, '^%d+', learned)
  end
  -- Where an earlier call of the same said that this is to go on (ARGV[12]).
  local onward = change(id, name, size, settings, definition, '', ARGV[12])
  if onward then return {id, name, 'going', onward} end
  if owner ~= '' then own_job(id, owner) end
  use_job(id)
  if lift_halt() then wake() end
  return {id, name, 'known', known}
end

local name = free_name(wanted)
-- Counted from the time of day, in milliseconds, which nobody opens jobs faster than, so that a queue that was emptied does not give a
-- job the name of one whose tasks still run.
local function in_base(count)
  local text = ''
  while count > 0 do
    local digit = count % 36
    text = string.sub('0123456789abcdefghijklmnopqrstuvwxyz', digit + 1, digit + 1) .. text
    count = (count - digit) / 36
  end
  return text
end

local function new_identifier()
  local count = math.max(tonumber(call('GET', JOB_NUMBER) or 0), server_milliseconds()) + 1
  while call('HEXISTS', JOBS, in_base(count)) == 1 do count = count + 1 end
  call('SET', JOB_NUMBER, string.format('%.0f', count))
  return in_base(count)
end
id = new_identifier()
if owner ~= '' then own_job(id, owner) end
if load ~= '' then call('HSET', JOB_LOADS, id, load) end
call('HSET', JOB_SIZES, id, size)
note_places(id, settings)
call('HSET', JOBS, id, name .. '\n' .. settings .. '\n' .. definition)
call('HSET', JOB_NAMES, name, id)
if fingerprint ~= '' then call('HSET', JOB_FINGERPRINTS, fingerprint, id) end
call('INCR', JOB_REVISION)
return {id, name, 'new', definition}

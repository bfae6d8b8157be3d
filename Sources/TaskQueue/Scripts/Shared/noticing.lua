-- Noting that something has changed for which others may wait; telling.lua tells them. What is noted says who is to be looked at, not
-- what has come to pass, so it may be noted too often, and in any order:
--
--   `gate JOB`          a job that waits for others
--   `job JOB`           the jobs that wait for this one
--   `task JOB NUMBER`   the tasks that wait for this one
--   `tasks JOB`         the tasks of a job that cannot run any more, or can again

local function note_change(item)
  call('HDEL', TOLD, item)
  call('ZADD', TELLING, 0, item)
end

local awaited = {}
-- How others wait for the present job: '' where nobody does.
local function ways_awaited()
  if awaited[job] == nil then awaited[job] = job ~= '' and call('HGET', JOBS_AWAITED, job) or '' end
  return awaited[job]
end

-- Tasks of the present job that failed are forgotten: with the rest finished it does not count as finished for those that have been told.
-- Until something is added to it: most often it is the same again.
local function forget_failures()
  local ways = ways_awaited()
  if string.find(ways, 'f', 1, true) then return end
  awaited[job] = ways .. 'f'
  call('HSET', JOBS_AWAITED, job, awaited[job])
end

-- Before lines are added to the present job that may have been forgotten before: what is noted of these, see forget.lua, may be of them.
local function drop_noted() if job ~= '' then call('DEL', job_key(job .. FORGOTTEN)) end end

local function remember_failures()
  drop_noted()
  if not string.find(ways_awaited(), 'f', 1, true) then return end
  awaited[job] = string.gsub(ways_awaited(), 'f', '')
  call('HSET', JOBS_AWAITED, job, awaited[job])
end

-- To be said of a line before it has ended, or begins anew: should the script stop after that, it is noted all the same.
local function notice(line)
  local ways = ways_awaited()
  if ways == '' then return end
  if string.find(ways, 't', 1, true) then
    local number = call('HGET', job_key(job .. NUMBERS), line)
    if number and call('ZCOUNT', job_key(job .. CHILDREN), number, number) > 0 then
      note_change('task ' .. job .. ' ' .. number)
    end
  end
  if string.find(ways, 'j', 1, true) and call('HLEN', TODO) + call('HLEN', DOING) <= 1 then note_change('job ' .. job) end
end

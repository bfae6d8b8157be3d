-- How long the tasks of an idempotent job take that finish, in milliseconds: counted in TIMES of it. A script that is stopped half-way counts one
-- twice.

-- uses percentile

local function learn_time()
  local seconds = job ~= '' and tonumber(string.match(record, '"wall_seconds":([%d.]+)'))
  if not seconds then return end
  local milliseconds = math.max(1, math.min(1e15, math.floor(seconds * 1000)))
  call('HINCRBY', job_key(job .. TIMES), bucket_of(milliseconds), 1)
end

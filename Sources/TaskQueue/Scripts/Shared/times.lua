-- When jobs may begin that are not to begin at once. JOB_TIMES says of each either `queue TIME`, after a delay, which passes as the queue's
-- clock does; or `server TIME`, a time of day, which is when Redis's clock says so, however often that is set.

-- uses clock

-- How long a job has to wait still, in milliseconds.
local function time_left(id)
  local way, time = string.match(call('HGET', JOB_TIMES, id) or '', '^(%l+) (%d+)$')
  if not time then return 0 end
  return math.max(0, time - (way == 'server' and server_milliseconds() or read_now()))
end

-- The same as a moment of Redis's clock; 0 for a job that need not wait.
local function begins_at(id)
  local left = time_left(id)
  return left > 0 and server_milliseconds() + left or 0
end

#!lua flags=no-writes
-- Writes nothing. What an owner's tasks ask for that could run now: of a page of their classes, for each that is in no paused job, its
-- name, how many of it wait, and which nodes its job is for and what it asks for besides memory and cores. Where the next page begins, -1
-- after the last; whether nothing is given out at present; and how many lines in todo no index knows yet, for whoever asks for the first
-- page of the first owner.

-- uses index classes

local owner, offset = ARGV[2], tonumber(ARGV[3])
local heads = call('ZRANGE', classes_of(owner), offset, offset + DEMAND_PAGE - 1)
local rows = {}
for _, name in ipairs(heads) do
  local class = class_of(name, 0)
  if call('SISMEMBER', JOBS_PAUSED, class.job) == 0 then
    use_job(class.job)
    local count = call('ZCARD', class_key(name))
    -- Entries of the list that are stale may be many; what waits is in todo besides.
    if job ~= '' and name == plain_class() then count = count + math.min(call('LLEN', FRESH), call('HLEN', TODO)) end
    if count > 0 then
      for _, part in ipairs({name, count, job ~= '' and call('HGET', JOB_WHERES, job) or '', job ~= '' and call('HGET', JOB_NEEDS, job) or ''}) do
        rows[#rows + 1] = part
      end
    end
  end
end
use_job('')
local unknown = 0
if owner == '' and offset == 0 then
  unknown = call('HLEN', TODO) - call('HEXISTS', TODO, CLOSE) - call('ZCARD', DELAYED) - tonumber(call('GET', INDEXED) or 0)
end
return {rows, #heads == DEMAND_PAGE and offset + DEMAND_PAGE or -1,
  (call('EXISTS', PAUSED) == 1 or call('HEXISTS', TODO, CLOSE) == 1) and 1 or 0, math.max(0, unknown)}

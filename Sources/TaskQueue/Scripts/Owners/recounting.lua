-- When the tasks of a job are to have other resources than they had.

-- uses using

-- With what a node holds nothing is noted of them: they are what the job says now. So where any of it runs all nodes count anew, before
-- that changes.
local function recount_needs(id)
  local before = job
  use_job(id)
  if call('HLEN', DOING) > 0 then recount() else settle_uses() end
  use_job(before)
end

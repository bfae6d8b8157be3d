-- When a job has gone whose owner is known.

-- uses later lessening

-- A job of which nothing is left. With the last of another owner than the first all is as if there had been none.
local function disown(id)
  if call('HEXISTS', JOB_OWNERS, id) == 0 then return end
  settle_uses()
  call('HDEL', JOB_OWNERS, id)
  if call('EXISTS', JOB_OWNERS) == 1 then return end
  for _, owner in ipairs(call('ZRANGE', OWNERS, 0, -1)) do
    if owner ~= '' then call('DEL', owner_key(owner)) end
  end
  for _, incarnation in ipairs(call('ZRANGE', LEASES, 0, -1)) do call('DEL', counted_key(incarnation)) end
  call('DEL', OWNERS, USES, USES_ENDED, FLEET, MEASURED, RECOUNTED)
end

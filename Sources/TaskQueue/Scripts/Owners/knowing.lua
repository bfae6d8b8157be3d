-- The owner of the present job has classes, and gets a place among the others.

-- uses measuring

local function know_owner_of_job()
  local owner = owner_of(job)
  if call('ZSCORE', OWNERS, owner) then return end
  call('ZADD', OWNERS, string.format('%d', place_of(use_in(call('HGET', USES, owner), owner))), owner)
end

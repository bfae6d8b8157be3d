-- What a heartbeat does for owners.

-- uses using

-- Where several have tasks, whoever has a lease sees to it now and then that shares are of the fleet there is; and that whatever an older
-- version did without counting does not count for ever.
local function look_after_owners()
  if not has_several() then return end
  settle_uses()
  if is_over(RECOUNTED, now) then
    if call('EXISTS', RECOUNTED) == 1 then recount() end
    keep_until(RECOUNTED, now + 3600000)
  end
  if is_over(MEASURED, now) then
    keep_until(MEASURED, now + 60000)
    measure_fleet()
  end
  count_own(me)
  -- What an older version put back it made known to the first owner, and to nobody else.
  if call('EXISTS', CLASSES) == 1 then make_owner_known() end
end

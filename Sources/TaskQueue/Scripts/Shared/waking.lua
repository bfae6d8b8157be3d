-- Waking those that wait.

-- uses clock

-- Told unless all have been told and nobody has asked in vain since: a thousand lines a call, to a thousand nodes that
-- are busy, would be a million messages. For a second at most, should an asker have died before it slept.
local function wake()
  local now = read_now()
  if not is_over(FED, now) then return end
  keep_until(FED, now + 1000)
  call('PUBLISH', WAKE, 'todo')
end

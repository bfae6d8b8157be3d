-- One of two copies has ended: whoever finishes first has finished the task.

-- uses copies holders

-- Whether nothing more comes of it, since the other goes on.
local function leave_to_other()
  local copier = copier_of(line)
  if not copier then return false end
  local is_second, goes_on = copier == me, false
  if is_second then
    goes_on = kind ~= 'finished' or call('HEXISTS', DONE, line) == 1
  elseif kind == 'returned' and call('HEXISTS', cancel_key(me), line) == 0 then
    call('HSET', DOING, line, node_name(copier))
    goes_on = true
  end
  if goes_on then
    call('HDEL', held, line)
    stop_use()
  elseif is_second then
    local first = holder_of(line)
    if first then revoke(first, line) end
    call('HSET', DOING, line, name)
  else
    revoke(copier, line)
  end
  forget_copy(line)
  return goes_on
end

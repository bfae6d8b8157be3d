-- A task that ran for the owner of its job has ended: see lessening.lua.

-- uses later lessening

-- Users of Redis that were made before 1.1 may not APPEND: for them it is settled at once.
local function note_ended(memory, millicores)
  local ended = job .. ' ' .. memory .. ' ' .. millicores .. '\n'
  local size = redis.pcall('APPEND', USES_ENDED, ended)
  if type(size) ~= 'number' then settle_uses(ended) elseif size > USES_ENDED_MAX then settle_uses() end
end

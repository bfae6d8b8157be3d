-- What an owner has of resources becomes less, where he has any: see lessening.lua.

-- By what a task of the present job has; what is left is answered as text, and the largest share of it. For whom nothing runs nothing is
-- left, also of what should not have been there.
local function yield_resources(resources, millicores)
  if millicores == 0 then return '', 0 end
  local needs = job ~= '' and ' ' .. (call('HGET', JOB_NEEDS, job) or '') or ''
  local text, share = '', 0
  for name, amount, unit in string.gmatch(resources, ' ([%l%d_]+):(%d+)/(%d+)') do
    amount = amount - (string.match(needs, ' ' .. name .. ':(%d+)') or 0)
    if amount > 0 then
      text = text .. string.format(' %s:%d/%s', name, amount, unit)
      if unit ~= '0' then share = math.max(share, amount / unit) end
    end
  end
  return text, share
end

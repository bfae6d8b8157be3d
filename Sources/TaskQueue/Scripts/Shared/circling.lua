-- Jobs that would wait for themselves, over others.

-- Of a job that is to wait for these (its keys): itself, and the way over what they wait for back to it; nil where there is none.
local function circle_over(id, parents)
  local looked_at, left = {}, CIRCLE_MAX
  local function way_from(of)
    if of == id then return {of} end
    if looked_at[of] then return nil end
    looked_at[of], left = true, left - 1
    if left < 0 then return {of, of} end
    for other in string.gmatch(call('HGET', JOB_AFTER, of) or '', '(%w+):') do
      local found = way_from(other)
      if found then
        table.insert(found, 1, of)
        return found
      end
    end
  end
  for of in pairs(parents) do
    local found = way_from(of)
    if found then return {id, unpack(found, 1, 50)} end
  end
end

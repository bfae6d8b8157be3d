#!lua flags=no-writes
-- Writes nothing. What each of these incarnations holds: how many tasks, and of memory, cores (of which one that asks for none counts as
-- one) and what else there is together. Of a node that holds very many a part is looked at, and taken for all.

-- uses names

local answers = {}
for i = 2, #ARGV do
  local held = held_key(ARGV[i])
  local count, seen, memory, millicores, others = call('HLEN', held), 0, 0, 0, {}
  local page = count > 0 and call('HSCAN', held, '0', 'COUNT', LOADS_MAX)[2] or {}
  for at = 1, #page, 2 do
    local of_memory, of_cores = string.match(page[at + 1], '^%d+ (%d+) (%d+) ')
    seen, memory = seen + 1, memory + tonumber(of_memory or 0)
    millicores = millicores + (tonumber(of_cores or 0) > 0 and of_cores or SLOT_MILLICORES)
    local of = string.match(page[at], '^@([0-9a-z]+) ')
    for name, amount in string.gmatch(of and call('HGET', JOB_NEEDS, of) or '', '([%l%d_]+):(%d+)') do
      others[name] = (others[name] or 0) + amount
    end
  end
  local scale, needs = seen > 0 and count / seen or 1, {}
  for name, amount in pairs(others) do needs[#needs + 1] = name .. ':' .. string.format('%.0f', amount * scale) end
  answers[#answers + 1] = {count, string.format('%.0f', memory * scale), string.format('%.0f', millicores * scale), table.concat(needs, ' ')}
end
return answers

#!lua flags=allow-oom
-- Idempotent: drained is drained. A node that is drained is told so at once, by its name, and not with its next heartbeat. Answers for each node how many tasks it holds, or why nothing was done: -1 where there is no
-- such node, -2 where it is an old worker.

-- uses names

local held = {}
for _, me in ipairs(call('ZRANGE', LEASES, 0, -1)) do
  local name = node_name(me)
  held[name] = (held[name] or 0) + call('HLEN', held_key(me))
end
local answers, resumed = {}, false
for i = 3, #ARGV do
  local name = ARGV[i]
  if ARGV[2] ~= '1' then
    if call('SREM', DRAINED, name) == 1 then resumed = true elseif not held[name] then held[name] = -1 end
  elseif held[name] then
    call('SADD', DRAINED, name)
    call('PUBLISH', WAKE, 'drain ' .. name)
  else
    held[name] = call('HEXISTS', STATUS, name) == 1 and -2 or -1
  end
  answers[#answers + 1] = held[name] or 0
end
if resumed then call('PUBLISH', WAKE, 'todo') end
return answers

-- Names, and waking those that wait.

local function node_name(incarnation) return string.match(incarnation, '^[^/]*') end
local function lists(exclusion, name) return string.find(',' .. exclusion, ',' .. name .. ',', 1, true) ~= nil end

-- Told unless all have been told and nobody has asked in vain since: a thousand lines a call, to a thousand nodes that
-- are busy, would be a million messages. For a second at most, should an asker have died before it slept.
local function wake()
  if call('SET', FED, 1, 'NX', 'PX', 1000) then call('PUBLISH', WAKE, 'todo') end
end

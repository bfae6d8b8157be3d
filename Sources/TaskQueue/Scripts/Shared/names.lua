-- Names.

local function node_name(incarnation) return string.match(incarnation, '^[^/]*') end
local function lists(exclusion, name) return string.find(',' .. exclusion, ',' .. name .. ',', 1, true) ~= nil end

#!lua flags=no-writes
-- Writes nothing. Of some slots, by their places in the ring, what was counted: a list of fields and numbers each.

-- uses whole

local slots = {}
for i = 2, #ARGV do
  local list = {}
  for field, value in pairs(whole(metrics_key(ARGV[i]))) do
    list[#list + 1] = field
    list[#list + 1] = value
  end
  slots[i - 1] = list
end
return slots

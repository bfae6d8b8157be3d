#!lua flags=no-writes
-- Writes nothing. A node holds few more than it has slots, so all of it is told at once.
local rows, cursor = {}, '0'
repeat
  local page = call('HSCAN', held_key(ARGV[2]), cursor, 'COUNT', 500)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    rows[#rows + 1] = page[2][i]
    rows[#rows + 1] = page[2][i + 1]
    rows[#rows + 1] = ARGV[3] == '1' and call('HGET', SIGNATURES, page[2][i])
  end
until cursor == '0'
return rows

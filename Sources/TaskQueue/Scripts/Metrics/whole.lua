-- All of a small hash, field -> value; nothing where it is none.

local function whole(key)
  local fields, cursor = {}, '0'
  repeat
    local page = redis.pcall('HSCAN', key, cursor, 'COUNT', 500)
    if page.err then return fields end
    cursor = page[1]
    for i = 1, #page[2], 2 do fields[page[2][i]] = page[2][i + 1] end
  until cursor == '0'
  return fields
end

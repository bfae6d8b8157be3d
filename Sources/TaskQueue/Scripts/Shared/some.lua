-- Some entries of a hash: field, value, ...; none only where there are none. A hash whose first entries were taken out keeps their room
-- until it is nearly empty, and one HSCAN from its beginning then finds nothing.
local function some_of(key, count)
  local cursor = '0'
  repeat
    local page = call('HSCAN', key, cursor, 'COUNT', count)
    if #page[2] > 0 then return page[2] end
    cursor = page[1]
  until cursor == '0'
  return {}
end

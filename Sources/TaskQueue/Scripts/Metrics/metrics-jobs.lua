#!lua flags=no-writes
-- Writes nothing. A page of jobs, from a cursor on: of each how many of its tasks are in which state. With the first page comes what is of
-- no job.

-- uses states

local page, rows = call('HSCAN', JOBS, ARGV[2], 'COUNT', 100), {}
local function add(id, record)
  local todo, doing, done, failed, dependent, timed = states_of(id)
  rows[#rows + 1] = {id, todo, doing, done, failed, dependent, timed, id ~= '' and call('HGET', JOB_SIZES, id) or '0:0',
    string.match(record, '^[^\n]*') or ''}
end
if ARGV[2] == '0' then add('', '') end
for i = 1, #page[2], 2 do add(page[2][i], page[2][i + 1]) end
return {page[1], rows}

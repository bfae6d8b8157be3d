#!lua flags=no-writes
-- Of a life that the queue does not know nothing can be said: it may have been emptied.

-- uses lease

if not expiry_of(ARGV[2]) then return fenced() end
-- Writes nothing. A node holds few more than it has slots, so all of it is told at once.

-- uses lease

-- What a life holds that is not known here cannot be told: the queue may have been emptied, and what it runs be its own.
if not expiry_of(ARGV[2]) then return fenced() end
local rows, cursor = {}, '0'
repeat
  local page = call('HSCAN', held_key(ARGV[2]), cursor, 'COUNT', 500)
  cursor = page[1]
  for i = 1, #page[2], 2 do
    use_job_of(page[2][i])
    rows[#rows + 1] = page[2][i]
    rows[#rows + 1] = page[2][i + 1]
    rows[#rows + 1] = ARGV[3] == '1' and call('HGET', SIGNATURES, page[2][i])
    rows[#rows + 1] = job ~= '' and call('HGET', JOBS, job)
    rows[#rows + 1] = job ~= '' and call('HGET', OWN, page[2][i])
  end
until cursor == '0'
return rows

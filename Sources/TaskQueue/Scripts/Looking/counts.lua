#!lua flags=no-writes
-- Writes nothing. Of one job, of what is of none (''), or of all together ('*').

-- uses states

local closing, delayed = call('HEXISTS', TODO, CLOSE), call('ZCARD', DELAYED)
local todo, doing, done, failed, dependent, timed, first = 0, 0, 0, 0, 0, 0, 0
local function add(name)
  local waiting, running, finished, failed_here, depending, timed_here, at = states_of(name)
  todo, doing, done, failed = todo + waiting, doing + running, done + finished, failed + failed_here
  dependent, timed = dependent + depending, timed + timed_here
  if at > 0 then first = first > 0 and math.min(first, at) or at end
end
if ARGV[2] == '*' then
  add('')
  delayed = delayed + call('ZCARD', JOBS_DELAYED)
  local seen, cursor = {}, '0'
  repeat
    local page = call('HSCAN', JOBS, cursor, 'COUNT', 1000)
    cursor = page[1]
    for i = 1, #page[2], 2 do
      if not seen[page[2][i]] then add(page[2][i]) end
      seen[page[2][i]] = true
    end
  until cursor == '0'
else
  add(ARGV[2])
end
return {todo, doing, done, failed, call('HLEN', STATUS), closing, call('EXISTS', PAUSED), delayed,
  call('HGET', QUEUE, 'id') or '', call('HGET', QUEUE, 'restored') or 0, dependent, timed, first}

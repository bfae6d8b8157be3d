-- How long a task may run: as is said of it, or of its job, or else of all tasks by its node.

-- uses index

-- As lines and records have it: 90, 1.5, 5m.
local function milliseconds_in(text)
  local number, unit = string.match(text, '^ *([%d.]+)([smhd]?) *$')
  local seconds = ({s = 1, m = 60, h = 3600, d = 86400})[unit] or 1
  return tonumber(number) and math.ceil(number * seconds * 1000)
end

local timeouts_of_jobs = {}
local function timeout_of_job()
  if timeouts_of_jobs[job] == nil then
    local settings = string.match(call('HGET', JOBS, job) or '', '^[^\n]*\n([^\n]*)') or ''
    timeouts_of_jobs[job] = string.match(settings, '"timeout":([%d.]+)') or false
  end
  return timeouts_of_jobs[job]
end

local function timeout_of_old(line)
  if string.byte(line) ~= 123 then return string.match(line, '^[^:]*:[^:]*:[^:]*:[^:]*:(%d+[smhd]?):') end
  local is_read, fields = pcall(cjson.decode, line)
  local timeout = is_read and type(fields) == 'table' and fields.timeout
  return (type(timeout) == 'string' or type(timeout) == 'number') and tostring(timeout)
end

-- Of a line of the present job, in milliseconds; 0: it has no limit. `otherwise` is its node's.
local function timeout_of(line, otherwise)
  local own, text = own_of(line), nil
  if job == '' then
    text = timeout_of_old(line)
  elseif own then
    text = string.match(own, '^%d+:%d+ (%S+)')
    text = text == 'none' and '0' or text
  else
    text = timeout_of_job()
  end
  return text and milliseconds_in(text) or otherwise
end

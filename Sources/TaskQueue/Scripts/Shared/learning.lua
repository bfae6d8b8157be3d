-- What a job learns of the memory that its tasks need, from those that finish: PEAKS of it counts them in buckets, see
-- percentile.lua. A script that is stopped half-way counts one twice.

-- uses jobs margin percentile

-- What 19 of 20 needed, and a tenth.
local function memory_to_ask_for(largest)
  local most = most_of(job_key(job .. PEAKS))
  return with_margin(most and math.min(largest, most) or largest)
end

-- A task of the present job has finished, and needed so much. Most often it is only counted; what the job asks for changes when that
-- makes a difference of a twentieth.
local function learn()
  local bytes, peaks = tonumber(ARGV[8]) or 0, job_key(job .. PEAKS)
  local record = job ~= '' and bytes > 0 and call('HGET', JOBS, job)
  if not record then return end
  call('HINCRBY', peaks, bucket_of(bytes), 1)
  local largest = tonumber(call('HGET', peaks, 'largest') or 0)
  if bytes > largest then
    largest = bytes
    call('HSET', peaks, 'largest', ARGV[8])
  end
  local count = call('HINCRBY', peaks, 'count', 1)
  if count < LEARNED_MIN or count > 20 and count % math.floor(count / 10) > 0 then return end
  local name, settings, definition = parts_of(record)
  if not is_learning(settings) then return end
  local memory, most = memory_to_ask_for(largest), tonumber(string.match(settings, '"memory_max":(%d+)') or 0)
  if most > 0 then memory = math.min(memory, most) end
  local size = job_size()
  local known, millicores = string.match(size, '^(%d+):(%d+)$')
  if known ~= '0' and math.abs(memory - known) * 20 < known + 0 then return end
  local text = string.format('%.0f', memory)
  resize(job, text .. ':' .. millicores, size)
  call('HSET', JOBS, job, name .. '\n' .. with_memory(settings, text) .. '\n' .. definition)
  call('INCR', JOB_REVISION)
end

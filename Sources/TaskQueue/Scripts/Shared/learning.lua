-- What a job learns of the memory that its tasks need, from those that finish: PEAKS of it counts them in buckets, 32 to each doubling, as
-- TaskModel's MemoryPeaks does, which must come to the same amounts. A script that is stopped half-way counts one twice.

-- uses jobs margin

-- What 19 of 20 needed, and a tenth.
local function memory_to_ask_for(largest)
  local sizes, buckets, count, cursor = {}, {}, 0, '0'
  repeat
    local page = call('HSCAN', job_key(job .. PEAKS), cursor, 'COUNT', 1000)
    for i = 1, #page[2], 2 do
      local bucket = tonumber(page[2][i])
      if bucket and not sizes[bucket] then
        sizes[bucket] = tonumber(page[2][i + 1])
        buckets[#buckets + 1] = bucket
        count = count + sizes[bucket]
      end
    end
    cursor = page[1]
  until cursor == '0'
  table.sort(buckets)
  local rank, seen = math.ceil(count * 0.95), 0
  for _, bucket in ipairs(buckets) do
    seen = seen + sizes[bucket]
    if seen >= rank then
      return with_margin(math.min(largest, math.ldexp(0.5 + (bucket % 32 + 1) / 64, math.floor(bucket / 32))))
    end
  end
  return with_margin(largest)
end

-- A task of the present job has finished, and needed so much. Most often it is only counted; what the job asks for changes when that
-- makes a difference of a twentieth.
local function learn()
  local bytes, peaks = tonumber(ARGV[8]) or 0, job_key(job .. PEAKS)
  local record = job ~= '' and bytes > 0 and call('HGET', JOBS, job)
  if not record then return end
  local part, exponent = math.frexp(bytes)
  call('HINCRBY', peaks, string.format('%.0f', exponent * 32 + math.floor((part - 0.5) * 64)), 1)
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

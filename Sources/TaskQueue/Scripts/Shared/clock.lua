-- The clock of the queue, in milliseconds. Redis's own may step, stand still with its machine, or be that of another server that took
-- over, and whoever went by it would take a living node for dead. So leases, retries and grace times are in the queue's time, which
-- is never faster than real time but for steps that are short beside a lease, and never goes back.
--
-- CLOCK holds what was last observed, as "server queue quiet silence gap":
--   server   Redis's clock then
--   queue    the queue's
--   quiet    until when, in the queue's time, nobody is taken over
--   silence  how often the two clocks have been torn apart
--   gap      how long nothing may be observed, at most: half of the shortest lease of late
--
-- Whoever has a lease observes. Where Redis's clock went back, or on by more than the gap, there was a *silence*: Redis stood still, or
-- its clock was moved, and which of the two nobody can tell. Nodes that are alive could not renew their leases meanwhile. So the
-- queue's clock stands, nobody is taken over for the time of a lease, and what was sent before the silence, with its number of then,
-- gives and takes over nothing any more.
--
-- A shorter stretch in which nobody observed may have been an outage too, and two of them use a lease up that no node could renew. So
-- each that is longer than a sixth of a lease is counted, and begins a quiet of two fifths of one: whoever is alive finds the time to
-- be heard. Where one of few nodes would never look that often, heartbeats ask for more of them when it matters.

local server, queue, quiet, silence, gap
local is_clock_kept = false

-- Redis's clock, read once: a script is a moment.
local moment
local function server_milliseconds()
  if not moment then
    local t = call('TIME')
    moment = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return moment
end

-- What is not of our making counts as not there.
local function read_clock()
  local a, b, c, d, e = string.match(call('GET', CLOCK) or '', '^(%d+) (%d+) (%d+) (%d+) (%d+)$')
  server, queue, quiet, silence, gap = tonumber(a), tonumber(b), tonumber(c), tonumber(d), tonumber(e)
end

local function keep_clock()
  call('SET', CLOCK, string.format('%.0f %.0f %.0f %.0f %.0f', server, queue, quiet, silence, gap))
  is_clock_kept = true
end

local function begin_silence(lease)
  quiet, silence, gap = math.max(quiet, queue + lease), silence + 1, math.floor(lease / 2)
  keep_clock()
end

-- The queue's time, for whoever has a lease of `lease`. A lease that is longer than others' makes the gap no longer at once: its
-- node would not see that theirs could not be renewed. The gap grows as time passes without them.
local function observe(lease)
  local t, half = server_milliseconds(), math.floor(lease / 2)
  read_clock()
  if not server then
    server, queue, quiet, silence, gap = t, t, t + lease, 1, half
    keep_clock()
    return t
  end
  local passed = t - server
  if passed < 0 or passed > half or passed > gap then
    server = t
    begin_silence(lease)
  elseif passed >= CLOCK_STEP or passed * 32 >= half or half < gap then
    if passed * 3 > math.min(half, gap) then quiet = math.max(quiet, queue + passed + math.floor(lease * 2 / 5)) end
    server, queue, gap = t, queue + passed, math.min(half, gap + math.floor(passed / 4))
    keep_clock()
  else
    return queue + passed
  end
  return queue
end

-- The queue's time, for whoever has no lease: it changes nothing.
local function read_now()
  local t = server_milliseconds()
  read_clock()
  if not server then return t end
  local passed = t - server
  return passed >= 0 and passed <= gap and queue + passed or queue
end

-- Rights and the like that end by themselves: their keys hold when, in the queue's time.
local function is_over(key, now) return (tonumber(call('GET', key) or 0) or 0) <= now end
local function keep_until(key, time) call('SET', key, string.format('%.0f', time)) end

-- Giving tasks where there are several owners.

-- uses using

-- Those who have tasks stand in a line, by what is theirs of the fleet now, the least first: see place_of. It is read as far as turns go;
-- who has had one and wants more stands in a line of such, by their new place, for that may be behind hundreds who are not read.
local PAGE_OF_OWNERS = 8
local line_up, first, last, read_count, are_all_read, again, known = {}, 1, 0, 0, false, {}, {}
local function read_owners()
  local rows = call('ZRANGE', OWNERS, read_count, read_count + PAGE_OF_OWNERS - 1, 'WITHSCORES')
  read_count, are_all_read = read_count + #rows / 2, #rows < 2 * PAGE_OF_OWNERS
  for i = 1, #rows, 2 do
    -- One who was read may have been pushed back meanwhile by one who was made known.
    if not known[rows[i]] then
      last = last + 1
      line_up[last] = {owner = rows[i], place = tonumber(rows[i + 1])}
    end
    known[rows[i]] = true
  end
end

-- Behind all who have no more.
local function line_up_again(turn)
  local i = #again
  while i > 0 and again[i].place > turn.place do
    again[i + 1] = again[i]
    i = i - 1
  end
  again[i + 1] = turn
end

-- Of two with the same place who has had none is first.
local function next_turn()
  if first > last and not are_all_read then read_owners() end
  local turn = line_up[first]
  if not turn or again[1] and again[1].place < turn.place then return table.remove(again, 1) end
  line_up[first], first = nil, first + 1
  return turn
end

local function is_nobody_else()
  if first > last and #again == 0 and not are_all_read then read_owners() end
  return first > last and #again == 0
end

-- Whose share is the least has his turn. He gets one task where nothing runs for him, so that nobody has two before each who waits has one;
-- else as much as runs for him already, of cores and of each resource, but not more than half of what is asked for: so a claim of many
-- does not look at as many classes, and nobody gets far ahead. Who is alone gets all.
local function share_out()
  count_own(me)
  settle_uses()
  local half, served, over = math.max(1, math.floor(want / 2)), {}, {}
  while want > 0 and budget > 0 do
    local turn = next_turn()
    if not turn then break end
    turn.list = turn.list or list_of(turn.owner, 2)
    turn.use = turn.use or use_in(call('HGET', USES, turn.owner), turn.owner)
    helping, helping_millicores, gained_memory, gained_millicores = half, math.max(1, turn.use.millicores), 0, 0
    local is_alone = is_nobody_else()
    if is_alone then helping, helping_millicores = math.huge, math.huge end
    if needs then needs.begin_turn(not is_alone and (turn.use.resources or {})) end
    local has_more, use = walk(turn.list), turn.use
    if gained_millicores > 0 then
      if not turn.is_served then served[#served + 1] = turn end
      turn.is_served = true
      use.memory, use.millicores = use.memory + gained_memory, use.millicores + gained_millicores
      if needs then gain_resources(use, turn.owner, needs.gained) end
      use.last = last_given
      turn.place = place_of(use)
    end
    if not has_more then
      if call('EXISTS', turn.list.known) == 0 then over[#over + 1] = turn.owner end
    elseif want > 0 then
      line_up_again(turn)
    end
  end
  if needs then needs.begin_turn(false) end
  local uses, shares = {}, {}
  for i, turn in ipairs(served) do
    uses[i * 2 - 1], uses[i * 2] = turn.owner, text_of_use(turn.use)
    shares[i * 2 - 1], shares[i * 2] = string.format('%d', turn.place), turn.owner
  end
  if #served > 0 then
    call('HSET', USES, unpack(uses))
    call('ZADD', OWNERS, 'XX', unpack(shares))
  end
  if #over > 0 then call('ZREM', OWNERS, unpack(over)) end
end


-- Giving tasks where there are several owners.

-- uses using

-- Those who have tasks stand in a line, by what is theirs of the fleet now, the least first.
local PAGE_OF_OWNERS = 8
local line_up, first, last, read_count, are_all_read = {}, 1, 0, 0, false
local function read_owners()
  local rows = call('ZRANGE', OWNERS, read_count, read_count + PAGE_OF_OWNERS - 1, 'WITHSCORES')
  read_count, are_all_read = read_count + #rows / 2, #rows < 2 * PAGE_OF_OWNERS
  for i = 1, #rows, 2 do
    last = last + 1
    line_up[last] = {owner = rows[i], share = tonumber(rows[i + 1])}
  end
end

-- Behind all who have no more.
local function line_up_again(turn)
  while not are_all_read and (last < first or line_up[last].share <= turn.share) do read_owners() end
  local i = last
  while i >= first and line_up[i].share > turn.share do
    line_up[i + 1] = line_up[i]
    i = i - 1
  end
  line_up[i + 1], last = turn, last + 1
end

-- Whose share is the least has his turn. He gets one task where nothing runs for him, so that nobody has two before each who waits has one;
-- else a quarter of what is asked for, so that a claim does not look at sixteen classes where it could at four.
local function share_out()
  count_own(me)
  local quarter, served, over = math.max(1, math.floor(want / 4)), {}, {}
  while want > 0 and budget > 0 do
    if first > last and not are_all_read then read_owners() end
    local turn = line_up[first]
    if not turn then break end
    line_up[first], first = nil, first + 1
    helping = first > last and are_all_read and want or turn.share > 0 and quarter or 1
    gained_memory, gained_millicores = 0, 0
    turn.list = turn.list or list_of(turn.owner, 2)
    local has_more = walk(turn.list)
    if gained_millicores > 0 then
      if not turn.use then
        turn.use = use_in(call('HGET', USES, turn.owner), turn.owner)
        served[#served + 1] = turn
      end
      turn.use.memory, turn.use.millicores = turn.use.memory + gained_memory, turn.use.millicores + gained_millicores
      turn.share = share_of(turn.use)
    end
    if has_more then
      line_up_again(turn)
    elseif call('EXISTS', turn.list.known) == 0 then
      over[#over + 1] = turn.owner
    end
  end
  local uses, shares = {}, {}
  for i, turn in ipairs(served) do
    uses[i * 2 - 1], uses[i * 2] = turn.owner, text_of_use(turn.use)
    shares[i * 2 - 1], shares[i * 2] = string.format('%d', turn.share), turn.owner
  end
  if #served > 0 then
    call('HSET', USES, unpack(uses))
    call('ZADD', OWNERS, 'XX', unpack(shares))
  end
  if #over > 0 then call('ZREM', OWNERS, unpack(over)) end
end


-- What jobs ask for besides memory and cores, see ResourceRequest: `gpu:1000 licence:500`, in thousandths of one. What is free of that on
-- the node that asks is told with its claim, an amount (`licence:3000`) or of each device what is left (`gpu@1000,500`); what a node has
-- altogether stands in RESOURCES, as an amount or as a number of devices (`gpu:d2`).

local function needing()
  local free, known, needing = {}, {}, {gained = {}}
  for name, kind, numbers in string.gmatch(ARGV[9], '([%l%d_]+)([:@])([%d,]*)') do
    free[name] = {is_of_devices = kind == '@'}
    for number in string.gmatch(numbers, '%d+') do table.insert(free[name], tonumber(number)) end
  end

  -- By name; false where it asks for nothing.
  local function needs_of(class)
    if class.job == '' then return false end
    local needs = known[class.job]
    if needs == nil then
      local text = call('HGET', JOB_NEEDS, class.job)
      needs = text and {} or false
      for name, amount in string.gmatch(text or '', '([%l%d_]+):(%d+)') do needs[name] = tonumber(amount) end
      known[class.job] = needs
    end
    return needs
  end

  -- What the owner has whose turn it is, as in a use; false where no turn ends by that.
  local had = false

  -- Whoever gives in turns is told by `gained` what was given in this one.
  function needing.begin_turn(of_owner) had, needing.gained = of_owner, {} end

  -- As much as he has already, or one task where he has nothing of it.
  local function left_of_turn(name)
    return math.max(1, had[name] and had[name].amount or 0) - (needing.gained[name] or 0)
  end

  -- Several devices are given whole, one in parts.
  local function is_whole(amount) return amount % 1000 == 0 end

  local function times_free(parts, amount)
    if not parts then return 0 end
    if not parts.is_of_devices then return math.floor((parts[1] or 0) / amount) end
    local count = 0
    if not is_whole(amount) and amount > 1000 then return 0 end
    for _, left in ipairs(parts) do
      count = count + (is_whole(amount) and (left == 1000 and 1 or 0) or math.floor(left / amount))
    end
    return is_whole(amount) and math.floor(count * 1000 / amount) or count
  end

  -- As the node does it: whole devices the first ones that are free, a part of that which has the least left and holds it.
  local function take_from(parts, amount, count)
    if not parts.is_of_devices then
      parts[1] = parts[1] - amount * count
      return
    end
    local wanted = is_whole(amount) and count * amount / 1000 or count
    local part = is_whole(amount) and 1000 or amount
    for _ = 1, wanted do
      local best
      for i, left in ipairs(parts) do
        if left >= part and (not best or left < parts[best]) then best = i end
      end
      parts[best] = parts[best] - part
    end
  end

  -- How many tasks of a class can have what they need now, at most `n`.
  function needing.room(class, n)
    for name, amount in pairs(needs_of(class) or {}) do
      n = math.min(n, times_free(free[name], amount))
      if had then n = math.min(n, math.ceil(left_of_turn(name) / amount)) end
    end
    return n
  end

  -- Whether with that a turn is over.
  function needing.take(class, count)
    local is_over = false
    for name, amount in pairs(needs_of(class) or {}) do
      take_from(free[name], amount, count)
      needing.gained[name] = (needing.gained[name] or 0) + amount * count
      is_over = is_over or had and left_of_turn(name) <= 0
    end
    return is_over
  end

  -- Whether tasks of both need some of the same.
  function needing.overlap(class, other)
    for name in pairs(needs_of(class) or {}) do
      if (needs_of(other) or {})[name] then return true end
    end
    return false
  end

  -- Whether a node could ever have what a task of a class needs.
  function needing.could_hold(class, node)
    local needs = needs_of(class)
    if not needs then return true end
    node.resources = node.resources or ' ' .. (call('HGET', RESOURCES, node.incarnation) or '') .. ' '
    for name, amount in pairs(needs) do
      local kind, count = string.match(node.resources, ' ' .. name .. ':(d?)(%d+) ')
      local all = tonumber(count or 0) * (kind == 'd' and 1000 or 1)
      if amount > all or kind == 'd' and amount > 1000 and not is_whole(amount) then return false end
    end
    return true
  end
  return needing
end

-- Which nodes a job is for, as LabelExpression writes it: `ssd & !spot | big`.

local function labels_of(incarnation) return ' ' .. (call('HGET', LABELS, incarnation) or '') .. ' ' end

-- Whether an expression is true of the labels of a node.
local function is_meant(expression, labels)
  local at, either = 1, nil
  local function take(sign)
    at = string.find(expression, '[^ ]', at) or #expression + 1
    if string.sub(expression, at, at) ~= sign then return false end
    at = at + 1
    return true
  end
  local function single()
    if take('!') then return not single() end
    if take('(') then
      local value = either()
      take(')')
      return value
    end
    local label = string.match(expression, '^[%w._-]+', at) or ''
    at = at + #label
    return label ~= '' and string.find(labels, ' ' .. label .. ' ', 1, true) ~= nil
  end
  local function both()
    local value = single()
    while take('&') do value = single() and value end
    return value
  end
  function either()
    local value = both()
    while take('|') do value = both() or value end
    return value
  end
  return either()
end

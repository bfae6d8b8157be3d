#!lua flags=no-writes
-- Writes nothing. Whether there are several owners; the owner of a job, '' for the first; what the fleet has of memory and cores; of the
-- first owner, and each other who has tasks, or a share of their own: the name, '' where nobody knows it, that share, what of memory,
-- cores and resources runs for them, and whether they have tasks in the index; and what the fleet has of resources.

-- uses lessening

local first, rows, seen, settled = call('GET', OWNER) or '', {}, {}, uses_without_ended() or {}
local function add(owner)
  local name = owner ~= '' and owner or first
  if seen[name] then return end
  seen[name] = true
  -- The first may have had this name in SHARES before.
  if name == first then owner = '' end
  local use = settled[owner] and text_of_use(settled[owner]) or call('HGET', USES, owner) or ''
  local memory, millicores, resources = string.match(use, '^(%d+) (%d+) %d+ %d+ %d+(.*)$')
  for _, part in ipairs({name, call('HGET', SHARES, name) or '1', memory or '0', millicores or '0', resources or '',
    call('EXISTS', classes_of(owner))}) do rows[#rows + 1] = part end
end
add('')
for _, owner in ipairs(call('ZRANGE', OWNERS, 0, 9999)) do add(owner) end
for _, key in ipairs({USES, SHARES}) do
  local page = call('HSCAN', key, '0', 'COUNT', 10000)
  for i = 1, #page[2], 2 do add(page[2][i]) end
end
local memory, millicores, resources = string.match(call('GET', FLEET) or '', '^(%d+) (%d+)(.*)$')
local of = ARGV[2] ~= '' and call('HGET', JOB_OWNERS, ARGV[2]) or ''
return {has_several() and 1 or 0, of, memory or '0', millicores or '0', rows, resources or ''}

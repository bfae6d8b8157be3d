#!lua
-- What an owner's share is to be beside those of others: twice as much is twice as much of the fleet. '' is the first owner where nobody
-- knows who that is. Idempotent. Stopped half-way: what runs for them counts by this when the fleet is measured anew, and before that by
-- the share they had.

-- uses using

local name, weight = ARGV[2], ARGV[3]
if tonumber(weight) == 1 then call('HDEL', SHARES, name) else call('HSET', SHARES, name, weight) end
local owner = name == (call('GET', OWNER) or '') and '' or name
local text = call('HGET', USES, owner)
if text then set_units(owner, text) end
return 'OK'

#!lua
-- Who adds lines that are of no job: they count as the first owner's. Idempotent. Stopped half-way: nothing was noted. Answers who is
-- the first, '' where nobody knows, and whether there are several.

-- uses belonging

local owner = ARGV[2]
if not redis.acl_check_cmd('GET', owner_right_key(owner)) then owner = '' end
return {first_owner(owner), has_several() and 1 or 0}

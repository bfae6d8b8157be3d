-- A node for which there is nothing leaves in the very step in which that is seen: it is refused whatever it asks from then on.

-- uses reaping

local function depart() forget_incarnation(ARGV[2]) end

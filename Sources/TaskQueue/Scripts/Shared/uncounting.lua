-- What is reported runs no more for its owner: where there are several, which most reports need not know.

-- uses using

local function stop_use() count_use(me, memory, millicores, -1) end

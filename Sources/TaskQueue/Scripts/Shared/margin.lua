-- What is asked for where so much was needed: a tenth more, and enough for a shell and its libraries, as TaskModel's MemoryPeaks has it.
local function with_margin(bytes) return math.ceil(math.max(16 * 1048576, bytes * 1.1) / 1048576) * 1048576 end

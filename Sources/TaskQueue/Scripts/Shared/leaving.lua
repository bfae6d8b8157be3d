-- Jobs whose records have left Redis: all of them had ended, which nothing else says any more.

local function has_left() return job ~= '' and call('HEXISTS', JOBS_LEFT, job) == 1 end

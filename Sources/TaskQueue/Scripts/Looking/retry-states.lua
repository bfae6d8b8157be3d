#!lua flags=no-writes
-- Writes nothing. Answers for each line what its place in failed_tasks means: 0 it has failed for good, 1 it is to be tried again, 2 an
-- old worker has finished it.

-- uses retries

local MEANINGS, answers = {waiting = 1, finished = 2, failed = 0, forgotten = 0}, {}
for i = 2, #ARGV do
  use_job_of(ARGV[i])
  answers[i - 1] = call('SISMEMBER', RETRYING, ARGV[i]) == 1 and MEANINGS[retry_state(ARGV[i])] or 0
end
return answers

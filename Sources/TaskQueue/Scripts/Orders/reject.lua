#!lua flags=allow-oom
-- Idempotent: what was rejected is no longer in todo. Stopped half-way: it is rejected again.

-- uses names index ending

local line, reason = ARGV[2], ARGV[3]
if line == CLOSE or call('HEXISTS', TODO, line) == 0 then return 0 end
fail_for_good(line, '0', reason,
  '{"state":"failed","cause":"launch","attempts":0,"launch_step":"read the line","launch_error":' ..
  cjson.encode(reason) .. ',"reason":' .. cjson.encode(reason) .. '}')
return 1

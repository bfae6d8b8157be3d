#!lua flags=allow-oom
-- Idempotent: who has left holds nothing. Stopped half-way: its lease is over, and others reap the rest.

-- uses names clock index reaping
-- uses later telling

reap(ARGV[2], 1000, true)
if call('EXISTS', TELLING) == 1 then tell_some() end
return call('HLEN', held_key(ARGV[2]))

#!lua flags=no-writes
-- Writes nothing.
local closing = call('HEXISTS', TODO, CLOSE)
return {call('HLEN', TODO) - closing, call('HLEN', DOING), call('HLEN', DONE),
  math.max(0, call('HLEN', FAILED) - call('SCARD', RETRYING)), call('HLEN', STATUS), closing,
  call('EXISTS', PAUSED), call('ZCARD', DELAYED)}

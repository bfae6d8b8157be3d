// Scripts that only look.

import RedisClient

enum ScriptsReading {
    static let counts = ScriptPrelude.script(
        "counts", flags: ScriptPrelude.readingOnly,
        #"""
        -- Writes nothing.
        local closing = redis.call('HEXISTS', TODO, CLOSE)
        return {redis.call('HLEN', TODO) - closing, redis.call('HLEN', DOING), redis.call('HLEN', DONE),
          math.max(0, redis.call('HLEN', FAILED) - redis.call('SCARD', RETRYING)), redis.call('HLEN', STATUS), closing,
          redis.call('EXISTS', PAUSED), redis.call('ZCARD', DELAYED)}
        """#)

    static let nodes = ScriptPrelude.script(
        "nodes", flags: ScriptPrelude.readingOnly,
        #"""
        -- Writes nothing.
        local now, first, rows = milliseconds(), tonumber(ARGV[2]), {}
        local leases = redis.call('ZRANGE', LEASES, first, first + 199, 'WITHSCORES')
        for i = 1, #leases, 2 do
          local me = leases[i]
          local memory, millicores, version = string.match(redis.call('HGET', NODES, me) or '', '^(%d+) (%d+) (.*)$')
          rows[#rows + 1] = {me, math.floor(tonumber(leases[i + 1]) - now), redis.call('HLEN', held_key(me)),
            memory or '0', millicores or '0', version or '', redis.call('SISMEMBER', DRAINED, node_name(me))}
        end
        return rows
        """#)
}

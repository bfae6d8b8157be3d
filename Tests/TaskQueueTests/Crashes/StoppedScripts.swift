// Scripts that fail at a chosen call, as one would whose user lacks a permission or that meets a key of the wrong type. Redis undoes
// nothing then, so each is a crash point.

import RedisClient
import TaskQueue

extension RedisRequest {
    /// The same request, failing in place of its `call`-th call to Redis, counted from 1.
    func stopped(atCall call: Int) -> RedisRequest {
        guard case .script(var scriptCall) = self else { return self }
        let source = scriptCall.script.source
        let firstLine = source.prefix { $0 != "\n" }
        let counting = """
            local calls, real = 0, redis
            local redis = {error_reply = real.error_reply, status_reply = real.status_reply}
            function redis.call(...)
              calls = calls + 1
              if calls == \(call) then error({err = 'STOPPED'}) end
              return real.call(...)
            end

            """
        let script = RedisScript(
            name: scriptCall.script.name,
            source: firstLine + "\n" + counting + source.dropFirst(firstLine.count + 1))
        scriptCall = RedisScriptCall(script, keys: scriptCall.keys, arguments: scriptCall.arguments)
        return .script(scriptCall)
    }
}

extension RESPValue {
    var isStopped: Bool { error?.code == "STOPPED" }
}

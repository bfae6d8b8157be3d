// The clock that the tests of steps stand on: were it not to step, they would show nothing.

import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("A redis-server with a clock of its own", .enabled(if: RedisServerFixture.canHaveOwnClock, "needs cc"))
struct SteppedClockTests {
    @Test("its time follows each step at once, either way, in scripts too, and is kept over a restart")
    func steps() throws {
        let server = try RedisServerFixture(hasOwnClock: true)
        for offset in [0, 3600, -3600, 0.5] {
            server.stepClock(bySeconds: offset - server.clockOffsetSeconds)
            #expect(abs(try aheadSeconds(server, "TIME") - offset) < 0.4)
            #expect(abs(try aheadSeconds(server, "EVAL", "return redis.call('TIME')", "0") - offset) < 0.4)
        }
        server.stepClock(bySeconds: -100)
        server.kill9()
        try server.start()
        #expect(abs(try aheadSeconds(server, "TIME") + 99.5) < 0.4)
    }

    @Test("a step made while it is frozen is there when it goes on")
    func frozen() throws {
        let server = try RedisServerFixture(hasOwnClock: true)
        server.pause()
        server.stepClock(bySeconds: 60)
        server.resume()
        #expect(abs(try aheadSeconds(server, "TIME") - 60) < 0.4)
    }

    /// How far the time that the server tells goes before ours. Under load an answer takes its time, so the best of several counts.
    private func aheadSeconds(_ server: RedisServerFixture, _ words: String...) throws -> Double {
        let client = try server.client()
        let request = RedisRequest.command(RedisCommand(words[0], Array(words.dropFirst())))
        let looks = try (0..<10).map { _ in
            let before = SystemClock.wallNanoseconds()
            let parts = try client.call(request).elements ?? []
            let waited = Double(SystemClock.wallNanoseconds() - before) / 1e9
            let told = try parts.map { try #require(Double($0.string ?? "\($0.int ?? 0)")) }
            return (ahead: told[0] + told[1] / 1e6 - Double(before) / 1e9, waited: waited)
        }
        return try #require(looks.min { $0.waited < $1.waited }).ahead
    }
}

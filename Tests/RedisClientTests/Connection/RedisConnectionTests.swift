import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("A connection and a real server")
struct RedisConnectionTests {
    @Test("a message published between two pipelined requests is delivered between their replies")
    func messages() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint) { $0.session.channels = ["wake", "other"] }
        let first = try driver.send("SET", "a", "1")
        _ = try driver.send("PUBLISH", "wake", "hello")
        let last = try driver.send("GET", "a")
        try driver.run { $0.reply(to: last) != nil && !$0.messages.isEmpty }
        #expect(driver.messages == ["hello"])
        #expect(driver.reply(to: first) == .simpleString("OK"))
        #expect(driver.reply(to: last) == .bulkString([0x31]))
    }

    @Test("a message published by another reaches a connection that has nothing to ask")
    func wakeUp() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint) { $0.session.channels = ["wake"] }
        try driver.run { $0.connection.isReady }
        #expect(driver.connection.nextDeadlineNanoseconds == nil)
        #expect(!driver.connection.wantsWrite)
        #expect(try server.client().call(.command(RedisCommand("PUBLISH", "wake", "5"))) == .integer(1))
        try driver.run { $0.messages == ["5"] }
    }

    @Test("a server that is killed loses the outstanding requests, each by name")
    func killed() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint)
        try driver.run { $0.connection.isReady }
        let requests = [try driver.send("BLPOP", "nothing", "0"), try driver.send("INCR", "a")]
        _ = driver.connection.handleWritable(now: 0)
        server.kill9()
        try driver.run { $0.failure != nil }
        #expect(driver.events.dropFirst().dropLast() == requests.map { .lost($0) }[...])
        #expect(driver.failure?.kind == .connectionLost)
        #expect(throws: RedisFailure.self) { try driver.send("PING") }
        #expect(driver.connection.nextDeadlineNanoseconds == nil)
    }

    @Test("a server that was restarted is reached by the next connection")
    func restarted() throws {
        let server = try RedisServerFixture(configuration: ["appendonly yes", "appendfsync always"])
        #expect(try server.client().call(.command(RedisCommand("SET", "a", "1"))) == .simpleString("OK"))
        server.kill9()
        try server.start()
        #expect(try server.client().call(.command(RedisCommand("GET", "a"))).string == "1")
        try server.restart()
        #expect(try server.client().call(.command(RedisCommand("GET", "a"))).string == "1")
    }

    @Test("a server that falls silent is given up after the reply timeout, and an idle one is not")
    func silent() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint) { $0.replyTimeoutSeconds = 0.2 }
        try driver.run { $0.connection.isReady }
        server.pause()
        defer { server.resume() }
        #expect(driver.connection.nextDeadlineNanoseconds == nil)
        let request = try driver.send("PING")
        try driver.run { $0.failure != nil }
        #expect(driver.events.contains(.lost(request)))
        #expect(driver.failure?.kind == .timeout)
        #expect(driver.failure?.description == "Redis at \(server.socketPath): no reply for 0.2 s")
    }

    @Test("a reply that came while we slept past its deadline is a reply, not a timeout")
    func slept() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint)
        try driver.run { $0.connection.isReady }
        let request = try driver.send("PING")
        #expect(driver.connection.handleWritable(now: 0).isEmpty)
        let descriptor = driver.connection.descriptor
        #expect(try DescriptorWait.until(descriptor, readable: true, writable: false, atMostMilliseconds: 20_000))
        #expect(driver.connection.handleDeadline(now: .max) == [.reply(request, .simpleString("PONG"))])
        #expect(driver.connection.failure == nil)
    }

    @Test("a server that accepts and never answers the handshake is given up after the connect timeout")
    func unanswered() throws {
        let server = try RedisServerFixture()
        server.pause()
        defer { server.resume() }
        let driver = try ConnectionDriver(server.endpoint) { $0.connectTimeoutSeconds = 0.2 }
        try driver.run { $0.failure != nil }
        #expect(driver.failure?.kind == .unreachable)
        #expect(
            driver.failure?.description
                == "cannot reach Redis at \(server.socketPath): connected, but not shaken hands within 0.2 s")
    }

    @Test("requests beyond the output bound are refused and the others are answered")
    func outputBound() throws {
        let server = try RedisServerFixture()
        let driver = try ConnectionDriver(server.endpoint) { $0.outputBytesMax = 1 << 20 }
        try driver.run { $0.connection.isReady }
        let value = String(repeating: "x", count: 600_000)
        let accepted = [try driver.send("SET", "a", value), try driver.send("SET", "b", value)]
        let failure = try #require(throws: RedisFailure.self) { try driver.send("SET", "c", value) }
        #expect(failure.kind == .overloaded)
        try driver.run { driver in accepted.allSatisfy { driver.reply(to: $0) != nil } }
        let late = try driver.send("EXISTS", "a", "b", "c")
        try driver.run { $0.reply(to: late) != nil }
        #expect(driver.reply(to: late) == .integer(2))
    }

    @Test("a write to a replica is answered and then the connection is given up")
    func replica() throws {
        let server = try RedisServerFixture(configuration: ["replicaof 127.0.0.1 1"])
        let driver = try ConnectionDriver(server.endpoint)
        let request = try driver.send("SET", "a", "1")
        try driver.run { $0.failure != nil }
        #expect(driver.connection.server?.role == "replica")
        #expect(driver.reply(to: request)?.error?.code == "READONLY")
        #expect(driver.failure?.kind == .notMaster)
    }

    @Test("a server that says why and hangs up before we have said anything is heard all the same")
    func hungUp() throws {
        let server = try RedisServerFixture()
        let only = try server.client()
        #expect(try only.call(.command(RedisCommand("CONFIG", "SET", "maxclients", "1"))) == .simpleString("OK"))
        let driver = try ConnectionDriver(server.endpoint)
        let descriptor = driver.connection.descriptor
        #expect(try DescriptorWait.until(descriptor, readable: true, writable: false, atMostMilliseconds: 20_000))
        try driver.run { $0.failure != nil }
        #expect(driver.failure?.kind == .notReady)
        #expect(driver.failure?.detail == "not ready: ERR max number of clients reached")
    }

    @Test("a server busy with a script sends newcomers away for a while")
    func busy() throws {
        let server = try RedisServerFixture(configuration: ["lua-time-limit 5"])
        let other = try server.client()
        let driver = try ConnectionDriver(server.endpoint)
        let endless = try driver.send("EVAL", "while true do end", "0")
        try driver.run { $0.connection.isReady }
        _ = driver.connection.handleWritable(now: 0)
        let failure = try #require(throws: RedisFailure.self) {
            // Until the limit has passed the server says nothing at all, so the first answer is this one.
            try server.client()
        }
        #expect(failure.kind == .notReady)
        _ = try other.call(.command(RedisCommand("SCRIPT", "KILL")))
        try driver.run { $0.reply(to: endless) != nil }
        #expect(try server.client().server != nil)
    }
}

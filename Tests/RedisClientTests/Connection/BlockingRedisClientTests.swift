import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("A blocking client and a real server")
struct BlockingRedisClientTests {
    private let increment = RedisScript(name: "increment", source: "return redis.call('INCRBY', KEYS[1], ARGV[1])")

    private func command(_ words: String...) -> RedisRequest {
        .command(RedisCommand(bytes: words.map { Array($0.utf8) }))
    }

    @Test("a client is shaken hands with its name, its database, its scripts, over a socket or a port")
    func handshake() throws {
        let server = try RedisServerFixture(listening: .port, password: "pass word\u{e9}")
        for endpoint in [server.endpoint, server.internetEndpoint] {
            var endpoint = endpoint
            endpoint.database = 5
            var options = RedisConnectionOptions()
            options.session.clientName = "distcomp test"
            options.session.scripts = [increment]
            let client = try BlockingRedisClient(endpoint, options: options)
            #expect(client.server?.role == "master")
            let list = try client.call(
                command("CLIENT", "LIST", "ID", "\(try client.call(command("CLIENT", "ID")).int ?? 0)"))
            #expect(list.string?.contains(" name=distcomp_test ") == true)
            #expect(list.string?.contains(" db=5 ") == true)
            #expect(list.string?.contains(" resp=3") == true)
            let call = RedisScriptCall(increment, keys: ["n"], arguments: ["2"])
            #expect(try client.call(.script(call)).int == (endpoint == server.endpoint.with(database: 5) ? 2 : 4))
        }
    }

    @Test("every RESP3 type that Redis itself can send arrives")
    func protocolTypes() throws {
        let server = try RedisServerFixture(configuration: ["enable-debug-command yes"])
        let client = try server.client()
        func debug(_ name: String) throws -> RESPValue { try client.call(command("DEBUG", "PROTOCOL", name)) }
        #expect(try debug("string") == .bulkString(Array("Hello World".utf8)))
        #expect(try debug("integer") == .integer(12345))
        #expect(try debug("double") == .double(3.141))
        #expect(try debug("null") == .null)
        #expect(try debug("array") == .array([.integer(0), .integer(1), .integer(2)]))
        #expect(try debug("set") == .set([.integer(0), .integer(1), .integer(2)]))
        let entries = [false, true, false].enumerated().map { index, flag in
            RESPMapEntry(key: .integer(Int64(index)), value: .boolean(flag))
        }
        #expect(try debug("map") == .map(entries))
        #expect(try debug("attrib").string == "Some real reply following the attribute")
        #expect(try debug("bignum") == .bigNumber("1234567999999999999999999999999999999"))
        #expect(try debug("true") == .boolean(true))
        #expect(
            try debug("verbatim") == .verbatimString(format: "txt", bytes: Array("This is a verbatim\nstring".utf8)))
    }

    @Test("a pipeline of 10,000 requests is answered in its order")
    func longPipeline() throws {
        let server = try RedisServerFixture()
        let replies = try server.client().pipeline((0..<10_000).map { command("ECHO", "\($0)") })
        #expect(replies.map(\.string) == (0..<10_000).map { "\($0)" })
    }

    @Test("a pipeline larger than all buffers, both ways, does not lock up")
    func largePipeline() throws {
        let server = try RedisServerFixture()
        let text = String(repeating: "x", count: 200_000)
        let replies = try server.client().pipeline((0..<500).map { _ in command("ECHO", text) })
        #expect(replies.count == 500)
        #expect(replies.allSatisfy { $0.bytes?.count == 200_000 })
    }

    @Test("scripts lost in the middle of pipelines run once each all the same")
    func lostScripts() throws {
        let server = try RedisServerFixture()
        let client = try server.client { $0.session.scripts = [increment] }
        var sum = 0
        for round in 1...20 {
            var requests: [RedisRequest] = []
            for place in 0..<100 {
                requests.append(command("INCR", "plain"))
                requests.append(.script(RedisScriptCall(increment, keys: ["counted"], arguments: ["\(round)"])))
                if place == 30 || place == 60 { requests.append(command("SCRIPT", "FLUSH")) }
                sum += round
            }
            let replies = try client.pipeline(requests)
            #expect(replies.count == 202)
            #expect(replies.allSatisfy { $0.error == nil })
        }
        #expect(try client.call(command("GET", "counted")).int == sum)
        #expect(try client.call(command("GET", "plain")).int == 2000)
    }

    @Test("an error reply is a value, and the client goes on")
    func errorReply() throws {
        let server = try RedisServerFixture()
        let client = try server.client()
        #expect(try client.call(command("NOSUCH")).error?.code == "ERR")
        #expect(try client.call(command("PING")) == .simpleString("PONG"))
    }

    @Test("a wrong password and a missing one each say so in one line, and the password is not in it")
    func authentication() throws {
        let server = try RedisServerFixture(password: "secret")
        let wrong = try #require(throws: RedisFailure.self) {
            try BlockingRedisClient(server.endpoint.with(credentials: RedisCredentials(password: "mistaken")))
        }
        #expect(wrong.kind == .authentication)
        #expect(
            wrong.description == "Redis at \(server.socketPath): wrong user name or password "
                + "(WRONGPASS invalid username-password pair or user is disabled.)")
        let missing = try #require(throws: RedisFailure.self) {
            try BlockingRedisClient(server.endpoint.with(credentials: nil))
        }
        #expect(missing.kind == .authentication)
        #expect(missing.description.hasPrefix("Redis at \(server.socketPath): a password is needed (NOAUTH "))
    }

    @Test("a user with few permissions can connect, and learns which one it lacks")
    func permissions() throws {
        let server = try RedisServerFixture()
        let rules = ["on", ">pw", "resetchannels", "&distcomp:*", "~n", "-@all", "+evalsha", "+eval", "+incrby"]
        let setUser = RedisCommand("ACL", ["SETUSER", "worker"] + rules)
        #expect(try server.client().call(.command(setUser)) == .simpleString("OK"))
        let endpoint = server.endpoint.with(credentials: RedisCredentials(user: "worker", password: "pw"))
        let client = try BlockingRedisClient(endpoint)
        #expect(try client.call(.script(RedisScriptCall(increment, keys: ["n"], arguments: ["1"]))).int == 1)
        #expect(try client.call(command("GET", "n")).error?.code == "NOPERM")
        let failure = try #require(throws: RedisFailure.self) {
            var options = RedisConnectionOptions()
            options.session.scripts = [increment]
            _ = try BlockingRedisClient(endpoint, options: options)
        }
        #expect(failure.kind == .authentication)
        #expect(failure.detail.hasPrefix("this user lacks a permission: SCRIPT LOAD of increment: NOPERM"))
    }

    @Test("a database that does not exist is a refusal, before any request runs in another")
    func missingDatabase() throws {
        let server = try RedisServerFixture()
        let failure = try #require(throws: RedisFailure.self) {
            try BlockingRedisClient(server.endpoint.with(database: 99))
        }
        #expect(failure.kind == .unsupported)
        #expect(failure.detail == "SELECT: ERR DB index is out of range")
    }

    @Test("a Redis that is not there is told in one line, for a socket and for a port")
    func unreachable() throws {
        let server = try RedisServerFixture(listening: .port)
        server.terminate()
        let port = try #require(server.port)
        let refused = try #require(throws: RedisFailure.self) { try BlockingRedisClient(server.internetEndpoint) }
        #expect(refused.description == "cannot reach Redis at 127.0.0.1:\(port): Connection refused")
        #expect(refused.kind == .unreachable)
        let missing = try #require(throws: RedisFailure.self) {
            try BlockingRedisClient(RedisEndpoint(unixPath: server.directory + "/none"))
        }
        #expect(missing.description == "cannot reach Redis at \(server.directory)/none: No such file or directory")
    }

    @Test("every address of a host name is tried")
    func manyAddresses() throws {
        // `localhost` is mostly ::1 first, where the fixture does not listen.
        let server = try RedisServerFixture(listening: .port)
        let endpoint = RedisEndpoint(host: "localhost", port: try #require(server.port))
        #expect(try BlockingRedisClient(endpoint).call(command("PING")) == .simpleString("PONG"))
    }

    @Test("a server killed in the middle of a call fails the call, and every later one")
    func killed() throws {
        let server = try RedisServerFixture()
        let client = try server.client()
        let shutdown = try #require(throws: RedisFailure.self) { try client.call(command("SHUTDOWN", "NOSAVE")) }
        #expect(shutdown == RedisFailure(.connectionLost, "closed the connection", address: server.socketPath))
        #expect(throws: shutdown) { try client.call(command("PING")) }
    }
}

extension RedisEndpoint {
    fileprivate func with(database: Int) -> RedisEndpoint {
        RedisEndpoint(location: location, credentials: credentials, database: database)
    }

    fileprivate func with(credentials: RedisCredentials?) -> RedisEndpoint {
        RedisEndpoint(location: location, credentials: credentials, database: database)
    }
}

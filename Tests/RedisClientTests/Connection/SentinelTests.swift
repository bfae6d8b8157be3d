// Finding the master through real sentinels, whatever has become of some of them.

import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("Finding the master through Sentinel")
struct SentinelTests {
    private func connector(_ group: SentinelGroup) -> RedisConnector {
        RedisConnector(.master(group), options: RedisConnectionOptions())
    }

    private func failure(_ group: SentinelGroup) throws -> RedisFailure {
        let outcome = try outcome(of: connector(group))
        return try #require(throws: RedisFailure.self) { try outcome.get() }
    }

    @Test("after a failover, asked for or forced, the next connection is to the new master")
    func failover() throws {
        let fixture = try SentinelFixture(password: "data secret", sentinelPassword: "sentinel-secret")
        let connector = connector(fixture.group)
        var seen: [UInt16?] = []
        func connect() throws {
            // The old master may be named once more, and is refused then because it is one no more or is not there.
            let deadline = SystemClock.bootNanoseconds() + 600_000_000_000
            while SystemClock.bootNanoseconds() < deadline {
                guard case .success(let connection) = try outcome(of: connector) else { continue }
                #expect(connection.server?.role == "master")
                seen.append(fixture.servers.first { connection.address == "\($0.internetEndpoint) (mymaster)" }?.port)
                return
            }
        }
        try connect()
        try fixture.failOver()
        try connect()
        let second = try #require(fixture.master())
        second.kill9()
        try fixture.untilReplaced(second)
        try connect()
        let ports = fixture.servers.map(\.port)
        #expect(seen == [ports[0], ports[1], ports[0]])
        let client = try BlockingRedisClient(.master(fixture.group))
        #expect(try client.call(.command(RedisCommand("SET", "a", "1"))) == .simpleString("OK"))
    }

    @Test("a sentinel that does not answer is passed over, and the one that answered is asked first the next time")
    func order() throws {
        let fixture = try SentinelFixture()
        fixture.sentinels[0].pause()
        defer { fixture.sentinels[0].resume() }
        let connector = connector(fixture.group)
        for descriptors in [3, 2] {
            let before = connector.generation
            _ = try outcome(of: connector).get()
            #expect(connector.generation - before == descriptors)
        }
        // Two have gone: the third is enough to ask.
        fixture.sentinels[1].kill9()
        #expect(try outcome(of: connector).get().server?.role == "master")
    }

    @Test("a sentinel that names a replica is asked last the next time")
    func staleSentinel() throws {
        let fixture = try SentinelFixture()
        let stale = try SentinelFixture.sentinel(watching: "127.0.0.1 \(try #require(fixture.servers[1].port))")
        var group = fixture.group
        group.sentinels.insert(stale.internetEndpoint, at: 0)
        let connector = connector(group)
        let first = try outcome(of: connector)
        let refused = try #require(throws: RedisFailure.self) { try first.get() }
        #expect(refused.kind == .notMaster)
        #expect(
            refused.description
                == "Redis at \(fixture.servers[1].internetEndpoint) (mymaster): it is a replica, which takes no writes: "
                + "its master is wanted")
        #expect(try outcome(of: connector).get().address == "\(fixture.servers[0].internetEndpoint) (mymaster)")
    }

    @Test("where no sentinel helps, one line says of each why")
    func noHelp() throws {
        let fixture = try SentinelFixture(sentinelPassword: "s3cret")
        var unknown = fixture.group
        unknown.masterName = "other"
        let unknownFailure = try failure(unknown)
        #expect(unknownFailure.kind == .unsupported)
        let places = fixture.sentinels.map { "\($0.internetEndpoint)" }
        #expect(
            unknownFailure.description
                == "Redis at other (Sentinel): no sentinel names a master ("
                + places.map { "\($0): it knows no master \"other\"" }.joined(separator: "; ") + ")")

        var stranger = fixture.group
        stranger.sentinels = stranger.sentinels.map { RedisEndpoint(location: $0.location) }
        let strangerFailure = try failure(stranger)
        #expect(strangerFailure.kind == .authentication)
        #expect(strangerFailure.description.contains("\(places[2]): a password is needed (NOAUTH"))
        stranger.sentinels = stranger.sentinels.map {
            RedisEndpoint(location: $0.location, credentials: RedisCredentials(password: "mistaken"))
        }
        let mistaken = try failure(stranger)
        #expect(mistaken.description.contains("\(places[0]): wrong user name or password (WRONGPASS"))
        #expect(!mistaken.description.contains("mistaken"))

        for sentinel in fixture.sentinels { sentinel.kill9() }
        let gone = try failure(fixture.group)
        #expect(gone.kind == .unreachable)
        #expect(gone.description.hasPrefix("cannot reach Redis at mymaster (Sentinel): no sentinel names a master ("))
        for place in places { #expect(gone.description.contains("\(place): Connection refused")) }
    }

    @Test("a sentinel is not taken for a Redis, nor a Redis for a sentinel")
    func mistaken() throws {
        let server = try RedisServerFixture(listening: .port)
        let sentinel = try SentinelFixture.sentinel(watching: "127.0.0.1 \(try #require(server.port))")
        let notData = try #require(throws: RedisFailure.self) { try BlockingRedisClient(sentinel.internetEndpoint) }
        #expect(notData.kind == .unsupported)
        #expect(
            notData.description
                == "Redis at \(sentinel.internetEndpoint): it is a sentinel: name it in redis_sentinels, "
                + "and its master in redis_master_name")
        let group = SentinelGroup(sentinels: [server.internetEndpoint], masterName: "mymaster")
        #expect(try failure(group).description.contains("\(server.internetEndpoint): it is no sentinel"))
    }
}

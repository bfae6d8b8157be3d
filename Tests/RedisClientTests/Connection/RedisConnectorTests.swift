// From a name to a shaken hands server, without waiting anywhere: what hangs, what is refused, what is tried next.

import RedisClient
import RedisServerFixture
import Synchronization
import Testing

@testable import LinuxSystem

@Suite("Connecting from a loop")
struct RedisConnectorTests {
    private func options(_ change: (inout RedisConnectionOptions) -> Void) -> RedisConnectionOptions {
        var options = RedisConnectionOptions()
        change(&options)
        return options
    }

    private func isUnderWay(_ outcome: RedisConnector.Outcome?) -> Bool {
        if case nil = outcome { true } else { false }
    }

    @Test("a resolver that hangs costs one thread and a deadline, is told in one line, and its late answer is used")
    func hangingResolver() throws {
        let server = try RedisServerFixture(listening: .port)
        let port = try #require(server.port)
        let state = Mutex((isOpen: false, count: 0))
        let lookup = NameLookup { (_, _) throws(ResolutionError) in
            state.withLock { $0.count += 1 }
            while !state.withLock({ $0.isOpen }) { pause(milliseconds: 1) }
            return [.internet(address: "127.0.0.1", port: port)]
        }
        let connector = RedisConnector(
            .server(RedisEndpoint(host: "redis.example", port: port)),
            options: options { $0.connectTimeoutSeconds = 0.05 },
            lookup: lookup)
        for _ in 0..<3 {
            let outcome = try outcome(of: connector)
            let failure = try #require(throws: RedisFailure.self) { try outcome.get() }
            #expect(
                failure.description
                    == "cannot reach Redis at redis.example:\(port): no answer from the resolver within 0.05 s")
            #expect(connector.descriptor == nil)
        }
        // The same name again; this time the answer comes while it is waited for.
        #expect(isUnderWay(connector.begin(now: 0)))
        state.withLock { $0.isOpen = true }
        _ = try DescriptorWait.until(
            try #require(connector.descriptor), readable: true, writable: false, atMostMilliseconds: 60_000)
        #expect(isUnderWay(connector.advance(now: 0)))
        #expect(connector.wantsWrite, "it connects")
        #expect(state.withLock { $0.count } == 1)
    }

    @Test("what cannot be waited for is given up, whether a name is looked up or hands are shaken, and is begun anew")
    func abandoned() throws {
        let server = try RedisServerFixture(listening: .port)
        let port = try #require(server.port)
        let lookup = NameLookup { (_, _) throws(ResolutionError) in [.internet(address: "127.0.0.1", port: port)] }
        for host in ["redis.example", "127.0.0.1"] {
            let target = RedisTarget.server(RedisEndpoint(host: host, port: port))
            let connector = RedisConnector(target, options: RedisConnectionOptions(), lookup: lookup)
            #expect(isUnderWay(connector.begin(now: 0)))
            #expect(connector.descriptor != nil)
            connector.abandon()
            #expect(connector.descriptor == nil && connector.nextDeadlineNanoseconds == nil)
            #expect(isUnderWay(connector.advance(now: 0)))
            #expect(try outcome(of: connector).get().address == "\(host):\(port)")
        }
    }

    @Test("each address of a name is tried, and of those that fail the last failure is told")
    func addresses() throws {
        let server = try RedisServerFixture(listening: .port)
        let port = try #require(server.port)
        let lookup = NameLookup { (_, _) throws(ResolutionError) in
            [
                .unix(path: "/nowhere"), .internet(address: "127.0.0.1", port: 1),
                .internet(address: "127.0.0.1", port: port),
            ]
        }
        let target = RedisTarget.server(RedisEndpoint(host: "redis.example"))
        let connector = RedisConnector(target, options: RedisConnectionOptions(), lookup: lookup)
        #expect(try outcome(of: connector).get().address == "redis.example:6379")
        server.kill9()
        let refused = try outcome(of: connector)
        let failure = try #require(throws: RedisFailure.self) { try refused.get() }
        #expect(failure.description == "cannot reach Redis at redis.example:6379: Connection refused")
    }

    @Test("a name without an address, and one the resolver does not know, are an unreachable Redis")
    func unresolvable() throws {
        let answers: [Result<[SocketAddress], ResolutionError>] = [
            .success([]), .failure(ResolutionError(host: "redis.example", cause: "Name or service not known")),
        ]
        for answer in answers {
            let lookup = NameLookup { (_, _) throws(ResolutionError) in try answer.get() }
            let target = RedisTarget.server(RedisEndpoint(host: "redis.example"))
            let outcome = try outcome(of: RedisConnector(target, options: RedisConnectionOptions(), lookup: lookup))
            let failure = try #require(throws: RedisFailure.self) { try outcome.get() }
            #expect(failure.kind == .unreachable)
            #expect(failure.description.hasPrefix("cannot reach Redis at redis.example:6379: "))
        }
    }

    @Test("who needs a master does not get a replica")
    func replica() throws {
        let server = try RedisServerFixture(configuration: ["replicaof 127.0.0.1 1"])
        let connector = RedisConnector(.server(server.endpoint), options: options { $0.session.wanted = .master })
        let outcome = try outcome(of: connector)
        let failure = try #require(throws: RedisFailure.self) { try outcome.get() }
        #expect(failure.kind == .notMaster)
        #expect(
            failure.description
                == "Redis at \(server.socketPath): it is a replica, which takes no writes: its master is wanted")
        #expect(try server.client().server?.role == "replica", "who only reads does")
    }

    @Test("a Redis Cluster is refused in one line, before anything is asked of it")
    func cluster() throws {
        let server = try RedisServerFixture.clusterNode()
        let failure = try #require(throws: RedisFailure.self) {
            try server.client { $0.session.scripts = [RedisScript(name: "claim", source: "return 1")] }
        }
        #expect(failure.kind == .unsupported)
        #expect(
            failure.description
                == "Redis at \(server.socketPath): it is part of a Redis Cluster, which cannot hold a queue: use a Redis "
                + "of its own, or one under Sentinel")
    }
}

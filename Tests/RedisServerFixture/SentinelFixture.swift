// A master, a replica, and three sentinels that watch them: real processes, as quick to judge as they can be.

import LinuxSystem
import RedisClient

/// Two servers under Sentinel. Which of them is the master changes; `servers[0]` is the first.
public final class SentinelFixture {
    public let servers: [RedisServerFixture]
    public let sentinels: [RedisServerFixture]
    public let masterName = "mymaster"

    private let password: String?
    private let sentinelPassword: String?

    /// Starts all five and waits until the sentinels know each other and the replica.
    ///
    /// - Parameter haveOwnClocks: the two servers, each one of its own; the sentinels go by the machine's.
    public init(
        password: String? = nil, sentinelPassword: String? = nil, configuration: [String] = [],
        haveOwnClocks: Bool = false
    ) throws {
        self.password = password
        self.sentinelPassword = sentinelPassword
        let own = ["repl-diskless-sync-delay 0"] + (password.map { ["masterauth \"\($0)\""] } ?? []) + configuration
        let master = try RedisServerFixture(
            listening: .port, password: password, configuration: own, hasOwnClock: haveOwnClocks)
        let address = "127.0.0.1 \(master.port ?? 0)"
        let replica = try RedisServerFixture(
            listening: .port, password: password, configuration: own + ["replicaof \(address)"],
            hasOwnClock: haveOwnClocks)
        servers = [master, replica]
        sentinels = try (0..<3).map { _ in
            try Self.sentinel(watching: address, password: password, sentinelPassword: sentinelPassword)
        }
        try wait("the sentinels know all") {
            try self.replicaIsSynchronised() && self.sentinels.allSatisfy { try self.knowsAll($0) }
        }
    }

    deinit { stop() }

    /// One sentinel more, which knows no others.
    public static func sentinel(
        watching address: String, password: String? = nil, sentinelPassword: String? = nil
    ) throws -> RedisServerFixture {
        var lines = [
            "sentinel monitor mymaster \(address) 2", "sentinel down-after-milliseconds mymaster 500",
            "sentinel failover-timeout mymaster 3000", "sentinel parallel-syncs mymaster 1",
        ]
        if let password { lines.append("sentinel auth-pass mymaster \"\(password)\"") }
        // What one sentinel says to another.
        if let sentinelPassword { lines.append("sentinel sentinel-pass \(sentinelPassword)") }
        return try RedisServerFixture(
            listening: .port, password: sentinelPassword, configuration: lines, options: ["--sentinel"])
    }

    public func stop() { for server in servers + sentinels { server.stop() } }

    public var group: SentinelGroup {
        SentinelGroup(
            sentinels: sentinels.map(\.internetEndpoint), masterName: masterName,
            credentials: password.map { RedisCredentials(password: $0) })
    }

    /// The server that takes writes; nil when none does, or more than one seems to.
    public func master() -> RedisServerFixture? {
        let masters = servers.filter { role($0) == "master" }
        return masters.count == 1 ? masters[0] : nil
    }

    /// Has a sentinel make the replica the master, and returns when all of them say so.
    public func failOver() throws {
        let old = try named(by: sentinels[0])
        try wait("the failover begins") {
            // Refused (NOGOODSLAVE) until the sentinel has looked at the replica again.
            try self.ask(self.sentinels[0], "SENTINEL", "FAILOVER", self.masterName).error == nil
        }
        try untilNamed { $0 != old }
    }

    /// Waits until every sentinel names another master than `server`, and that is one.
    public func untilReplaced(_ server: RedisServerFixture) throws {
        try untilNamed { $0 != server.port.map { Int($0) } }
    }

    private func untilNamed(_ matches: (Int?) -> Bool) throws {
        try wait("another master") {
            try self.sentinels.allSatisfy { matches(try self.named(by: $0)) } && self.master() != nil
        }
    }

    private func role(_ server: RedisServerFixture) -> String? {
        guard server.isRunning, let client = try? server.client() else { return nil }
        return client.server?.role
    }

    private func named(by sentinel: RedisServerFixture) throws -> Int? {
        try ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", masterName).elements?.last?.int
    }

    private func knowsAll(_ sentinel: RedisServerFixture) throws -> Bool {
        let fields = try ask(sentinel, "SENTINEL", "MASTER", masterName).entries ?? []
        func number(_ name: String) -> Int? { fields.first { $0.key.string == name }?.value.int }
        return number("num-slaves") == 1 && number("num-other-sentinels") == 2
    }

    private func replicaIsSynchronised() throws -> Bool {
        let reply = try servers[1].client().call(.command(RedisCommand("INFO", "replication")))
        return reply.string?.contains("master_link_status:up") == true
    }

    private func ask(_ sentinel: RedisServerFixture, _ words: String...) throws -> RESPValue {
        try sentinel.client { $0.session.wanted = .sentinel }
            .call(.command(RedisCommand(words[0], Array(words.dropFirst()))))
    }

    private func wait(_ what: String, until condition: () throws -> Bool) throws {
        let deadline = SystemClock.bootNanoseconds() + 120_000_000_000
        while !(try condition()) {
            guard SystemClock.bootNanoseconds() < deadline else {
                throw RedisServerFixtureError(
                    description: "waited in vain: \(what)\n" + sentinels.map(\.log).joined(separator: "\n"))
            }
            pauseBriefly()
        }
    }
}

import RedisClient
import Testing

@Suite("Naming a Redis")
struct RedisEndpointTests {
    struct Example: Sendable {
        let url: String
        let endpoint: RedisEndpoint
    }

    static let examples = [
        Example(url: "redis://localhost", endpoint: RedisEndpoint(host: "localhost")),
        Example(url: "redis://localhost/", endpoint: RedisEndpoint(host: "localhost")),
        Example(url: "REDIS://10.0.0.1:7000/2", endpoint: RedisEndpoint(host: "10.0.0.1", port: 7000, database: 2)),
        Example(url: "redis://h?db=4", endpoint: RedisEndpoint(host: "h", database: 4)),
        Example(url: "redis://[::1]", endpoint: RedisEndpoint(host: "::1")),
        Example(url: "redis://[fe80::1%eth0]:7000", endpoint: RedisEndpoint(host: "fe80::1%eth0", port: 7000)),
        Example(
            url: "redis://:secret@h:1",
            endpoint: RedisEndpoint(host: "h", port: 1, credentials: .init(password: "secret"))),
        Example(
            url: "redis://worker:p%40s%2Fs%25:x@h",
            endpoint: RedisEndpoint(host: "h", credentials: .init(user: "worker", password: "p@s/s%:x"))),
        Example(
            url: "redis://worker@h",
            endpoint: RedisEndpoint(host: "h", credentials: .init(user: "worker", password: ""))),
        Example(
            url: "redis://a@b:c@h", endpoint: RedisEndpoint(host: "h", credentials: .init(user: "a@b", password: "c"))),
        Example(
            url: "rediss://:secret@h:7000/1",
            endpoint: RedisEndpoint(
                host: "h", port: 7000, credentials: .init(password: "secret"), database: 1, tls: RedisTLS())),
        Example(url: "unix:///run/redis.sock", endpoint: RedisEndpoint(unixPath: "/run/redis.sock")),
        Example(url: "unix:///a%20b@c?db=5", endpoint: RedisEndpoint(unixPath: "/a b@c", database: 5)),
        Example(
            url: "unix://:secret@/run/redis.sock?db=1",
            endpoint: RedisEndpoint(unixPath: "/run/redis.sock", credentials: .init(password: "secret"), database: 1)),
    ]

    @Test("a URL names a server, a database and credentials", arguments: examples)
    func url(_ example: Example) throws {
        #expect(try RedisEndpoint(parsing: example.url) == example.endpoint)
    }

    @Test(
        "a URL that names no Redis is refused, and its refusal never shows a password",
        arguments: [
            "", "localhost:6379", "redis:/h", "http://:secret@h", "rediss://:secret@h:x", "redis://",
            "redis://:secret@",
            "redis://:secret@h:0", "redis://:secret@h:65536", "redis://:secret@h:+1", "redis://:secret@h:",
            "redis://h:6379x",
            "redis://:secret@h/one", "redis://:secret@h/-1", "redis://:secret@h/99999999999999999999",
            "redis://:secret@h?timeout=5", "redis://:sec/secret@h", "redis://:sec?secret@h", "redis://:secret%4@h",
            "redis://:secret%zz@h", "redis://:secret%00@h", "redis://:secret%FF@h", "redis://[::1", "redis://[::1]x",
            "unix://", "unix://run/redis.sock", "unix://:secret@run/redis.sock",
        ])
    func refused(_ url: String) throws {
        let error = try #require(throws: RedisEndpointError.self) { try RedisEndpoint(parsing: url) }
        #expect(!error.description.contains("sec"))
        #expect(!error.description.contains("\n"))
    }

    @Test("an endpoint is shown by its address alone")
    func shown() throws {
        let endpoint = try RedisEndpoint(parsing: "redis://worker:secret@[::1]:7000/3")
        #expect("\(endpoint)" == "[::1]:7000")
        var options = RedisConnectionOptions(endpoint)
        options.session.clientName = "node1"
        var dumped = ""
        dump(endpoint, to: &dumped)
        dump(options, to: &dumped)
        dumped += String(reflecting: endpoint) + String(reflecting: options) + "\(options)"
        #expect(dumped.contains("node1"))
        #expect(!dumped.contains("secret"))
    }
}

@Suite("Coming back to a Redis that was away")
struct ReconnectDelayTests {
    @Test("delays stay between 50 ms and a ceiling that doubles from 100 ms to 5 s")
    func bounds() {
        var shortest = ReconnectDelay()
        var longest = ReconnectDelay()
        let milliseconds = (0..<8).map { _ in Double(longest.next(random: .max)) / 1e6 }
        #expect(milliseconds == [100, 200, 400, 800, 1600, 3200, 5000, 5000])
        for _ in 0..<8 { #expect(shortest.next(random: 0) == 50_000_000) }
        longest.reset()
        #expect(longest == ReconnectDelay())
    }

    @Test("no delay is longer than the longest that was asked for", arguments: [0.01, 0.05, 0.075, 1, 86_400])
    func longest(seconds: Double) {
        let longest = Int64((seconds * 1e9).rounded())
        var delay = ReconnectDelay(longestSeconds: seconds)
        #expect(delay.longestNanoseconds == longest)
        let delays = (0..<64).map { _ in delay.next(random: .max) }
        #expect(delays.last == longest)
        #expect(delays == delays.sorted() && delays.allSatisfy { $0 <= longest })
        #expect(delay.next(random: 0) == min(50_000_000, longest))
    }

    @Test("a longest delay without sense or bound is one all the same", arguments: [-1, 0, .infinity, .nan, 1e300])
    func senseless(seconds: Double) {
        var delay = ReconnectDelay(longestSeconds: seconds)
        for _ in 0..<100 { #expect(delay.next(random: .max) > 0) }
    }

    @Test("a fleet's delays are spread over the whole range")
    func spread() {
        var generator = SeededGenerator(seed: 1)
        let delays = (0..<1000).map { _ in
            var delay = ReconnectDelay()
            for _ in 0..<6 { _ = delay.next(random: 0) }
            return delay.next(random: generator.next())
        }
        for tenth in 0..<10 {
            let range = Int64(tenth) * 500_000_000..<Int64(tenth + 1) * 500_000_000
            #expect(delays.count { range.contains($0) } > 50)
        }
    }
}

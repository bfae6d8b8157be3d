// Every way to say which Redis and who we are there, against real servers with users; and no secret where it can be read.

import LinuxSystem
import RedisServerFixture
import Testing

@Suite("who we are to Redis", .aFewAtATime)
struct CredentialTests {
    private struct Way: Sendable, CustomTestStringConvertible {
        let testDescription: String
        /// With PORT, SOCKET and FILE in place of what only the test knows.
        var settings: [String: String] = [:]
        var options: [String] = []
    }

    /// The password is `s3cret@/:%`.
    private static let ways = [
        Way(
            testDescription: "host, port, user, password, database",
            settings: [
                "redis_port": "PORT", "redis_user": #""worker""#, "redis_pass": #""s3cret@/:%""#, "redis_db": "3",
            ]),
        Way(
            testDescription: "a file with the password",
            settings: [
                "redis_port": "PORT", "redis_user": #""worker""#, "redis_pass_file": #""FILE""#, "redis_db": "3",
            ]),
        Way(
            testDescription: "a URL with all of it",
            settings: ["redis_url": #""redis://worker:s3cret%40%2F:%25@127.0.0.1:PORT/3""#]),
        Way(
            testDescription: "a URL with a name to be looked up, and a file",
            settings: [
                "redis_url": #""redis://localhost:PORT/3""#, "redis_user": #""worker""#,
                "redis_pass_file": #""FILE""#,
            ]),
        Way(
            testDescription: "a URL of a Unix socket",
            settings: ["redis_url": #""unix://worker:s3cret%40%2F:%25@SOCKET?db=3""#]),
        Way(
            testDescription: "--redis with a port",
            options: ["--redis", "redis://worker:s3cret%40%2F:%25@127.0.0.1:PORT/3"]),
        Way(
            testDescription: "--redis=, a Unix socket, and the password of the settings",
            settings: ["redis_user": #""worker""#, "redis_pass": #""s3cret@/:%""#],
            options: ["--redis=unix://SOCKET?db=3"]),
    ]

    private func withServer(_ body: (Fleet, (String) throws -> String) async throws -> Void) async throws {
        let redis = try RedisServerFixture(
            listening: .port, configuration: ["user worker on \">s3cret@/:%\" ~* &* +@all"])
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let file = try scratch.write("password", "s3cret@/:%\r\nanother line\n")
            try await body(Fleet(scratch: scratch, redis: redis)) { text in
                var text = text
                for (word, value) in [("PORT", "\(port)"), ("SOCKET", redis.socketPath), ("FILE", file)] {
                    text = text.split(separator: word, omittingEmptySubsequences: false).joined(separator: value)
                }
                return text
            }
        }
    }

    @Test(
        "a node and the command line reach the user, the database, the server that are meant; nobody can read the password",
        arguments: ways)
    private func reached(_ way: Way) async throws {
        try await withServer { fleet, filled in
            let options = try way.options.map(filled)
            let node = try fleet.node("a", try way.settings.mapValues(filled))
            let program = try node.launch(options)
            let client = try fleet.redis.client()
            #expect(try client.call(.command(.init("SELECT", "3"))).string == "OK")
            try await eventually("the node's user, in its database", program.errors) {
                let clients = try fleet.call("CLIENT", "LIST").string ?? ""
                return clients.split(separator: "\n").contains {
                    $0.contains(" name=distcompd-a ") && $0.contains(" db=3 ") && $0.contains(" user=worker ")
                }
            }
            try await eventually("it is registered", program.errors) {
                try client.call(.command(.init("HEXISTS", "worker_status", "a"))).int == 1
            }
            #expect(!text(of: "/proc/\(program.process)/cmdline").contains("s3cret"))
            #expect(text(of: "/proc/\(program.process)/cmdline").contains("--node"))

            let words = ["status", "--json", "--config", node.configurationPath] + options
            let status = try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result()
            #expect(status.status == 0, "\(status.errors)")
            #expect(try jsonObject(status.output).integer("workers") == 1)
            let ended = try await node.stop()
            #expect(ended.status == 0)
            #expect(!(ended.errors + ended.output + status.errors).contains("s3cret"))
        }
    }

    @Test("a user without a password is still that user, not everybody")
    func userAlone() async throws {
        try await withServer { fleet, filled in
            let node = try fleet.node("a", try ["redis_port": "PORT", "redis_user": #""worker""#].mapValues(filled))
            let result = try await node.launch([]).result()
            #expect(result.status == 3)
            #expect(result.errors.contains("wrong user name or password (WRONGPASS"), "\(result.errors)")
        }
    }

    @Test(
        "settings that contradict each other are one line each and exit status 2, for the node and the command line",
        arguments: [
            ["redis_pass": #""s3cret""#, "redis_pass_file": #""FILE""#],
            ["redis_url": #""redis://:s3cret@127.0.0.1""#, "redis_user": #""worker""#],
            ["redis_url": #""redis://:s3cret@127.0.0.1""#, "redis_pass_file": #""FILE""#],
            ["redis_url": #""redis://:s3cret@127.0.0.1""#, "redis_port": "PORT"],
            ["redis_url": #""redis://:s3cret@127.0.0.1""#, "redis_sentinels": #"["a"]"#, "redis_master_name": #""m""#],
            ["redis_url": #""redis://:s3cret@127.0.0.1:x""#],
            ["redis_sentinels": #"["a"]"#],
            ["redis_master_name": #""m""#],
            ["redis_pass_file": #""/nowhere/s""#],
            ["redis_pass_file": #""/dev/null""#],
        ] as [[String: String]])
    func contradictions(_ settings: [String: String]) async throws {
        try await withServer { fleet, filled in
            let node = try fleet.node("a", try settings.mapValues(filled))
            let words = ["status", "--config", node.configurationPath]
            let results = [
                try await node.launch([]).result(),
                try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result(),
            ]
            for result in results {
                #expect(result.status == 2)
                #expect(result.errorLines.count == 1 && result.output.isEmpty, "\(result.errors)")
                #expect(settings.keys.contains { result.errors.contains($0) }, "\(result.errors)")
                #expect(!result.errors.contains("s3cret"))
            }
        }
    }
}

// From settings to the Redis they mean.

import LinuxSystem
import Notation
import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Which Redis the settings mean")
struct RedisTargetTests {
    private func target(_ url: String? = nil, _ change: (inout Configuration) -> Void) throws -> RedisTarget {
        var configuration = Configuration()
        change(&configuration)
        return try RedisTarget(configuration, urlFromCommandLine: url)
    }

    @Test("sentinels have credentials of their own, and the master those of the settings")
    func sentinels() throws {
        let directory = try FileSystem.makeTemporaryDirectory("/tmp/redis-target-")
        defer { try? FileSystem.removeTree(directory) }
        let file = directory + "/password"
        try FileSystem.replace(file, with: Array("watch it\n".utf8), mode: 0o600)
        let target = try target { configuration in
            configuration.redisSentinels = [ServerAddress(host: "a", port: 1), ServerAddress(host: "::1", port: 26379)]
            configuration.redisMasterName = "m"
            configuration.redisSentinelUser = "watcher"
            configuration.redisSentinelPasswordFile = file
            configuration.redisPassword = "data"
            configuration.redisDatabase = 4
        }
        let watcher = RedisCredentials(user: "watcher", password: "watch it")
        let expected = SentinelGroup(
            sentinels: [
                RedisEndpoint(host: "a", port: 1, credentials: watcher),
                RedisEndpoint(host: "::1", port: 26379, credentials: watcher),
            ], masterName: "m", credentials: RedisCredentials(password: "data"), database: 4)
        #expect(target == .master(expected))
    }

    @Test("--redis goes before everything else")
    func commandLine() throws {
        let target = try target("redis://worker:pw@h:1/2") { configuration in
            configuration.redisSentinels = [ServerAddress(host: "a", port: 1)]
            configuration.redisMasterName = "m"
            configuration.redisPasswordFile = "/nowhere"  // Not even looked at.
        }
        let worker = RedisCredentials(user: "worker", password: "pw")
        #expect(target == .server(RedisEndpoint(host: "h", port: 1, credentials: worker, database: 2)))
    }

    @Test("a password file must hold text in its first line")
    func passwordFiles() throws {
        let directory = try FileSystem.makeTemporaryDirectory("/tmp/redis-target-")
        defer { try? FileSystem.removeTree(directory) }
        for (content, problem) in [
            (Array("\nsecond".utf8), "the first line of"), ([0xFF], "is not text"), ([0x61, 0], "is not text"),
        ] {
            let file = directory + "/password"
            try FileSystem.replace(file, with: content, mode: 0o600)
            let error = try #require(throws: RedisEndpointError.self) { try target { $0.redisPasswordFile = file } }
            #expect(error.description.hasPrefix("redis_pass_file: ") && error.description.contains(problem))
        }
    }
}

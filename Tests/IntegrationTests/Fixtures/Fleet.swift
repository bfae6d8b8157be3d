// A queue and nodes for one test: a redis-server of its own, and as many distcompd as it wants.

import Glibc
import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskQueue
import Testing

final class Fleet {
    let scratch: Scratch
    /// The server; under Sentinel the one that was the master at first.
    let redis: RedisServerFixture
    let sentinels: SentinelFixture?
    /// Whether each program is the user of Redis that `distcomp acl` makes for its kind, and may do no more.
    private let hasUsers: Bool

    init(
        scratch: Scratch, redis: RedisServerFixture, sentinels: SentinelFixture? = nil, hasUsers: Bool = false
    ) {
        self.scratch = scratch
        self.redis = redis
        self.sentinels = sentinels
        self.hasUsers = hasUsers
    }

    // MARK: Who may do what

    /// Where the queue is; its settings say who a program is.
    var redisURL: String { "unix://" + redis.socketPath }

    /// Where the queue is, for such a user.
    func url(_ access: QueueAccess) -> String {
        hasUsers ? "unix://\(Self.name(access)):\(Self.password)@\(redis.socketPath)" : redisURL
    }

    /// Lines of redis.conf for a Redis that knows these users.
    fileprivate static var users: [String] {
        QueueAccess.allCases.map { access in
            let rules = access.rules(keys: QueueKeys(), owner: name(access))
            return "user \(name(access)) on >\(password) \(rules.joined(separator: " "))"
        }
    }

    private static let password = "secret"

    private static func name(_ access: QueueAccess) -> String { "distcomp-\(access.rawValue)" }

    /// Whoever only looks needs no more than that.
    private func user(of words: [String]) -> QueueAccess {
        let looking = [
            "jobs", "logs", "metrics", "results", "scale", "show", "status", "tasks", "top", "watch", "why", "workers",
        ]
        return looking.contains(words.first ?? "") && !words.contains("--exec") ? .watcher : .submitter
    }

    private func settings(of access: QueueAccess) throws -> [String: String] {
        guard hasUsers else { return [:] }
        let file = try scratch.write("redis.password", Self.password + "\n")
        chmod(file, 0o600)
        return ["redis_user": "\"\(Self.name(access))\"", "redis_pass_file": "\"\(file)\""]
    }

    // MARK: Nodes

    /// A node that is not running yet. `settings` are JSON texts by key; the defaults here make tests quick.
    func node(_ name: String, _ settings: [String: String] = [:]) throws -> Node {
        var all = [
            "sleep_sec_between_accepting_task": "0.2", "health_report_interval": "0.2", "stop_grace_seconds": "0",
            "kill_grace_seconds": "0.3", "retry_delay_seconds": "0", "task_user": "\"nobody\"",
            "log_level": "\"debug\"", "result_dir": "\"\(scratch.path)/result-\(name)\"",
            "min_dram_gb_accept_new_task": "0.02", "min_dram_gb_trigger_return": "0.01",
        ]
        all.merge(sentinelSettings) { $1 }
        if !settings.keys.contains(where: { $0.hasPrefix("redis_") }) {
            all.merge(try self.settings(of: .node)) { $1 }
        }
        all.merge(settings) { $1 }
        let text = all.map { "\"\($0.key)\": \($0.value)" }.sorted().joined(separator: ",\n  ")
        let path = try scratch.write("\(name).json", "{\n  \(text)\n}\n")
        return Node(name: name, configurationPath: path, fleet: self)
    }

    /// A node that has connected.
    func startedNode(_ name: String, _ settings: [String: String] = [:]) async throws -> Node {
        let node = try node(name, settings)
        try await node.start()
        return node
    }

    /// What tells a node where the queue is, unless its settings do.
    fileprivate var place: [String] { sentinels == nil ? ["--redis", redisURL] : [] }

    private var sentinelSettings: [String: String] {
        guard let group = sentinels?.group else { return [:] }
        let addresses = group.sentinels.map { "\"\($0)\"" }.joined(separator: ", ")
        return [
            "redis_sentinels": "[\(addresses)]", "redis_master_name": "\"\(group.masterName)\"",
            "allow_insecure_redis": "true",  // Where a master will be found is not known beforehand.
        ]
    }

    // MARK: The queue

    /// `distcomp` with these words, on this queue.
    @discardableResult
    func distcomp(_ words: String...) async throws -> ProgramResult { try await distcomp(words) }

    @discardableResult
    func distcomp(_ words: [String]) async throws -> ProgramResult { try await start(words).result() }

    /// The command line, which may take its time.
    func start(_ words: [String]) throws -> RunningProgram {
        let access = user(of: words)
        var words = words
        if sentinels == nil {
            words.insert(contentsOf: ["--redis", url(access)], at: min(1, words.count))
        } else {
            let settings = sentinelSettings.merging(try settings(of: access)) { $1 }
            let text = settings.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
            words.insert(
                contentsOf: ["--config", try scratch.write("distcomp.json", "{\(text)}\n")], at: min(1, words.count))
        }
        return try RunningProgram(Products.distcomp, words, in: scratch)
    }

    /// Submits lines as a user does.
    func submit(_ lines: [String]) async throws {
        let path = try scratch.write(scratch.nextName() + ".tasks", lines.joined(separator: "\n") + "\n")
        let result = try await distcomp("submit", path)
        try #require(result.status == 0, "\(result.errors)")
    }

    func call(_ words: String...) throws -> RESPValue {
        let client = try sentinels.map { try BlockingRedisClient(.master($0.group)) } ?? redis.client()
        return try client.call(.command(RedisCommand(words[0], Array(words.dropFirst()))))
    }

    /// The fields of one of the six hashes.
    func hash(_ key: String) throws -> [String: String] {
        var fields: [String: String] = [:]
        for entry in try call("HGETALL", key).entries ?? [] { fields[entry.key.string ?? ""] = entry.value.string }
        return fields
    }

    func count(_ key: String) throws -> Int { try call("HLEN", key).int ?? -1 }

    /// Waits until so many tasks have finished.
    func untilFinished(_ count: Int) async throws {
        try await eventually("\(count) finished", within: 600, self.state) {
            try self.count("finished_tasks") >= count
        }
    }

    /// Waits until nothing is waiting or running.
    func untilIdle() async throws {
        try await eventually("an empty queue", within: 600, self.state) {
            // Both in one look: between two, a retry passes from the one to the other.
            let script = "return redis.call('HLEN', 'todo_tasks') + redis.call('HLEN', 'in_progress_tasks')"
            return try call("EVAL", script, "0").int == 0
        }
    }

    /// For the message of a test that fails.
    private var state: String {
        let keys = ["todo_tasks", "in_progress_tasks", "finished_tasks", "failed_tasks", "worker_status"]
        let counts = keys.map { "\($0) \((try? count($0)) ?? -1)" }.joined(separator: ", ")
        let logs = ((try? FileSystem.entries(of: scratch.path)) ?? []).filter { $0.hasSuffix(".err") }
            .map { "\($0):\n\(text(of: scratch.path + "/" + $0).suffix(1500))" }
        return counts + "\n" + logs.joined(separator: "\n")
    }
}

/// One distcompd, which may be started several times.
final class Node {
    let name: String
    let configurationPath: String
    private let fleet: Fleet
    private(set) var program: RunningProgram?
    /// What is started: another program, or one that starts it in its own way.
    var command = [Products.distcompd]

    init(name: String, configurationPath: String, fleet: Fleet) {
        self.name = name
        self.configurationPath = configurationPath
        self.fleet = fleet
    }

    private var stateDirectory: String { fleet.scratch.path + "/state" }

    /// What it logged in this life.
    var log: String { program?.errors ?? "" }
    var process: pid_t { program?.process ?? 0 }

    /// Starts it without waiting for anything. `place` tells it where the queue is, if not as the fleet does.
    @discardableResult
    func launch(_ place: [String]? = nil) throws -> RunningProgram {
        fleet.scratch.expectGroups(ofNode: name, stateDirectory: stateDirectory)
        let arguments =
            ["--config", configurationPath, "--state", stateDirectory, "--node", name] + (place ?? fleet.place)
        let program = try RunningProgram(command[0], command.dropFirst() + arguments, in: fleet.scratch)
        self.program = program
        return program
    }

    /// Starts it and waits until it takes tasks.
    func start() async throws {
        let program = try launch()
        try await eventually("node \(name) in worker_status", program.errors) {
            guard !program.hasEnded else { throw NeverHappened(description: "it ended: \(program.errors)") }
            return try fleet.hash("worker_status")[name] != nil
        }
    }

    /// Waits for words in its log. What it has done can be seen elsewhere a moment before it says so.
    func logs(_ words: String) async throws {
        try await eventually("\(name) logs: \(words)", log) { log.contains(words) }
    }

    /// SIGTERM, and the end.
    @discardableResult
    func stop() async throws -> ProgramResult {
        let program = try #require(program)
        program.send(SIGTERM)
        return try await program.result()
    }

    /// SIGKILL, as a crash would be.
    func kill9() async throws {
        program?.send(SIGKILL)
        try await program?.result()
    }

    func pause() { program?.send(SIGSTOP) }
    func resume() { program?.send(SIGCONT) }
}

/// Gives `body` a fleet with no node yet, whose programs have no more rights in Redis than `distcomp acl` gives them; nodes still running at its end are stopped, and nothing may be left of them.
func withFleet(
    redis configuration: [String] = [], ownClock: Bool = false, sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Fleet) async throws -> Void
) async throws {
    let redis = try RedisServerFixture(configuration: configuration + Fleet.users, hasOwnClock: ownClock)
    defer { redis.stop() }
    try await withScratch(sourceLocation: sourceLocation) { scratch in
        try await body(Fleet(scratch: scratch, redis: redis, hasUsers: true))
        for process in scratch.processes(with: "--node") { kill(process, SIGTERM) }
    }
}

/// The same with a master, a replica and sentinels in place of the one Redis.
func withSentinelFleet(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: (Fleet) async throws -> Void
) async throws {
    let sentinels = try SentinelFixture(configuration: Fleet.users)
    defer { sentinels.stop() }
    try await withScratch(sourceLocation: sourceLocation) { scratch in
        try await body(Fleet(scratch: scratch, redis: sentinels.servers[0], sentinels: sentinels, hasUsers: true))
        for process in scratch.processes(with: "--node") { kill(process, SIGTERM) }
    }
}

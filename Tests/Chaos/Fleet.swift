// The real programs: a redis-server that syncs every write, and distcompd processes that reach it through the proxy.

import Glibc
import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskQueue

struct ChaosError: Error, CustomStringConvertible {
    let description: String
}

final class Fleet {
    /// Short, so that many leases are lost in a run.
    static let leaseSeconds = 3.0

    /// Everything of the run: traces, results, logs, the append-only file.
    let place: String
    let redis: RedisServerFixture
    let canFreezeRedis: Bool
    let canStepClock: Bool
    let proxy: Proxy
    private(set) var nodes: [Node] = []
    private let keys = QueueKeys()
    private let programs: String
    private var client: BlockingRedisClient?
    private var redisIsFrozen = false

    /// - Parameter without: what is not to befall it.
    init(nodeCount: Int, seed: UInt64, without: [Trouble], in place: String) throws {
        self.place = place
        canFreezeRedis = !without.contains(.redisFreeze)
        canStepClock = !without.contains(.redisClock) && RedisServerFixture.canHaveOwnClock
        try FileSystem.createDirectories(place + "/redis", mode: 0o755)
        redis = try RedisServerFixture(
            configuration: [
                "dir \(place)/redis", "appendonly yes", "appendfsync always",
                // Rewriting would leave out the history that the checker reads.
                "auto-aof-rewrite-percentage 0",
            ], hasOwnClock: canStepClock)
        // A way of its own for each node, and one for the manager.
        proxy = try Proxy(to: .unix(path: redis.socketPath), ways: nodeCount + 1, seed: seed)
        let program = try FileSystem.destination(ofLink: "/proc/self/exe")
        programs = program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
        // Our process's number in the name: no other run's groups are mistaken for ours.
        nodes = try (1...nodeCount).map { number in
            try Node(
                name: "chaos\(Host.processIdentifier)-\(number)", place: place, redisURL: proxiedURL(way: number),
                program: programs + "/distcompd",
                ownDisks: !without.contains(.disk) && NodeDisks.isPossible)
        }
    }

    /// Where the manager (0) and each node find Redis.
    private func proxiedURL(way: Int) -> String { "redis://127.0.0.1:\(proxy.ports[way])" }

    /// When connections of a node were cut or silenced by the proxy.
    func faultSeconds() -> [String: [Double]] {
        Dictionary(grouping: proxy.faults.filter { $0.way > 0 }) { nodes[$0.way - 1].name }
            .mapValues { $0.map(\.seconds) }
    }

    /// Starts `distcomp submit` through the proxy; its process.
    func startSubmitting(_ path: String) throws -> Int32 {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let log = try OwnedDescriptor.open(place + "/submit.log", [.writeOnly, .create, .append], mode: 0o644)
        return try SpawnLock.shared.withLock { _ in
            try ChildProcesses.start(
                programs + "/distcomp", ["submit", path, "--redis", proxiedURL(way: 0)],
                descriptors: [null.raw, log.raw, log.raw])
        }
    }

    func freezeRedis() {
        redis.pause()
        redisIsFrozen = true
    }

    func thawRedis() {
        redis.resume()
        redisIsFrozen = false
    }

    func startRedis() throws { try SpawnLock.shared.withLock { _ in try redis.start() } }

    /// Asks Redis itself, past the proxy; nil while it is away.
    func ask(_ request: RedisRequest) -> RESPValue? {
        guard redis.isRunning else {
            client = nil
            return nil
        }
        guard !redisIsFrozen else { return nil }  // We have other things to do than to wait for it.
        do {
            let current = try client ?? BlockingRedisClient(redis.endpoint)
            client = current
            return try current.call(request)
        } catch {
            client = nil  // It died meanwhile; the next question gets a new connection.
            return nil
        }
    }

    func counts() -> QueueCounts? {
        ask(ReadCounts(keys: keys).request).flatMap { try? ReadCounts.parse($0) }
    }

    /// Each incarnation with the end of its lease, as Redis has it.
    func leases() -> [(incarnation: String, expiry: Double)]? {
        ask(.command(RedisCommand("ZRANGE", [keys.leases, "0", "-1", "WITHSCORES"])))?.elements?.compactMap { pair in
            guard let pair = pair.elements, let name = pair.first?.string, case .double(let expiry) = pair.last else {
                return nil
            }
            return (name, expiry)
        }
    }

    /// Whether every node has reported in this life of it: then it has also ended what its last life left behind.
    var isServing: Bool {
        guard let reply = ask(ReadFields(keys.workerStatus, fields: nodes.map { Array($0.name.utf8) }).request),
            let values = try? ReadFields.parse(reply)
        else { return false }
        return zip(nodes, values).allSatisfy { node, value in
            // The old system's `unix:used_core:...`.
            let second = value.flatMap { Int64(String(decoding: $0.prefix { $0 != UInt8(ascii: ":") }, as: UTF8.self)) }
            return second.map { $0 > node.startedSecond } ?? false
        }
    }

    /// Ends whatever still runs, at once.
    func end() {
        for node in nodes where node.process != nil {
            node.kill9()
        }
        proxy.stop()
        redis.stop()
    }
}

/// One distcompd, in its many lives.
final class Node {
    let name: String
    let logPath: String
    /// nil where nothing can be mounted.
    let disks: NodeDisks?
    private let program: String
    private let configurationPath: String
    /// nil while it is dead.
    private(set) var process: Int32?
    /// When this life began, in whole seconds since 1970.
    private(set) var startedSecond: Int64 = 0

    init(name: String, place: String, redisURL: String, program: String, ownDisks: Bool) throws {
        self.name = name
        self.program = program
        logPath = "\(place)/\(name).log"
        configurationPath = "\(place)/\(name).json"
        disks =
            ownDisks ? try NodeDisks(results: "\(place)/result-\(name)", state: "\(place)/state-\(name)") : nil
        let user = Host.isRoot ? "\"nobody\"" : "null"
        let text = """
            { "redis_url": "\(redisURL)", "node_name": "\(name)", "state_dir": "\(place)/state-\(name)",
              "result_dir": "\(place)/result-\(name)", "task_user": \(user), "lease_seconds": \(Fleet.leaseSeconds),
              "health_report_interval": 1, "sleep_sec_between_accepting_task": 2, "max_task_per_worker": 16,
              "max_retry_per_task": 3, "retry_delay_seconds": 1, "stop_grace_seconds": 0, "kill_grace_seconds": 0.3,
              "min_dram_gb_accept_new_task": 0.02, "min_dram_gb_trigger_return": 0.01, "log_format": "text",
              "log_level": "info" }
            """
        try FileSystem.replace(configurationPath, with: Array(text.utf8), mode: 0o644)
    }

    func start() throws {
        startedSecond = SystemClock.wallSeconds()
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let log = try OwnedDescriptor.open(logPath, [.writeOnly, .create, .append], mode: 0o644)
        process = try SpawnLock.shared.withLock { _ in
            try ChildProcesses.start(
                program, ["--config", configurationPath], descriptors: [null.raw, null.raw, log.raw])
        }
    }

    /// SIGKILL, as a crash would be; its tasks go on without it. Returns once it is gone.
    func kill9() {
        guard let process else { return }
        ChildProcesses.kill(process: process)
        _ = try? ChildProcesses.wait(for: process)
        self.process = nil
    }

    func freeze() { if let process { kill(process, SIGSTOP) } }
    func thaw() { if let process { kill(process, SIGCONT) } }
    func leave() { if let process { ChildProcesses.signal(.terminate, process: process) } }

    /// How it ended, if it has.
    func ending() throws -> ProcessEnding? {
        guard let process, let ending = try ChildProcesses.endingIfEnded(process) else { return nil }
        self.process = nil
        return ending
    }
}

// A queue on a real redis-server, and nodes that are nothing but their requests.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue

/// One queue to test. Whatever a node, a submitter or a watcher does goes over a connection of a user that may do just that.
final class QueueBench {
    let server: RedisServerFixture
    /// May do everything.
    let client: BlockingRedisClient
    let keys: QueueKeys
    private var clients: [QueueAccess: BlockingRedisClient] = [:]
    private static let nodeScripts = Set(QueueScripts.forNodes.map(\.name))
    private static let watcherScripts: Set = [
        "counts", "nodes", "retry-states", "jobs-list", "waiting", "awaited", "owners-list", "demand", "loads",
        "metrics", "metrics-jobs", "metrics-ring",
    ]

    init(prefix: String = "", configuration: [String] = []) throws {
        server = try RedisServerFixture(configuration: configuration)
        client = try server.client()
        keys = QueueKeys(prefix: prefix)
        try connect()
    }

    /// Another queue on the same server.
    init(sharing other: QueueBench, prefix: String) throws {
        server = other.server
        client = other.client
        keys = QueueKeys(prefix: prefix)
        try connect()
    }

    /// The same queue, over connections of its own.
    init(reconnectingTo server: RedisServerFixture, prefix: String = "") throws {
        self.server = server
        client = try server.client()
        keys = QueueKeys(prefix: prefix)
        try connect()
    }

    private func connect() throws {
        for access in QueueAccess.allCases {
            let name = access.rawValue + keys.prefix
            let words = ["ACL", "SETUSER", name, "reset", "on", ">secret"] + access.rules(keys: keys, owner: "sam")
            let reply = try client.call(.command(RedisCommand(bytes: words.map { Array($0.utf8) })))
            if let error = reply.error { throw error }
            var options = RedisServerFixture.patientOptions
            options.session.scripts = access == .node ? QueueScripts.forNodes : QueueScripts.ofCommandLine
            let endpoint = RedisEndpoint(
                unixPath: server.socketPath, credentials: RedisCredentials(user: name, password: "secret"))
            clients[access] = try BlockingRedisClient(endpoint, options: options)
        }
    }

    func client(for request: RedisRequest) -> BlockingRedisClient {
        let access: QueueAccess
        switch request {
        case .script(let call) where Self.watcherScripts.contains(call.script.name): access = .watcher
        case .script(let call) where Self.nodeScripts.contains(call.script.name): access = .node
        case .script: access = .submitter
        case .command: access = .node
        }
        return clients[access] ?? client
    }

    /// For what each kind of user asks the same way.
    func client(of access: QueueAccess) -> BlockingRedisClient { clients[access] ?? client }

    func call(_ request: RedisRequest) throws -> RESPValue { try client(for: request).call(request) }

    @discardableResult
    func perform<Operation: QueueOperation>(_ operation: Operation) throws -> Operation.Reply {
        try client(for: operation.request).perform(operation)
    }

    @discardableResult
    func command(_ words: String...) throws -> RESPValue {
        try client.call(.command(RedisCommand(bytes: words.map { Array($0.utf8) })))
    }

    @discardableResult
    func submit(_ lines: String...) throws -> SubmitReply { try submit(lines) }

    @discardableResult
    func submit(_ lines: [String]) throws -> SubmitReply {
        var reply = SubmitReply()
        var rest = try lines.map { try TaskLine(parsing: $0) }[...]
        while !rest.isEmpty {
            reply.add(try SubmitTasks.parse(try call(SubmitTasks(rest, keys: keys).request)))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
        return reply
    }

    var counts: QueueCounts {
        get throws { try ReadCounts.parse(try call(ReadCounts(keys: keys).request)) }
    }

    func standing(of line: String) throws -> TaskStanding {
        let watcher = client(for: ReadCounts(keys: keys).request)
        return try ReadStanding.parse(try watcher.pipeline(ReadStanding(line, keys: keys).requests))
    }

    /// todo, in progress, finished, failed.
    var numbers: [Int] {
        get throws {
            let counts = try counts
            return [counts.todo, counts.inProgress, counts.finished, counts.failed]
        }
    }

    func drain(_ names: String..., isDraining: Bool = true) throws -> [DrainNodes.Answer] {
        try DrainNodes.parse(try call(DrainNodes(names[...], isDraining: isDraining, keys: keys).request))
    }

    /// Registers a node; `life` tells its lives apart, of which it knows the `earlier` ones: all of them, unless it is said.
    ///
    /// - Parameter isQuietOver: as if the lease that nobody is taken over for, when a queue is new, had passed.
    func node(
        _ name: String, machine: String = "m", life: Int64 = 1, earlier: [Incarnation]? = nil,
        leaseMilliseconds: Int = 60_000, gigabytes: UInt64 = 64, cores: Int = 64, address: String = "",
        trouble: String = "", labels: [String] = [], resources: String = "", runsSomething: Bool = false,
        isQuietOver: Bool = true
    ) throws -> BenchNode {
        let lives = (1..<max(1, life)).map { Incarnation(name: name, machine: machine + name, life: $0) }
        let description = NodeDescription(
            memoryBytes: gigabytes << 30, millicores: cores * 1000, version: "1.0.0", address: address,
            trouble: trouble,
            labels: labels, resources: ResourceTotals(text: resources))
        let node = BenchNode(
            bench: self, name: name, incarnation: Incarnation(name: name, machine: machine + name, life: life),
            leaseMilliseconds: leaseMilliseconds, description: description, known: .init())
        node.known.silence = try perform(
            RegisterNode(
                keys: keys, incarnation: node.incarnation, leaseMilliseconds: leaseMilliseconds, status: "1:0:1:0:1",
                node: description, runsSomething: runsSomething, earlier: earlier ?? lives)
        ).silence
        if isQuietOver { try setClock { $0.quiet = 0 } }
        return node
    }

    /// What a node whose tasks others have taken over is told.
    var fenced: QueueError { get throws { .fenced(queue: try counts.identity) } }
}

/// The queue's clock, which tests set as time and trouble would.
struct ClockState: Equatable {
    var server: Int
    var queue: Int
    var quiet: Int
    var silence: Int
    var gap: Int
}

extension QueueBench {
    private var clockKey: String { keys.prefix + "distcomp:clock" }

    var clock: ClockState {
        get throws {
            let text = try command("GET", clockKey).string ?? ""
            let numbers = text.split(separator: " ").compactMap { Int($0) }
            guard numbers.count == 5 else { throw QueueError.unexpectedReply(text) }
            return ClockState(
                server: numbers[0], queue: numbers[1], quiet: numbers[2], silence: numbers[3], gap: numbers[4])
        }
    }

    func setClock(_ change: (inout ClockState) -> Void) throws {
        var clock = try clock
        change(&clock)
        let numbers = [clock.server, clock.queue, clock.quiet, clock.silence, clock.gap]
        try command("SET", clockKey, numbers.map(String.init).joined(separator: " "))
    }

    /// Redis's clock is moved: since the last look at it, so much more has passed than was lived through.
    func stepClock(bySeconds seconds: Double) throws { try setClock { $0.server -= Int(seconds * 1000) } }

    /// Time passes for the queue alone, and is noted.
    func pass(seconds: Double) throws { try setClock { $0.queue += Int(seconds * 1000) } }
}

/// A node's side of the conversation.
struct BenchNode {
    let bench: QueueBench
    let name: String
    let incarnation: Incarnation
    let leaseMilliseconds: Int
    let description: NodeDescription
    let known: Known

    /// What the queue has told it.
    final class Known { var silence = 0 }

    /// - Parameter freeResources: `gpu@1000,500 licence:3000`.
    func claim(
        _ count: Int = 1, gigabytes: UInt64 = 64, cores: Int = 64, freeResources: String = ""
    ) throws -> [ClaimTasks.Claimed] {
        try claimReply(count, gigabytes: gigabytes, cores: cores, freeResources: freeResources).tasks
    }

    func claimReply(
        _ count: Int = 1, gigabytes: UInt64 = 64, cores: Int = 64, freeResources: String = ""
    ) throws -> ClaimTasks.Reply {
        let request = claimRequest(count, gigabytes: gigabytes, cores: cores, freeResources: freeResources)
        let reply = try ClaimTasks.parse(try bench.call(request))
        known.silence = reply.silence
        return reply
    }

    func claimRequest(
        _ count: Int = 1, gigabytes: UInt64 = 64, cores: Int = 64, freeResources: String = ""
    ) -> RedisRequest {
        ClaimTasks(
            keys: bench.keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: count,
            freeMemoryBytes: gigabytes << 30, freeMillicores: cores * 1000, freeResources: freeResources,
            silence: known.silence
        ).request
    }

    @discardableResult
    func finish(_ task: ClaimTasks.Claimed, output: String = "") throws -> ReportTask.Reply {
        let value = FinishedValue.encode(worker: name, standardOutput: Array(output.utf8))
        return try report(task, .finished(value: value, record: #"{"cause":"exit","exit_code":0}"#))
    }

    @discardableResult
    func fail(
        _ task: ClaimTasks.Claimed, attemptsMax: Int = 3, retryMilliseconds: Int = 0
    ) throws -> ReportTask.Reply {
        let record = #"{"cause":"exit","exit_code":1}"#
        return try report(
            task,
            .failed(reason: "exit 1", record: record, attemptsMax: attemptsMax, retryMilliseconds: retryMilliseconds))
    }

    @discardableResult
    func report(_ task: ClaimTasks.Claimed, _ result: ReportTask.Result) throws -> ReportTask.Reply {
        let report = ReportTask(
            keys: bench.keys, incarnation: incarnation, line: task.line, token: task.token, result: result)
        return try ReportTask.parse(try bench.call(report.request))
    }

    /// - Parameter elapsedMilliseconds: as if so much time had passed for the node since it was last answered.
    @discardableResult
    func beat(
        silence: Int? = nil, elapsedMilliseconds: Int = 3_600_000, graceMilliseconds: Int = 60_000,
        description: NodeDescription? = nil, serverRun: String = "", reserving: ReservingSettings = .never
    ) throws -> Heartbeat.Reply {
        let reply = try bench.perform(
            heartbeat(
                silence: silence, elapsedMilliseconds: elapsedMilliseconds, graceMilliseconds: graceMilliseconds,
                description: description, serverRun: serverRun, reserving: reserving))
        known.silence = reply.silence
        return reply
    }

    func heartbeat(
        silence: Int? = nil, elapsedMilliseconds: Int = 3_600_000, graceMilliseconds: Int = 60_000,
        description: NodeDescription? = nil, serverRun: String = "", reserving: ReservingSettings = .never
    ) -> Heartbeat {
        Heartbeat(
            keys: bench.keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: "1:0:1:0:1",
            silence: silence ?? known.silence, elapsedMilliseconds: elapsedMilliseconds,
            graceMilliseconds: graceMilliseconds, node: description ?? self.description, serverRun: serverRun,
            reserving: reserving)
    }

    var held: [String] {
        get throws {
            let request = HeldTasks(keys: bench.keys, incarnation: incarnation).request
            return try HeldTasks.parse(try bench.call(request)).map(\.line).sorted()
        }
    }

    /// Ends the lease as the passing of time would.
    func loseLease() throws { try bench.command("ZADD", bench.keys.leases, "1", incarnation.text) }
}

func line(_ command: String, priority: Int = 1, memory: String = "0", cores: String = "0") -> String {
    "shell:\(priority):\(memory):\(cores):\(command)"
}

/// What the hashes hold. Tests look at all of it at once; nothing else may.
struct QueueState: Equatable {
    var todo: Set<String> = []
    var inProgress: [String: String] = [:]
    var finished: [String: String] = [:]
    var failed: [String: String] = [:]
    var reasons: [String: String] = [:]
    var outcomes: [String: String] = [:]
    var retrying: Set<String> = []
}

extension QueueBench {
    func state() throws -> QueueState {
        let hashes = [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason, keys.outcomes]
        var requests = hashes.map { RedisRequest.command(RedisCommand("HGETALL", $0)) }
        requests.append(.command(RedisCommand("SMEMBERS", keys.retrying)))
        let values = try client.pipeline(requests)
        func hash(_ index: Int) -> [String: String] {
            var fields: [String: String] = [:]
            for entry in values[index].entries ?? [] {
                if let key = entry.key.string, let value = entry.value.string { fields[key] = value }
            }
            return fields
        }
        return QueueState(
            todo: Set(hash(0).keys), inProgress: hash(1), finished: hash(2), failed: hash(3), reasons: hash(4),
            outcomes: hash(5), retrying: Set((values[6].elements ?? []).compactMap(\.string)))
    }
}

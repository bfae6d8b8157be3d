// A queue on a real redis-server, and nodes that are nothing but their requests.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue

/// One queue to test.
final class QueueBench {
    let server: RedisServerFixture
    let client: BlockingRedisClient
    let keys: QueueKeys

    init(prefix: String = "", configuration: [String] = []) throws {
        server = try RedisServerFixture(configuration: configuration)
        client = try server.client { $0.session.scripts = QueueScripts.forNodes + QueueScripts.forCommandLine }
        keys = QueueKeys(prefix: prefix)
    }

    /// Another queue on the same server.
    init(sharing other: QueueBench, prefix: String) throws {
        server = other.server
        client = other.client
        keys = QueueKeys(prefix: prefix)
    }

    func call(_ request: RedisRequest) throws -> RESPValue { try client.call(request) }

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

    /// todo, in progress, finished, failed.
    var numbers: [Int] {
        get throws {
            let counts = try counts
            return [counts.todo, counts.inProgress, counts.finished, counts.failed]
        }
    }

    /// Registers a node; `life` tells its lives apart.
    func node(
        _ name: String, machine: String = "m", life: Int64 = 1, leaseMilliseconds: Int = 60_000, gigabytes: UInt64 = 64,
        cores: Int = 64
    ) throws -> BenchNode {
        let node = BenchNode(
            bench: self, name: name, incarnation: Incarnation(name: name, machine: machine + name, life: life),
            leaseMilliseconds: leaseMilliseconds)
        try RegisterNode.parse(
            try call(
                RegisterNode(
                    keys: keys, incarnation: node.incarnation, leaseMilliseconds: leaseMilliseconds,
                    memoryBytes: gigabytes << 30, millicores: cores * 1000, status: "1:0:1:0:1"
                ).request))
        return node
    }
}

/// A node's side of the conversation.
struct BenchNode {
    let bench: QueueBench
    let name: String
    let incarnation: Incarnation
    let leaseMilliseconds: Int

    func claim(_ count: Int = 1, gigabytes: UInt64 = 64, cores: Int = 64) throws -> [ClaimTasks.Claimed] {
        try claimReply(count, gigabytes: gigabytes, cores: cores).tasks
    }

    func claimReply(_ count: Int = 1, gigabytes: UInt64 = 64, cores: Int = 64) throws -> ClaimTasks.Reply {
        let claim = ClaimTasks(
            keys: bench.keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: count,
            freeMemoryBytes: gigabytes << 30, freeMillicores: cores * 1000)
        return try ClaimTasks.parse(try bench.call(claim.request))
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

    @discardableResult
    func beat(mayReap: Bool = true) throws -> Heartbeat.Reply {
        let heartbeat = Heartbeat(
            keys: bench.keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: "1:0:1:0:1",
            mayReap: mayReap)
        return try Heartbeat.parse(try bench.call(heartbeat.request))
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

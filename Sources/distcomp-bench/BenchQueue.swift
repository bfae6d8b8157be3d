// A queue without a daemon, and what nodes say to it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class BenchQueue {
    let keys = QueueKeys()
    let redis: BenchRedis
    private var silence = 0
    /// So long that nobody's ends.
    private static let leaseMilliseconds = 3_600_000
    private let leaseMilliseconds: Int
    private var known = KnownJobs()

    init(in place: String, listensOnPort: Bool = false, leaseMilliseconds: Int = leaseMilliseconds) throws {
        self.leaseMilliseconds = leaseMilliseconds
        redis = try BenchRedis(
            in: FileSystem.makeTemporaryDirectory(place + "/queue-"), isDurable: false, listensOnPort: listensOnPort)
    }

    func register(_ name: String, cores: Int = 4096, gigabytes: Int = 4096) throws -> Incarnation {
        let incarnation = Incarnation(name: name, machine: "m", life: 1)
        let request = RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: "1:0:1:0:1",
            node: NodeDescription(memoryBytes: UInt64(gigabytes) << 30, millicores: cores * 1000)
        ).request
        silence = try RegisterNode.parse(try call(request)).silence
        return incarnation
    }

    func claim(
        _ node: Incarnation, count: Int = 16, freeCores: Int = 4096, freeGigabytes: Int = 4096
    ) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: node, leaseMilliseconds: leaseMilliseconds, count: count,
            freeMemoryBytes: UInt64(freeGigabytes) << 30, freeMillicores: freeCores * 1000, silence: silence,
            known: known
        ).request
    }

    /// Takes what there is for a node that has so much free, at most that many tasks.
    func taken(
        _ node: Incarnation, count: Int, freeCores: Int, freeGigabytes: Int
    ) throws -> [ClaimTasks.Claimed] {
        let request = claim(node, count: count, freeCores: freeCores, freeGigabytes: freeGigabytes)
        let reply = try ClaimTasks.parse(try call(request))
        known.take(reply)
        return reply.tasks
    }

    // MARK: - Another clock

    /// What it is by the clock of the queue, in seconds, where that is not Redis's own.
    private(set) var seconds: Double?
    private var timed: [String: RedisScript] = [:]
    private var timeKey: String { keys.prefix + "time" }

    /// From now on the queue's clock says this.
    func setClock(_ seconds: Double) throws {
        self.seconds = seconds
        let whole = seconds.rounded(.down)
        let words = [String(Int(whole)), String(Int((seconds - whole) * 1e6))]
        for request in [["DEL", timeKey], ["RPUSH", timeKey] + words] {
            _ = try redis.client.call(.command(RedisCommand(request[0], Array(request.dropFirst()))))
        }
    }

    /// Asks, by that clock.
    func call(_ request: RedisRequest) throws -> RESPValue {
        guard seconds != nil, case .script(let call) = request else { return try redis.client.call(request) }
        let pieces = call.script.source.split(separator: "call('TIME')", omittingEmptySubsequences: false)
        let script =
            timed[call.script.name]
            ?? RedisScript(
                name: call.script.name, source: pieces.joined(separator: "call('LRANGE', p .. 'time', 0, 1)"))
        timed[call.script.name] = script
        return try redis.client.call(
            .script(RedisScriptCall(script, keys: call.keys, arguments: call.arguments)))
    }

    func perform<Operation: QueueOperation>(_ operation: Operation) throws -> Operation.Reply {
        try Operation.parse(try call(operation.request))
    }

    /// Takes that many tasks; fewer than were there is an error.
    func claimed(_ node: Incarnation, count: Int) throws -> [ClaimTasks.Claimed] {
        let reply = try ClaimTasks.parse(try redis.client.call(claim(node, count: count)))
        guard reply.tasks.count == count else {
            throw BenchError(description: "a claim gave \(reply.tasks.count) of \(count)")
        }
        known.take(reply)
        return reply.tasks
    }

    /// What nodes say of reservations by the settings they come with.
    static let reserving = ReservingSettings(
        afterMilliseconds: 600_000, timeoutMilliseconds: 3_600_000, graceMilliseconds: 5000)

    func heartbeat(
        _ node: Incarnation, cores: Int = 4096, gigabytes: Int = 4096, reserving: ReservingSettings = .never,
        elapsedMilliseconds: Int = 0
    ) -> RedisRequest {
        Heartbeat(
            keys: keys, incarnation: node, leaseMilliseconds: leaseMilliseconds, status: "1:0:1:0:1", silence: silence,
            elapsedMilliseconds: elapsedMilliseconds,
            node: NodeDescription(memoryBytes: UInt64(gigabytes) << 30, millicores: cores * 1000), reserving: reserving
        ).request
    }

    func finished(_ task: ClaimTasks.Claimed, _ node: Incarnation) -> RedisRequest {
        let value = FinishedValue.encode(worker: "n", standardOutput: Array("done\n".utf8))
        return ReportTask(
            keys: keys, incarnation: node, line: task.line, token: task.token,
            result: .finished(value: value, record: #"{"cause":"exit","exit_code":0}"#)
        ).request
    }

    func returned(_ task: ClaimTasks.Claimed, _ node: Incarnation) -> RedisRequest {
        ReportTask(keys: keys, incarnation: node, line: task.line, token: task.token, result: .returned).request
    }
}

// A node that is nothing but what it says to the queue, when a test wants it to: what a real one says comes when it pleases.

import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue

final class PretendedNode {
    let incarnation: Incarnation
    private let keys = QueueKeys()
    private let client: BlockingRedisClient
    private var silence = 0

    /// Registers it.
    init(_ name: String, life: Int64 = 1, version: String = "", on fleet: Fleet) throws {
        var options = RedisServerFixture.patientOptions
        options.session.scripts = QueueScripts.all
        client = try BlockingRedisClient(fleet.redis.endpoint, options: options)
        incarnation = Incarnation(name: name, machine: "m", life: life)
        let report = NodeReport(
            unixSeconds: SystemClock.wallSeconds(), usedCores: 0, totalCores: 8, usedMemoryGB: 1, totalMemoryGB: 16)
        silence = try client.perform(
            RegisterNode(
                keys: keys, incarnation: incarnation, leaseMilliseconds: 600_000, status: report.text,
                node: NodeDescription(memoryBytes: 12 << 30, millicores: 8000, version: version))
        ).silence
    }

    func claim(_ count: Int) throws -> [ClaimTasks.Claimed] {
        try client.perform(
            ClaimTasks(
                keys: keys, incarnation: incarnation, leaseMilliseconds: 600_000, count: count,
                freeMemoryBytes: 12 << 30, freeMillicores: 8000, silence: silence)
        ).tasks
    }

    /// Says of tasks that it runs them.
    func restore(_ tasks: [ClaimTasks.Claimed]) throws -> [RestoreTasks.Answer] {
        let running = try tasks.map {
            RestoreTasks.Running(line: try TaskLine(parsing: $0.line), token: $0.token, attempt: 1)
        }
        return try client.perform(RestoreTasks(running[...], keys: keys, incarnation: incarnation))
    }

    func finish(_ task: ClaimTasks.Claimed) throws {
        let outcome = TaskOutcome(
            cause: .exit(code: 0), usage: Usage(wallSeconds: 1), node: incarnation.nodeName, attempt: 1,
            finishedAtUnixSeconds: Double(SystemClock.wallSeconds()))
        _ = try client.perform(
            ReportTask(
                keys: keys, incarnation: incarnation, line: task.line, token: task.token,
                result: .finished(
                    value: FinishedValue.encode(worker: incarnation.nodeName, standardOutput: []),
                    record: outcome.record)))
    }

    /// Asks what it is to stop.
    func takeCancellations() throws -> [String] {
        try client.perform(TakeCancellations(keys: keys, incarnation: incarnation))
    }
}

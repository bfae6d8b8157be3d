// A queue without a daemon, and what nodes say to it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class BenchQueue {
    let keys = QueueKeys()
    let redis: BenchRedis
    private var silence = 0
    private var known = KnownJobs()

    init(in place: String, listensOnPort: Bool = false) throws {
        redis = try BenchRedis(
            in: FileSystem.makeTemporaryDirectory(place + "/queue-"), isDurable: false, listensOnPort: listensOnPort)
    }

    private static let node = NodeDescription(memoryBytes: 1 << 42, millicores: 4_096_000)

    func register(_ name: String, cores: Int = 4096) throws -> Incarnation {
        let incarnation = Incarnation(name: name, machine: "m", life: 1)
        let request = RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: 3_600_000, status: "1:0:1:0:1",
            node: NodeDescription(memoryBytes: 1 << 42, millicores: cores * 1000)
        ).request
        silence = try RegisterNode.parse(try redis.client.call(request)).silence
        return incarnation
    }

    func claim(_ node: Incarnation, count: Int = 16, freeCores: Int = 4096) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, count: count, freeMemoryBytes: 1 << 42,
            freeMillicores: freeCores * 1000, silence: silence, known: known
        ).request
    }

    /// Takes what there is for a node with so many free cores, at most that many tasks.
    func taken(_ node: Incarnation, count: Int, freeCores: Int) throws -> [ClaimTasks.Claimed] {
        let reply = try ClaimTasks.parse(try redis.client.call(claim(node, count: count, freeCores: freeCores)))
        known.take(reply)
        return reply.tasks
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

    func heartbeat(_ node: Incarnation) -> RedisRequest {
        Heartbeat(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, status: "1:0:1:0:1", silence: silence,
            elapsedMilliseconds: 0, node: Self.node
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

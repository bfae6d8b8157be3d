// Up to a thousand nodes that consist of nothing but their requests to Redis: each has a connection of its own, and reports 16 tasks
// and claims 16 more in one round trip, without waiting for the others.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class SimulatedFleet {
    private struct Node {
        let incarnation: Incarnation
        let connection: RedisConnection
        var claim: RequestIdentifier?
        var askedNanoseconds: Int64 = 0
        var taskCount = 0
    }

    /// What came of some work.
    struct Record {
        let seconds: Double
        /// From a claim, and the reports sent with it, to its reply.
        let claimMilliseconds: [Double]
        /// How many tasks each node had.
        let tasksOfNodes: [Int]
    }

    private let queue: BenchQueue
    private var nodes: [Node] = []
    private var loop: EventLoop
    private var reportedCount = 0
    private var claimMilliseconds: [Double] = []

    init(_ queue: BenchQueue, nodeCount: Int) throws {
        self.queue = queue
        loop = try EventLoop()
        for index in 0..<nodeCount {
            let connection = try RedisConnection(
                connectingTo: .unix(path: queue.redis.socketPath), options: BenchRedis.options,
                now: SystemClock.bootNanoseconds())
            nodes.append(Node(incarnation: try queue.register("n\(index)"), connection: connection))
            while !connection.isReady {
                if let failure = connection.failure { throw failure }
                _ = connection.handleWritable(now: SystemClock.bootNanoseconds())
                _ = try DescriptorWait.until(
                    connection.descriptor, readable: true, writable: connection.wantsWrite, atMostMilliseconds: 1000)
                _ = connection.handleReadable(now: SystemClock.bootNanoseconds())
            }
            try loop.add(connection.descriptor, for: .readable, token: UInt64(index))
        }
    }

    /// Has the nodes take and report tasks until `taskCount` are reported.
    func work(taskCount: Int) throws -> Record {
        reportedCount = 0
        claimMilliseconds = []
        for index in nodes.indices { nodes[index].taskCount = 0 }
        let start = SystemClock.bootNanoseconds()
        for index in nodes.indices { try ask(index, reporting: []) }
        while reportedCount < taskCount {
            for ready in try loop.wait(atMostMilliseconds: 60_000) { try hear(Int(ready.token)) }
        }
        return Record(
            seconds: seconds(since: start), claimMilliseconds: claimMilliseconds, tasksOfNodes: nodes.map(\.taskCount))
    }

    /// What Redis's main thread takes, in seconds, for what `request` asks; every node asks it once.
    func processorSeconds(_ request: (Incarnation) -> RedisRequest) throws -> Double {
        let before = try queue.redis.processorSeconds()
        for value in try queue.redis.client.pipeline(nodes.map { request($0.incarnation) }) {
            if let error = value.error { throw BenchError(description: "\(error)") }
        }
        return (try queue.redis.processorSeconds() - before) / Double(nodes.count)
    }

    private func ask(_ index: Int, reporting tasks: [ClaimTasks.Claimed]) throws {
        let (node, now) = (nodes[index], SystemClock.bootNanoseconds())
        for task in tasks { _ = try node.connection.send(queue.finished(task, node.incarnation), now: now) }
        nodes[index].claim = try node.connection.send(queue.claim(node.incarnation), now: now)
        nodes[index].askedNanoseconds = now
        _ = node.connection.handleWritable(now: now)
    }

    private func hear(_ index: Int) throws {
        let now = SystemClock.bootNanoseconds()
        for event in nodes[index].connection.handleReadable(now: now) {
            switch event {
            case .reply(let identifier, let value) where identifier == nodes[index].claim:
                let tasks = try ClaimTasks.parse(value).tasks
                claimMilliseconds.append(Double(now - nodes[index].askedNanoseconds) / 1e6)
                nodes[index].taskCount += tasks.count
                if !tasks.isEmpty { try ask(index, reporting: tasks) }
            case .reply(_, let value):
                guard try ReportTask.parse(value) == .accepted else {
                    throw BenchError(description: "a report was refused")
                }
                reportedCount += 1
            case .failed(let failure): throw failure
            case .ready, .message, .lost: break
            }
        }
    }
}

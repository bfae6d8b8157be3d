// The queue by itself, at a million tasks and a thousand nodes: nodes that are nothing but their requests, on one real Redis.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

func measureQueue(taskCount: Int, nodeCount: Int, in place: String, _ report: FigurePrinter) throws {
    let queue = try BenchQueue(in: place)
    let node = try queue.register("a")
    let empty = try queue.information("memory", "used_memory")

    let small = 1000
    _ = try queue.load(0..<small)
    let few = try queue.claimMicroseconds(node)
    let seconds = try queue.load(small..<taskCount)
    let bytes = (try queue.information("memory", "used_memory") - empty) / Double(taskCount)
    let many = try queue.claimMicroseconds(node)
    report.print("queue", "load of \(taskCount) lines", Double(taskCount - small) / seconds, "/s")
    report.print("queue", "Redis memory per queued task of 102 bytes", bytes, "bytes")
    report.print("queue", "claim of 16 at \(small) queued (server)", few, "us")
    report.print("queue", "claim of 16 at \(taskCount) queued (server)", many, "us")
    report.print("queue", "the second in terms of the first", many / few, "")

    var times: [Double] = []
    for _ in 0..<101 {
        let start = SystemClock.bootNanoseconds()
        _ = try ReadCounts.parse(try queue.client.call(ReadCounts(keys: queue.keys).request))
        times.append(secondsSince(start) * 1000)
    }
    report.print("queue", "counts at \(taskCount) queued", times.sorted()[50], "ms")
    try measureFleet(queue, nodeCount: nodeCount, taskCount: min(taskCount, 320 * nodeCount), report)
}

/// Nodes that claim 16 and report 16, over a connection each, one after the other: the rate of one Redis, not of many clients.
private func measureFleet(_ queue: BenchQueue, nodeCount: Int, taskCount: Int, _ report: FigurePrinter) throws {
    let nodes = try (0..<nodeCount).map { try queue.register("n\($0)") }
    let clients = try nodes.map { _ in try queue.connect() }
    var reports: [[RedisRequest]] = nodes.map { _ in [] }
    var reported = 0
    let (start, before) = (SystemClock.bootNanoseconds(), try queue.processorSeconds())
    while reported < taskCount {
        for index in nodes.indices {
            let replies = try clients[index].pipeline(reports[index] + [queue.claim(nodes[index])])
            reported += reports[index].count
            reports[index] = try ClaimTasks.parse(replies.last ?? .null).tasks.map { queue.finished($0, nodes[index]) }
        }
    }
    let seconds = secondsSince(start)
    let busy = try queue.processorSeconds() - before
    report.print("queue", "\(nodeCount) nodes, claims and reports", Double(reported) / seconds, "tasks/s")
    report.print("queue", "Redis's CPU per task", busy / Double(reported) * 1e6, "us")

    let idleBefore = try queue.processorSeconds()
    for index in nodes.indices { _ = try clients[index].call(queue.heartbeat(nodes[index])) }
    let cost = (try queue.processorSeconds() - idleBefore) / Double(nodeCount)
    report.print("queue", "Redis's CPU per heartbeat of an idle node", cost * 1e6, "us")
}

/// A redis-server and the requests of nodes to it.
private final class BenchQueue {
    let keys = QueueKeys()
    let client: BlockingRedisClient
    private let redis: Int32
    private let endpoint: RedisEndpoint

    init(in place: String) throws {
        let directory = try FileSystem.makeTemporaryDirectory(place + "/queue-")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let words = [
            "redis-server", "--port", "0", "--dir", directory, "--unixsocket", "redis.sock", "--save", "",
            "--maxclients", "2000",
        ]
        redis = try ChildProcesses.start("/usr/bin/env", words, descriptors: [null.raw, null.raw, null.raw])
        endpoint = RedisEndpoint(unixPath: directory + "/redis.sock")
        let endpoint = endpoint
        client = try BenchNode.waited("redis-server") { try? BlockingRedisClient(endpoint, options: Self.options) }
    }

    deinit {
        ChildProcesses.signal(.terminate, process: redis)
        _ = try? ChildProcesses.wait(for: redis)
    }

    private static var options: RedisConnectionOptions {
        var options = RedisConnectionOptions()
        options.session.scripts = QueueScripts.all
        return options
    }

    func connect() throws -> BlockingRedisClient { try BlockingRedisClient(endpoint, options: Self.options) }

    func register(_ name: String) throws -> Incarnation {
        let incarnation = Incarnation(name: name, machine: "m", life: 1)
        let request = RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: 3_600_000, memoryBytes: 1 << 42,
            millicores: 4_096_000, status: "1:0:1:0:1"
        ).request
        try RegisterNode.parse(try client.call(request))
        return incarnation
    }

    func claim(_ node: Incarnation) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, count: 16, freeMemoryBytes: 1 << 42,
            freeMillicores: 4_096_000
        ).request
    }

    func heartbeat(_ node: Incarnation) -> RedisRequest {
        Heartbeat(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, status: "1:0:1:0:1", mayReap: true
        ).request
    }

    func finished(_ task: ClaimTasks.Claimed, _ node: Incarnation) -> RedisRequest {
        let value = FinishedValue.encode(worker: "n", standardOutput: Array("done\n".utf8))
        return ReportTask(
            keys: keys, incarnation: node, line: task.line, token: task.token,
            result: .finished(value: value, record: #"{"cause":"exit","exit_code":0}"#)
        ).request
    }

    /// Lines of 102 bytes; the seconds it took, making the lines apart.
    func load(_ numbers: Range<Int>) throws -> Double {
        let start = "shell:1:2:1:300:./cachesim --trace /data/traces/w"
        let lines = try numbers.map { number in
            let digits = String(number)
            let filling = String(repeating: "x", count: 102 - start.utf8.count - digits.utf8.count)
            return try TaskLine(parsing: start + filling + digits)
        }
        let begin = SystemClock.bootNanoseconds()
        var rest = lines[...]
        while !rest.isEmpty {
            var requests: [RedisRequest] = []
            while requests.count < 10, !rest.isEmpty {
                requests.append(SubmitTasks(rest, keys: keys).request)
                rest = rest.dropFirst(SubmitTasks.linesMax)
            }
            for value in try client.pipeline(requests) { _ = try SubmitTasks.parse(value) }
        }
        return secondsSince(begin)
    }

    /// What a claim of 16 takes of the server's time, the median of many; the tasks go back to their places.
    func claimMicroseconds(_ node: Incarnation) throws -> Double {
        var costs: [Double] = []
        for _ in 0..<101 {
            let before = try scriptMicroseconds()
            let reply = try ClaimTasks.parse(try client.call(claim(node)))
            costs.append(try scriptMicroseconds() - before)
            let returns = reply.tasks.map {
                ReportTask(keys: keys, incarnation: node, line: $0.line, token: $0.token, result: .returned).request
            }
            _ = try client.pipeline(returns)
        }
        return costs.sorted()[50]
    }

    private func scriptMicroseconds() throws -> Double {
        let text = try client.call(.command(RedisCommand("INFO", "commandstats"))).string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_evalsha:") } ?? ""
        return line.split(separator: "usec=").last.flatMap { Double($0.prefix { $0 != "," }) } ?? 0
    }

    func information(_ section: String, _ name: String) throws -> Double {
        let text = try client.call(.command(RedisCommand("INFO", section))).string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
        return line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) } ?? 0
    }

    /// Of Redis's main thread.
    func processorSeconds() throws -> Double {
        try information("cpu", "used_cpu_user_main_thread") + information("cpu", "used_cpu_sys_main_thread")
    }
}

private func secondsSince(_ nanoseconds: Int64) -> Double { Double(SystemClock.bootNanoseconds() - nanoseconds) / 1e9 }

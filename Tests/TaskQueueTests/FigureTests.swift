// What the queue costs, on a real redis-server: server time from INFO commandstats, memory from INFO memory. The small sizes run with
// every test; DISTCOMP_QUEUE_FIGURES=1 measures a million, and prints what docs/REDIS.md quotes.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Figures", .serialized)
struct FigureTests {
    private let isFull = Host.environment("DISTCOMP_QUEUE_FIGURES") != nil

    /// 102 bytes, of one class.
    private func taskText(_ number: Int) -> String {
        let digits = String(number)
        let start = "shell:1:2:1:300:./cachesim --trace /data/traces/w"
        let rest = 102 - start.utf8.count - digits.utf8.count
        return start + String(repeating: "x", count: rest) + digits
    }

    private func load(_ bench: QueueBench, _ range: Range<Int>) throws -> Double {
        let lines = try range.map { try TaskLine(parsing: taskText($0)) }
        let requests = stride(from: 0, to: lines.count, by: 1000).map {
            SubmitTasks(lines[$0..<min($0 + 1000, lines.count)], keys: bench.keys).request
        }
        let start = SystemClock.bootNanoseconds()
        for first in stride(from: 0, to: requests.count, by: 20) {
            for value in try bench.client(for: requests[0]).pipeline(
                Array(requests[first..<min(first + 20, requests.count)]))
            {
                #expect(try SubmitTasks.parse(value).added == 1000)
            }
        }
        return Double(SystemClock.bootNanoseconds() - start) / 1e9
    }

    /// Server microseconds one of the requests takes, the median of several rounds.
    private func cost(
        _ bench: QueueBench, rounds: Int, _ request: () throws -> RedisRequest, then: (RESPValue) throws -> Void
    ) throws -> Double {
        var costs: [Double] = []
        for _ in 0..<rounds {
            let before = try bench.scriptMicroseconds()
            let value = try bench.call(try request())
            costs.append(try bench.scriptMicroseconds() - before)
            try then(value)
        }
        return costs.sorted()[rounds / 2]
    }

    private func claimCost(_ bench: QueueBench, _ node: BenchNode, _ count: Int, rounds: Int) throws -> Double {
        try cost(bench, rounds: rounds) {
            node.claimRequest(count, gigabytes: 4096, cores: 4096)
        } then: { value in
            let tasks = try ClaimTasks.parse(value).tasks
            #expect(tasks.count == count)
            // Back to its old place, so that the next round finds the same.
            for task in tasks { #expect(try node.report(task, .returned) == .accepted) }
        }
    }

    @Test("a claim from many costs what a claim from few costs, and a queued task at most 400 bytes of Redis")
    func scale() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", gigabytes: 4096, cores: 4096)
        let empty = try bench.usedMemory()
        let small = 1000
        let large = isFull ? 1_000_000 : 100_000
        _ = try load(bench, 0..<small)
        var few: [Int: Double] = [:]
        var many: [Int: Double] = [:]
        let counts = isFull ? [1, 16, 128] : [16]
        let rounds = isFull ? 101 : 31
        for count in counts { few[count] = try claimCost(bench, node, count, rounds: rounds) }
        let seconds = try load(bench, small..<large)
        let bytes = Double(try bench.usedMemory() - empty) / Double(large)
        for count in counts { many[count] = try claimCost(bench, node, count, rounds: rounds) }
        #expect(bytes <= 400)
        #expect(many[16] ?? 0 <= (few[16] ?? 0) * 1.5 + 30)  // 30 us for the noise of a busy machine.
        guard isFull else { return }
        let report = try reportCost(bench, node)
        let counting = try cost(bench, rounds: 101) {
            ReadCounts(keys: bench.keys).request
        } then: { _ in
        }
        print("bytes a task: \(Int(bytes)); load: \(Int(Double(large - small) / seconds)) lines/s")
        for count in counts {
            print("claim of \(count): \(few[count] ?? 0) us at \(small), \(many[count] ?? 0) us at \(large)")
        }
        print("report: \(report) us; counts: \(counting) us")
    }

    @Test("a thousand nodes take and report their tasks in turn")
    func manyNodes() throws {
        let nodeCount = isFull ? 1000 : 20
        let taskCount = isFull ? 320_000 : 2000
        let bench = try QueueBench()
        let names = (0..<nodeCount).map { "n\($0)" }
        let nodes = try names.map { try bench.node($0, gigabytes: 4096, cores: 4096) }
        var options = RedisConnectionOptions()
        options.session.scripts = QueueScripts.forNodes
        options.session.channels = [bench.keys.wakeChannel]
        let clients = try names.map { _ in try BlockingRedisClient(bench.server.endpoint, options: options) }
        _ = try load(bench, 0..<taskCount)

        var reports: [[RedisRequest]] = names.map { _ in [] }
        var reported = 0
        let (start, before) = (SystemClock.bootNanoseconds(), try bench.processorMicroseconds())
        while reported < taskCount {
            for index in nodes.indices {
                let claim = nodes[index].claimRequest(16, gigabytes: 4096, cores: 4096)
                let replies = try clients[index].pipeline(reports[index] + [claim])
                reported += reports[index].count
                reports[index] = try ClaimTasks.parse(replies.last ?? .null).tasks.map { finished($0, nodes[index]) }
            }
        }
        let seconds = Double(SystemClock.bootNanoseconds() - start) / 1e9
        let busy = (try bench.processorMicroseconds() - before) / Double(taskCount)
        #expect(try bench.numbers == [0, 0, taskCount, 0])
        guard isFull else { return }
        print("\(nodeCount) nodes: \(Int(Double(taskCount) / seconds)) tasks/s, \(busy) us of Redis's CPU a task")
        try reportIdleCost(nodes, clients)
    }

    /// What a heartbeat and an empty claim take: an idle node sends one of each every few seconds.
    private func reportIdleCost(_ nodes: [BenchNode], _ clients: [BlockingRedisClient]) throws {
        let bench = nodes[0].bench
        let before = try bench.processorMicroseconds()
        for index in nodes.indices {
            let heartbeat = Heartbeat(
                keys: bench.keys, incarnation: nodes[index].incarnation, leaseMilliseconds: 60_000,
                status: "1:0:1:0:1", mayReap: true)
            _ = try clients[index].pipeline([heartbeat.request, nodes[index].claimRequest(16)])
        }
        let cost = (try bench.processorMicroseconds() - before) / Double(nodes.count)
        print("an idle node: \(cost) us of Redis's CPU for a heartbeat and a claim")
    }

    private func finished(_ task: ClaimTasks.Claimed, _ node: BenchNode) -> RedisRequest {
        ReportTask(
            keys: node.bench.keys, incarnation: node.incarnation, line: task.line, token: task.token,
            result: .finished(
                value: FinishedValue.encode(worker: node.name, standardOutput: Array("done\n".utf8)),
                record: #"{"cause":"exit","exit_code":0}"#)
        ).request
    }

    private func reportCost(_ bench: QueueBench, _ node: BenchNode) throws -> Double {
        let reports = try node.claim(1000, gigabytes: 4096, cores: 4096).map { finished($0, node) }
        let before = try bench.processorMicroseconds()
        _ = try bench.client(for: reports[0]).pipeline(reports)
        return (try bench.processorMicroseconds() - before) / Double(reports.count)
    }
}

extension QueueBench {
    /// What all scripts together have taken so far.
    func scriptMicroseconds() throws -> Double {
        var total = 0.0
        for line in (try command("INFO", "commandstats").string ?? "").split(whereSeparator: \.isNewline)
        where line.hasPrefix("cmdstat_evalsha:") {
            total += line.split(separator: "usec=").last.flatMap { Double($0.prefix { $0 != "," }) } ?? 0
        }
        return total
    }

    /// The CPU time of Redis's main thread so far, which unlike the time scripts took does not grow while others have the CPU.
    func processorMicroseconds() throws -> Double {
        var total = 0.0
        for line in (try command("INFO", "cpu").string ?? "").split(whereSeparator: \.isNewline)
        where line.hasPrefix("used_cpu_user_main_thread:") || line.hasPrefix("used_cpu_sys_main_thread:") {
            total += line.split(separator: ":").last.flatMap { Double($0) } ?? 0
        }
        return total * 1e6
    }

    func usedMemory() throws -> Int {
        let lines = (try command("INFO", "memory").string ?? "").split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix("used_memory:") }.flatMap { Int($0.dropFirst(12)) } ?? 0
    }
}

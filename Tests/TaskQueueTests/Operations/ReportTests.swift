import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Reporting, leases, and what is lost")
struct ReportTests {
    @Test("a line that waits, runs or has finished is not added again, and is counted as what it is")
    func submitCounts() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("done"), line("running"))
        let tasks = try node.claim(2)
        try node.finish(tasks[0])
        let reply = try bench.submit(line("done"), line("running"), line("new"), line("new"))
        #expect([reply.added, reply.inTodo, reply.inProgress, reply.finished] == [1, 1, 1, 1])
    }

    @Test("finished: the old hash holds worker and output, and nothing else remains of the run")
    func finished() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"))
        let task = try #require(try node.claim().first)
        #expect(try node.finish(task, output: "said \"hi\"\n") == .accepted)
        #expect(try bench.command("HGET", bench.keys.finished, task.line).string == #"a: "said \"hi\"\n""#)
        #expect(try bench.numbers == [0, 0, 1, 0])
        #expect(try node.held == [])
        #expect(try node.finish(task) == .duplicate)
        #expect(try bench.numbers == [0, 0, 1, 0])
    }

    @Test("a failed line goes back until it failed on as many workers as may try it, then stays failed")
    func retries() throws {
        let bench = try QueueBench()
        let nodes = [try bench.node("a"), try bench.node("b"), try bench.node("c")]
        try bench.submit(line("x"))
        for (index, node) in nodes.enumerated() {
            let task = try #require(try node.claim().first)
            #expect(task.attempt == index + 1)
            #expect(try node.fail(task, attemptsMax: 3) == .accepted)
            #expect(try bench.numbers == (index < 2 ? [1, 0, 0, 0] : [0, 0, 0, 1]))
        }
        #expect(try bench.command("HGET", bench.keys.failed, line("x")).string == "a,b,c,")
        #expect(try bench.command("HGET", bench.keys.failReason, line("x")).string == "exit 1")
        #expect(try bench.submit(line("x")).added == 1)
        #expect(try bench.numbers == [1, 0, 0, 0])
        #expect(try nodes[0].claim().first?.attempt == 1)
    }

    @Test("a retry waits twice as long after each failure, an hour at most")
    func growingDelay() throws {
        let bench = try QueueBench()
        let nodes = try (0..<8).map { try bench.node("n\($0)") }
        try bench.submit(line("x"))
        for (index, seconds) in [600, 1200, 2400, 3600, 3600].enumerated() {
            let task = try #require(try nodes[index].claim().first)
            try nodes[index].fail(task, attemptsMax: 9, retryMilliseconds: 600_000)
            let due = try #require(try nodes[7].claimReply().dueMilliseconds)
            #expect((seconds * 1000 - 60_000...seconds * 1000).contains(due))
            let hastened = RetryTasks([try TaskLine(parsing: line("x"))], keys: bench.keys)
            _ = try RetryTasks.parse(try bench.call(hastened.request))
        }
    }

    @Test("what waits for its retry is not given, and its time is told")
    func delay() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        try a.fail(try #require(try a.claim().first), retryMilliseconds: 3_600_000)
        let reply = try b.claimReply()
        #expect(reply.tasks.isEmpty && !reply.needsSweep)
        #expect((3_590_000...3_600_000).contains(try #require(reply.dueMilliseconds)))
        #expect(try bench.counts.todo == 1)
    }

    @Test("a returned line is as if it had not been taken")
    func returned() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"))
        let task = try #require(try node.claim().first)
        #expect(try node.report(task, .returned) == .accepted)
        #expect(try node.report(task, .returned) == .stale)
        #expect(try node.claim().first?.attempt == 1)
    }

    @Test("the tasks of a dead node run elsewhere, and its late report is refused")
    func reap() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try a.beat()
        try bench.submit(line("x"), line("y"))
        let lost = try a.claim(2)
        try a.loseLease()
        #expect(try b.beat(silence: 0).reapedCount == 0)
        #expect(try b.beat().reapedCount == 2)
        #expect(try bench.numbers == [2, 0, 0, 0])
        #expect(try bench.command("HEXISTS", bench.keys.workerStatus, "a").int == 0)
        let again = try b.claim(2)
        #expect(again.map(\.attempt) == [2, 2])
        #expect(try a.finish(lost[0]) == .stale)
        for task in again { try b.finish(task) }
        #expect(try bench.numbers == [0, 0, 2, 0])
        #expect(try a.finish(lost[0]) == .stale)
    }

    @Test("a line that took three nodes with it stays failed, as node lost")
    func poison() throws {
        let bench = try QueueBench()
        let watcher = try bench.node("watcher")
        try bench.submit(line("x"))
        for name in ["a", "b", "c"] {
            let node = try bench.node(name)
            #expect(try node.claim().count == 1)
            try node.loseLease()
            try watcher.beat()
        }
        #expect(try bench.numbers == [0, 0, 0, 1])
        let record = try bench.command("HGET", bench.keys.outcomes, line("x")).string ?? ""
        #expect(record.contains(#""cause":"node-lost""#))
    }

    @Test("a node that starts anew gives back what its last life held; another machine under its name is refused")
    func registration() throws {
        let bench = try QueueBench()
        let first = try bench.node("a", life: 1)
        try bench.submit(line("x"))
        #expect(try first.claim().count == 1)
        let error = #expect(throws: QueueError.self) { try bench.node("a", machine: "other") }
        guard case .nameTaken("a", nil, let remaining) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect((1...60_000).contains(remaining))
        let second = try bench.node("a", life: 2)
        #expect(try bench.numbers == [1, 0, 0, 0])
        #expect(throws: try bench.fenced) { try first.claim() }
        #expect(throws: (any Error).self) { try bench.node("a", life: 1) }
        #expect(try second.claim().count == 1)
    }

    @Test("a node that leaves gives back what it held, without a mark")
    func leave() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        _ = try a.claim()
        _ = try bench.call(LeaveQueue(keys: bench.keys, incarnation: a.incarnation).request)
        #expect(try b.claim().first?.attempt == 1)
    }

    @Test("cancelling ends what waits, and tells the node of what runs")
    func cancel() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("runs", priority: 2), line("waits"))
        _ = try node.claim()
        func cancel(_ line: String) throws -> CancelTask.Reply {
            try CancelTask.parse(try bench.call(CancelTask(line, keys: bench.keys).request))
        }
        #expect(try cancel(line("waits")) == .cancelled)
        #expect(try cancel(line("runs", priority: 2)) == .stopping)
        #expect(try cancel(line("nobody")) == .notFound)
        let request = TakeCancellations(keys: bench.keys, incarnation: node.incarnation).request
        #expect(try TakeCancellations.parse(try bench.call(request)) == [line("runs", priority: 2)])
        #expect(try bench.numbers == [0, 1, 0, 1])
    }

    @Test("a line in todo that is no task fails with its reason")
    func reject() throws {
        let bench = try QueueBench()
        try bench.command("HSET", bench.keys.todo, "nonsense", "")
        for _ in 0..<2 {
            _ = try bench.call(RejectLine(Array("nonsense".utf8), reason: "not a task", keys: bench.keys).request)
        }
        #expect(try bench.numbers == [0, 0, 0, 1])
        #expect(try bench.command("HGET", bench.keys.failReason, "nonsense").string == "not a task")
    }

    @Test("out of memory, nothing is added, and what runs is still reported")
    func outOfMemory() throws {
        let bench = try QueueBench(configuration: ["maxmemory-policy noeviction"])
        let node = try bench.node("a")
        try bench.submit(line("x"))
        try bench.command("CONFIG", "SET", "maxmemory", "1")
        let error = #expect(throws: QueueError.self) { try bench.submit(line("y")) }
        #expect(error?.description.contains("out of memory") == true)
        let task = try #require(try node.claim().first)
        #expect(try node.finish(task) == .accepted)
        try node.beat()
    }

    @Test("queues with different prefixes share a Redis and nothing else")
    func prefixes() throws {
        let first = try QueueBench(prefix: "one:")
        let second = try QueueBench(sharing: first, prefix: "two:")
        try first.submit(line("x"))
        #expect(try first.numbers == [1, 0, 0, 0])
        #expect(try second.numbers == [0, 0, 0, 0])
        #expect(try second.node("a").claim().isEmpty)
    }

    @Test(
        "a reply of the wrong shape is an error, never a crash",
        arguments: [
            RESPValue.null, .integer(7), .array([]), .array([.integer(-1), .null, .integer(2), .integer(3)]),
            .array([.array([.integer(1), .null]), .null, .null, .null]), .error(RedisError(code: "ERR", message: "x")),
            .simpleString("OK"), .map([]),
        ])
    func hostileReplies(value: RESPValue) {
        _ = try? ClaimTasks.parse(value)
        _ = try? ReportTask.parse(value)
        _ = try? SubmitTasks.parse(value)
        _ = try? Heartbeat.parse(value)
        _ = try? HeldTasks.parse(value)
        _ = try? ReadCounts.parse(value)
        _ = try? ScanHash.parse(value)
        _ = try? ReadFields.parse(value)
        _ = try? CancelTask.parse(value)
        #expect(throws: QueueError.self) { try ReadCounts.parse(value) }
    }
}

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Orders")
struct OrderTests {
    private func tasks(_ lines: String...) throws -> ArraySlice<TaskLine> {
        try lines.map { try TaskLine(parsing: $0) }[...]
    }

    private func cancel(_ bench: QueueBench, _ line: String) throws -> CancelTask.Reply {
        try CancelTask.parse(try bench.call(CancelTask(line, keys: bench.keys).request))
    }

    private func cancellations(_ node: BenchNode) throws -> [String] {
        let request = TakeCancellations(keys: node.bench.keys, incarnation: node.incarnation).request
        return try TakeCancellations.parse(try node.bench.call(request))
    }

    @Test(
        "a running task that is cancelled is told of until its report is in, and then is failed whatever the report says"
    )
    func cancelRunning() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"), line("y"), line("z"))
        let held = try node.claim(3)
        #expect(try !node.beat().hasCancellations)
        for task in held { #expect(try cancel(bench, task.line) == .stopping) }
        #expect(try node.beat().hasCancellations && node.claimReply().hasCancellations)
        for _ in 0..<2 { #expect(try cancellations(node).sorted() == held.map(\.line)) }
        #expect(try node.report(held[0], .returned) == .accepted)
        #expect(try node.fail(held[1]) == .accepted)
        #expect(try bench.numbers == [0, 1, 0, 2])
        #expect(try bench.command("HGET", bench.keys.failReason, held[0].line).string == "cancelled")
        #expect(try cancellations(node) == [held[2].line])
        #expect(try node.finish(held[2]) == .accepted)
        #expect(try bench.numbers == [0, 0, 1, 2], "what finished before it could be stopped has finished")
        #expect(try !node.beat().hasCancellations)
    }

    @Test("a running task that is cancelled does not run again when its node dies")
    func cancelThenLost() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        _ = try a.claim()
        #expect(try cancel(bench, line("x")) == .stopping)
        try a.loseLease()
        #expect(try b.beat().reapedCount == 1)
        #expect(try bench.numbers == [0, 0, 0, 1])
    }

    @Test("a requeued task runs elsewhere, its node is told, and gets nothing before it knows")
    func requeue() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"), line("y"))
        let task = try #require(try a.claim().first)
        let request = RequeueTasks(try tasks(line("x"), line("y")), keys: bench.keys).request
        #expect(try RequeueTasks.parse(try bench.call(request)) == 1)
        #expect(try bench.numbers == [2, 0, 0, 0])
        let reply = try a.claimReply(2)
        #expect(reply.tasks.isEmpty && reply.hasCancellations && reply.isHeldBack)
        #expect(try cancellations(a) == [line("x")])
        #expect(try cancellations(a) == [])
        #expect(try b.claim().map(\.line) == [line("x")])
        #expect(try a.claim().map(\.line) == [line("y")])
        #expect(try a.finish(task) == .stale)
    }

    @Test("what an old worker runs is requeued too")
    func requeueOld() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x", memory: "2"))
        _ = try OldWorker(bench: bench, name: "old").take()
        let request = RequeueTasks(try tasks(line("x", memory: "2")), keys: bench.keys).request
        #expect(try RequeueTasks.parse(try bench.call(request)) == 1)
        #expect(try node.claim().map(\.line) == [line("x", memory: "2")])
    }

    @Test("retry queues what failed for good, hastens what waits, and leaves the rest alone")
    func retry() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(
            line("failed", priority: 4), line("waits", priority: 3), line("done", priority: 2), line("todo"))
        let held = try a.claim(3)
        try a.fail(held[0], attemptsMax: 1)
        try a.fail(held[1], retryMilliseconds: 3_600_000)
        try a.finish(held[2])
        #expect(try b.claimReply(0).dueMilliseconds ?? 0 > 3_000_000)
        let all = try tasks(
            line("failed", priority: 4), line("waits", priority: 3), line("done", priority: 2), line("todo"))
        let reply = try RetryTasks.parse(try bench.call(RetryTasks(all, keys: bench.keys).request))
        #expect(reply.queued == 1 && reply.hastened == 1)
        #expect(try bench.numbers == [3, 0, 1, 0])
        #expect(try b.claim(10).map(\.attempt) == [1, 2, 1])
    }

    @Test("forgetting takes what has ended out of the counts, and nothing else")
    func forget() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(
            line("done", priority: 4), line("failed", priority: 3), line("retried", priority: 2), line("todo"))
        let held = try node.claim(3)
        try node.finish(held[0])
        try node.fail(held[1], attemptsMax: 1)
        try node.fail(held[2])
        let lines = held.map { Array($0.line.utf8) }[...]
        func forget(_ state: ForgetTasks.State) throws -> Int {
            try ForgetTasks.parse(try bench.call(ForgetTasks(state, lines, keys: bench.keys).request))
        }
        #expect(try forget(.finished) == 1)
        #expect(try bench.numbers == [2, 0, 0, 1])
        #expect(try forget(.failed) == 1)
        #expect(try bench.numbers == [2, 0, 0, 0])
        #expect(Set(try bench.state().outcomes.keys) == [held[2].line])
        #expect(try bench.submit(line("done", priority: 4)).added == 1, "it may be submitted anew")
    }

    @Test(
        "a drained node is given nothing, in its next life neither, until it is resumed; the others are not concerned")
    func drain() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("1"), line("2"), line("3"), line("4"))
        _ = try a.claim()
        try bench.command("HSET", bench.keys.workerStatus, "old", "1:0:1:0:1")
        #expect(try bench.drain("a", "old", "nobody") == [.done(heldCount: 1), .oldWorker, .unknownNode])
        #expect(try a.claim().isEmpty && b.claim().count == 1)
        #expect(try a.beat().isDrained && !b.beat().isDrained)
        let reborn = try bench.node("a", life: 2)
        #expect(try reborn.claim().isEmpty)
        let nodes = try ReadNodes.parse(try bench.call(ReadNodes(keys: bench.keys).request))
        #expect(nodes.filter(\.isDrained).map(\.incarnation) == [reborn.incarnation])
        #expect(nodes.allSatisfy { $0.version == "1.0.0" })

        let before = try bench.publishCount
        #expect(try bench.drain("a", "nobody", isDraining: false) == [.done(heldCount: 0), .unknownNode])
        #expect(try bench.publishCount == before + 1)
        #expect(try reborn.claim().count == 1 && !reborn.beat().isDrained)
    }

    @Test("a paused queue gives nothing, says so, and goes on where it was")
    func pause() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"))
        try PauseQueue.parse(try bench.call(PauseQueue(true, keys: bench.keys).request))
        let reply = try node.claimReply()
        #expect(reply.tasks.isEmpty && reply.isPaused)
        #expect(try bench.counts.isPaused && node.beat().isPaused)
        let before = try bench.publishCount
        try PauseQueue.parse(try bench.call(PauseQueue(false, keys: bench.keys).request))
        #expect(try bench.publishCount == before + 1)
        #expect(try node.claim().count == 1)
    }

    @Test("submitting wakes nodes that asked in vain, once for a thousand submissions to nodes that are busy")
    func wake() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        #expect(try node.claim(5).isEmpty)
        let before = try bench.publishCount
        for number in 0..<20 { try bench.submit(line("t\(number)")) }
        #expect(try bench.publishCount <= before + 2, "once, and once a second")
        #expect(try bench.publishCount > before)
        #expect(try node.claim(20).count == 20)
        #expect(try node.claim(5).isEmpty)
        let then = try bench.publishCount
        try bench.submit(line("more"))
        #expect(try bench.publishCount == then + 1)
    }

    @Test("what a node has, holds, and how long its lease lasts is listed, a page at a time")
    func nodes() throws {
        let bench = try QueueBench()
        for number in 0..<230 { _ = try bench.node("n\(number)", gigabytes: 3, cores: 2) }
        try bench.submit(line("x"))
        _ = try bench.node("n7", life: 2, gigabytes: 3, cores: 2).claim()
        var nodes: [ReadNodes.Node] = []
        repeat {
            let request = ReadNodes(keys: bench.keys, offset: nodes.count).request
            nodes += try ReadNodes.parse(try bench.call(request))
        } while nodes.count % ReadNodes.pageSize == 0
        #expect(nodes.count == 230)
        #expect(nodes.filter { $0.heldCount == 1 }.map(\.incarnation.nodeName) == ["n7"])
        #expect(nodes.allSatisfy { $0.memoryBytes == 3 << 30 && $0.millicores == 2000 })
        #expect(nodes.allSatisfy { (1...60_000).contains($0.leaseMilliseconds) })
    }

    @Test("outcomes are read a page at a time by somebody who may only look")
    func reading() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<50).map { line("t\($0)") })
        for (index, task) in try node.claim(50).enumerated() {
            try node.fail(task, attemptsMax: index % 2 == 0 ? 1 : 9)
        }
        let watcher = bench.client(for: ReadCounts(keys: bench.keys).request)
        let page = try ScanHash.parse(try watcher.call(ScanHash(bench.keys.failed, cursor: "0").request))
        let lines = page.entries.map(\.field)
        #expect(page.cursor == "0" && lines.count == 50)
        let retrying = try watcher.perform(ReadRetrying(lines[...], keys: bench.keys))
        #expect(retrying.filter { $0 == .retrying }.count == 25)
        let values = try ReadFields.parse(try watcher.call(ReadFields(bench.keys.outcomes, fields: lines).request))
        for value in values {
            let entry = try #require(OutcomeEntry(parsing: value ?? []))
            #expect(entry.record == Array(#"{"cause":"exit","exit_code":1}"#.utf8))
        }
        let refused = try watcher.call(PauseQueue(true, keys: bench.keys).request)
        #expect(refused.error?.message.contains("can't run this command") == true)
    }
}

@Suite("Access")
struct AccessTests {
    private func calls(in scripts: [RedisScript]) -> Set<String> {
        Set(
            scripts.flatMap { script in
                script.source.components(between: "call(", and: ",").filter { $0.hasPrefix("'") }
                    .map { $0.filter { $0 != "'" && $0 != ")" }.lowercased() }
            })
    }

    @Test("nodes and submitters may call all that their scripts call")
    func covered() {
        let keys = QueueKeys(prefix: "q[1]:")
        for (access, scripts) in [(QueueAccess.node, QueueScripts.forNodes), (.submitter, QueueScripts.ofCommandLine)] {
            let allowed = Set(access.rules(keys: keys).filter { $0.hasPrefix("+") }.map { String($0.dropFirst()) })
            #expect(calls(in: scripts).count > 20)
            #expect(calls(in: scripts).subtracting(allowed).subtracting(["scard"]) == [], "\(access)")
            let direct: Set = [
                "hello", "select", "ping", "eval", "evalsha", "script|load", "info", "subscribe", "unsubscribe",
                "hscan", "smismember", "zcount", "scan", "unlink",
            ]
            #expect(
                allowed.subtracting(calls(in: scripts)).subtracting(direct) == [], "\(access) may do what it never does"
            )
        }
    }

    @Test("a user of one queue cannot touch another, nor any other key")
    func separate() throws {
        let bench = try QueueBench(prefix: "q[1]*:")
        let client = bench.client(for: .command(RedisCommand("PING")))
        func code(_ words: String...) throws -> String? {
            try client.call(.command(RedisCommand(bytes: words.map { Array($0.utf8) }))).error?.code
        }
        #expect(try code("HSET", "q[1]*:todo_tasks", "x", "") == nil)
        for key in ["q1:todo_tasks", "q[1]x:todo_tasks", "other", "q[1]*:distcomp"] {
            #expect(try code("HSET", key, "x", "") == "NOPERM")
        }
        #expect(try code("PUBLISH", "q[1]*:distcomp:wake", "todo") == nil)
        #expect(try code("PUBLISH", "other", "todo") == "NOPERM")
        for words in [
            ["FLUSHALL"], ["CONFIG", "GET", "*"], ["KEYS", "*"], ["ACL", "LIST"], ["HGETALL", "q[1]*:todo_tasks"],
        ] {
            #expect(
                try client.call(.command(RedisCommand(bytes: words.map { Array($0.utf8) }))).error?.code == "NOPERM")
        }
    }
}

extension QueueBench {
    /// How often anybody has published anything.
    var publishCount: Int {
        get throws {
            let lines = (try command("INFO", "commandstats").string ?? "").split(whereSeparator: \.isNewline)
            let line = lines.first { $0.hasPrefix("cmdstat_publish:calls=") }
            return line.flatMap { Int($0.dropFirst(22).prefix { $0 != "," }) } ?? 0
        }
    }
}

extension String {
    /// What stands between each `start` and the next `end`.
    fileprivate func components(between start: String, and end: Character) -> [String] {
        var found: [String] = []
        var rest = self[...]
        while let range = rest.firstRange(of: start) {
            rest = rest[range.upperBound...]
            found.append(String(rest.prefix { $0 != end && $0 != ")" }))
        }
        return found
    }
}

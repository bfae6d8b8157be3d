import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Beside the old system")
struct OldSystemTests {
    @Test("an old manager's 5,000 lines are found among ours, and each runs once")
    func oldManager() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<500).map { line("ours \($0)") })
        try OldManager(bench: bench).load((0..<5000).map { line("theirs \($0)", memory: "\($0 % 3)") })
        var seen: Set<String> = []
        while case let tasks = try node.claimSweeping(250), !tasks.isEmpty {
            for task in tasks {
                #expect(seen.insert(task.line).inserted)
                try node.finish(task)
            }
        }
        #expect(try bench.numbers == [0, 0, 5500, 0])
    }

    @Test("old lines are found while ours keep the nodes busy, not only when there is nothing else")
    func foundEarly() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<100).map { line("ours \($0)") })
        try OldManager(bench: bench).load([line("urgent", priority: 9)])
        #expect(try node.claimReply(1).needsSweep)
        try node.sweep()
        #expect(try node.claim(1).map(\.line) == [line("urgent", priority: 9)])
    }

    @Test("lines are found though entries an old worker left in the index make up for them in number")
    func hiddenByStaleEntries() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", gigabytes: 8)
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit((0..<10).map { line("big \($0)", memory: "32") })
        for _ in 0..<10 { _ = try worker.take() }
        try OldManager(bench: bench).load([line("theirs")])
        #expect(try node.claimReply(1, gigabytes: 8).needsSweep)
    }

    @Test("old workers and new nodes share 3,000 tasks, and each runs once", arguments: [1, 2, 3])
    func shared(seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        let bench = try QueueBench()
        let nodes = [try bench.node("a"), try bench.node("b")]
        let workers = ["old1", "old2"].map { OldWorker(bench: bench, name: $0) }
        try bench.submit((0..<2000).map { line("ours \($0)", priority: $0 % 3) })
        try OldManager(bench: bench).load((0..<1000).map { line("theirs \($0)") })
        var runs: [String: Int] = [:]
        while try bench.counts.todo > 0 {
            let index = Int.random(in: 0..<2, using: &random)
            if Bool.random(using: &random) {
                for _ in 0..<20 {
                    guard let task = try workers[index].take() else { break }
                    runs[task, default: 0] += 1
                    try workers[index].finish(task, output: "done")
                }
            } else {
                for task in try nodes[index].claimSweeping(1 + Int.random(in: 0..<64, using: &random)) {
                    runs[task.line, default: 0] += 1
                    try nodes[index].finish(task)
                }
            }
        }
        #expect(runs.count == 3000)
        #expect(runs.values.allSatisfy { $0 == 1 })
        #expect(try bench.numbers == [0, 0, 3000, 0])
    }

    @Test("where an old worker failed counts, and whoever fails it last ends it")
    func failures() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit(line("x"))
        try worker.fail(try #require(try worker.take()))
        try a.fail(try #require(try a.claim().first), attemptsMax: 3)
        #expect(try bench.command("HGET", bench.keys.failed, line("x")).string == "old,a,")
        #expect(try a.claim().isEmpty)
        #expect(try bench.numbers == [1, 0, 0, 0])
        try b.fail(try #require(try b.claim().first), attemptsMax: 3)
        #expect(try bench.numbers == [0, 0, 0, 1])
    }

    @Test("a line that failed on ours and then for good on an old worker is counted as failed once that is seen")
    func failedByOldWorker() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit(line("x"))
        try a.fail(try #require(try a.claim().first), attemptsMax: 2)
        try worker.fail(try #require(try worker.take()), attemptsMax: 2)
        #expect(try b.claim().isEmpty)
        #expect(try bench.numbers == [0, 0, 0, 1])
        // And what an old worker finished is not counted as failed, though it leaves the marks.
        try bench.submit(line("y"))
        try a.fail(try #require(try a.claim().first), attemptsMax: 2)
        try worker.finish(try #require(try worker.take()), output: "")
        #expect(try b.claim().isEmpty)
        #expect(try bench.numbers == [0, 0, 1, 1])
        try b.beat()
        #expect(try bench.numbers == [0, 0, 1, 1])
    }

    @Test("a line that an old worker took and died with comes back after its grace, a retry too")
    func dropped() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit(line("x"), line("again"))
        for task in try a.claim(2) where task.line == line("again") { try a.fail(task) }
        #expect(try worker.take(dies: true) == line("again"))
        #expect(try b.claim().isEmpty)
        #expect(try b.beat(graceMilliseconds: 60_000).recoveredCount == 0)
        #expect(try b.beat(graceMilliseconds: 0).recoveredCount == 1)
        #expect(try b.beat(graceMilliseconds: 0).recoveredCount == 0)
        #expect(try bench.numbers == [1, 1, 0, 0])
        let task = try #require(try b.claim().first)
        #expect(task.line == line("again") && task.attempt == 2)
    }

    @Test("a line that was only between HDEL and HSET does not come back")
    func notDropped() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit(line("x"), line("y"))
        let lines = [try #require(try worker.take(dies: true)), try #require(try worker.take(dies: true))]
        #expect(try node.claim(2).isEmpty)
        try bench.command("HSET", bench.keys.inProgress, lines[0], "old")
        try worker.finish(lines[1], output: "")
        #expect(try node.beat(graceMilliseconds: 0).recoveredCount == 0)
        #expect(try bench.numbers == [0, 1, 1, 0])
    }

    @Test("a todo that somebody emptied stays empty, and 3,000 entries left of it hold up nobody")
    func emptied() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<3000).map { line("gone \($0)", priority: 5) })
        try bench.command("DEL", bench.keys.todo)
        try bench.submit(line("new"))
        var tasks: [ClaimTasks.Claimed] = []
        for _ in 0..<10 where tasks.isEmpty {
            let reply = try node.claimReply(1)
            tasks = reply.tasks
            #expect(!tasks.isEmpty || reply.dueMilliseconds == 0, "it is to ask again at once")
        }
        #expect(tasks.map(\.line) == [line("new")])
        #expect(try node.beat(graceMilliseconds: 0).recoveredCount == 0)
        #expect(try bench.counts.todo == 0)
    }

    @Test("what is cancelled, or finished and forgotten, is never taken for dropped")
    func forgotten() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let worker = OldWorker(bench: bench, name: "old")
        try bench.submit(line("done by an old worker"))
        try worker.finish(try #require(try worker.take()), output: "")
        try bench.submit(line("cancelled"), line("retried", priority: 3))
        try node.fail(try #require(try node.claim().first), retryMilliseconds: 3_600_000)
        let lines = ["done by an old worker", "cancelled"].map { line($0) } + [line("retried", priority: 3)]
        for text in lines[1...] {
            #expect(try CancelTask.parse(try bench.call(CancelTask(text, keys: bench.keys).request)) == .cancelled)
        }
        for state in [ForgetTasks.State.finished, .failed] {
            let request = ForgetTasks(state, lines.map { Array($0.utf8) }[...], keys: bench.keys).request
            _ = try ForgetTasks.parse(try bench.call(request))
        }
        #expect(try node.claim(10).isEmpty)
        #expect(try node.beat(graceMilliseconds: 0).recoveredCount == 0)
        #expect(try bench.numbers == [0, 0, 0, 0])
        #expect(try bench.counts.delayed == 0)
    }

    @Test("what the old manager moves to todo while it runs here ends once, whoever is first")
    func movedByHand() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let manager = OldManager(bench: bench)
        try bench.submit(line("first"), line("second"), line("third"))
        let tasks = try a.claim(3)
        try manager.moveInProgressTaskToTodo()
        #expect(try a.finish(tasks[0]) == .accepted)  // Before anybody took it: nobody will.
        let again = try b.claimSweeping(10)
        #expect(again.map(\.line).sorted() == [line("second"), line("third")])
        #expect(try a.finish(tasks[1]) == .stale)
        for task in again { #expect(try b.finish(task) == .accepted) }
        #expect(try a.finish(tasks[2]) == .stale)
        #expect(try a.held == [])
        #expect(try bench.numbers == [0, 0, 3, 0])
        #expect(try bench.command("HGET", bench.keys.finished, line("second")).string?.hasPrefix("b: ") == true)
    }

    @Test("what an old manager puts back into todo after it failed for good runs again, with a clean slate")
    func movedFailed() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"))
        try node.fail(try #require(try node.claim().first), attemptsMax: 1)
        try OldManager(bench: bench).moveFailedTaskToTodo()
        #expect(try bench.numbers == [1, 0, 0, 0])
        try node.finish(try #require(try node.claimSweeping(1).first))
        #expect(try bench.numbers == [0, 0, 1, 0])
    }

    @Test("the old manager's commands read what we write")
    func readable() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("done", priority: 3), line("bad", priority: 2), line("runs"))
        let tasks = try node.claim(3)
        try node.finish(tasks[0], output: "two\nlines")
        try node.fail(tasks[1], attemptsMax: 1)
        let state = try bench.state()
        #expect(state.finished == [line("done", priority: 3): #"a: "two\nlines""#])
        #expect(state.failed == [line("bad", priority: 2): "a,"])
        #expect(state.reasons == [line("bad", priority: 2): "exit 1"])
        #expect(state.inProgress == [line("runs"): "a"])
        let report = try #require(
            NodeReport(parsing: try bench.command("HGET", bench.keys.workerStatus, "a").string ?? ""))
        #expect(report.unixSeconds == 1)
        let worker = OldWorker(bench: bench, name: "old")
        try worker.beat(at: 1_000_000)
        #expect(try bench.counts.workers == 2)
        try OldManager(bench: bench).cleanup(silentSeconds: 60, now: 1_000_001)
        #expect(try bench.counts.workers == 1)
        #expect(try node.beat().closeRequested == false)
        #expect(try bench.counts.workers == 2, "the next heartbeat is heard again")
    }

    @Test("fields of todo with white space around them, no UTF-8, or no task in them, hold up nothing")
    func oddFields() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("known"))
        let fields = [
            " \(line("spaces"))\n", " \(line("known")) ", "# a comment", "", "shell:x:0:0:true",
            "shell:1:0:0:caf\u{e9}",
        ]
        try OldManager(bench: bench).load(fields)
        _ = try bench.client.call(
            .command(RedisCommand(bytes: ["HSET", bench.keys.todo].map { Array($0.utf8) } + [[0x73, 0xFF], []])))
        try bench.command("HSET", bench.keys.todo, TaskLine.closeCommand, "")
        try node.sweep()
        try bench.command("HDEL", bench.keys.todo, TaskLine.closeCommand)
        let tasks = try node.claim(10)
        #expect(Set(tasks.map(\.line)) == [line("known"), line("spaces"), "shell:1:0:0:caf\u{e9}"])
        for task in tasks { #expect(try node.finish(task) == .accepted) }
        #expect(try bench.numbers == [0, 0, 3, 4])
        #expect(try !node.claimReply(1).needsSweep)
    }
}

// A queue that is not the one the nodes knew: emptied, begun anew, or put back to an earlier state.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("A queue that was lost")
struct RestoreTests {
    @Test(
        "after FLUSHALL the nodes are told that the queue is gone, and what they run is theirs again, once they say so")
    func emptied() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let identity = try #require(try bench.counts.identity)
        try bench.submit(line("x", priority: 3, memory: "2"), line("y"))
        let tasks = try node.claim(2)
        try bench.command("FLUSHALL")
        #expect(throws: QueueError.fenced(queue: nil)) { try node.beat() }
        #expect(throws: QueueError.fenced(queue: nil)) { try node.claim() }
        #expect(throws: QueueError.fenced(queue: nil)) { try node.restore(tasks) }
        let again = try bench.node("a", life: 2)
        #expect(try again.restore(tasks) == [.restored, .restored])
        #expect(try again.restore(tasks) == [.held, .held])
        let counts = try bench.counts
        #expect(counts.restored == 2 && counts.inProgress == 2 && counts.todo == 0)
        #expect(counts.identity != nil && counts.identity != identity)
        #expect(try again.held == tasks.map(\.line).sorted())
        for task in tasks { #expect(try again.finish(task) == .accepted) }
        #expect(try bench.numbers == [0, 0, 2, 0])
    }

    @Test("a queue that was begun anew by a submit has another name, which the nodes of the old one are told")
    func begunAnew() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let first = try #require(try bench.counts.identity)
        try bench.submit(line("x"))
        #expect(try bench.counts.identity == first)
        #expect(try node.beat().queue == first)
        try bench.command("FLUSHALL")
        #expect(try bench.counts.identity == nil)
        try bench.submit(line("x"))
        let second = try #require(try bench.counts.identity)
        #expect(second != first)
        #expect(throws: QueueError.fenced(queue: second)) { try node.beat() }
        for garbage in ["", "x", String(repeating: "g", count: 32), String(repeating: "1", count: 33)] {
            try bench.command("HSET", "distcomp:queue", "id", garbage)
            #expect(throws: QueueError.fenced(queue: nil)) { try node.beat() }
        }
        #expect(try bench.node("b").beat().queue != first, "what is no name is replaced")
    }

    @Test("a queue put back to an earlier state gives again only what nobody runs, and no token twice")
    func rolledBack() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit((0..<5).map { line("t\($0)") })
        let before = try bench.snapshot()
        let (ofA, ofB) = (try a.claim(2), try b.claim(2))
        try bench.rollBack(to: before)
        #expect(try bench.numbers == [5, 0, 0, 0])
        #expect(try a.restore(ofA) == [.restored, .restored])
        // Before b is heard, a takes one of its tasks.
        let again = try a.claim()
        #expect(again.map(\.line) == [ofB[0].line])
        #expect(try b.restore(ofB) == [.taken, .restored])
        let last = try b.claim(5)
        #expect(last.map(\.line) == [line("t4")])
        let tokens = (ofA + ofB + again + last).map(\.token)
        #expect(Set(tokens).count == tokens.count)
        #expect(try a.report(ofB[0], .returned) == .stale)
        for task in ofA + again { #expect(try a.finish(task) == .accepted) }
        for task in [ofB[1]] + last { #expect(try b.finish(task) == .accepted) }
        #expect(try bench.numbers == [0, 0, 5, 0])
        #expect(try bench.counts.restored == 3)
    }

    @Test("a state in which an earlier life of the node held the task gives it to the life that runs it")
    func earlierLife() throws {
        let bench = try QueueBench()
        let first = try bench.node("a")
        try bench.submit(line("x"))
        let task = try #require(try first.claim().first)
        let before = try bench.snapshot()
        let second = try bench.node("a", life: 2)
        let again = try #require(try second.claim().first)
        try bench.rollBack(to: before)
        #expect(throws: try bench.fenced) { try second.beat() }
        let third = try bench.node("a", life: 3)
        #expect(try third.restore([again]) == [.restored])
        #expect(try third.finish(again) == .accepted)
        #expect(try first.finish(task) == .stale)
        #expect(try bench.numbers == [0, 0, 1, 0])
    }

    @Test(
        "a life before that a rolled back state knows for alive keeps its tasks for the life that runs them, and no other gets them"
    )
    func lifeBefore() throws {
        let bench = try QueueBench()
        let (first, other) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("runs", priority: 2), line("ended"))
        let tasks = try first.claim(2)
        let second = try bench.node("a", life: 2, runsSomething: true)
        #expect(try other.claim(2).isEmpty)
        #expect(try second.held == [])
        // In two parts, of which the first is told again.
        for answer in [RestoreTasks.Answer.restored, .held] {
            #expect(try second.restore([tasks[0]], earlier: [first.incarnation]) == [answer])
            #expect(try other.claim(2).isEmpty)
        }
        #expect(try second.restore([], earlier: [first.incarnation], isLast: true) == [])
        #expect(try other.claim(2).map(\.attempt) == [2], "what of it does not run any more goes back")
        #expect(throws: try bench.fenced) { try first.beat() }
        #expect(try second.finish(tasks[0]) == .accepted)
        #expect(try first.finish(tasks[1]) == .stale)
    }

    @Test("a life that came later keeps what it took up when the restoring of the one before arrives late")
    func lateRestoring() throws {
        let bench = try QueueBench()
        let first = try bench.node("a")
        try bench.submit(line("x"))
        let tasks = try first.claim()
        let second = try bench.node("a", life: 2, runsSomething: true)
        let third = try bench.node("a", life: 3, runsSomething: true)
        #expect(try third.restore(tasks, earlier: [first.incarnation, second.incarnation]) == [.restored])
        #expect(try second.restore(tasks, earlier: [first.incarnation], isLast: true) == [.taken])
        #expect(try third.finish(tasks[0]) == .accepted)
    }

    @Test("no token is given twice where a server comes back without its last seconds and by a clock that is behind")
    func tokens() throws {
        let bench = try QueueBench()
        let a = try bench.node("a")
        try bench.submit((0..<6).map { line("t\($0)") })
        // Redis's clock has been set back: tokens go on from the last one.
        try bench.command("SET", "distcomp:tokens", "2000000000000000")
        try a.beat(serverRun: "1")
        let before = try bench.snapshot()
        var tokens = try a.claim(3).map(\.token)
        for run in ["2", "3"] {
            try bench.rollBack(to: before)
            try a.beat(serverRun: run)
            let pushed = try bench.command("GET", "distcomp:tokens").string
            try a.beat(serverRun: run)
            #expect(try bench.command("GET", "distcomp:tokens").string == pushed, "once a process")
            tokens += try a.claim(3).map(\.token)
        }
        #expect(Set(tokens).count == 9)
        #expect(tokens.allSatisfy { $0.count == 16 })
        // A server that is another at each look uses the numbers up no further than so.
        try bench.command("SET", "distcomp:tokens", "8000000000000000")
        for run in 4..<20 { try a.beat(serverRun: "\(run)") }
        #expect(try bench.command("GET", "distcomp:tokens").string == "8000000000000000")
    }

    @Test(
        "a first try that is restored leaves no mark of what others made of the line meanwhile, in todo or dropped",
        arguments: [false, true])
    func marks(isDropped: Bool) throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        let first = try #require(try a.claim().first)
        try a.loseLease()
        try b.beat()
        _ = try b.claim()
        try b.loseLease()
        try bench.node("c").beat()
        #expect(try bench.command("HGET", "distcomp:lost", first.line).string == "2")
        if isDropped { try bench.command("HDEL", bench.keys.todo, first.line) }
        let again = try bench.node("a", life: 2)
        #expect(try again.restore([first]) == [.restored])
        #expect(try again.finish(first) == .accepted)
        #expect(try bench.command("EXISTS", "distcomp:lost", "distcomp:attempts").int == 0)
    }

    @Test("what another life of the node holds is taken while that life has a lease, and no longer")
    func otherLife() throws {
        let bench = try QueueBench()
        let first = try bench.node("a")
        try bench.submit(line("x"))
        let task = try #require(try first.claim().first)
        let second = BenchNode(
            bench: bench, name: "a", incarnation: Incarnation(name: "a", machine: "ma", life: 2),
            leaseMilliseconds: 60_000, description: first.description, known: first.known)
        let expiry = String(try bench.clock.queue + 60_000)
        try bench.command("ZADD", bench.keys.leases, expiry, second.incarnation.text)
        #expect(try second.restore([task]) == [.taken])
        try first.loseLease()
        #expect(try second.restore([task]) == [.restored])
        #expect(try first.held == [] && second.held == [task.line])
        #expect(try bench.node("b").beat().reapedCount == 0)
        #expect(try second.finish(task) == .accepted)
    }

    @Test("what has ended is told again; what was taken away by hand, or runs on an old worker, is not restored")
    func taken() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let names = ["done", "failed", "requeued", "old", "elsewhere"]
        try bench.submit(names.enumerated().map { line($1, priority: 9 - $0) })
        let tasks = try a.claim(5)
        try a.finish(tasks[0])
        try a.fail(tasks[1], attemptsMax: 1)
        try bench.perform(RequeueTasks(try tasks[2...].map { try TaskLine(parsing: $0.line) }[...], keys: bench.keys))
        try bench.perform(TakeCancellations(keys: bench.keys, incarnation: a.incarnation))
        try bench.perform(RequeueTasks([try TaskLine(parsing: tasks[2].line)], keys: bench.keys))
        try bench.command("HSET", "distcomp:revoked:" + a.incarnation.text, tasks[2].line, tasks[2].token)
        try bench.command("HDEL", bench.keys.todo, tasks[3].line)
        try bench.command("HSET", bench.keys.inProgress, tasks[3].line, "old")
        #expect(try b.claim(2).map(\.line) == [tasks[2].line, tasks[4].line])
        #expect(try a.restore(tasks) == [.held, .held, .taken, .taken, .taken])
        #expect(try a.finish(tasks[0]) == .duplicate)
        #expect(try bench.counts.restored == 0)
        let odd = [
            ClaimTasks.Claimed(line: line("odd"), token: "x", attempt: 1),
            .init(line: line("odd"), token: String(repeating: "9", count: 17), attempt: 1),
        ]
        #expect(try a.restore(odd) == [.taken, .taken])
    }

    @Test(
        "a task that waits for its retry, or stands in todo by an old manager's hand, is restored and waits no longer")
    func waiting() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x", memory: "1"), line("y"))
        let tasks = try a.claim(2)
        try a.fail(tasks[0], attemptsMax: 9, retryMilliseconds: 3_600_000)
        // It is the try before this one that the queue knows of.
        try bench.command("HSET", bench.keys.outcomes, tasks[0].line, "1 {}")
        try a.report(tasks[1], .returned)
        #expect(try bench.numbers == [2, 0, 0, 0])
        #expect(try a.restore(tasks) == [.restored, .restored])
        #expect(try bench.numbers == [0, 2, 0, 0] && bench.counts.delayed == 0)
        #expect(try b.claim(5).isEmpty)
        for task in tasks { #expect(try a.finish(task) == .accepted) }
        #expect(try bench.numbers == [0, 0, 2, 0])
    }

    @Test("a failure whose answer was lost is a duplicate when it is told again, and counts once")
    func toldBefore() throws {
        let bench = try QueueBench()
        let a = try bench.node("a")
        try bench.submit(line("x"))
        let task = try a.claim()[0]
        try a.fail(task, attemptsMax: 3, retryMilliseconds: 3_600_000)
        #expect(try a.restore([task]) == [.held])
        #expect(try a.fail(task, attemptsMax: 3) == .duplicate)
        #expect(try bench.standing(of: task.line).failedOn == ["a"])
        #expect(try bench.counts.restored == 0 && a.held == [])
    }

    @Test("it does not count after another node's next try either")
    func overtaken() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        let task = try a.claim()[0]
        try a.fail(task)
        try b.fail(try b.claim()[0], retryMilliseconds: 3_600_000)
        #expect(try a.restore([task]) == [.taken])
        #expect(try a.fail(task) == .stale)
        #expect(try bench.standing(of: task.line).failedOn == ["a", "b"])
    }
}

extension BenchNode {
    func restore(
        _ tasks: [ClaimTasks.Claimed], earlier: [Incarnation] = [], isLast: Bool = false
    ) throws -> [RestoreTasks.Answer] {
        try bench.perform(restoreOperation(tasks, earlier: earlier, isLast: isLast))
    }

    func restoreOperation(
        _ tasks: [ClaimTasks.Claimed], earlier: [Incarnation] = [], isLast: Bool = false
    ) throws -> RestoreTasks {
        let running = try tasks.map {
            RestoreTasks.Running(line: try TaskLine(parsing: $0.line), token: $0.token, attempt: $0.attempt)
        }
        return RestoreTasks(
            running[...], keys: bench.keys, incarnation: incarnation, earlier: earlier, isLast: isLast)
    }
}

extension QueueBench {
    /// All that Redis holds, as a replica of some time ago would.
    func snapshot() throws -> [(key: String, value: [UInt8])] {
        try (command("KEYS", "*").elements ?? []).compactMap(\.string).map { key in
            (key, try command("DUMP", key).bytes ?? [])
        }
    }

    func rollBack(to snapshot: [(key: String, value: [UInt8])]) throws {
        try command("FLUSHALL")
        for (key, value) in snapshot {
            let words = [Array("RESTORE".utf8), Array(key.utf8), Array("0".utf8), value]
            if let error = try client.call(.command(RedisCommand(bytes: words))).error { throw error }
        }
    }
}

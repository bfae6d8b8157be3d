import TaskModel
import TaskQueue
import Testing

@Suite("Claiming")
struct ClaimTests {
    @Test("higher priorities come first, and within one the first submitted, whatever their sizes")
    func order() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(
            line("low", priority: -5), line("b", memory: "2"), line("c", memory: "1", cores: "1"),
            line("d", memory: "2"),
            line("high", priority: 9, memory: "3"))
        try bench.submit(line("e"))
        let commands = try node.claim(10).map { $0.line.split(separator: ":").last.map { String($0) } }
        #expect(commands == ["high", "b", "c", "d", "e", "low"])
    }

    @Test("a batch never takes more than what is free, and what does not fit does not hold up what does")
    func fit() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("big", priority: 9, memory: "32"), line("wide", priority: 8, cores: "16"))
        try bench.submit((1...6).map { line("small \($0)", memory: "2", cores: "1") })
        let taken = try node.claim(10, gigabytes: 8, cores: 3)
        #expect(taken.count == 3)
        #expect(taken.allSatisfy { $0.line.contains("small") })
        #expect(try node.claim(10, gigabytes: 5, cores: 64).map(\.line).filter { $0.contains("small") }.count == 2)
    }

    @Test("a claimed line is in progress under the node's name, held by its incarnation, and out of todo")
    func states() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"), line("y"))
        let task = try #require(try node.claim().first)
        #expect(try bench.numbers == [1, 1, 0, 0])
        #expect(try bench.command("HGET", bench.keys.inProgress, task.line).string == "a")
        #expect(try node.held == [task.line])
        #expect(task.attempt == 1)
    }

    @Test("two claimers of 20,000 tasks never get the same one")
    func twoClaimers() throws {
        let bench = try QueueBench()
        let nodes = [try bench.node("a"), try bench.node("b")]
        try bench.submit((0..<20_000).map { line("task \($0)") })
        var seen: Set<String> = []
        var count = 0
        while true {
            let batch = try nodes[count % 2].claim(count % 7 == 0 ? 128 : 16)
            if batch.isEmpty { break }
            count += 1
            for task in batch { #expect(seen.insert(task.line).inserted, "given twice: \(task.line)") }
        }
        #expect(seen.count == 20_000)
        #expect(try bench.counts.todo == 0)
    }

    @Test("what failed on a node goes to another, and 5,000 failures do not hide the node's other work")
    func exclusion() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit((0..<5000).map { line("bad \($0)", priority: 9) })
        while case let batch = try a.claim(128), !batch.isEmpty { for task in batch { try a.fail(task) } }
        try bench.submit(line("good"))
        #expect(try a.claim(10).map(\.line) == [line("good")])
        #expect(try b.claim(10).count == 10)
    }

    @Test("with no other live node that could, a node tries again what failed on it")
    func alone() throws {
        let bench = try QueueBench()
        let a = try bench.node("a")
        let small = try bench.node("small", gigabytes: 1)
        try bench.submit(line("x", memory: "8"))
        try a.fail(try #require(try a.claim().first))
        #expect(try small.claim(1, gigabytes: 1).isEmpty)
        #expect(try a.claim().first?.attempt == 2)
    }

    @Test("a node whose tasks another has begun to put back gets nothing but FENCED, even while it still holds some")
    func fenced() throws {
        let bench = try QueueBench()
        let (node, other) = (try bench.node("a"), try bench.node("b"))
        try bench.submit((0..<300).map { line("\($0)") })
        #expect(try node.claim(300).count == 300)
        try node.loseLease()
        let reaped = try other.beat().reapedCount
        #expect(reaped > 0)
        #expect(throws: QueueError.fenced) { try node.claim() }
        #expect(throws: QueueError.fenced) { try node.beat() }
        while try other.beat().reapedCount > 0 {}
        #expect(throws: QueueError.fenced) { try node.beat() }
        #expect(try bench.numbers == [300, 0, 0, 0])
    }

    @Test("a lease that is over, and that nobody has acted upon, can be renewed: what ran goes on and is reported")
    func renewedLate() throws {
        let bench = try QueueBench()
        let (node, other) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"), line("y"))
        let task = try #require(try node.claim().first)
        try node.loseLease()
        #expect(try other.beat(mayReap: false).reapedCount == 0)
        try node.beat()
        #expect(try other.beat().reapedCount == 0)
        try node.loseLease()
        #expect(try node.claim().count == 1)
        #expect(try other.beat().reapedCount == 0)
        #expect(try node.finish(task) == .accepted)
        #expect(try bench.numbers == [0, 1, 1, 0])
    }

    @Test("WORKER_COMMAND_CLOSE stops the giving, is told, and is no task")
    func close() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"))
        try bench.command("HSET", bench.keys.todo, TaskLine.closeCommand, "")
        let reply = try node.claimReply()
        #expect(reply.tasks.isEmpty && reply.closeRequested)
        #expect(try bench.counts.todo == 1)
        #expect(try node.beat().closeRequested)
    }

    @Test("lines an old manager adds are noticed, adopted once, and claimed")
    func oldManager() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("ours"))
        for number in 0..<5 { try bench.command("HSETNX", bench.keys.todo, line("theirs \(number)"), "") }
        let first = try node.claimReply(10)
        #expect(first.tasks.map(\.line) == [line("ours")] && first.needsSweep)
        let lines = try (0..<5).map { try TaskLine(parsing: line("theirs \($0)")) }
        for _ in 0..<2 { try AdoptLines.parse(try bench.call(AdoptLines(lines, keys: bench.keys).request)) }
        let second = try node.claimReply(10)
        #expect(second.tasks.count == 5 && !second.needsSweep)
    }

    @Test("an entry of the index without its line in todo is dropped on sight")
    func staleEntries() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<50).map { line("gone \($0)") } + [line("here")])
        for number in 0..<50 { try bench.command("HDEL", bench.keys.todo, line("gone \(number)")) }
        #expect(try node.claim(100).map(\.line) == [line("here")])
    }
}

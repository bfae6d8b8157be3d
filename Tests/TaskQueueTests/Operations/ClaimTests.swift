import RedisClient
import RedisServerFixture
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

    @Test("what failed on a node goes to another, and 10,000 failures do not hide the node's other work")
    func exclusion() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit((0..<10_000).map { line("bad \($0)", priority: 9) })
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
        // Redis goes through a small hash at once, however little is asked of it.
        try bench.submit((0..<800).map { line("\($0)") })
        #expect(try node.claim(800).count == 800)
        try node.loseLease()
        #expect(try (1..<800).contains(other.beat().reapedCount))
        #expect(throws: try bench.fenced) { try node.claim() }
        #expect(throws: try bench.fenced) { try node.beat() }
        while try other.beat().reapedCount > 0 {}
        #expect(throws: try bench.fenced) { try node.beat() }
        #expect(try bench.numbers == [800, 0, 0, 0])
    }

    @Test("a lease that is over, and that nobody has acted upon, can be renewed: what ran goes on and is reported")
    func renewedLate() throws {
        let bench = try QueueBench()
        let (node, other) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"), line("y"))
        let task = try #require(try node.claim().first)
        try node.loseLease()
        #expect(try other.beat(silence: 0).reapedCount == 0)
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

    @Test("sizes that take turns come in the order they were submitted")
    func interleaved() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let lines = (0..<120).map { line("t\($0)", memory: "\(1 + $0 % 40)M") }
        try bench.submit(lines)
        var order: [String] = []
        while case let batch = try node.claim(50), !batch.isEmpty { order += batch.map(\.line) }
        #expect(order == lines)
    }

    @Test("a small task behind 700 sizes of large ones, of higher priority, still gets to a small node")
    func smallNode() throws {
        let bench = try QueueBench()
        let node = try bench.node("small", gigabytes: 4)
        try bench.submit((0..<700).map { line("big \($0)", priority: 9, memory: "\(8192 + $0)M") })
        try bench.submit(line("wide", memory: "1", cores: "16"), line("later", memory: "2"), line("first", memory: "3"))
        #expect(try node.claim(5, gigabytes: 4, cores: 4).map(\.line) == [line("later", memory: "2")])
        #expect(try node.claim(5, gigabytes: 4, cores: 4).map(\.line) == [line("first", memory: "3")])
    }

    @Test("what failed here is not kept for a node that has nothing to give, or is drained, too small or dead")
    func noOtherNode() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        _ = try bench.node("few cores", cores: 1)
        try bench.submit(line("x", memory: "8", cores: "2"))
        try a.fail(try #require(try a.claim().first), attemptsMax: 9)
        #expect(try a.claim().isEmpty)
        try b.beat(description: NodeDescription(memoryBytes: 0, millicores: 0))
        try a.fail(try #require(try a.claim().first), attemptsMax: 9)
        try b.beat()
        #expect(try a.claim().isEmpty)
        #expect(try bench.drain("b") == [.done(heldCount: 0)])
        try a.fail(try #require(try a.claim().first), attemptsMax: 9)
        #expect(try bench.drain("b", isDraining: false) == [.done(heldCount: 0)])
        #expect(try a.claim().isEmpty)
        try b.loseLease()
        #expect(try a.claim().count == 1)
    }

    @Test("a line that comes back without a mark comes before those that were submitted after it")
    func oldPlace() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit((0..<4).map { line("t\($0)") })
        try a.report(try #require(try a.claim().first), .returned)
        _ = try a.claim(2)
        try a.loseLease()
        try b.beat()
        #expect(try b.claim(10).map(\.line) == (0..<4).map { line("t\($0)") })
    }

    @Test("tokens are never used twice, though Redis forget the last one")
    func tokens() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<300).map { line("t\($0)") })
        var tokens: Set<String> = []
        for round in 0..<30 {
            if round % 3 == 0 { try bench.command("DEL", "distcomp:tokens") }
            for task in try node.claim(10) { #expect(tokens.insert(task.token).inserted) }
        }
        #expect(tokens.count == 300)
    }

    @Test("two nodes that claim and report at once from 100,000 tasks never get the same one")
    func concurrentClaimers() async throws {
        let bench = try QueueBench()
        let count = 100_000
        let socket = bench.server.socketPath
        try bench.submit((0..<count).map { line("task \($0)") })
        _ = [try bench.node("a"), try bench.node("b")]
        let seen = try await withThrowingTaskGroup(of: [String].self) { group in
            for name in ["a", "b"] { group.addTask { try drain(socket, name) } }
            return try await group.reduce(into: []) { $0 += $1 }
        }
        #expect(seen.count == count)
        #expect(Set(seen).count == count)
        let counts = try bench.counts
        #expect(counts.todo == 0 && counts.inProgress + counts.finished == count)
    }

    @Test("the counts of one look add up to all tasks, while two nodes take them and report them")
    func countsAddUp() async throws {
        let bench = try QueueBench()
        let count = 20_000
        let socket = bench.server.socketPath
        try bench.submit((0..<count).map { line("task \($0)") })
        _ = [try bench.node("a"), try bench.node("b")]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for name in ["a", "b"] { group.addTask { _ = try drain(socket, name) } }
            var counts = QueueCounts()
            repeat {
                counts = try bench.counts
                #expect(counts.todo + counts.inProgress + counts.finished + counts.failed == count)
            } while counts.todo > 0
            try await group.waitForAll()
        }
    }
}

/// Claims and reports in one round trip each, over a connection of its own, until there is nothing left.
private func drain(_ socketPath: String, _ name: String) throws -> [String] {
    let keys = QueueKeys()
    var options = RedisServerFixture.patientOptions
    options.session.scripts = QueueScripts.forNodes
    let client = try BlockingRedisClient(RedisEndpoint(unixPath: socketPath), options: options)
    let incarnation = Incarnation(name: name, machine: "m" + name, life: 1)
    var silence = 0
    var seen: [String] = []
    var reports: [RedisRequest] = []
    while true {
        let claim = ClaimTasks(
            keys: keys, incarnation: incarnation, leaseMilliseconds: 60_000, count: 250, freeMemoryBytes: 0,
            freeMillicores: 0, silence: silence)
        let replies = try client.pipeline(reports + [claim.request])
        for reply in replies.dropLast() where try ReportTask.parse(reply) != .accepted { return seen }
        let reply = try ClaimTasks.parse(replies.last ?? .null)
        let wasRefused = reply.silence != silence
        (silence, reports) = (reply.silence, [])
        if wasRefused { continue }
        let tasks = reply.tasks
        if tasks.isEmpty { return seen }
        seen += tasks.map(\.line)
        // A report more in five batches: most of the time is ours, not Redis's.
        reports = tasks.prefix(seen.count % 1250 == 0 ? 250 : 0).map { task in
            ReportTask(
                keys: keys, incarnation: incarnation, line: task.line, token: task.token,
                result: .finished(value: Array("\(name): \"\"".utf8), record: "{}")
            ).request
        }
    }
}

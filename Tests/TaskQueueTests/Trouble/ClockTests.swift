// What the queue makes of time: a Redis that stands still, clocks that are moved, and a node that is really dead.

import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("The queue's clock")
struct ClockTests {
    /// Ten minutes, which no test takes: only what it says passes.
    private let lease = 600_000

    @Test(
        "a Redis that was frozen for longer than a lease has no living node lose what it runs, whatever was sent before"
    )
    func freeze() throws {
        let lease = 4000  // This one passes.
        let bench = try QueueBench()
        let nodes = try ["a", "b", "c"].map { try bench.node($0, leaseMilliseconds: lease) }
        try bench.submit((0..<6).map { line("t\($0)") })
        let tasks = try nodes.map { try #require(try $0.claim().first) }
        let senders = try nodes.map { _ in try Sender(bench.server.endpoint) }

        bench.server.pause()
        defer { bench.server.resume() }
        for (node, sender) in zip(nodes, senders) {
            try sender.send(node.heartbeat(elapsedMilliseconds: lease / 3).request)
            try sender.send(node.claimRequest())
        }
        let wake = SystemClock.bootNanoseconds() + Int64(lease) * 1_500_000
        while SystemClock.bootNanoseconds() < wake {
            _ = try DescriptorWait.until(senders[0].descriptor, readable: true, writable: false, atMostMilliseconds: 50)
        }
        bench.server.resume()

        for (node, sender) in zip(nodes, senders) {
            let replies = try sender.replies(2)
            #expect(try Heartbeat.parse(replies[0]).reapedCount == 0)
            let claim = try ClaimTasks.parse(replies[1])
            #expect(claim.tasks.isEmpty, "sent before the silence")
            node.known.silence = claim.silence
        }
        for (node, task) in zip(nodes, tasks) {
            #expect(try node.beat().reapedCount == 0)
            #expect(try node.held == [task.line])
        }
        for (node, task) in zip(nodes, tasks) { #expect(try node.finish(task) == .accepted) }
        #expect(try bench.numbers == [3, 0, 3, 0])
    }

    @Test(
        "a clock that is moved, either way, ends no lease, and what was sent before gives and takes over nothing",
        arguments: [3600.0, -3600, 301, -301, -5, 31_536_000])
    func steps(seconds: Double) throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a", leaseMilliseconds: lease), try bench.node("b", leaseMilliseconds: lease))
        try bench.submit(line("x"), line("y"))
        let task = try #require(try a.claim().first)
        let before = b.known.silence
        for round in 1...3 {
            try bench.stepClock(bySeconds: seconds)
            #expect(try b.beat(silence: before).reapedCount == 0)
            #expect(b.known.silence == before + round)
            let claim = try ClaimTasks.parse(try bench.call(a.claimRequest()))
            #expect(claim.tasks.isEmpty && claim.silence == before + round)
            a.known.silence = claim.silence
        }
        #expect(try a.finish(task) == .accepted)
        #expect(try a.claim().count == 1)
        #expect(try b.beat().reapedCount == 0)
    }

    @Test(
        "steps too short to be told from the passing of time end no lease either, since a node knows how long it waited"
    )
    func shortSteps() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a", leaseMilliseconds: lease), try bench.node("b", leaseMilliseconds: lease))
        try bench.submit(line("x"))
        let task = try #require(try a.claim().first)
        for _ in 0..<6 {
            try bench.stepClock(bySeconds: 200)
            #expect(try b.beat(elapsedMilliseconds: 100).reapedCount == 0)
        }
        #expect(try bench.clock.quiet > bench.clock.queue)
        #expect(try a.finish(task) == .accepted)
    }

    @Test("time that passes for node and queue alike is no silence, however often it is looked at")
    func noSilence() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 3_600_000)
        let before = try bench.clock
        for _ in 0..<100 {
            try bench.stepClock(bySeconds: 200)
            try node.beat(elapsedMilliseconds: 200_000)
        }
        let after = try bench.clock
        #expect(after.silence == before.silence)
        #expect((20_000_000...21_000_000).contains(after.queue - before.queue))
    }

    @Test("a node that is dead is taken over within its lease and one beat of another")
    func dead() throws {
        let bench = try QueueBench()
        let dead = try bench.node("dead", leaseMilliseconds: lease)
        let alive = try bench.node("alive", leaseMilliseconds: lease)
        try bench.submit(line("x"))
        _ = try dead.claim()
        let seconds = try beatUntilTaken(alive)
        #expect((600...800).contains(seconds), "a lease of 600 s, a beat every 200")
        #expect(try alive.claim().map(\.attempt) == [2])
    }

    @Test("all that a dead node held goes back, also of thousands, page by page")
    func takenOverWhole() throws {
        let bench = try QueueBench()
        let (dead, other) = (try bench.node("dead"), try bench.node("other"))
        try bench.submit((0..<5000).map { line("t\($0)") })
        for _ in 0..<5 { #expect(try dead.claim(1000, gigabytes: 1 << 20).count == 1000) }
        // A page of a node's tasks is taken from the beginning of a hash, which is empty there after the first of them.
        for _ in 0..<200 where try bench.numbers[1] > 0 {
            try bench.pass(seconds: Double(other.leaseMilliseconds) / 2000)
            _ = try other.beat(elapsedMilliseconds: 100_000_000)
        }
        #expect(try bench.numbers == [5000, 0, 0, 0])
    }

    @Test("after a silence a dead node is taken over a lease later, and not before")
    func deadAfterSilence() throws {
        let bench = try QueueBench()
        let dead = try bench.node("dead", leaseMilliseconds: lease)
        let alive = try bench.node("alive", leaseMilliseconds: lease)
        try bench.submit(line("x"))
        _ = try dead.claim()
        try bench.stepClock(bySeconds: -7200)
        #expect((600...800).contains(try beatUntilTaken(alive)))
    }

    /// As a node does: three beats in a lease, or more where the queue asks for them. Says after how many seconds a dead node was taken
    /// over.
    private func beatUntilTaken(_ node: BenchNode) throws -> Int {
        var seconds = 0
        while seconds < 10_000 {
            let reply = try node.beat(elapsedMilliseconds: 200_000)
            if reply.reapedCount > 0 { break }
            let pause = reply.beatsSoon ? 50 : 200
            try node.bench.stepClock(bySeconds: Double(pause))
            seconds += pause
        }
        return seconds
    }

    @Test("two outages within one lease, neither of them a silence, cost no living node what it runs")
    func twoOutages() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a", leaseMilliseconds: lease), try bench.node("b", leaseMilliseconds: lease))
        try bench.submit(line("x"))
        let task = try #require(try a.claim().first)
        let silence = b.known.silence
        try bench.stepClock(bySeconds: 180)
        try b.beat()
        // a would be heard now. Two outages follow, and b is the first after either of them.
        for _ in 0..<2 {
            try bench.stepClock(bySeconds: 270)
            #expect(try b.beat().reapedCount == 0)
        }
        #expect(b.known.silence == silence)
        // It may take a until the next beat of its own to connect again.
        for _ in 0..<4 {
            try bench.stepClock(bySeconds: 50)
            let reply = try b.beat()
            #expect(reply.reapedCount == 0 && reply.beatsSoon)
        }
        try a.beat()
        try bench.stepClock(bySeconds: 50)
        #expect(try b.beat().reapedCount == 0)
        #expect(try a.finish(task) == .accepted)
    }

    @Test(
        "who looks for lines without an index, and who was told of work, is forgotten in time though Redis's clock goes back"
    )
    func rights() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: lease)
        try OldManager(bench: bench).load([line("theirs")])
        #expect(try node.claimReply().needsSweep)
        #expect(try !node.claimReply().needsSweep, "one at a time")
        try bench.submit(line("ours"))
        let fed = try #require(try bench.command("GET", "distcomp:fed").string.flatMap { Int($0) })
        #expect(try fed > bench.clock.queue && fed <= bench.clock.queue + 1100)
        try bench.stepClock(bySeconds: -3600)
        try node.beat()
        try bench.pass(seconds: 6)
        #expect(try node.claimReply(9).needsSweep)
        try bench.submit(line("more"))
        #expect(try #require(try bench.command("GET", "distcomp:fed").string.flatMap { Int($0) }) > fed)
        for key in ["fed", "sweeper"] { #expect(try bench.command("PTTL", "distcomp:" + key).int == -1) }
    }

    @Test("a new queue, and one whose clock was lost, is quiet for a lease")
    func newQueue() throws {
        let bench = try QueueBench()
        let (dead, alive) = (try bench.node("dead", isQuietOver: false), try bench.node("alive", isQuietOver: false))
        try dead.loseLease()
        #expect(try alive.beat().reapedCount == 0)
        #expect(try bench.clock.quiet > bench.clock.queue)
        try bench.setClock { $0.quiet = 0 }
        for garbage in ["", "x", "1 2 3", "1 2 3 4 x", "-1 2 3 4 5", "1e9 2 3 4 5"] {
            try bench.command("SET", "distcomp:clock", garbage)
            #expect(try alive.beat().reapedCount == 0, "\(garbage)")
            #expect(try alive.held.isEmpty)
        }
        // Numbers beyond all measure stop nobody.
        let digits = String(repeating: "9", count: 400)
        for garbage in ["1 \(digits) 0 1 30000", "1 1 \(digits) 1 30000", "1 1 1 \(digits) 30000", "\(digits) 1 1 1 1"]
        {
            try bench.command("SET", "distcomp:clock", garbage)
            _ = try? alive.beat()
        }
        try bench.command("DEL", "distcomp:clock", "distcomp:leases")
        #expect(try bench.node("alive", life: 2).beat().reapedCount == 0)
    }

    @Test(
        "a node with a long lease does not take over one with a short lease after a freeze that only the latter could notice"
    )
    func differentLeases() throws {
        let bench = try QueueBench()
        let long = try bench.node("long", leaseMilliseconds: 3_600_000)
        let short = try bench.node("short", leaseMilliseconds: 9000)
        try bench.submit(line("x"))
        let task = try #require(try short.claim().first)
        for _ in 0..<5 { try long.beat() }
        try bench.stepClock(bySeconds: 14)
        #expect(try long.beat(elapsedMilliseconds: 14_000).reapedCount == 0)
        #expect(try short.finish(task) == .accepted)
    }

    @Test("a retry due in ten minutes is not put off by a clock that went back, nor hastened by one that went on")
    func retries() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 3_600_000)
        for seconds in [-7200.0, 7200] {
            let text = line("x\(Int(seconds))")
            try bench.submit(text)
            try node.fail(try #require(try node.claim().first), attemptsMax: 9, retryMilliseconds: 600_000)
            try bench.stepClock(bySeconds: seconds)
            // What had passed since the last observation is lost with the silence.
            let reply = try node.claimReply()
            #expect(reply.tasks.isEmpty)
            #expect((300_000...660_000).contains(try #require(reply.dueMilliseconds)))
            let standing = try bench.standing(of: text)
            #expect((300_000...660_000).contains(try #require(standing.dueMilliseconds) - standing.serverMilliseconds))
            try bench.pass(seconds: 660)
            #expect(try node.claim().map(\.line) == [text])
        }
    }

    @Test("whoever only looks is told of a lease that is over, though no node is left to observe the clock")
    func looking() throws {
        let bench = try QueueBench()
        _ = try bench.node("a")
        #expect(try #require(try bench.perform(ReadNodes(keys: bench.keys)).first).leaseMilliseconds > 0)
        try bench.stepClock(bySeconds: 61)
        let clock = try bench.clock
        #expect(try #require(try bench.perform(ReadNodes(keys: bench.keys)).first).leaseMilliseconds < 0)
        #expect(try bench.clock == clock, "it changes nothing")
    }
}

/// A connection that sends without waiting for an answer.
private final class Sender {
    private let connection: RedisConnection
    private var pending: [RESPValue] = []

    var descriptor: Int32 { connection.descriptor }

    init(_ endpoint: RedisEndpoint) throws {
        var options = RedisServerFixture.patientOptions
        options.session.scripts = QueueScripts.forNodes
        guard case .unix(let path) = endpoint.location else { throw QueueError.unexpectedReply("no socket") }
        connection = try RedisConnection(
            connectingTo: .unix(path: path), options: options, now: SystemClock.bootNanoseconds())
        while !connection.isReady {
            if let failure = connection.failure { throw failure }
            try turn()
        }
    }

    func send(_ request: RedisRequest) throws {
        _ = try connection.send(request, now: SystemClock.bootNanoseconds())
        _ = connection.handleWritable(now: SystemClock.bootNanoseconds())
        #expect(!connection.wantsWrite, "the socket takes it all")
    }

    func replies(_ count: Int) throws -> [RESPValue] {
        while pending.count < count {
            if let failure = connection.failure { throw failure }
            try turn()
        }
        defer { pending.removeFirst(count) }
        return Array(pending[..<count])
    }

    private func turn() throws {
        _ = connection.handleWritable(now: SystemClock.bootNanoseconds())
        _ = try DescriptorWait.until(
            connection.descriptor, readable: true, writable: connection.wantsWrite, atMostMilliseconds: 1000)
        for case .reply(_, let value) in connection.handleReadable(now: SystemClock.bootNanoseconds()) {
            pending.append(value)
        }
    }
}

// Jobs that wait for their time: a delay, or a time of day.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Jobs that wait for their time")
struct NotBeforeTests {
    /// Long enough that no test is as slow.
    private static let hourMilliseconds = 3_600_000

    private func wait(_ bench: QueueBench, _ job: Job, _ time: NotBefore, after parents: [(Job, AfterWay)]? = nil)
        throws
    {
        let parents = parents?.map { ($0.0.identifier, $0.1) }
        try bench.perform(GateJob(job.identifier, after: parents, notBefore: time, keys: bench.keys))
    }

    private func awaited(_ bench: QueueBench, _ job: Job) throws -> ReadAwaited.Reply {
        try bench.perform(ReadAwaited(job.identifier, keys: bench.keys))
    }

    private func counts(_ bench: QueueBench, _ job: Job) throws -> QueueCounts {
        try bench.perform(ReadCounts(keys: bench.keys.of(job: job.identifier)))
    }

    private func serverMilliseconds(_ bench: QueueBench) throws -> Int {
        let time = try bench.command("TIME").elements?.compactMap(\.int) ?? []
        return try #require(time.first) * 1000 + #require(time.last) / 1000
    }

    @Test(
        "after a delay all of it is let in at once, in its order, by whoever asks for work; until then nobody is given any"
    )
    func delay() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 8 * Self.hourMilliseconds)
        let job = try bench.job("later")
        let before = try serverMilliseconds(bench)
        try wait(bench, job, .after(milliseconds: Self.hourMilliseconds))
        let after = try serverMilliseconds(bench)
        try bench.submit(job, "x", "y")
        let reply = try node.claimReply(10)
        #expect(reply.tasks.isEmpty)
        let due = try #require(reply.dueMilliseconds)
        #expect(due > 0 && due <= Self.hourMilliseconds)
        let waiting = try counts(bench, job)
        #expect(waiting.todo == 2 && waiting.timed == 2 && waiting.dependent == 0)
        let begins = before + Self.hourMilliseconds - 1...after + Self.hourMilliseconds + 1
        #expect(begins.contains(waiting.beginsAtMilliseconds))
        let told = try awaited(bench, job)
        #expect(told.gate == .waits && begins.contains(told.beginsAtMilliseconds) && told.leftMilliseconds > 0)
        #expect(try bench.perform(ReadJobs(keys: bench.keys)).rows.compactMap(\.beginsAtUnixSeconds).count == 1)
        try node.beat()
        #expect(try node.take().isEmpty)

        try bench.pass(seconds: 3600)
        #expect(try node.claim(10).map(\.line) == ["x", "y"].map { "@\(job.identifier) \($0)" })
        #expect(try awaited(bench, job).gate == .open && awaited(bench, job).beginsAtMilliseconds == 0)
        #expect(try counts(bench, job).timed == 0)
        #expect(
            try bench.command("EXISTS", "distcomp:jobs-delayed", "distcomp:job-times", "distcomp:jobs-gated").int == 0)
    }

    @Test("what runs of it goes on when it is made to wait, and what fails meanwhile waits as well")
    func running() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 8 * Self.hourMilliseconds)
        let job = try bench.job("later")
        try bench.submit(job, "x", "y", "z")
        let tasks = try node.take(2)
        try wait(bench, job, .after(milliseconds: Self.hourMilliseconds))
        try node.finish(try #require(tasks["x"]))
        try node.fail(try #require(tasks["y"]))
        #expect(try node.take().isEmpty && bench.numbers(of: job) == [2, 0, 1, 0])
        try bench.pass(seconds: 3600)
        #expect(try node.take().keys.sorted() == ["y", "z"])
    }

    @Test("it waits for other jobs as well where it is to; either can be changed without the other")
    func withParents() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 8 * Self.hourMilliseconds)
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1")
        try wait(bench, second, .after(milliseconds: Self.hourMilliseconds), after: [(first, .ok)])
        try bench.submit(second, "a")
        #expect(try awaited(bench, second).parents.count == 1)
        try bench.pass(seconds: 3600)
        #expect(try node.take().keys.sorted() == ["1"])
        #expect(try awaited(bench, second).beginsAtMilliseconds == 0 && bench.gate(of: second) == .waits)
        // Now the other way round.
        try wait(bench, second, .after(milliseconds: Self.hourMilliseconds))
        #expect(try awaited(bench, second).parents.count == 1)
        try bench.gate(second)
        #expect(try bench.gate(of: second) == .waits && awaited(bench, second).parents.isEmpty)
        try wait(bench, second, .atOnce)
        #expect(try bench.gate(of: second) == .open && node.take().keys.sorted() == ["a"])
    }

    @Test(
        "a delay is not over because Redis's clock was set, a time of day is, and is not when it was set back",
        .enabled(if: RedisServerFixture.canHaveOwnClock))
    func clocks() throws {
        let bench = try QueueBench(reconnectingTo: try RedisServerFixture(hasOwnClock: true))
        let node = try bench.node("a", leaseMilliseconds: Self.hourMilliseconds)
        let (delayed, timed) = (try bench.job("delayed"), try bench.job("timed"))
        try wait(bench, delayed, .after(milliseconds: Self.hourMilliseconds))
        try wait(bench, timed, .at(unixMilliseconds: try serverMilliseconds(bench) + Self.hourMilliseconds))
        try bench.submit(delayed, "x")
        try bench.submit(timed, "y")
        bench.server.stepClock(bySeconds: -36_000)
        try node.beat()
        #expect(try awaited(bench, timed).leftMilliseconds > 10 * Self.hourMilliseconds)
        bench.server.stepClock(bySeconds: 36_000 + 7200)
        try node.beat()
        #expect(try node.take().keys.sorted() == ["y"])
        let left = try awaited(bench, delayed).leftMilliseconds
        // What passed between two looks at the clock is lost with each step.
        #expect(left > 0 && left <= 2 * Self.hourMilliseconds, "\(left)")
    }

    @Test("a time that is over is none, and one of a job that is forgotten is forgotten")
    func over() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("later")
        try wait(bench, job, .at(unixMilliseconds: 1000))
        #expect(try bench.gate(of: job) == .open)
        try bench.submit(job, "x")
        try node.finish(try #require(try node.take()["x"]))
        try wait(bench, job, .after(milliseconds: Self.hourMilliseconds))
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .changed)
        #expect(
            try bench.command("EXISTS", "distcomp:jobs-delayed", "distcomp:job-times", "distcomp:jobs-gated").int == 0)
    }

    @Test("where its time was lost with the state that held it, heartbeats let it in")
    func lost() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 8 * Self.hourMilliseconds)
        let job = try bench.job("later")
        try wait(bench, job, .after(milliseconds: Self.hourMilliseconds))
        try bench.submit(job, "x")
        // As a node does that knows nothing of this: it takes out of the delayed what is due.
        try bench.command("DEL", "distcomp:jobs-delayed")
        try bench.pass(seconds: 3600)
        #expect(try node.take().isEmpty)
        try node.beat()
        #expect(try node.take().keys.sorted() == ["x"])
    }
}

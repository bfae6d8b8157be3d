// Tasks that ask to go back to the queue by their exit code.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Tasks that ask to go back to the queue")
struct GoingBackTests {
    private func open(_ bench: QueueBench, _ commands: [String], halt: String = "") throws -> Job {
        var settings = Job.Settings()
        settings.fingerprint = "f"
        settings.halt = halt
        let open = OpenJob(name: "j", isNameChosen: false, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, let name, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        try bench.perform(SubmitTasks(try commands.map { try TaskLine(command: $0, of: job) }[...], keys: bench.keys))
        return job
    }

    private func outcome(_ task: ClaimTasks.Claimed, seconds: Double, code: Int32 = 85) -> TaskOutcome {
        TaskOutcome(cause: .exit(code: code), usage: Usage(wallSeconds: seconds), node: "a", attempt: task.attempt)
    }

    /// As a node reports an exit that asks for it.
    @discardableResult
    private func goBack(
        _ task: ClaimTasks.Claimed, of job: Job, on node: BenchNode, afterSeconds seconds: Double, code: Int32 = 85,
        attemptsMax: Int = 3
    ) throws -> ReportTask.Reply {
        let line = try TaskLine(parsing: task.line, of: [job.identifier: job])
        let outcome = outcome(task, seconds: seconds, code: code)
        return try node.report(
            task, .failed(outcome, of: line, attemptsMax: attemptsMax, retryMilliseconds: 0))
    }

    private func standing(_ bench: QueueBench, _ job: Job, _ command: String) throws -> TaskStanding {
        let reading = ReadStanding("@\(job.identifier) \(command)", keys: bench.keys, jobs: [job.identifier: job])
        return try ReadStanding.parse(try bench.client(of: .watcher).pipeline(reading.requests))
    }

    private func last(_ standing: TaskStanding) throws -> TaskOutcome {
        let text = String(decoding: try #require(standing.outcome), as: UTF8.self)
        return try TaskOutcome(record: String(text.drop { $0 != " " }.dropFirst()))
    }

    @Test("go to their own place without a mark, before what came after them, and may run where they ran")
    func place() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let other = try bench.node("b")
        let job = try open(bench, ["x", "y", "z"], halt: "soon,fail=1")
        let first = try node.claim(2)
        #expect(try goBack(first[0], of: job, on: node, afterSeconds: 3600) == .accepted)
        #expect(try goBack(first[0], of: job, on: node, afterSeconds: 3600) == .duplicate)
        let standing = try standing(bench, job, "x")
        #expect(standing.isWaiting && standing.failedValue == nil && standing.reason == nil)
        #expect(standing.requeueCount == 1 && standing.attempts == 1 && standing.aheadCount == nil)
        #expect(try last(standing).reason == "exit 85; it went back to the queue 1 time")
        #expect(try !bench.perform(ReadJobHalted(job.identifier, keys: bench.keys)))
        let second = try node.claim(1)
        #expect(second.map(\.line) == [first[0].line] && second.map(\.attempt) == [2])
        #expect(try other.claim(1).map(\.line) == ["@\(job.identifier) z"])
    }

    @Test("are begun again later each time where they ask soon, and then at their own place")
    func pauses() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", leaseMilliseconds: 3_600_000)
        let job = try open(bench, ["x", "y"])
        for (count, seconds) in [1.0, 2, 4, 8, 16, 32, 60, 60].enumerated() {
            let task = try #require(try node.claim(1).first)
            #expect(task.line.hasSuffix(" x") && task.attempt == count + 1)
            let before = try standing(bench, job, "x").serverMilliseconds
            #expect(try goBack(task, of: job, on: node, afterSeconds: 0.5) == .accepted)
            let standing = try standing(bench, job, "x")
            #expect(standing.isWaiting)
            let (due, pause) = (try #require(standing.dueMilliseconds), Int(seconds * 1000) - 500)
            #expect(due >= before + pause - 1 && due <= standing.serverMilliseconds + pause + 1)
            try bench.pass(seconds: seconds)
        }
        #expect(try node.claim(2).map(\.line) == ["@\(job.identifier) x", "@\(job.identifier) y"])
    }

    @Test("that ran for longer than they would have to wait do not wait")
    func noPause() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, ["x"])
        for count in 1...20 {
            let task = try #require(try node.claim(1).first)
            #expect(task.attempt == count)
            try goBack(task, of: job, on: node, afterSeconds: 60)
        }
        #expect(try standing(bench, job, "x").isWaiting && standing(bench, job, "x").dueMilliseconds == nil)
    }

    @Test(
        "have failed after a hundred times, with a sentence that says so, and count as that; retried, they have as many again"
    )
    func hundred() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, ["x"], halt: "soon,fail=1")
        for _ in 1...100 {
            try goBack(try #require(try node.claim(1).first), of: job, on: node, afterSeconds: 60)
        }
        let task = try #require(try node.claim(1).first)
        #expect(task.attempt == 101)
        try goBack(task, of: job, on: node, afterSeconds: 60)
        var standing = try standing(bench, job, "x")
        #expect(!standing.isWaiting && standing.failedOn == ["a"] && standing.requeueCount == 0)
        let outcome = try last(standing)
        #expect(outcome.cause == .exit(code: 85) && outcome.attempt == 101 && outcome.requeueCount == 100)
        #expect(outcome.reason == "exit 85; it went back to the queue 100 times, the most that is allowed")
        #expect(standing.reason.map { String(decoding: $0, as: UTF8.self) } == outcome.reason)
        #expect(try bench.perform(ReadJobHalted(job.identifier, keys: bench.keys)))
        try bench.perform(PauseJob(job.identifier, isPaused: false, keys: bench.keys))
        let line = try TaskLine(command: "x", of: job)
        try bench.perform(RetryTasks([line], keys: bench.keys))
        try goBack(try #require(try node.claim(1).first), of: job, on: node, afterSeconds: 60)
        standing = try self.standing(bench, job, "x")
        #expect(standing.isWaiting && standing.requeueCount == 1)
    }

    @Test("are told how often they went back when they finish, or fail otherwise, and nothing of it is left then")
    func ends() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, ["x", "y"])
        let key = bench.keys.of(job: job.identifier).outcomes.replacing("outcomes", with: "requeues")
        for task in try node.claim(2) { try goBack(task, of: job, on: node, afterSeconds: 60) }
        #expect(try bench.command("HLEN", key).int == 2)
        let tasks = try node.claim(2)
        try node.report(
            tasks[0], .finished(value: Array("a: \"\"".utf8), record: outcome(tasks[0], seconds: 1, code: 0).record))
        try goBack(tasks[1], of: job, on: node, afterSeconds: 1, code: 3, attemptsMax: 1)
        #expect(try last(standing(bench, job, "x")).reason == "exit 0; it went back to the queue 1 time")
        let failed = try standing(bench, job, "y")
        #expect(try last(failed).reason == "exit 3; it went back to the queue 1 time")
        #expect(failed.reason.map { String(decoding: $0, as: UTF8.self) } == "exit 3; it went back to the queue 1 time")
        #expect(try bench.command("HLEN", key).int == 0)
    }

    @Test("do not where they were cancelled meanwhile, and do not stay where they wait and are cancelled")
    func cancelled() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, ["x", "y"])
        let jobs = [job.identifier: job]
        let tasks = try node.claim(2)
        try bench.perform(CancelTask(tasks[0].line, keys: bench.keys, jobs: jobs))
        for task in tasks { try goBack(task, of: job, on: node, afterSeconds: 0.1) }
        let first = try standing(bench, job, "x")
        #expect(!first.isWaiting && first.failedValue != nil)
        #expect(try standing(bench, job, "y").dueMilliseconds != nil)
        #expect(try bench.perform(CancelTask(tasks[1].line, keys: bench.keys, jobs: jobs)) == .cancelled)
        let standing = try standing(bench, job, "y")
        #expect(standing.dueMilliseconds == nil && standing.requeueCount == 0 && !standing.isWaiting)
    }
}

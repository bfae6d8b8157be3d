import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("More memory for tasks that run out of it")
struct MemoryTests {
    private func settings(_ gigabytes: UInt64, max: UInt64 = 0, _ change: (inout Job.Settings) -> Void = { _ in })
        -> Job.Settings
    {
        var settings = Job.Settings()
        settings.memoryBytes = gigabytes << 30
        settings.memoryMaxBytes = max << 30
        settings.fingerprint = "f"
        change(&settings)
        return settings
    }

    private func open(_ bench: QueueBench, _ settings: Job.Settings) throws -> Job {
        let open = OpenJob(name: "j", isNameChosen: false, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, let name, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        return Job(identifier: identifier, name: name, settings: settings, definition: .init())
    }

    private func submit(_ bench: QueueBench, _ job: Job, _ commands: [String]) throws {
        let lines = try commands.map { try TaskLine(command: $0, of: job) }
        try bench.perform(SubmitTasks(lines[...], keys: bench.keys))
    }

    private func record(_ bench: QueueBench, _ job: Job) throws -> Job {
        let bytes = try #require(try bench.perform(ReadJob(job.identifier, keys: bench.keys)))
        return try Job(identifier: job.identifier, record: bytes)
    }

    /// As the node would have it.
    private func line(_ task: ClaimTasks.Claimed, _ job: Job) throws -> TaskLine {
        let line = try TaskLine(parsing: task.line, of: [job.identifier: job])
        return task.own.flatMap { OwnSettings(text: $0) }.map { line.taking($0) } ?? line
    }

    /// Its memory ran out; as a node reports that.
    @discardableResult
    private func runOut(_ task: ClaimTasks.Claimed, of job: Job, on node: BenchNode) throws -> ReportTask.Reply {
        let line = try line(task, job)
        let outcome = TaskOutcome(
            cause: .oom, usage: Usage(wallSeconds: 1), memoryCapBytes: line.memoryBytes, node: node.name,
            attempt: task.attempt)
        return try node.report(
            task,
            .failed(
                reason: outcome.reason, record: outcome.record, attemptsMax: 1, retryMilliseconds: 0,
                more: ReportTask.MoreMemory(for: line, after: outcome)))
    }

    private func finish(_ task: ClaimTasks.Claimed, needing megabytes: UInt64, on node: BenchNode) throws {
        try node.report(
            task, .finished(value: Array("a: \"\"".utf8), record: #"{"cause":"exit"}"#, memoryBytes: megabytes << 20))
    }

    private func standing(_ bench: QueueBench, _ job: Job, _ command: String) throws -> TaskStanding {
        let reading = ReadStanding("@\(job.identifier) \(command)", keys: bench.keys, jobs: [job.identifier: job])
        return try ReadStanding.parse(try bench.client(of: .watcher).pipeline(reading.requests))
    }

    @Test(
        "a task that runs out of memory is tried with twice as much up to the maximum, at its place, and has not failed until then"
    )
    func doubled() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(2, max: 6) { $0.halt = "soon,fail=1" })
        try submit(bench, job, ["x", "y"])
        for (attempt, gigabytes) in [(1, UInt64(2)), (2, 4), (3, 6)] {
            let task = try #require(try node.claim().first)
            #expect(task.line == "@\(job.identifier) x" && task.attempt == attempt)
            #expect(try line(task, job).memoryBytes == gigabytes << 30)
            #expect(try runOut(task, of: job, on: node) == .accepted)
            #expect(try runOut(task, of: job, on: node) == .duplicate)
            let standing = try standing(bench, job, "x")
            #expect(standing.isWaiting == (gigabytes < 6) && (standing.failedValue == nil) == (gigabytes < 6))
        }
        // Now it counts.
        #expect(try bench.perform(ReadJobHalted(job.identifier, keys: bench.keys)))
        #expect(try standing(bench, job, "x").failedValue == Array("a,".utf8))
    }

    @Test("what waits for more memory is given to a node that has it, and nobody else")
    func onLargerNode() throws {
        let bench = try QueueBench()
        let small = try bench.node("small", gigabytes: 3)
        let job = try open(bench, settings(2, max: 16))
        try submit(bench, job, ["x"])
        try runOut(try #require(try small.claim(gigabytes: 3).first), of: job, on: small)
        #expect(try small.claim(gigabytes: 3).isEmpty)
        let large = try bench.node("large", gigabytes: 8)
        let task = try #require(try large.claim(gigabytes: 8).first)
        #expect(try line(task, job).grownFromBytes == 2 << 30)
        try large.finish(task)
        #expect(
            try bench.command("HGET", bench.keys.of(job: job.identifier).finished, task.line).string == #"a: """#
                || bench.command("HGET", bench.keys.of(job: job.identifier).finished, task.line).string != nil)
    }

    @Test("one that was given more by its job meanwhile has that, and one that was cancelled has failed")
    func changedMeanwhile() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(2, max: 16))
        try submit(bench, job, ["x", "y"])
        let tasks = try node.claim(2)
        try bench.perform(ChangeJob(job.identifier, settings: settings(8, max: 16), keys: bench.keys))
        try bench.perform(CancelTask(tasks[1].line, keys: bench.keys, jobs: [job.identifier: job]))
        for task in tasks { try runOut(task, of: job, on: node) }
        #expect(try standing(bench, job, "x").own == nil && standing(bench, job, "x").isWaiting)
        #expect(try node.claim(2, gigabytes: 7).isEmpty && node.claim(2, gigabytes: 8).map(\.line) == [tasks[0].line])
        #expect(try standing(bench, job, "y").failedValue != nil)
    }

    @Test(
        "a job that learns asks for what 19 of 20 needed and a tenth once five have finished, also for what waits already"
    )
    func learned() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(8) { $0.learnsMemory = true })
        try submit(bench, job, (0..<40).map { "t\($0)" })
        var known = MemoryPeaks()
        for (index, task) in try node.claim(5).enumerated() {
            #expect(try record(bench, job).settings.memoryBytes == 8 << 30)
            try finish(task, needing: UInt64(1000 + index), on: node)
            known.add(UInt64(1000 + index) << 20)
        }
        let learned = try #require(known.bytesToAskFor)
        #expect(learned == 1105 << 20)
        #expect(try record(bench, job).settings.memoryBytes == learned)
        // Four fit now where none did.
        #expect(try node.claim(9, gigabytes: 5).count == 4)
        // Asked for again, it keeps what it knows.
        let again = try open(
            bench,
            settings(8) {
                $0.learnsMemory = true
                $0.priority = 1
            })
        #expect(again.identifier == job.identifier)
        #expect(try record(bench, job).settings.memoryBytes == learned)
        #expect(try node.claim(9, gigabytes: 5).count == 4)
    }

    @Test(
        "of a job that learns, one that runs out gets the largest that was needed and a tenth, then twice as much, and ends where the largest node does"
    )
    func learnedOnOom() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", gigabytes: 4)
        let job = try open(bench, settings(1) { $0.learnsMemory = true })
        try submit(bench, job, (0..<21).map { "t\($0)" })
        let tasks = try node.claim(20)
        for (index, task) in tasks.dropLast().enumerated() {
            try finish(task, needing: index == 0 ? 1500 : 100, on: node)
        }
        try finish(tasks[19], needing: 100, on: node)
        let now = try record(bench, job)
        #expect(now.settings.memoryBytes < 120 << 20)
        var amounts: [UInt64] = []
        while let task = try node.claim(gigabytes: 4).first {
            amounts.append(try line(task, now).memoryBytes >> 20)
            try runOut(task, of: now, on: node)
        }
        #expect(amounts.dropFirst() == [1651, 3303, 4096])
        #expect(try standing(bench, job, "t20").failedValue != nil)
    }

    @Test("a report of more memory that is stopped at any call and told again loses nothing and gives it once")
    func stopped() throws {
        let server = try QueueBench()
        for call in 1...60 {
            let bench = try QueueBench(sharing: server, prefix: "m\(call):")
            let node = try bench.node("a")
            let job = try open(bench, settings(2, max: 16))
            try submit(bench, job, ["x"])
            let task = try #require(try node.claim().first)
            let line = try line(task, job)
            let outcome = TaskOutcome(cause: .oom, usage: Usage(wallSeconds: 1), node: "a", attempt: 1)
            let report = ReportTask(
                keys: bench.keys, incarnation: node.incarnation, line: task.line, token: task.token,
                result: .failed(
                    reason: "oom", record: outcome.record, attemptsMax: 1, retryMilliseconds: 0,
                    more: ReportTask.MoreMemory(for: line, after: outcome))
            ).request
            let reply = try bench.client.call(report.stopped(atCall: call))
            guard reply.isStopped else {
                #expect(call > 5)
                return
            }
            _ = try bench.client.call(report)
            let again = try #require(try node.claim(5).first)
            #expect(try self.line(again, job).memoryBytes == 4 << 30 && again.attempt == 2, "stopped at \(call)")
            try node.finish(again)
            #expect(try node.claim(5).isEmpty)
            #expect(try bench.command("HLEN", bench.keys.of(job: job.identifier).finished).int == 1)
        }
        Issue.record("more calls than a script should make")
    }

    @Test("a report for which nothing of this is asked for makes no further call")
    func costsNothing() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(2))
        try submit(bench, job, ["x"])
        try node.finish(try #require(try node.claim().first))
        #expect(try bench.command("EXISTS", bench.keys.prefix + "distcomp:job:\(job.identifier):peaks").int == 0)
        #expect(try bench.command("EXISTS", bench.keys.of(job: job.identifier).own).int == 0)
    }
}

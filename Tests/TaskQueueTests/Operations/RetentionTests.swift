// Results that leave Redis. That a pass does what the plain model does is for RandomOperationsTests; here is what people count on.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Results that leave")
struct RetentionTests {
    private static let large = String(repeating: "o", count: 1000)
    private static let day = 86_400.0

    private func job(_ bench: QueueBench, _ name: String) throws -> Job {
        var settings = Job.Settings()
        settings.fingerprint = String(repeating: "f", count: 8) + "\(name.utf8.count)"
        let reply = try bench.perform(
            OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: bench.keys))
        guard case .opened(let identifier, _, _) = reply else { throw QueueError.unexpectedReply("\(reply)") }
        return try #require(
            try bench.perform(ReadJobs(keys: bench.keys)).rows.first { $0.job.identifier == identifier }
        )
        .job
    }

    /// Has a task end, as if so many seconds ago.
    private func end(
        _ node: BenchNode, _ line: TaskLine, secondsAgo: Double, output: String = Self.large, fails: Bool = false
    ) throws {
        let bench = node.bench
        try bench.perform(SubmitTasks([line], keys: bench.keys))
        let task = try #require(try node.claim().first)
        let now = Double(try bench.command("TIME").elements?.first?.int ?? 0)
        let state = fails ? "failed" : "finished"
        let record =
            #"{"state":"\#(state)","cause":"exit","exit_code":\#(fails ? 1 : 0),"worker":"a","finished_at":\#(now - secondsAgo)}"#
        try node.report(
            task,
            fails
                ? .failed(reason: "exit 1", record: record, attemptsMax: 1, retryMilliseconds: 0)
                : .finished(
                    value: FinishedValue.encode(worker: "a", standardOutput: Array(output.utf8)), record: record))
    }

    /// Asks until the pass is over; how many steps it took.
    @discardableResult
    private func pass(
        _ bench: QueueBench, _ node: BenchNode, _ retention: Retention, resultsPerStep: Int = 200
    ) throws -> (reply: RetainResults.Reply, steps: Int) {
        var steps = 0
        while true {
            steps += 1
            let reply = try bench.perform(
                RetainResults(
                    retention, keys: bench.keys, incarnation: node.incarnation, resultsPerStep: resultsPerStep))
            if reply.isPassOver { return (reply, steps) }
            guard steps < 10_000 else { throw QueueError.unexpectedReply("no pass ends") }
        }
    }

    private func content(_ bench: QueueBench, _ line: TaskLine) throws -> FinishedValue.Content? {
        try bench.standing(of: line.text).finishedValue.map { FinishedValue(parsing: $0).content }
    }

    private func isLeft(_ content: FinishedValue.Content?) -> Bool { if case .left = content { true } else { false } }

    private func numbers(_ bench: QueueBench, _ job: Job) throws -> [Int] {
        let counts = try bench.perform(ReadCounts(keys: bench.keys.of(job: job.identifier)))
        return [counts.todo, counts.inProgress, counts.finished, counts.failed]
    }

    @Test("an output leaves after so many days and says so, its record stays while its job is not that old")
    func outputsByAge() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try job(bench, "sweep")
        let (old, young, short) = (
            try TaskLine(command: "old", of: job), try TaskLine(command: "young", of: job),
            try TaskLine(command: "short", of: job)
        )
        try end(node, old, secondsAgo: 3 * Self.day)
        try end(node, short, secondsAgo: 3 * Self.day, output: "42\n")
        try end(node, young, secondsAgo: Self.day)
        let plain = try TaskLine(parsing: line("plain"))
        try end(node, plain, secondsAgo: 3 * Self.day)
        let over = try pass(bench, node, Retention(keepSeconds: 2 * Self.day))
        #expect(over.reply.outputsLeft == 2 && over.reply.jobsLeft == 0)
        #expect(try isLeft(content(bench, old)) && isLeft(content(bench, plain)))
        #expect(try content(bench, short) == .whole(Array(#""42\n""#.utf8)), "what is no shorter gone stays")
        #expect(try content(bench, young) == .whole(Array("\"\(Self.large)\"".utf8)))
        let record = try #require(try bench.standing(of: old.text).outcome)
        #expect(OutcomeEntry(parsing: record).flatMap { try? TaskOutcome(record: $0.record) }?.succeeded == true)
        #expect(try numbers(bench, job) == [0, 0, 3, 0])
        // The next pass finds nothing to do.
        try bench.pass(seconds: 3601)
        #expect(try pass(bench, node, Retention(keepSeconds: 2 * Self.day)).reply.outputsLeft == 0)
    }

    @Test(
        "the records of a job leave when all of it is old: it counts as before, and asked for again it is not run again"
    )
    func jobsByAge() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (over, waiting, young) = (try job(bench, "over"), try job(bench, "waiting"), try job(bench, "young"))
        for job in [over, waiting, young] {
            try end(node, try TaskLine(command: "x", of: job), secondsAgo: 3 * Self.day)
            try end(node, try TaskLine(command: "y", of: job), secondsAgo: 3 * Self.day, fails: true)
        }
        try end(node, try TaskLine(command: "z", of: young), secondsAgo: 60)
        let plain = try TaskLine(parsing: line("plain"))
        try end(node, plain, secondsAgo: 3 * Self.day)
        try bench.perform(SubmitTasks([try TaskLine(command: "z", of: waiting)], keys: bench.keys))
        let before = try bench.perform(ReadCounts(keys: bench.keys, ofAll: true))
        #expect(try pass(bench, node, Retention(keepSeconds: 2 * Self.day)).reply.jobsLeft == 1)

        #expect(try bench.command("EXISTS", bench.keys.of(job: over.identifier).finished).int == 0)
        #expect(try bench.command("EXISTS", bench.keys.of(job: over.identifier).outcomes).int == 0)
        #expect(try numbers(bench, over) == [0, 0, 1, 1] && numbers(bench, waiting) == [1, 0, 1, 1])
        #expect(try numbers(bench, young) == [0, 0, 2, 1])
        #expect(try bench.perform(ReadCounts(keys: bench.keys, ofAll: true)) == before)
        #expect(try content(bench, plain) != nil, "what is of no job would run again, were it not known")
        let row = try #require(
            try bench.perform(ReadJobs(keys: bench.keys)).rows.first { $0.job.identifier == over.identifier })
        #expect(row.finished == 1 && row.failed == 1 && row.leftAtUnixSeconds != nil)
        let departure = try bench.perform(ReadJobDeparture(keys: bench.keys.of(job: over.identifier)))
        #expect(departure?.finished == 1 && departure?.failed == 1)

        let again = try bench.perform(
            OpenJob(
                name: "over", isNameChosen: true, settings: over.settings, definition: over.definition,
                keys: bench.keys))
        guard case .left(let told, "over") = again else {
            Issue.record("\(again)")
            return
        }
        #expect(told == departure)
        #expect(throws: QueueError.self) {
            try bench.perform(SubmitTasks([try TaskLine(command: "x", of: over)], keys: bench.keys))
        }
        // Whoever means it says so.
        #expect(try bench.perform(ForgetJob(over, keys: bench.keys)) == .changed)
        let anew = try job(bench, "over")
        #expect(try bench.perform(SubmitTasks([try TaskLine(command: "x", of: anew)], keys: bench.keys)).added == 1)
        #expect(try numbers(bench, anew) == [1, 0, 0, 0])
    }

    @Test("of so many results the newest keep their outputs, and as many jobs as hold them their records")
    func byCount() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let jobs = try (0..<4).map { try job(bench, "job-" + String(repeating: "x", count: $0)) }
        for (index, job) in jobs.enumerated() {
            for number in 0..<3 {
                try end(node, try TaskLine(command: "\(number)", of: job), secondsAgo: Double(4 - index) * 3600)
            }
        }
        let reply = try pass(bench, node, Retention(keepCount: 4)).reply
        // Three of the last and, since a minute is not divided, all three of the one before.
        #expect(reply.outputsLeft == 6 && reply.jobsLeft == 2)
        #expect(
            try jobs.map { try bench.command("HLEN", bench.keys.of(job: $0.identifier).finished).int } == [0, 0, 3, 3])
        let kept = try content(bench, try TaskLine(command: "0", of: jobs[2]))
        #expect(kept == .whole(Array("\"\(Self.large)\"".utf8)))
    }

    @Test("of too many bytes the oldest outputs leave first, and records only where that is not enough")
    func byBytes() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let jobs = try (0..<4).map { try job(bench, "job-" + String(repeating: "x", count: $0)) }
        for (index, job) in jobs.enumerated() {
            for number in 0..<5 {
                try end(node, try TaskLine(command: "\(number)", of: job), secondsAgo: Double(4 - index) * 3600)
            }
        }
        // Twenty outputs of 1,005 bytes, and records of some 350.
        let first = try pass(bench, node, Retention(bytesMax: 20 * 350 + 10 * 1005)).reply
        #expect(first.outputsLeft >= 5 && first.outputsLeft <= 10 && first.jobsLeft == 0, "\(first)")
        let last = try content(bench, try TaskLine(command: "0", of: jobs[3]))
        #expect(last == .whole(Array("\"\(Self.large)\"".utf8)))
        let oldest = try content(bench, try TaskLine(command: "0", of: jobs[0]))
        #expect(isLeft(oldest))
        try bench.pass(seconds: 61)
        let second = try pass(bench, node, Retention(bytesMax: 3000)).reply
        #expect(second.outputsLeft == 20 - first.outputsLeft - 5 * second.jobsLeft || second.jobsLeft >= 2, "\(second)")
        #expect(try bench.command("HLEN", bench.keys.of(job: jobs[0].identifier).finished).int == 0)
        #expect(try bench.command("HLEN", bench.keys.of(job: jobs[3].identifier).finished).int == 5)
    }

    @Test("many nodes ask and one does it, each step once; when it stops another goes on where it was")
    func oneAtATime() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        for number in 0..<50 {
            try end(a, try TaskLine(parsing: line("\(number)")), secondsAgo: 3 * Self.day)
        }
        let rule = Retention(keepSeconds: Self.day)
        func ask(_ node: BenchNode) throws -> RetainResults.Reply {
            try bench.perform(
                RetainResults(rule, keys: bench.keys, incarnation: node.incarnation, resultsPerStep: 10))
        }
        let first = try ask(a)
        #expect(!first.isPassOver && first.pauseMilliseconds == 15)
        for _ in 0..<3 { #expect(try ask(b).pauseMilliseconds == 10_000 && ask(b).outputsLeft == 0) }
        _ = try ask(a)
        let before = try bench.command("HGET", bench.keys.prefix + "distcomp:retention", "gone").int ?? 0
        #expect(before < 50)
        try bench.pass(seconds: 11)
        var reply = try ask(b)
        while !reply.isPassOver { reply = try ask(b) }
        #expect(reply.outputsLeft == 50, "each left once: \(reply)")
        #expect(try ask(a).pauseMilliseconds > 10_000, "nobody begins again at once")
    }

    @Test("a job to which something was added while it was looked at stays, however old the rest is")
    func addedMeanwhile() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try job(bench, "sweep")
        for number in 0..<300 {
            try end(node, try TaskLine(command: "\(number)", of: job), secondsAgo: 3 * Self.day, fails: number == 0)
        }
        let rule = Retention(keepSeconds: Self.day)
        func step() throws -> RetainResults.Reply {
            try bench.perform(
                RetainResults(rule, keys: bench.keys, incarnation: node.incarnation, resultsPerStep: 30))
        }
        for _ in 0..<4 { #expect(try !step().isPassOver) }
        // Tried again, and ended, between two steps.
        try bench.perform(RetryTasks([try TaskLine(command: "0", of: job)], keys: bench.keys))
        try node.finish(try #require(try node.claim().first))
        var reply = try step()
        while !reply.isPassOver { reply = try step() }
        #expect(reply.jobsLeft == 0)
        #expect(try numbers(bench, job) == [0, 0, 300, 0])
    }

    @Test("what a node says of a task whose job has left is too late, and does not bring it back")
    func lateReports() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let job = try job(bench, "sweep")
        let task = try TaskLine(command: "x", of: job)
        try bench.perform(SubmitTasks([task], keys: bench.keys))
        let early = try #require(try a.claim().first)
        try bench.perform(RequeueTasks([task], keys: bench.keys))
        let late = try #require(try b.claim().first)
        try b.report(
            late,
            .finished(
                value: Array("b: \"\"".utf8),
                record: #"{"state":"finished","cause":"exit","worker":"b","finished_at":1000.5}"#))
        #expect(try pass(bench, b, Retention(keepSeconds: Self.day)).reply.jobsLeft == 1)
        #expect(try a.finish(early) == .stale)
        let restored = try bench.perform(
            RestoreTasks(
                [.init(line: task, token: early.token, attempt: early.attempt)], keys: bench.keys,
                incarnation: a.incarnation, earlier: [], isLast: true))
        #expect(restored == [.taken])
        try a.loseLease()
        try b.beat()
        #expect(
            try numbers(bench, job) == [0, 0, 1, 0]
                && bench.command("EXISTS", bench.keys.of(job: job.identifier).todo).int == 0)
    }

    @Test("a result is forgotten only if it is the ending that was read")
    func forgottenByToken() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"), line("y"))
        for task in try node.claim(2) { try node.fail(task, attemptsMax: 1) }
        func token(_ text: String) throws -> String {
            try #require(try bench.standing(of: text).outcome.flatMap { OutcomeEntry(parsing: $0) }).token
        }
        let lines = [line("x"), line("y")]
        let tokens = try lines.map(token)
        try bench.perform(RetryTasks([try TaskLine(parsing: line("x"))], keys: bench.keys))
        try node.fail(try #require(try node.claim().first), attemptsMax: 1)
        let forgotten = try bench.perform(
            ForgetTasks(.failed, lines.map { Array($0.utf8) }[...], keys: bench.keys, tokens: tokens))
        #expect(forgotten == 1)
        #expect(try bench.standing(of: lines[0]).failedValue != nil && bench.standing(of: lines[1]).failedValue == nil)
    }

    @Test("what is no value of ours is text, and each form is read back as it was written")
    func values() throws {
        var writer = FinishedValue.Writer(worker: "a", bytesExpected: 10)
        writer.append(Array("be\"gin".utf8))
        writer.omit(byteCount: 7_340_032)
        writer.append(Array("end\n".utf8))
        let ends = writer.finish()
        #expect(String(decoding: ends, as: UTF8.self) == #"a: "be\"gin" 7340032 "end\n""#)
        let read = FinishedValue(parsing: ends)
        #expect(
            read.content
                == .ends(head: Array(#""be\"gin""#.utf8), omittedBytes: 7_340_032, tail: Array(#""end\n""#.utf8)))
        #expect(FinishedValue(parsing: Array("a: stdout is too large".utf8)).content == .tooLarge)
        #expect(
            FinishedValue(parsing: Array("a: stdout left Redis at 1764430000".utf8)).content
                == .left(atUnixSeconds: 1_764_430_000))
        for text in [
            #""a" 3 "b"#, #""a" x "b""#, #""a"  3 "b""#, #""a" -3 "b""#, "stdout left Redis at noon", #""a"b"#,
        ] {
            let content = FinishedValue(parsing: Array("a: \(text)".utf8)).content
            #expect(content == .whole(JSONText.quoted(bytes: Array(text.utf8))), "\(text)")
        }
        // A task that prints the same has a string.
        let printed = FinishedValue.encode(worker: "a", standardOutput: Array("stdout left Redis at 1764430000".utf8))
        #expect(FinishedValue(parsing: printed).content == .whole(Array(#""stdout left Redis at 1764430000""#.utf8)))
    }
}

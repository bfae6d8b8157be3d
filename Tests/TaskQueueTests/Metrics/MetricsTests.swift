// What is counted for monitoring, on a real Redis: each thing that comes to pass once, whatever happens in between, and never at the cost of
// a task.

import Monitoring
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Counts for monitoring")
struct MetricsTests {
    private func snapshot(_ bench: QueueBench, jobsMax: Int = 0) throws -> MetricsSnapshot {
        let watcher = bench.client(of: .watcher)
        return try MetricsSnapshot.read(keys: bench.keys, jobsMax: jobsMax) { try watcher.pipeline($0) }
    }

    private func totals(_ bench: QueueBench) throws -> MetricsTally { try snapshot(bench).totals }

    private func slots(_ bench: QueueBench, _ count: Int = MetricsSlot.countMax) throws -> [MetricsSlot] {
        let watcher = bench.client(of: .watcher)
        return try MetricsSlot.read(keys: bench.keys, count: count) { try watcher.pipeline($0) }
    }

    private func outcome(_ cause: Cause, wallSeconds: Double = 2, peakBytes: UInt64? = 100 << 20) -> TaskOutcome {
        TaskOutcome(
            cause: cause, usage: Usage(wallSeconds: wallSeconds, memoryPeakBytes: peakBytes), node: "a", attempt: 1)
    }

    private func finished(_ wallSeconds: Double, peakBytes: UInt64? = nil, start: Int? = nil) -> ReportTask.Result {
        .finished(
            value: FinishedValue.encode(worker: "a", standardOutput: []),
            record: outcome(.exit(code: 0), wallSeconds: wallSeconds, peakBytes: peakBytes).record,
            startMilliseconds: start)
    }

    private func failed(_ cause: Cause, attemptsMax: Int = 1) -> ReportTask.Result {
        let outcome = outcome(cause)
        return .failed(
            reason: outcome.reason, record: outcome.record, attemptsMax: attemptsMax, retryMilliseconds: 0)
    }

    /// Which buckets hold how many, by their bounds; above the last by infinity.
    private func buckets(_ histogram: MetricsHistogram) -> [Double: Int] {
        let pairs = zip(histogram.bounds + [.infinity], histogram.counts).filter { $0.1 > 0 }
        return Dictionary(uniqueKeysWithValues: pairs.map { ($0, $1) })
    }

    @Test("every ending is counted by its cause, once, however often it is told")
    func causes() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let causes: [Cause] = [
            .exit(code: 3), .signal(11), .oom, .timeout, .cancelled, .memoryPressure, .nodeLost,
            .launch(step: "execve ./x", errno: 2, message: "no such file"), .dependency(on: "b"),
        ]
        #expect(causes.map(\.word) == Cause.words)
        for (index, cause) in causes.enumerated() {
            for number in 0...index { try bench.submit(line("\(cause.word) \(number)", memory: "1")) }
            for task in try node.claim(100) {
                #expect(try node.report(task, failed(cause)) == .accepted)
                #expect(try node.report(task, failed(cause)) == .duplicate)
            }
        }
        try bench.submit(line("well"))
        let task = try #require(try node.claim().first)
        #expect(try node.report(task, finished(0.05)) == .accepted)
        #expect(try node.report(task, finished(0.05)) == .duplicate)

        let totals = try totals(bench)
        #expect(totals.finished == 1)
        for (index, cause) in causes.enumerated() { #expect(totals.failed[cause.word] == index + 1, "\(cause.word)") }
        #expect(totals.failed["other"] == 0 && totals.failedCount == 45)
        #expect(totals.launchFailures.filter { $0.value > 0 } == ["execve": 8])
        #expect(totals.repeated.values.allSatisfy { $0 == 0 })
        #expect(totals.refused == 0 && totals.returned == 0 && totals.leasesLost == 0)
        #expect(buckets(totals.run) == [0.1: 1, 3: 45])
        #expect(abs(totals.run.sum - 90.05) < 1e-9)
        #expect(buckets(totals.memoryAsked) == [Double(16 << 20): 1, Double(1 << 30): 45])
        #expect(totals.memoryAsked.sum == 45 * Double(1 << 30))
        #expect(
            buckets(totals.memoryPeak) == [Double(256 << 20): 45] && totals.memoryPeak.sum == 4500 * Double(1 << 20))
    }

    @Test("attempts that are repeated, tasks that go back, and reports that are refused are counted as such")
    func notEndings() throws {
        let bench = try QueueBench()
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        try bench.submit(line("x"))
        let first = try #require(try a.claim().first)
        try a.report(first, failed(.timeout, attemptsMax: 3))
        var totals = try totals(bench)
        #expect(totals.repeated["timeout"] == 1 && totals.failedCount == 0)
        #expect(buckets(totals.run) == [3: 1])

        let second = try #require(try b.claim().first)
        try b.report(second, .returned)
        let third = try #require(try b.claim().first)
        #expect(try a.report(first, .returned) == .duplicate, "the same token: it was told before")
        #expect(try a.report(third, finished(1)) == .stale)
        totals = try self.totals(bench)
        #expect(totals.returned == 1 && totals.refused == 1 && totals.finished == 0)

        try bench.command("HSET", "distcomp:cancel:" + b.incarnation.text, third.line, third.token)
        try b.report(third, .returned)
        totals = try self.totals(bench)
        #expect(totals.failed["cancelled"] == 1 && totals.returned == 1)
    }

    @Test("a node that is lost is counted once, and its tasks as attempts that ended by that; one that leaves is not")
    func lostNodes() throws {
        let bench = try QueueBench()
        let (a, b, c) = (try bench.node("a"), try bench.node("b"), try bench.node("c"))
        // More than one heartbeat puts back.
        try bench.submit((0..<1000).map { line("\($0)") })
        #expect(try a.claim(950).count == 950)
        #expect(try b.claim(3).count == 3)
        try bench.perform(LeaveQueue(keys: bench.keys, incarnation: b.incarnation))
        try a.loseLease()
        for _ in 0..<8 { try c.beat() }
        #expect(try bench.numbers == [1000, 0, 0, 0])
        let totals = try totals(bench)
        #expect(totals.leasesLost == 1)
        #expect(totals.repeated["node-lost"] == 950 && totals.returned == 3 && totals.failedCount == 0)
    }

    @Test("what is cancelled while it waits is counted, and what can never run since it waited for that")
    func orders() throws {
        let bench = try QueueBench()
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"]), ("c", ["b"])])
        let parent = try TaskLine(command: "a", of: job)
        try bench.perform(CancelTask(parent.text, keys: bench.keys, jobs: [job.identifier: job]))
        let totals = try totals(bench)
        #expect(totals.failed["cancelled"] == 1 && totals.failed["dependency"] == 2)
        #expect(totals.run.count == 0 && totals.memoryAsked.count == 0, "they never ran")
    }

    @Test("how long tasks waited is told of those that had not been tried, by when they were added")
    func waits() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        func rewind(bySeconds seconds: Int) throws {
            // As if what has been added by now had been added before.
            let last = try bench.command("ZRANGE", "distcomp:metrics-arrivals", "-1", "-1").elements?.first
            let member = try #require(last?.string)
            let score = try bench.command("GET", "distcomp:sequence").string ?? ""
            try bench.command("ZREM", "distcomp:metrics-arrivals", member)
            try bench.command(
                "ZADD", "distcomp:metrics-arrivals", score, "\(try #require(Int(member)) - seconds * 1000)")
        }
        try bench.submit((0..<4).map { line("old \($0)") })
        try rewind(bySeconds: 5000)
        try bench.submit((0..<3).map { line("young \($0)") })
        try rewind(bySeconds: 50)
        #expect(try snapshot(bench).oldestWaitingSeconds.map { (5000..<6000).contains($0) } == true)
        try bench.submit(line("new"))
        let tasks = try node.claim(8)
        #expect(tasks.count == 8)
        var wait = try totals(bench).wait
        #expect(buckets(wait)[10_000] == 4 && buckets(wait)[100] == 3 && wait.count == 8)
        #expect((20_150..<21_000).contains(wait.sum), "\(wait.sum)")
        #expect(try snapshot(bench).oldestWaitingSeconds == nil, "nothing waits")

        try node.report(tasks[0], failed(.exit(code: 1), attemptsMax: 3))
        #expect(try node.claim().first?.attempt == 2)
        wait = try totals(bench).wait
        #expect(wait.count == 8, "it has not waited since it was added")
        // Back to its old place.
        let other = try bench.node("b")
        try node.loseLease()
        try other.beat()
        #expect(try Set(other.claim(100).map(\.attempt)) == [2, 3])
        #expect(try totals(bench).wait.count == 8)
    }

    @Test("how long after it was given a task began is counted where its node knows")
    func startDelays() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<4).map { line("\($0)") })
        let tasks = try node.claim(4)
        try node.report(tasks[0], finished(1, start: 7))
        try node.report(tasks[1], finished(1, start: 250))
        try node.report(tasks[2], finished(1))
        let outcome = outcome(.exit(code: 1))
        try node.report(
            tasks[3],
            .failed(
                reason: "exit 1", record: outcome.record, attemptsMax: 1, retryMilliseconds: 0, startMilliseconds: 2500)
        )
        let totals = try totals(bench)
        #expect(buckets(totals.startDelay) == [0.1: 1, 0.3: 1, 3: 1])
        #expect(abs(totals.startDelay.sum - 2.757) < 1e-9)
        #expect(totals.failed["exit"] == 1 && totals.finished == 3)
    }

    // MARK: - The ring

    @Test("a slot that is over is closed by a heartbeat: the totals stay what they were, and the ring holds it")
    func slotsClose() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try node.beat()
        try bench.submit((0..<10).map { line("\($0)") })
        let tasks = try node.claim(10)
        for task in tasks[..<4] { try node.report(task, finished(1)) }
        let before = try totals(bench)
        let present = try #require(try bench.command("HGET", "distcomp:metrics", "slot").string.flatMap { Int($0) })
        // As if it had been opened twenty minutes ago.
        try bench.command("HSET", "distcomp:metrics", "slot", "\(present - 4)")
        try node.beat()
        #expect(try totals(bench) == before)
        #expect(try bench.command("EXISTS", "distcomp:metrics-open", "distcomp:metrics-noted").int == 0)
        for task in tasks[4..<6] { try node.report(task, finished(1)) }
        try node.beat()
        try node.report(tasks[6], failed(.oom))

        let slots = try slots(bench)
        #expect(slots.count == 288)
        #expect(zip(slots, slots.dropFirst()).allSatisfy { $1.beginUnixSeconds - $0.beginUnixSeconds == 300 })
        let busy = slots.filter { $0.tally != MetricsTally() }
        let sums = busy.map { [$0.tally.finished, $0.tally.failed["oom"] ?? -1, $0.tally.wait.count] }
        #expect(sums == [[4, 0, 10], [2, 1, 0]], "\(sums)")
        #expect(busy.first?.beginUnixSeconds == (present - 4) * 300)
        var all = MetricsTally()
        for slot in slots { all.add(slot.tally) }
        #expect(try totals(bench) == all, "nothing is counted twice, or left out")
    }

    @Test("the place of a slot is taken by that of the next day; one of the day before is not shown")
    func ringIsBounded() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try node.beat()
        let present = try #require(try bench.command("HGET", "distcomp:metrics", "slot").string.flatMap { Int($0) })
        // Three days, a task in every slot: from the end, so that the last one is the present.
        for slot in (present - 3 * 288)..<present {
            try bench.command("HSET", "distcomp:metrics", "slot", "\(slot)")
            try bench.command("APPEND", "distcomp:metrics-noted", "finished 1 - - -\n")
            try node.beat()
        }
        let names = try bench.command("KEYS", "distcomp:metrics:*").elements ?? []
        #expect(names.count == 288)
        #expect(try totals(bench).finished == 3 * 288)
        #expect(try slots(bench).map(\.tally.finished).reduce(0, +) == 287, "and the one that goes on")
        // Nothing for a day: what stands there is not of this one.
        let old = try bench.command("HGET", "distcomp:metrics:\((present - 5) % 288)", "slot").string
        #expect(old == "\(present - 5)")
        try bench.command("HSET", "distcomp:metrics:\((present - 5) % 288)", "slot", "\(present - 5 - 288)")
        #expect(try slots(bench).map(\.tally.finished).reduce(0, +) == 286)
        #expect(try slots(bench, 4).count == 4)
    }

    @Test("a clock that is set back has a slot counted on, and nothing is lost")
    func clockGoesBack() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try node.beat()
        let present = try #require(try bench.command("HGET", "distcomp:metrics", "slot").string.flatMap { Int($0) })
        for _ in 0..<3 {
            try bench.command("HSET", "distcomp:metrics", "slot", "\(present + 2)")
            try bench.command("APPEND", "distcomp:metrics-noted", "finished 1 - - -\n")
            try node.beat()
        }
        #expect(try totals(bench).finished == 3)
        #expect(try bench.command("HGET", "distcomp:metrics:\((present + 2) % 288)", "finished").string == "3")
    }

    @Test("what is noted is summed long before it is large")
    func notesAreBounded() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<1000).map { line("\($0)") })
        var largest = 0
        for task in try node.claim(1000) {
            try node.report(task, finished(1234.5, peakBytes: 1 << 40, start: 12_345))
            largest = max(largest, try bench.command("STRLEN", "distcomp:metrics-noted").int ?? -1)
        }
        #expect((4096...8300).contains(largest), "\(largest)")
        #expect(try totals(bench).finished == 1000)
        #expect(try bench.command("HLEN", "distcomp:metrics-open").int ?? 99 < 20)
    }

    @Test("whatever a record says, the names that are counted are few")
    func hostileRecords() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let records = [
            #"{"cause":"mine"}"#, #"{"cause":"launch","launch_step":"rm -rf /"}"#, "", "{}",
            #"{"cause":"exit","wall_seconds":1e999,"cpu_seconds":1,"memory_peak_bytes":99999999999999999999999}"#,
            #"{"cause":"exit","wall_seconds":--e..,"cpu_seconds":1,"memory_peak_bytes":1}"#,
            #"{"cause":"exit","wall_seconds":-5,"cpu_seconds":1,"memory_peak_bytes":1}"#,
        ]
        for (index, record) in records.enumerated() {
            try bench.submit(line("\(index)"))
            let task = try #require(try node.claim().first)
            let result = ReportTask.Result.failed(
                reason: "x", record: record, attemptsMax: 1, retryMilliseconds: 0, startMilliseconds: .max)
            #expect(try node.report(task, result) == .accepted)
        }
        let totals = try totals(bench)
        #expect(totals.failed["other"] == 3 && totals.failed["exit"] == 3)
        #expect(totals.launchFailures["other"] == 1)
        #expect(buckets(totals.run) == [.infinity: 1])
        #expect(totals.memoryPeak.count == 3)
        #expect(totals.startDelay.count == 7)
        #expect(try bench.command("HLEN", "distcomp:metrics-open").int ?? 99 < 20)
    }

    // MARK: - Never at the cost of a task

    @Test("a Redis user of an earlier version may not count: its tasks are reported all the same")
    func oldUsers() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        for access in ["node", "submitter"] { try bench.command("ACL", "SETUSER", access, "-append", "-hincrby") }
        try bench.submit(line("x"), line("y"), line("z"))
        let tasks = try node.claim(2)
        #expect(try node.report(tasks[0], finished(1)) == .accepted)
        #expect(try node.report(tasks[1], failed(.exit(code: 1))) == .accepted)
        try bench.perform(CancelTask(line("z"), keys: bench.keys))
        try node.beat()
        #expect(try bench.numbers == [0, 0, 1, 2])
        #expect(try totals(bench) == MetricsTally())
        try bench.command("ACL", "SETUSER", "watcher", "-info")
        #expect(try snapshot(bench).redis == nil)
    }

    @Test("a key of another type costs counts and no task")
    func wrongTypes() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit(line("x"), line("y"))
        let tasks = try node.claim(2)
        for name in ["metrics", "metrics-open", "metrics-arrivals"] {
            try bench.command("DEL", "distcomp:" + name)
            try bench.command("SET", "distcomp:" + name, "7")
        }
        #expect(try node.report(tasks[0], finished(1)) == .accepted)
        try node.beat()
        try bench.command("DEL", "distcomp:metrics-noted")
        try bench.command("SADD", "distcomp:metrics-noted", "7")
        #expect(try node.report(tasks[1], finished(1)) == .accepted)
        try bench.submit(line("z"))
        #expect(try node.claim().count == 1)
        #expect(try bench.numbers == [0, 1, 2, 0])
        #expect(try snapshot(bench).tasks[.finished] == 2)
    }

    // MARK: - How the queue stands

    @Test("tasks are told by state, of jobs and of none, and the largest jobs one by one")
    func states() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", gigabytes: 64, cores: 64)
        let (dag, plain) = (try bench.job("dag"), try bench.job("plain"))
        try bench.submit(dag, after: [("a", []), ("b", ["a"]), ("c", ["b"])])
        try bench.submit(plain, (0..<5).map { "\($0)" })
        try bench.submit(line("heavy", memory: "2", cores: "3"), line("other"))
        let tasks = try node.claim(100)
        #expect(tasks.count == 8)
        for task in tasks {
            switch task.line {
            case "@\(plain.identifier) 0": try node.report(task, finished(1))
            case "@\(plain.identifier) 1": try node.report(task, failed(.oom))
            case "@\(plain.identifier) 2":
                let result = ReportTask.Result.failed(
                    reason: "exit 1", record: "{}", attemptsMax: 3, retryMilliseconds: 600_000)
                try node.report(task, result)
            case "@\(plain.identifier) 3": try node.report(task, .returned)
            default: continue
            }
        }
        let snapshot = try snapshot(bench, jobsMax: 1)
        #expect(
            snapshot.tasks == [
                .waiting: 1, .delayed: 1, .dependent: 2, .timed: 0, .running: 4, .finished: 1, .failed: 1,
            ])
        #expect(snapshot.jobCount == 2 && !snapshot.isPaused)
        #expect(snapshot.jobs.map(\.name) == ["dag"] || snapshot.jobs.map(\.name) == ["plain"])
        #expect(snapshot.nodes.counts == [.ready: 1, .drained: 0, .trouble: 0, .lost: 0])
        #expect(snapshot.nodes.capacityMemoryBytes == Double(64 << 30) && snapshot.nodes.capacityCores == 64)
        #expect(snapshot.nodes.askedMemoryBytes == Double(2 << 30) && snapshot.nodes.askedCores == 3)
        #expect(snapshot.redis.map { $0.usedBytes > 100_000 && $0.maxBytes == 0 } == true)
        try bench.perform(PauseQueue(true, keys: bench.keys))
        #expect(try self.snapshot(bench).isPaused)
    }

    @Test("nodes are told by what is the matter with them")
    func nodeStates() throws {
        let bench = try QueueBench()
        _ = try bench.node("well")
        _ = try bench.node("ill", trouble: "no space left")
        _ = try bench.node("resting")
        _ = try bench.drain("resting")
        try bench.node("gone").loseLease()
        #expect(try snapshot(bench).nodes.counts == [.ready: 1, .drained: 1, .trouble: 1, .lost: 1])
        #expect(try snapshot(bench).nodes.capacityCores == 3 * 64)
    }

    @Test("the oldest that waits is not of a job that is paused")
    func oldestIsNotPaused() throws {
        let bench = try QueueBench()
        let (first, second) = (try bench.job("first"), try bench.job("second"))
        try bench.submit(first, "a")
        try bench.command("DEL", "distcomp:metrics-arrivals")
        try bench.command("ZADD", "distcomp:metrics-arrivals", "1", "1000")
        try bench.submit(second, "a")
        #expect(try snapshot(bench).oldestWaitingSeconds.map { $0 > 1e9 } == true)
        try bench.command("SADD", "distcomp:jobs-paused", first.identifier)
        #expect(try snapshot(bench).oldestWaitingSeconds.map { $0 < 1e6 } == true)
    }

    @Test("of many arrivals the older are thinned out, and all is told at least as of the next one that is known")
    func arrivalsAreThinned() throws {
        let bench = try QueueBench()
        for number in 1...4096 {
            try bench.command("ZADD", "distcomp:metrics-arrivals", "\(number)", "\(number * 1000)")
        }
        try bench.command("SET", "distcomp:sequence", "4096")
        try bench.submit(line("x"))
        let count = try #require(try bench.command("ZCARD", "distcomp:metrics-arrivals").int)
        #expect(count == 4097 - 1024)
        #expect(try bench.command("ZRANGEBYSCORE", "distcomp:metrics-arrivals", "1", "4").elements?.count == 2)
        #expect(try bench.command("ZRANGEBYSCORE", "distcomp:metrics-arrivals", "4000", "4003").elements?.count == 4)
    }
}

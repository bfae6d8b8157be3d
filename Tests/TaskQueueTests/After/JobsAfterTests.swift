// A job that waits for other jobs. What is the same for jobs and tasks is in TasksAfterTests.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Jobs after jobs")
struct JobsAfterTests {
    private func two(_ bench: QueueBench, _ way: AfterWay) throws -> (Job, Job) {
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1", "2")
        try bench.gate(second, (first, way))
        try bench.submit(second, "a", "b")
        return (first, second)
    }

    @Test("a job after another waits until all of that has finished, then it is let in at once")
    func ok() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        #expect(try bench.gate(of: second) == .waits && bench.dependent(of: second) == 2)
        let tasks = try node.take()
        #expect(tasks.keys.sorted() == ["1", "2"])
        try node.finish(try #require(tasks["1"]))
        #expect(try node.take().isEmpty)
        try node.finish(try #require(tasks["2"]))
        #expect(try bench.gate(of: second) == .open && bench.dependent(of: second) == 0)
        #expect(try node.take().keys.sorted() == ["a", "b"])
        #expect(try bench.numbers(of: first) == [0, 0, 2, 0])
    }

    @Test("after any: it is let in when the other has ended, whatever came of it")
    func any() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (_, second) = try two(bench, .any)
        let tasks = try node.take()
        try node.fail(try #require(tasks["1"]), attemptsMax: 1)
        #expect(try node.take().isEmpty)
        try node.fail(try #require(tasks["2"]), attemptsMax: 1)
        #expect(try node.take().keys.sorted() == ["a", "b"])
        #expect(try bench.numbers(of: second) == [0, 2, 0, 0])
    }

    @Test("what can never run ends with the cause dependency and names the job; it waits again when that is retried")
    func broken() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        let tasks = try node.take()
        try node.fail(try #require(tasks["1"]), attemptsMax: 1)
        #expect(try bench.numbers(of: second) == [2, 0, 0, 0], "the other goes on, and may be retried")
        try node.finish(try #require(tasks["2"]))
        #expect(try bench.gate(of: second) == .broken(first.identifier))
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2] && bench.dependent(of: second) == 0)
        #expect(try bench.reason(second, "a") == "dependency: prepare failed")
        let record = try #require(try bench.state(of: second).outcomes["@\(second.identifier) a"])
        #expect(try TaskOutcome(record: String(record.dropFirst(2))).cause == .dependency(on: "prepare"))

        #expect(try bench.retry(second, "a", "b") == 0, "not while it could not run either")
        #expect(try bench.retry(first, "1") == 1)
        #expect(try bench.gate(of: second) == .waits && bench.numbers(of: second) == [2, 0, 0, 0])
        #expect(try bench.reason(second, "a") == nil)
        try node.finish(try #require(try node.take()["1"]))
        #expect(try node.runAll() == ["a", "b"], "in their old order")
    }

    @Test("what is waited for says that it is paused")
    func paused() throws {
        let bench = try QueueBench()
        let (first, second) = try two(bench, .ok)
        func isPaused() throws -> [Bool] {
            try bench.client(of: .watcher).perform(ReadAwaited(second.identifier, keys: bench.keys)).parents.map(
                \.isPaused)
        }
        #expect(try isPaused() == [false])
        try bench.perform(PauseJob(first.identifier, isPaused: true, keys: bench.keys))
        #expect(try isPaused() == [true])
    }

    @Test("a job whose tasks are still being added is not complete, though all it has have ended")
    func loading() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare", load: "x"), try bench.job("sweep"))
        try bench.gate(second, (first, .ok))
        try bench.submit(second, "a")
        try bench.submit(first, "1")
        #expect(try node.runAll() == ["1"])
        #expect(try bench.perform(ReadAwaited(second.identifier, keys: bench.keys)).parents[0].isLoading)
        try node.beat()
        #expect(try node.take().isEmpty)
        #expect(try bench.perform(LoadedJob(first.identifier, load: "another", keys: bench.keys)) == .unknown)
        try bench.submit(first, "2")
        try bench.perform(LoadedJob(first.identifier, load: "x", keys: bench.keys))
        #expect(try node.take().keys.sorted() == ["2"])
    }

    @Test(
        "of two that add to a job at once the first ends, and the second is refused: then all has been added",
        arguments: [false, true])
    func loadingTwice(isFirstRefused: Bool) throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare", load: "x"), try bench.job("sweep"))
        try bench.gate(second, (first, .ok))
        try bench.submit(second, "a")
        try bench.submit(first, "1")
        _ = try bench.job("prepare", load: "y")
        func end(_ load: String, isRefused: Bool) throws -> JobOrderReply {
            try bench.perform(LoadedJob(first.identifier, load: load, isRefused: isRefused, keys: bench.keys))
        }
        #expect(try end("x", isRefused: isFirstRefused) == .changed)
        #expect(try bench.perform(ReadAwaited(second.identifier, keys: bench.keys)).parents[0].isLoading)
        #expect(try end("y", isRefused: true) == .changed)
        #expect(try bench.command("EXISTS", "distcomp:job-loads").int == 0)
        #expect(try node.runAll() == ["1", "a"])
    }

    @Test("several jobs: all are waited for, and a circle is refused with its jobs")
    func several() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let jobs = try ["a", "b", "c"].map { try bench.job($0) }
        try bench.submit(jobs[0], "1")
        try bench.submit(jobs[1], "2")
        #expect(try bench.gate(jobs[2], (jobs[0], .ok), (jobs[1], .any)) == .gated(.waits))
        try bench.submit(jobs[2], "3")
        #expect(
            try bench.gate(jobs[0], (jobs[2], .ok))
                == .circle([jobs[0].identifier, jobs[2].identifier, jobs[0].identifier]))
        #expect(try bench.gate(jobs[1], (jobs[1], .any)) == .circle([jobs[1].identifier, jobs[1].identifier]))
        let tasks = try node.take()
        try node.finish(try #require(tasks["1"]))
        #expect(try node.take().isEmpty)
        try node.fail(try #require(tasks["2"]), attemptsMax: 1)
        #expect(try node.take().keys.sorted() == ["3"])
        let gone = Job(identifier: "zzz", name: "zzz", settings: .init(), definition: .init())
        #expect(try bench.gate(jobs[2], (gone, .ok)) == .unknown("zzz"))
    }

    @Test("other settings are refused as a whole where the job cannot wait for what it is to wait for then")
    func changedAfter() throws {
        let bench = try QueueBench()
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.gate(second, (first, .ok))
        var settings = first.settings
        settings.memoryBytes = 8 << 30
        func change(_ parent: String) throws -> ChangeJob.Reply {
            try bench.perform(
                ChangeJob(
                    first.identifier, name: "other", settings: settings, after: [(parent, .ok)], keys: bench.keys))
        }
        func job() throws -> Job {
            try #require(
                try bench.perform(ReadJobs(keys: bench.keys)).rows.first { $0.job.identifier == first.identifier }
            ).job
        }
        #expect(
            try change(second.identifier)
                == .circle([first.identifier, second.identifier, first.identifier]))
        #expect(try change("zzz") == .unknown("zzz"))
        #expect(try job().name == "prepare" && job().settings.memoryBytes == 0)
        #expect(try change(try bench.job("before").identifier) == .changed)
        #expect(try job().name == "other" && job().settings.memoryBytes == 8 << 30)
    }

    @Test("a job that was forgotten after it had finished counts as finished, also for what did not hear of it")
    func forgotten() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1")
        try bench.gate(second, (first, .ok))
        try bench.submit(second, "a")
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .busy)
        try node.finish(try #require(try node.take()["1"]))
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        #expect(try node.take().keys.sorted() == ["a"])
        // Its gate shut by hand, as if a script had been stopped: the heartbeat finds it.
        let third = try bench.job("third")
        try bench.submit(third, "c")
        try bench.command("HSET", bench.keys.prefix + "distcomp:job-after", third.identifier, "\(first.identifier):ok")
        try bench.command("HSET", bench.keys.prefix + "distcomp:jobs-gated", third.identifier, "waits")
        try node.beat()
        #expect(try bench.gate(of: third) == .open)
    }

    @Test(
        "failed tasks that are forgotten let in nothing that waited for their job, until they are asked for again or it is retried"
    )
    func forgottenFailures() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        let keys = bench.keys.of(job: first.identifier)
        func forgetFailure() throws {
            let line = Array("@\(first.identifier) 1".utf8)
            let forget = ForgetTasks(.failed, [line][...], keys: keys, jobs: [first.identifier: first])
            #expect(try bench.perform(forget) == 1)
            try node.beat()
        }
        func failFirst() throws {
            for (command, task) in try node.take() {
                if command == "1" { try node.fail(task, attemptsMax: 1) } else { try node.finish(task) }
            }
        }
        try failFirst()
        try forgetFailure()
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2], "what it waited for has failed still")
        // Asked for again it is as if it had never failed.
        try bench.submit(first, "1", "2")
        try failFirst()
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2])
        try forgetFailure()
        try bench.submit(first, "1", "2")
        #expect(try node.runAll() == ["1", "a", "b"])

        let (other, waiter) = (try bench.job("other"), try bench.job("waiter"))
        try bench.submit(other, "x")
        try bench.gate(waiter, (other, .ok))
        try bench.submit(waiter, "y")
        try node.fail(try #require(try node.take()["x"]), attemptsMax: 1)
        let line = Array("@\(other.identifier) x".utf8)
        let forget = ForgetTasks(
            .failed, [line][...], keys: bench.keys.of(job: other.identifier), jobs: [other.identifier: other])
        #expect(try bench.perform(forget) == 1)
        #expect(try bench.numbers(of: waiter) == [0, 0, 0, 1])
        #expect(try bench.retry(waiter, "y") == 1)
        #expect(try bench.gate(of: waiter) == .open)
        #expect(try node.runAll() == ["y"], "by hand it is let in")
    }

    @Test("a job whose adding was cut off, and which failed and was forgotten, has failed for what waits for it")
    func cutOff() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare", load: "x"), try bench.job("sweep"))
        try bench.gate(second, (first, .ok))
        try bench.submit(second, "a")
        try bench.submit(first, "1")
        try node.fail(try #require(try node.take()["1"]), attemptsMax: 1)
        #expect(try bench.gate(of: second) == .waits)
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        try node.beat()
        #expect(try node.take().isEmpty)
        #expect(try bench.numbers(of: second) == [0, 0, 0, 1])
    }

    @Test("what was forgotten after it failed has failed still; who retries what waits then lets it in")
    func forgottenFailure() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        for task in try node.claim(2) { try node.fail(task, attemptsMax: 1) }
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2])
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        try node.beat()
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2])
        #expect(try bench.retry(second, "a") >= 0)
        #expect(try node.runAll().contains("a"))
    }

    @Test(
        "a job that waits can be cancelled, paused, renamed, given another size and halted, and is let in as it is then"
    )
    func orders() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        try bench.cancel(second, "a")
        #expect(try bench.numbers(of: second) == [1, 0, 0, 1])
        try bench.perform(PauseJob(second.identifier, isPaused: true, keys: bench.keys))
        var settings = second.settings
        settings.memoryBytes = 32 << 30
        try bench.perform(ChangeJob(second.identifier, name: "later", settings: settings, keys: bench.keys))
        try bench.perform(ChangeJob(first.identifier, name: "earlier", keys: bench.keys))
        #expect(try bench.perform(ReadAwaited(second.identifier, keys: bench.keys)).parents.map(\.name) == ["earlier"])
        for task in try node.claim(10) { try node.finish(task) }
        #expect(try node.claim(10).isEmpty, "paused still")
        try bench.perform(PauseJob(second.identifier, isPaused: false, keys: bench.keys))
        #expect(try node.claim(10, gigabytes: 16).isEmpty)
        #expect(try node.claim(10, gigabytes: 32).count == 1)
        #expect(try bench.retry(second, "a") == 1, "what was cancelled is tried anew when it may run")
    }

    @Test("cancelling what is waited for ends what waits; after any it lets it in")
    func cancelled() throws {
        for (way, expected) in [(AfterWay.ok, [0, 0, 0, 2]), (.any, [2, 0, 0, 0])] {
            let bench = try QueueBench()
            let node = try bench.node("a")
            let (first, second) = try two(bench, way)
            try bench.cancel(first, "1")
            try bench.cancel(first, "2")
            #expect(try bench.numbers(of: second) == expected)
            #expect(try node.take().count == expected[0])
        }
    }

    @Test("a job that is asked for again waits again for what does not stand as it should")
    func again() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = try two(bench, .ok)
        _ = try node.runAll()
        #expect(try bench.numbers(of: second) == [0, 0, 2, 0])
        try bench.submit(first, "3")
        try bench.submit(second, "c")
        #expect(try bench.gate(second, (first, .ok)) == .gated(.waits))
        #expect(try node.take().keys.sorted() == ["3"])
        #expect(try bench.gate(second) == .gated(.open), "no more after anything")
        #expect(try node.take().keys.sorted() == ["c"])
    }

    @Test("a million that wait are let in by a few steps")
    func size() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1")
        try bench.gate(second, (first, .ok))
        try bench.submit(second, (0..<5000).map { "./cachesim \($0)" })
        let task = try #require(try node.take()["1"])
        let before = try bench.commandCount
        try node.finish(task)
        #expect(try bench.commandCount - before < 100, "not one for each")
        #expect(try node.claim(1000).count == 1000)
    }

    @Test("what has ended for want of another is ended a few at a time, by whoever comes")
    func bounded() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1")
        try bench.gate(second, (first, .ok))
        try bench.submit(second, (0..<2000).map { "./cachesim \($0)" })
        try node.fail(try #require(try node.take()["1"]), attemptsMax: 1)
        let failed = try bench.numbers(of: second)[3]
        #expect((1...600).contains(failed), "\(failed)")
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .telling)
        for _ in 0..<20 { try node.beat() }
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2000])
        let reply = try node.claimReply(10)
        #expect(reply.tasks.isEmpty)
        #expect(try bench.retry(first, "1") == 1)
        while try bench.command("EXISTS", bench.keys.prefix + "distcomp:telling").int == 1 { _ = try node.claim(0) }
        #expect(try bench.numbers(of: second) == [2000, 0, 0, 0])
        #expect(try node.runAll().count == 2001)
        #expect(try bench.perform(ForgetJob(second, keys: bench.keys)) == .changed)
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        let left = try bench.command("KEYS", bench.keys.prefix + "distcomp:job*").elements?.compactMap(\.string) ?? []
        #expect(left.sorted() == ["distcomp:job-number", "distcomp:job-revision"])
    }
}

extension QueueBench {
    /// How many commands the server has carried out, those of scripts among them.
    var commandCount: Int {
        get throws {
            let lines = (try command("INFO", "commandstats").string ?? "").split(whereSeparator: \.isNewline)
            return lines.reduce(0) { sum, line in
                sum + (line.firstRange(of: "calls=").flatMap { Int(line[$0.upperBound...].prefix { $0 != "," }) } ?? 0)
            }
        }
    }

    func state(of job: Job) throws -> (failed: [String: String], outcomes: [String: String]) {
        func hash(_ key: String) throws -> [String: String] {
            var fields: [String: String] = [:]
            for entry in try command("HGETALL", key).entries ?? [] {
                fields[entry.key.string ?? ""] = entry.value.string
            }
            return fields
        }
        let own = keys.of(job: job.identifier)
        return (try hash(own.failed), try hash(own.outcomes))
    }
}

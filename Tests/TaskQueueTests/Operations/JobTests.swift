// Jobs in the queue. That a line of a job is claimed, reported, given back and taken over as any other is for RandomOperationsTests; here is
// what only jobs have.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Jobs in the queue")
struct JobTests {
    private func settings(memory: UInt64 = 0, cores: Int = 0, fingerprint: String = "f") -> Job.Settings {
        var settings = Job.Settings()
        (settings.memoryBytes, settings.millicores) = (memory, cores * 1000)
        (settings.fingerprint, settings.command) = (fingerprint, "./sim {}")
        return settings
    }

    /// Opens the job that is asked for, and says how the queue now knows it.
    private func open(
        _ bench: QueueBench, _ settings: Job.Settings, name: String = "sim", isChosen: Bool = false,
        type: TaskType = .shell
    ) throws -> Job {
        var definition = Job.Definition()
        definition.type = type
        let reply = try bench.perform(
            OpenJob(
                name: name, isNameChosen: isChosen, settings: settings, definition: definition, keys: bench.keys))
        guard case .opened(let identifier, _, _) = reply else { throw Refused(reply: reply) }
        return try #require(try rows(bench).first { $0.job.identifier == identifier }).job
    }

    private struct Refused: Error { let reply: OpenJob.Reply }

    private func rows(_ bench: QueueBench) throws -> [ReadJobs.Row] {
        try bench.perform(ReadJobs(keys: bench.keys)).rows.sorted { $0.job.identifier < $1.job.identifier }
    }

    @discardableResult
    private func submit(_ bench: QueueBench, _ job: Job, _ commands: String...) throws -> SubmitReply {
        let lines = try commands.map { try TaskLine(command: $0, of: job) }
        return try bench.perform(SubmitTasks(lines[...], keys: bench.keys))
    }

    private func numbers(_ bench: QueueBench, _ job: Job) throws -> [Int] {
        let counts = try bench.perform(ReadCounts(keys: bench.keys.of(job: job.identifier)))
        return [counts.todo, counts.inProgress, counts.finished, counts.failed]
    }

    @Test("the tasks of a job are counted by themselves, whatever else the queue holds")
    func counts() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (a, b) = (try open(bench, settings()), try open(bench, settings(fingerprint: "g")))
        try bench.submit(line("x"), line("y"))
        try submit(bench, a, "1", "2", "3")
        try submit(bench, b, "1")
        #expect(a.identifier != b.identifier && a.name == "sim" && b.name == "sim-2")
        for task in try node.claim(10) where task.line == "@\(a.identifier) 1" || task.line == line("x") {
            try node.finish(task)
        }
        #expect(try numbers(bench, a) == [0, 2, 1, 0] && numbers(bench, b) == [0, 1, 0, 0])
        #expect(try bench.numbers == [0, 1, 1, 0], "what is of no job")
        let all = try bench.perform(ReadCounts(keys: bench.keys, ofAll: true))
        #expect([all.todo, all.inProgress, all.finished, all.failed] == [0, 4, 2, 0])
        #expect(try rows(bench).map(\.inProgress) == [2, 1])
    }

    @Test("the same asked for with more memory goes on with what failed or waits, and leaves what finished")
    func moreMemory() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 60 << 20))
        try submit(bench, job, "1", "2", "3")
        let tasks = try node.claim(2)
        try node.finish(tasks[0])
        try node.fail(tasks[1], attemptsMax: 1)

        let again = try open(bench, settings(memory: 224 << 20))
        #expect(again.identifier == job.identifier && again.settings.memoryBytes == 224 << 20)
        let reply = try submit(bench, again, "1", "2", "3")
        #expect(reply.added == 1 && reply.finished == 1 && reply.inTodo == 1)
        let claimed = try node.claimReply(10)
        #expect(claimed.tasks.map(\.line).sorted() == ["@\(job.identifier) 2", "@\(job.identifier) 3"])
        let record = try #require(claimed.jobRecords[job.identifier])
        #expect(try Job(identifier: job.identifier, record: record).settings.memoryBytes == 224 << 20)
        for task in claimed.tasks { try node.finish(task) }
        #expect(try numbers(bench, job) == [0, 0, 3, 0])
    }

    @Test("all of a job that waits takes another size at once, also what waits for another try")
    func resized() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 1 << 30))
        try submit(bench, job, "1", "2", "3")
        try node.fail(try node.claim()[0])
        try node.fail(try node.claim()[0], retryMilliseconds: 100_000)
        #expect(
            try bench.perform(ChangeJob(job.identifier, settings: settings(memory: 9 << 30), keys: bench.keys))
                == .changed)
        try bench.pass(seconds: 1000)
        #expect(try node.claim(10, gigabytes: 8).isEmpty)
        #expect(try node.claim(10, gigabytes: 27).count == 3)
        #expect(try numbers(bench, job) == [0, 3, 0, 0])
    }

    private func look(_ bench: QueueBench, _ line: TaskLine, _ job: Job) throws -> TaskStanding {
        try ReadStanding.parse(
            try bench.client.pipeline(
                ReadStanding(line.text, keys: bench.keys, jobs: [job.identifier: job]).requests))
    }

    /// How many wait before a line, or in all.
    private func waiting(_ bench: QueueBench, before score: Double? = nil) throws -> Int {
        let classes = try bench.perform(ReadClasses(keys: bench.keys))
        return try bench.client.pipeline(CountWaiting.requests(classes, before: score, keys: bench.keys))
            .reduce(0) { try $0 + CountWaiting.parse($1) }
    }

    @Test(
        "single tasks of a job are given more, which goes with them wherever they go, until the job is given something")
    func ownSettings() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 1 << 30))
        let lines = try ["1", "2", "3", "4"].map { try TaskLine(command: $0, of: job) }
        try submit(bench, job, "1", "2", "3", "4")
        let tasks = try node.claim(3)
        try node.fail(tasks[0], attemptsMax: 1)
        try node.fail(tasks[1], attemptsMax: 1)
        try node.fail(tasks[2], retryMilliseconds: 100_000)
        let more = OwnSettings(memoryBytes: 9 << 30, millicores: 500, timeout: .seconds(7200))
        let reply = try bench.perform(RetryTasks([lines[0], lines[2], lines[3]], own: more, keys: bench.keys))
        #expect(reply.queued == 1 && reply.hastened == 1)
        #expect(try look(bench, lines[0], job).own == more && look(bench, lines[3], job).own == nil)
        _ = try bench.perform(RetryTasks(lines[1...1], keys: bench.keys))

        #expect(try node.claim(10, gigabytes: 8).map(\.line) == [lines[3].text, lines[1].text])
        let given = try node.claim(10, gigabytes: 27)
        #expect(
            given.map(\.line) == [lines[2].text, lines[0].text] || given.map(\.line) == [lines[0].text, lines[2].text])
        #expect(given.map(\.own) == [more.text, more.text])
        let held = try bench.perform(HeldTasks(keys: bench.keys, incarnation: node.incarnation))
        #expect(Set(held.filter { $0.own == more.text }.map(\.line)) == [lines[0].text, lines[2].text])

        #expect(try bench.perform(RequeueTasks([lines[0]], keys: bench.keys)) == 1)
        _ = try bench.perform(TakeCancellations(keys: bench.keys, incarnation: node.incarnation))
        #expect(try node.claim(10, gigabytes: 8).isEmpty)
        #expect(
            try bench.perform(
                ChangeJob(
                    job.identifier, settings: settings(memory: 2 << 30), forAll: [.memory, .cores, .timeout],
                    keys: bench.keys)) == .changed)
        let last = try node.claim(10, gigabytes: 2)
        #expect(last.map(\.line) == [lines[0].text] && last.map(\.own) == [nil])
    }

    @Test("the same asked for again leaves what single tasks were given")
    func ownSettingsStay() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 1 << 30))
        try submit(bench, job, "1")
        try node.fail(try node.claim()[0], attemptsMax: 1)
        let more = OwnSettings(memoryBytes: 2 << 30, millicores: 0, timeout: .byDefault)
        _ = try bench.perform(RetryTasks([try TaskLine(command: "1", of: job)], own: more, keys: bench.keys))
        var again = settings(memory: 1 << 30)
        again.submittedAtUnixSeconds = 5
        _ = try open(bench, again)
        #expect(try node.claim(gigabytes: 1).isEmpty)
        let held = try node.claim(gigabytes: 2)
        #expect(held.map(\.own) == [more.text])
        // By order it takes what the job has, though that is no other than before.
        try node.report(held[0], .returned)
        let order = ChangeJob(job.identifier, settings: again, forAll: [.memory, .cores, .timeout], keys: bench.keys)
        #expect(try bench.perform(order) == .changed)
        #expect(try node.claim(gigabytes: 1).map(\.own) == [nil])
    }

    @Test(
        "of more than a job has, single tasks keep what is their own when it is given something; of less they come to have that"
    )
    func ownSettingsFollow() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 2 << 30, cores: 1))
        let lines = try ["more", "less", "time"].map { try TaskLine(command: $0, of: job) }
        let own = [
            OwnSettings(memoryBytes: 8 << 30, millicores: 1000, timeout: .byDefault),
            OwnSettings(memoryBytes: 1 << 30, millicores: 1000, timeout: .byDefault),
            OwnSettings(memoryBytes: 2 << 30, millicores: 1000, timeout: .seconds(9)),
        ]
        let tasks = zip(lines, own).map { DependentTask($0.taking($1), after: []) }
        for operation in SubmitDependent.operations(tasks, keys: bench.keys) { try bench.perform(operation) }
        let again = try open(bench, settings(memory: 4 << 30, cores: 2))
        #expect(again.identifier == job.identifier)
        let given = try node.claim(10, gigabytes: 16)
        #expect(given.map(\.line) == lines.map(\.text))
        #expect(given.map(\.own) == ["\(8 << 30):2000 default", nil, "\(4 << 30):2000 9.0"])
    }

    @Test(
        "of thousands that have something of their own each call sees to some, and what was given to the job counts for all"
    )
    func ownSettingsOfMany() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings(memory: 1 << 30))
        let own = OwnSettings(memoryBytes: 8 << 30, millicores: 0, timeout: .byDefault)
        let tasks = try (0..<3000).map {
            DependentTask(try TaskLine(command: "t\($0)", of: job).taking(own), after: [])
        }
        for operation in SubmitDependent.operations(tasks, keys: bench.keys) { try bench.perform(operation) }
        func change(_ settings: Job.Settings, _ parts: Set<ChangeJob.Part>) throws -> Int {
            var order = ChangeJob(job.identifier, settings: settings, forAll: parts, keys: bench.keys)
            var calls = 1
            let before = try bench.commandCount
            var reply = try bench.perform(order)
            #expect(try bench.commandCount - before < 15_000)
            while case .going(let cursor) = reply {
                order.cursor = cursor
                (reply, calls) = (try bench.perform(order), calls + 1)
            }
            #expect(reply == .changed)
            return calls
        }
        var given = settings(memory: 1 << 30)
        given.timeout = .seconds(7200)
        #expect(try change(given, [.timeout]) > 5)
        #expect(try node.claim(10, gigabytes: 4).isEmpty)
        let some = try node.claim(1000, gigabytes: 16)
        #expect(some.map(\.line) == ["@\(job.identifier) t0", "@\(job.identifier) t1"])
        #expect(some[0].own.flatMap { OwnSettings(text: $0)?.timeout } == .seconds(7200))
        given.memoryBytes = 2 << 30
        #expect(try change(given, [.memory]) > 5)
        #expect(try node.claim(1000, gigabytes: 64).map(\.own) == Array(repeating: nil, count: 32))
    }

    /// The sizes in which what waits is given out.
    private func sizes(_ bench: QueueBench) throws -> Set<String> {
        let names = try bench.command("ZRANGE", "distcomp:classes", "0", "-1").elements ?? []
        return Set(names.compactMap { $0.string?.split(separator: " ").last.map(String.init) })
    }

    /// A job of 4G with so many tasks that have something of their own: a time, and each second one a size as well.
    private func jobOfMany(_ bench: QueueBench, _ count: Int) throws -> Job {
        let job = try open(bench, settings(memory: 4 << 30))
        let tasks = try (0..<count).map { number in
            let own = OwnSettings(
                memoryBytes: number % 2 == 0 ? 4 << 30 : 8 << 30, millicores: 0, timeout: .seconds(100))
            return DependentTask(try TaskLine(command: "t\(number)", of: job).taking(own), after: [])
        }
        for operation in SubmitDependent.operations(tasks, keys: bench.keys) { try bench.perform(operation) }
        return job
    }

    private func give(
        _ bench: QueueBench, _ job: Job, gigabytes: UInt64, forAll parts: Set<ChangeJob.Part>
    ) throws {
        let size = settings(memory: gigabytes << 30)
        var order = ChangeJob(job.identifier, settings: size, forAll: parts, keys: bench.keys)
        var reply = try bench.perform(order)
        while case .going(let cursor) = reply {
            order.cursor = cursor
            reply = try bench.perform(order)
        }
        #expect(reply == .changed)
    }

    @Test(
        "an order for a job of thousands of sizes that is cut off strands nothing: the next finds all that it had changed",
        arguments: [4, 6] as [UInt64])
    func changeCutOff(gigabytes: UInt64) throws {
        let bench = try QueueBench()
        let job = try jobOfMany(bench, 2000)
        let parts: Set<ChangeJob.Part> = [.memory, .timeout]
        var mistake = ChangeJob(job.identifier, settings: settings(memory: 900 << 30), forAll: parts, keys: bench.keys)
        for _ in 1...3 {
            guard case .going(let cursor) = try bench.perform(mistake) else { throw QueueError.unexpectedReply("all") }
            mistake.cursor = cursor
        }
        #expect(try sizes(bench).contains("\(900 << 30):0:"), "what a size is given goes there at once")
        #expect(try rows(bench)[0].job.settings.memoryBytes == 4 << 30)

        try give(bench, job, gigabytes: gigabytes, forAll: parts)
        #expect(try sizes(bench) == ["\(gigabytes << 30):0:"])
        let own = bench.keys.of(job: job.identifier).todo.replacing("todo_tasks", with: "own")
        #expect(try bench.command("EXISTS", own).int == 0)
        let node = try bench.node("a")
        var given: Set<String> = []
        while true {
            let tasks = try node.claim(1000, gigabytes: 1 << 20)
            if tasks.isEmpty { break }
            for task in tasks {
                given.insert(task.line)
                #expect(task.own == nil)
            }
        }
        #expect(given.count == 2000)
    }

    @Test("two orders for one job that differ both come to an end, though each call is followed by one of the other")
    func changedByTwo() throws {
        let bench = try QueueBench()
        let job = try jobOfMany(bench, 2000)
        var orders = ([5, 6] as [UInt64]).map { gigabytes in
            ChangeJob(
                job.identifier, settings: settings(memory: gigabytes << 30), forAll: [.memory, .timeout],
                keys: bench.keys)
        }
        var calls = 0
        while !orders.isEmpty, calls < 200 {
            for (index, order) in orders.enumerated().reversed() {
                calls += 1
                switch try bench.perform(order) {
                case .going(let cursor): orders[index].cursor = cursor
                case let reply:
                    #expect(reply == .changed)
                    orders.remove(at: index)
                }
            }
        }
        #expect(orders.isEmpty && calls < 200)
        // Whichever was the last: the next finds all.
        try give(bench, job, gigabytes: 7, forAll: [.memory, .timeout])
        #expect(try sizes(bench) == ["\(7 << 30):0:"])
    }

    private func halting(_ rule: String, fingerprint: String = "f") -> Job.Settings {
        var settings = settings(fingerprint: fingerprint)
        settings.halt = rule
        return settings
    }

    @Test(
        "of a job that is to halt nothing is given out once so many have failed for good; what runs may end, and resume lets it go on"
    )
    func haltedSoon() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, halting("soon,fail=2"))
        try submit(bench, job, "1", "2", "3", "4", "5", "6", "7", "8")
        let tasks = try node.claim(3)
        try node.fail(tasks[0], attemptsMax: 1)
        #expect(try node.claim(1).count == 1)
        try node.fail(tasks[1], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [true] && rows(bench).map(\.isPaused) == [true])
        #expect(try bench.perform(ReadJobHalted(job.identifier, keys: bench.keys)))
        #expect(try node.claim(10).isEmpty)
        try node.finish(tasks[2])
        #expect(try numbers(bench, job) == [4, 1, 1, 2])

        #expect(try bench.perform(PauseJob(job.identifier, isPaused: false, keys: bench.keys)) == .changed)
        #expect(try rows(bench).map(\.isHalted) == [false])
        let more = try node.claim(3)
        try node.fail(more[0], attemptsMax: 1)
        #expect(try node.claim(1).count == 1, "what had failed before does not count")
        try node.fail(more[1], attemptsMax: 1)
        #expect(try node.claim(10).isEmpty && rows(bench).map(\.isHalted) == [true])
        let again = try open(bench, halting("soon,fail=2"))
        #expect(try rows(bench).map(\.isHalted) == [false], "asked for again, it goes on")
        #expect(try submit(bench, again, "1", "2").added == 2, "these are tried anew, and count from now on")
        for _ in 1...2 { try node.fail(try node.claim()[0], attemptsMax: 1) }
        #expect(try rows(bench).map(\.isHalted) == [true])
    }

    @Test(
        "what is cancelled is no failure that halts; another rule counts what has failed, and without one a job goes on"
    )
    func haltedByRule() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, halting("soon,fail=2"))
        let lines = try ["1", "2", "3", "4", "5", "6"].map { try TaskLine(command: $0, of: job) }
        try submit(bench, job, "1", "2", "3", "4", "5", "6")
        let jobs = [job.identifier: job]
        for line in lines[4...] { _ = try bench.perform(CancelTask(line.text, keys: bench.keys, jobs: jobs)) }
        let tasks = try node.claim(3)
        _ = try bench.perform(CancelTask(tasks[2].line, keys: bench.keys, jobs: jobs))
        try node.fail(tasks[0], attemptsMax: 1)
        try node.fail(tasks[2], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [false])
        func give(_ rule: String) throws {
            _ = try bench.perform(ChangeJob(job.identifier, settings: halting(rule), keys: bench.keys))
        }
        try give("soon,fail=10%")
        #expect(try rows(bench).map(\.isHalted) == [true], "one has failed of six")
        try give("")
        #expect(try rows(bench).map(\.isHalted) == [false] && rows(bench).map(\.isPaused) == [false])
        #expect(try node.claim(10).count == 1)
    }

    @Test("a variable of a job's tasks is no rule by which it halts, whatever it is called")
    func haltedByNoVariable() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        var definition = Job.Definition()
        definition.surroundings.environment = ["halt": "soon,fail=1"]
        let open = OpenJob(
            name: "j", isNameChosen: true, settings: settings(fingerprint: "f"), definition: definition,
            keys: bench.keys)
        guard case .opened(let identifier, _, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        let job = Job(identifier: identifier, name: "j", settings: settings(fingerprint: "f"), definition: definition)
        try submit(bench, job, "1", "2")
        try node.fail(try node.claim(1)[0], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [false] && node.claim(1).count == 1)
    }

    @Test("what is to be tried again is no failure that halts, and a share is one of all tasks of the job")
    func haltedByShare() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, halting("soon,fail=50%"))
        try submit(bench, job, "1", "2", "3", "4")
        let tasks = try node.claim(3)
        for task in tasks { try node.fail(task, retryMilliseconds: 100_000) }
        #expect(try rows(bench).map(\.isHalted) == [false])
        try bench.pass(seconds: 200)
        let again = try node.claim(3)
        try node.fail(again[0], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [false])
        try node.fail(again[1], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [true])
    }

    @Test("of a job that halts at once what runs is taken away and waits, however much there is")
    func haltedNow() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, halting("now,fail=1"))
        let lines = try (0..<2500).map { try TaskLine(command: "\($0)", of: job) }
        for first in stride(from: 0, to: lines.count, by: 500) {
            try bench.perform(SubmitTasks(lines[first..<(first + 500)], keys: bench.keys))
        }
        var tasks: [ClaimTasks.Claimed] = []
        for _ in 0..<3 { tasks += try node.claim(1000) }
        #expect(tasks.count == 2500)
        try node.fail(tasks[0], attemptsMax: 1)
        #expect(try rows(bench).map(\.isHalted) == [true])
        for _ in 0..<20 { _ = try node.beat() }
        #expect(try numbers(bench, job) == [2499, 0, 0, 1])
        var told: Set<String> = []
        while case let page = try bench.perform(TakeCancellations(keys: bench.keys, incarnation: node.incarnation)),
            !page.isEmpty
        { told.formUnion(page) }
        #expect(told.count == 2499)
        #expect(try node.report(tasks[1], .finished(value: [], record: "{}")) == .stale)
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .busy)
    }

    @Test("what is cancelled and submitted again waits behind what came before, and is given once")
    func cancelledAndAgain() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        let first = try TaskLine(command: "1", of: job)
        try submit(bench, job, "1", "2", "3")
        #expect(
            try bench.perform(CancelTask(first.text, keys: bench.keys, jobs: [job.identifier: job])) == .cancelled)
        try submit(bench, job, "1", "4")
        let place = try #require(try look(bench, first, job).place)
        #expect(try waiting(bench, before: place) >= 2 && waiting(bench) == 4)
        #expect(try node.claim(10).map { $0.line.suffix(1) } == ["2", "3", "1", "4"])
        #expect(try waiting(bench) == 0 && numbers(bench, job) == [0, 4, 0, 0])
    }

    @Test("what was asked for with a higher priority goes before the rest of its job")
    func morePriority() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try submit(bench, try open(bench, settings()), "1", "2")
        var urgent = settings()
        urgent.priority = 5
        try submit(bench, try open(bench, urgent), "3", "4")
        try submit(bench, try open(bench, settings()), "5")
        let order = try ["3", "4", "1", "2", "5"].map { _ in try node.claim()[0].line.suffix(1) }
        #expect(order == ["3", "4", "1", "2", "5"])
    }

    @Test("of a job of which all was cancelled nothing is left in the index, though no node could ever look at it")
    func cancelledTooLarge() throws {
        let bench = try QueueBench()
        let job = try open(bench, settings(memory: 1 << 50))
        try submit(bench, job, "1", "2")
        for command in ["1", "2"] {
            let line = try TaskLine(command: command, of: job).text
            _ = try bench.perform(CancelTask(line, keys: bench.keys, jobs: [job.identifier: job]))
        }
        #expect(try bench.perform(ReadClasses(keys: bench.keys)).isEmpty)
    }

    @Test("what stands in the list of a job by no hand of ours is passed over")
    func damagedList() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        try submit(bench, job, "1")
        let list = bench.keys.of(job: job.identifier).todo.replacing("todo_tasks", with: "fresh")
        for entry in ["", "nothing", "zz @x y", "ffffffffffffffffffffff @\(job.identifier) 1"] {
            try bench.command("LPUSH", list, entry)
        }
        try submit(bench, job, "2")
        var given: [Substring] = []
        for _ in 0..<4 { given += try node.claim(10).map { $0.line.suffix(1) } }
        #expect(given.sorted() == ["1", "2"])
    }

    @Test("what waits takes another size also where what the queue knew of the size was lost")
    func resizedUnknown() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        try submit(bench, job, "1")
        try submit(bench, try open(bench, settings(memory: 1 << 30, fingerprint: "g")), "1")
        try bench.command("DEL", "distcomp:job-sizes")
        #expect(try node.claim(10, gigabytes: 1).count == 2, "nothing is lost with it")
        for task in try bench.perform(HeldTasks(keys: bench.keys, incarnation: node.incarnation)) {
            try node.report(ClaimTasks.Claimed(line: task.line, token: task.token, attempt: 1), .returned)
        }
        try bench.command("DEL", "distcomp:job-sizes")
        _ = try bench.perform(ChangeJob(job.identifier, settings: settings(memory: 9 << 30), keys: bench.keys))
        #expect(try node.claim(10, gigabytes: 8).count == 1, "the other job's")
        #expect(try node.claim(10, gigabytes: 9).count == 1)
    }

    @Test("a name that only Redis can have given is told as one that harms no terminal")
    func hostileName() throws {
        let bench = try QueueBench()
        let job = try open(bench, settings(), name: "sim", isChosen: true)
        let rest = job.record.drop { $0 != "\n" }
        for name in ["\u{1B}[31mred\u{7}", String(repeating: "n", count: 100_000), ""] {
            try bench.command("HSET", "distcomp:jobs", job.identifier, name + rest)
            let reply = try bench.perform(
                OpenJob(
                    name: "sim", isNameChosen: true, settings: settings(), definition: job.definition, keys: bench.keys)
            )
            guard case .opened(_, let told, _) = reply else { throw Refused(reply: reply) }
            #expect(Job.problem(withName: told) == nil)
            #expect(try rows(bench).map(\.job.name) == [told])
        }
    }

    @Test("a job that is paused gives nothing while others go on")
    func paused() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        try submit(bench, job, "1")
        try bench.submit(line("x"))
        #expect(try bench.perform(PauseJob(job.identifier, isPaused: true, keys: bench.keys)) == .changed)
        #expect(try node.claim(10).map(\.line) == [line("x")])
        #expect(try bench.perform(PauseJob(job.identifier, isPaused: false, keys: bench.keys)) == .changed)
        #expect(try node.claim(10).map(\.line) == ["@\(job.identifier) 1"])
        #expect(try bench.perform(PauseJob("none", isPaused: true, keys: bench.keys)) == .unknown)
    }

    @Test("a node is told of a job with its first task, and again when it has changed")
    func told() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        try submit(bench, job, "1", "2", "3", "4")
        var known = KnownJobs()
        func claim() throws -> ClaimTasks.Reply {
            let request = ClaimTasks(
                keys: bench.keys, incarnation: node.incarnation, leaseMilliseconds: node.leaseMilliseconds, count: 1,
                freeMemoryBytes: 1 << 40, freeMillicores: 64_000, silence: node.known.silence, known: known)
            let reply = try ClaimTasks.parse(try bench.call(request.request))
            known.take(reply)
            return reply
        }
        #expect(try claim().jobRecords.count == 1 && claim().jobRecords.isEmpty)
        #expect(known.jobs[job.identifier] == job)
        _ = try bench.perform(ChangeJob(job.identifier, name: "other", keys: bench.keys))
        #expect(try claim().jobRecords.count == 1 && claim().jobRecords.isEmpty)
        #expect(known.jobs[job.identifier]?.name == "other")
    }

    @Test("a name that was chosen is that job, unless its tasks are of another kind; others get a number")
    func names() throws {
        let bench = try QueueBench()
        let first = try open(bench, settings(), name: "a", isChosen: true)
        #expect(try open(bench, settings(fingerprint: "g"), name: "a", isChosen: true).identifier == first.identifier)
        #expect(try open(bench, settings(fingerprint: "h"), name: "a").name == "a-2")
        #expect(throws: Refused.self) { try open(bench, settings(), name: "a", isChosen: true, type: .python) }
        #expect(try bench.perform(ChangeJob(first.identifier, name: "a-2", keys: bench.keys)) == .taken)
        #expect(try bench.perform(ChangeJob(first.identifier, name: "b", keys: bench.keys)) == .changed)
        #expect(try rows(bench).map(\.job.name).sorted() == ["a-2", "b"])
    }

    @Test("a forgotten job leaves nothing behind; one of which something waits or runs stays")
    func forgotten() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        func keyNames() throws -> Set<String> {
            Set((try bench.command("KEYS", "*").elements ?? []).compactMap(\.string))
        }
        try bench.submit(line("x"))
        try node.finish(try node.claim()[0])
        let before = try keyNames()
        let job = try open(bench, settings())
        try submit(bench, job, "1", "2")
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .busy)
        let tasks = try node.claim(2)
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .busy)
        try node.finish(tasks[0])
        try node.fail(tasks[1], attemptsMax: 1)
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .changed)
        #expect(try keyNames().subtracting(before) == ["distcomp:job-number", "distcomp:job-revision"])
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .unknown)
    }

    @Test(
        "a queue that was emptied learns of a job again from the node that runs a task of it, and gives no other its name"
    )
    func emptied() throws {
        let bench = try QueueBench()
        var node = try bench.node("a")
        let job = try open(bench, settings(memory: 1 << 30))
        try submit(bench, job, "1")
        let task = try node.claim()[0]
        try bench.command("FLUSHALL")
        node = try bench.node("a", life: 2)
        let running = RestoreTasks.Running(
            line: try TaskLine(parsing: task.line, of: [job.identifier: job]), token: task.token, attempt: task.attempt)
        #expect(
            try bench.perform(RestoreTasks([running][...], keys: bench.keys, incarnation: node.incarnation))
                == [.restored])
        #expect(try rows(bench).map(\.job) == [job] && rows(bench).map(\.inProgress) == [1])
        try node.finish(task)
        #expect(try numbers(bench, job) == [0, 0, 1, 0])
        let other = try open(bench, settings(fingerprint: "e"))
        #expect(other.identifier != job.identifier && other.name == "sim-2")
        #expect(try open(bench, settings()).identifier == job.identifier, "the same command goes on with it")
    }

    @Test("a job that an emptied queue learns of again has a name of its own, though another came by its name first")
    func emptiedAndNamed() throws {
        let bench = try QueueBench()
        let job = try open(bench, settings())
        try submit(bench, job, "1")
        let task = try bench.node("a").claim()[0]
        try bench.command("FLUSHALL")
        let other = try open(bench, settings(fingerprint: "e"))
        let node = try bench.node("a", life: 2)
        let running = RestoreTasks.Running(
            line: try TaskLine(parsing: task.line, of: [job.identifier: job]), token: task.token, attempt: task.attempt)
        _ = try bench.perform(RestoreTasks([running][...], keys: bench.keys, incarnation: node.incarnation))
        let names = Dictionary(uniqueKeysWithValues: try rows(bench).map { ($0.job.identifier, $0.job.name) })
        #expect(names == [other.identifier: "sim", job.identifier: "sim-2"])
    }

    @Test("a thousand jobs of one name have each their own")
    func manyNames() throws {
        let bench = try QueueBench()
        let names = try (0..<100).map { index -> String in
            let reply = try bench.perform(
                OpenJob(
                    name: "sim", isNameChosen: false, settings: settings(fingerprint: "\(index)"),
                    definition: Job.Definition(), keys: bench.keys))
            guard case .opened(_, let name, isNew: true) = reply else { throw Refused(reply: reply) }
            return name
        }
        #expect(names == ["sim"] + (2...100).map { "sim-\($0)" })
    }

    @Test("what waits for another try is found whatever became of its job's priority since, by retry, cancel and why")
    func delayedAndReprioritized() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try open(bench, settings())
        try submit(bench, job, "1", "2")
        for task in try node.claim(2) { try node.fail(task, retryMilliseconds: 100_000) }
        var urgent = settings()
        urgent.priority = 3
        let again = try open(bench, urgent)
        let lines = try ["1", "2"].map { try TaskLine(command: $0, of: again) }
        let jobs = [again.identifier: again]
        let standing = try ReadStanding.parse(
            try bench.client.pipeline(ReadStanding(lines[0].text, keys: bench.keys, jobs: jobs).requests))
        #expect(standing.dueMilliseconds != nil)
        #expect(try bench.perform(CancelTask(lines[1].text, keys: bench.keys, jobs: jobs)) == .cancelled)
        #expect(try bench.command("ZCARD", "distcomp:jobs-delayed").int == 1)
        try bench.submit(line("x", priority: 1))
        #expect(try bench.perform(RetryTasks(lines[..<1], keys: bench.keys)).hastened == 1)
        #expect(try node.claim().map(\.line) == [lines[0].text], "it has the new priority")
    }

    @Test("nothing is added to a job that was forgotten meanwhile: nobody would see it")
    func forgottenMeanwhile() throws {
        let bench = try QueueBench()
        let job = try open(bench, settings())
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .changed)
        #expect(throws: QueueError.self) { try submit(bench, job, "1") }
        #expect(try numbers(bench, job) == [0, 0, 0, 0])
    }

    @Test("what is put into todo by hand and only looks as if it were of a job can be forgotten")
    func looksLikeJob() throws {
        let bench = try QueueBench()
        let texts = ["@zzz echo hi", "@ZZZ echo hi"]
        for text in texts {
            try bench.command("HSET", "todo_tasks", text, "")
            _ = try bench.perform(RejectLine(Array(text.utf8), reason: "no task", keys: bench.keys))
        }
        #expect(try bench.numbers == [0, 0, 0, 2])
        let lines = texts.map { Array($0.utf8) }
        #expect(try bench.perform(ForgetTasks(.failed, lines[...], keys: bench.keys)) == 2)
        #expect(try bench.numbers == [0, 0, 0, 0])
    }

    @Test("a task that fits is found behind hundreds of jobs that are paused or too large")
    func behindMany() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", cores: 2)
        // Without a look at all of them each time, as `open` has.
        func add(_ name: String, _ settings: Job.Settings) throws -> Job {
            let reply = try bench.perform(
                OpenJob(
                    name: name, isNameChosen: true, settings: settings, definition: Job.Definition(), keys: bench.keys))
            guard case .opened(let identifier, _, _) = reply else { throw Refused(reply: reply) }
            let job = Job(identifier: identifier, name: name, settings: settings, definition: Job.Definition())
            try submit(bench, job, "1")
            return job
        }
        for index in 0..<900 { _ = try add("n\(index)", settings(memory: 1 << 20, cores: 4)) }
        let job = try add("small", settings(memory: 1))
        var claims = 0
        var given: [String] = []
        while given.isEmpty, claims < 200 {
            let reply = try node.claimReply(4, cores: 2)
            given = reply.tasks.map(\.line)
            claims += 1
            if given.isEmpty { #expect((reply.dueMilliseconds ?? .max) <= 5000, "it asks again by itself") }
        }
        #expect(given == ["@\(job.identifier) 1"])
    }

    @Test("what waits of a job is in the index under names that a node without jobs takes for tasks that fit nowhere")
    func unknownToOldNodes() throws {
        let bench = try QueueBench()
        try submit(bench, try open(bench, settings(memory: 1)), "1")
        let classes = (try bench.command("ZRANGE", "distcomp:classes", "0", "-1").elements ?? []).compactMap(\.string)
        // Of the memory and the cores at the beginning of the name such a node reads numbers; without them it is as good as infinite.
        #expect(classes.count == 1 && classes.allSatisfy { $0.hasPrefix("@") })
    }
}

// Second copies of what takes far longer than its like, of jobs that were declared idempotent.

import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Second copies of tasks that take long")
struct CopyTests {
    private final class Bench {
        let queue: QueueBench
        let job: Job
        let first: BenchNode
        let second: BenchNode
        /// What the first node runs.
        private(set) var task: ClaimTasks.Claimed

        init(_ queue: QueueBench, _ job: Job, _ first: BenchNode, _ task: ClaimTasks.Claimed) throws {
            (self.queue, self.job, self.first, self.task) = (queue, job, first, task)
            second = try queue.node("b", leaseMilliseconds: 3_600_000)
        }

        func standing() throws -> TaskStanding {
            let reading = ReadStanding(task.line, keys: queue.keys, jobs: [job.identifier: job])
            return try ReadStanding.parse(try queue.client(of: .watcher).pipeline(reading.requests))
        }

        func report(_ node: BenchNode, _ task: ClaimTasks.Claimed, _ result: ReportTask.Result) throws
            -> ReportTask.Reply
        {
            try queue.perform(
                ReportTask(
                    keys: queue.keys, incarnation: node.incarnation, line: task.line, job: job, token: task.token,
                    result: result))
        }

        func finish(_ node: BenchNode, _ task: ClaimTasks.Claimed, _ output: String = "") throws -> ReportTask.Reply {
            let record = #"{"state":"finished","cause":"exit","worker":"n","wall_seconds":2.0}"#
            return try report(node, task, .finished(value: Array("n: \"\(output)\"".utf8), record: record))
        }

        var numbers: [Int] {
            get throws {
                let values = try ["todo_tasks", "in_progress_tasks", "finished_tasks", "failed_tasks"].map {
                    try queue.command("HLEN", "\(queue.keys.prefix)distcomp:job:\(job.identifier):\($0)").int ?? -1
                }
                return values
            }
        }

        /// As if what the first node runs had been given to it so long before.
        func age(bySeconds seconds: Int) throws {
            let key = queue.keys.prefix + "distcomp:held:" + first.incarnation.text
            let entry = try #require(try queue.command("HGET", key, task.line).string)
            let token = "\(try #require(Int(task.token)) - seconds * 1_000_000)"
            try queue.command("HSET", key, task.line, token + entry.drop { $0 != " " })
            task = ClaimTasks.Claimed(line: task.line, token: token, attempt: task.attempt)
        }

        /// What a node is told to stop.
        func orders(to node: BenchNode) throws -> [String] {
            try queue.perform(TakeCancellations(keys: queue.keys, incarnation: node.incarnation))
        }
    }

    /// Six tasks of two seconds have finished on the first node, which runs a seventh, begun a minute ago.
    private func bench(isIdempotent: Bool = true, in given: QueueBench? = nil) throws -> Bench {
        let queue = try given ?? QueueBench()
        var settings = Job.Settings()
        (settings.fingerprint, settings.isIdempotent) = ("f", isIdempotent)
        let open = OpenJob(name: "j", isNameChosen: false, settings: settings, definition: .init(), keys: queue.keys)
        guard case .opened(let identifier, let name, _) = try queue.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        let lines = try (1...7).map { try TaskLine(command: "t\($0)", of: job) }
        try queue.perform(SubmitTasks(lines[...], keys: queue.keys))
        let first = try queue.node("a", leaseMilliseconds: 3_600_000)
        let tasks = try first.claim(7)
        let bench = try Bench(queue, job, first, try #require(tasks.last))
        for task in tasks.dropLast() { #expect(try bench.finish(first, task) == .accepted) }
        try bench.age(bySeconds: 60)
        return bench
    }

    @Test("another node with room is given one when nothing waits, and the first to finish counts")
    func second() throws {
        let bench = try bench()
        #expect(try bench.first.claim(1).isEmpty)
        let copy = try #require(try bench.second.claim(1).first)
        #expect(copy.line == bench.task.line && copy.token != bench.task.token && copy.attempt == bench.task.attempt)
        #expect(try bench.standing().worker == "a" && bench.standing().copyingWorker == "b")
        #expect(try bench.numbers == [0, 1, 6, 0])
        let third = try bench.queue.node("c", leaseMilliseconds: 3_600_000)
        #expect(try third.claim(1).isEmpty)

        #expect(try bench.finish(bench.second, copy, "second") == .accepted)
        #expect(try bench.numbers == [0, 0, 7, 0])
        #expect(try bench.orders(to: bench.first) == [copy.line])
        #expect(try bench.finish(bench.first, bench.task, "first") == .stale)
        let value = try bench.queue.command("HGET", "distcomp:job:\(bench.job.identifier):finished_tasks", copy.line)
        #expect(value.string == "n: \"second\"")
        #expect(try bench.finish(bench.second, copy) == .duplicate)
    }

    @Test(
        "what waits and cannot be given to this node, paused or too large or for others, keeps no copies from it; what may come to be does"
    )
    func hindered() throws {
        let bench = try bench()
        func open(_ name: String, _ change: (inout Job.Settings) -> Void) throws -> Job {
            var settings = Job.Settings()
            settings.fingerprint = name
            change(&settings)
            let reply = try bench.queue.perform(
                OpenJob(
                    name: name, isNameChosen: true, settings: settings, definition: .init(), keys: bench.queue.keys))
            guard case .opened(let identifier, _, _) = reply else { throw QueueError.unexpectedReply("\(reply)") }
            let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
            try bench.queue.submit(job, "x")
            return job
        }
        let paused = try open("paused") { _ in }
        try bench.queue.perform(PauseJob(paused.identifier, isPaused: true, keys: bench.queue.keys))
        _ = try open("large") { $0.memoryBytes = 1 << 40 }
        _ = try open("wide") { $0.millicores = 65_000 }
        _ = try open("elsewhere") { $0.nodeLabels = LabelExpression(text: "ssd") }
        _ = try open("devices") { $0.resources = ResourceRequest(typed: "gpu=1") ?? ResourceRequest() }
        let later = try open("later") { $0.memoryBytes = 48 << 30 }
        #expect(try bench.second.claim(1, gigabytes: 32).isEmpty, "this one it can have when it has more room")
        #expect(try bench.second.claim(1).map(\.line) == ["@\(later.identifier) x"])
        #expect(try bench.second.claim(1, gigabytes: 16).map(\.line) == [bench.task.line])
    }

    @Test("the copy is stopped without a mark where the first ends before it, well or not")
    func first() throws {
        for ends in [true, false] {
            let bench = try bench()
            let copy = try #require(try bench.second.claim(1).first)
            let failure = ReportTask.Result.failed(reason: "exit 1", record: "{}", attemptsMax: 1, retryMilliseconds: 0)
            if ends {
                #expect(try bench.finish(bench.first, bench.task) == .accepted)
            } else {
                #expect(try bench.report(bench.first, bench.task, failure) == .accepted)
            }
            #expect(try bench.numbers == (ends ? [0, 0, 7, 0] : [0, 0, 6, 1]))
            #expect(try bench.orders(to: bench.second) == [copy.line])
            #expect(try bench.finish(bench.second, copy) == .stale)
            #expect(try bench.numbers == (ends ? [0, 0, 7, 0] : [0, 0, 6, 1]))
        }
    }

    @Test("of a copy that fails, or whose node goes, nothing comes, and the first goes on")
    func secondFails() throws {
        let bench = try bench()
        for way in 0...2 {
            try bench.queue.command("DEL", "distcomp:copied")
            let copy = try #require(try bench.second.claim(1).first, "\(way)")
            switch way {
            case 0:
                #expect(
                    try bench.report(
                        bench.second, copy,
                        .failed(reason: "exit 1", record: "{}", attemptsMax: 1, retryMilliseconds: 0)) == .accepted)
            case 1: #expect(try bench.report(bench.second, copy, .returned) == .accepted)
            default: try bench.queue.perform(LeaveQueue(keys: bench.queue.keys, incarnation: bench.second.incarnation))
            }
            #expect(try bench.standing().worker == "a" && bench.standing().copyingWorker == nil, "\(way)")
            #expect(try bench.numbers == [0, 1, 6, 0])
        }
        #expect(try bench.finish(bench.first, bench.task) == .accepted)
    }

    @Test("the task is the second node's where the first goes, without a mark")
    func firstGoes() throws {
        for leaves in [true, false] {
            let bench = try bench()
            let copy = try #require(try bench.second.claim(1).first)
            if leaves {
                try bench.queue.perform(LeaveQueue(keys: bench.queue.keys, incarnation: bench.first.incarnation))
            } else {
                #expect(try bench.report(bench.first, bench.task, .returned) == .accepted)
            }
            let standing = try bench.standing()
            #expect(standing.worker == "b" && standing.copyingWorker == nil && standing.attempts == 0)
            #expect(try bench.numbers == [0, 1, 6, 0])
            #expect(try bench.finish(bench.second, copy) == .accepted)
            #expect(try bench.numbers == [0, 0, 7, 0])
        }
    }

    @Test("who takes the task away, or cancels it, ends both copies")
    func orders() throws {
        let bench = try bench()
        let copy = try #require(try bench.second.claim(1).first)
        let line = try TaskLine(parsing: copy.line, of: [bench.job.identifier: bench.job])
        #expect(try bench.queue.perform(RequeueTasks([line], keys: bench.queue.keys)) == 1)
        #expect(try bench.numbers == [1, 0, 6, 0])
        for node in [bench.first, bench.second] { #expect(try bench.orders(to: node) == [copy.line]) }
        #expect(try bench.finish(bench.second, copy) == .stale)
        #expect(try bench.finish(bench.first, bench.task) == .stale)
        #expect(try bench.numbers == [1, 0, 6, 0])

        let other = try self.bench()
        let second = try #require(try other.second.claim(1).first)
        let cancel = CancelTask(second.line, keys: other.queue.keys, jobs: [other.job.identifier: other.job])
        #expect(try other.queue.perform(cancel) == .stopping)
        #expect(try other.orders(to: other.first) == [second.line] && other.orders(to: other.second).isEmpty)
        #expect(try other.report(other.first, other.task, .returned) == .accepted)
        #expect(try other.numbers == [0, 0, 6, 1])
        #expect(try other.orders(to: other.second) == [second.line])
    }

    enum Operation: CaseIterable {
        case claim, finishSecond, failSecond, finishFirst, failFirst, returnFirst, leaveFirst, leaveSecond, requeue
    }

    @Test("a script stopped at any call loses nothing, and lets nothing finish twice", arguments: Operation.allCases)
    func stopped(operation: Operation) throws {
        let server = try QueueBench()
        for call in 1...100 {
            let bench = try bench(in: try QueueBench(sharing: server, prefix: "\(operation)\(call):"))
            let copy = operation == .claim ? nil : try bench.second.claim(1).first
            try #require(operation == .claim || copy != nil)
            let request = try request(operation, bench, copy)
            let reply = try bench.queue.client.call(request.stopped(atCall: call))
            #expect(reply.isStopped || reply.error == nil, "\(operation), \(call): \(reply)")
            guard reply.isStopped else {
                #expect(call > 5, "the script was never stopped")
                return
            }
            // Whoever asked asks again, or is gone.
            if call.isMultiple(of: 2) { _ = try bench.queue.client.call(request) }
            try finishAll(bench, "\(operation) stopped at call \(call)")
        }
        Issue.record("more calls than a script should make")
    }

    private func request(
        _ operation: Operation, _ bench: Bench, _ copy: ClaimTasks.Claimed?
    ) throws -> RedisRequest {
        let failure = ReportTask.Result.failed(reason: "exit 1", record: "{}", attemptsMax: 9, retryMilliseconds: 0)
        let success = ReportTask.Result.finished(value: Array("n: \"\"".utf8), record: "{}")
        let (keys, first, second) = (bench.queue.keys, bench.first.incarnation, bench.second.incarnation)
        func report(_ node: Incarnation, _ task: ClaimTasks.Claimed?, _ result: ReportTask.Result) -> RedisRequest {
            ReportTask(
                keys: keys, incarnation: node, line: bench.task.line, job: bench.job, token: task?.token ?? "",
                result: result
            ).request
        }
        switch operation {
        case .claim: return bench.second.claimRequest(1)
        case .finishSecond: return report(second, copy, success)
        case .failSecond: return report(second, copy, failure)
        case .finishFirst: return report(first, bench.task, success)
        case .failFirst: return report(first, bench.task, failure)
        case .returnFirst: return report(first, bench.task, .returned)
        case .leaveFirst: return LeaveQueue(keys: keys, incarnation: first).request
        case .leaveSecond: return LeaveQueue(keys: keys, incarnation: second).request
        case .requeue:
            let line = try TaskLine(parsing: bench.task.line, of: [bench.job.identifier: bench.job])
            return RequeueTasks([line], keys: keys).request
        }
    }

    /// Nodes do what they hold, and take what waits; those that have left are ended by others.
    private func finishAll(_ bench: Bench, _ what: String) throws {
        var finished = 0
        let third = try bench.queue.node("c", leaseMilliseconds: 3_600_000)
        for _ in 0..<4 {
            for node in [bench.first, bench.second, third] {
                _ = try bench.orders(to: node)
                let request = HeldTasks(keys: bench.queue.keys, incarnation: node.incarnation).request
                guard let held = try? HeldTasks.parse(try bench.queue.call(request)) else { continue }  // It has left.
                for task in held where try bench.finish(node, task) == .accepted { finished += 1 }
                _ = try? node.claim(9)
            }
            try third.beat()
        }
        #expect(try bench.numbers == [0, 0, 7, 0], "\(what)")
        #expect(finished <= 1, "\(what)")
    }

    @Test("where tokens are beyond the time, it counts from when heartbeats saw that this one had been given")
    func beyond() throws {
        let bench = try bench()
        try bench.age(bySeconds: -3600)
        let ahead = try #require(Int(bench.task.token)) + 5
        try bench.queue.command("SET", "distcomp:tokens", "\(ahead)")
        try bench.first.beat()
        let noted = try bench.queue.command("ZRANGE", "distcomp:token-times", "0", "-1").elements ?? []
        let time = try #require(noted.first?.string.flatMap { Int($0) })
        #expect(noted.count == 1)
        #expect(try bench.second.claim(1).isEmpty)
        try bench.queue.command("DEL", "distcomp:token-times")
        try bench.queue.command("ZADD", "distcomp:token-times", "\(ahead)", "\(time - 11_000)")
        try bench.queue.command("DEL", "distcomp:copied")
        #expect(try bench.second.claim(1).map(\.line) == [bench.task.line])
    }

    @Test("jobs that have ended and were not forgotten keep none from one that runs")
    func many() throws {
        let bench = try bench()
        for number in 1...300 { try bench.queue.command("SADD", "distcomp:jobs-idempotent", "ended\(number)") }
        #expect(try bench.second.claim(1).map(\.line) == [bench.task.line])
    }

    @Test("there is none of another job, while something waits, where it is not allowed to run, or before it is due")
    func none() throws {
        #expect(try bench(isIdempotent: false).second.claim(1).isEmpty)

        let bench = try bench()
        try bench.age(bySeconds: -55)
        #expect(try bench.second.claim(1).isEmpty)
        try bench.age(bySeconds: 55)
        try bench.queue.command("DEL", "distcomp:copied")
        try bench.queue.submit("shell:1:50:0:waits until this node has so much again")
        let reply = try bench.second.claimReply(1, gigabytes: 32)
        #expect(reply.tasks.isEmpty && reply.dueMilliseconds.map { $0 <= 5000 } == true)
    }
}

// Scripts that are stopped half-way among jobs and tasks that wait for others: whatever was stopped where, when all concerned have done what
// they would, everything has run, once, and behind what it waits for.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Crashes among those that wait")
struct AfterCrashTests {
    enum Operation: String, CaseIterable {
        case submit, gate, finish, fail, retry, heartbeat, claim, cancel, loaded, goBack, goBackLater, time, due
    }

    @Test(
        "a script stopped at any call lets nothing in too early, and leaves nothing waiting",
        arguments: Operation.allCases)
    func stopped(operation: Operation) throws {
        let server = try QueueBench()
        for call in 1...400 {
            let scene = try AfterScene(try QueueBench(sharing: server, prefix: "\(operation)\(call):"))
            let request = try scene.prepare(operation)
            let reply = try scene.bench.client.call(request.stopped(atCall: call))
            #expect(reply.isStopped || reply.error == nil, "\(operation), \(call): \(reply)")
            guard reply.isStopped else {
                #expect(call > 5, "the script was never stopped")
                return
            }
            // Whoever asked asks again.
            _ = try scene.bench.client.call(request)
            try scene.finishAll("\(operation) stopped at call \(call)")
        }
        Issue.record("more calls than a script should make")
    }

    enum Gift: String, CaseIterable { case set, asksForAnew, ownSize, withoutAny }

    @Test(
        "a script stopped at any call that gives something to what waits loses none of it, whether it is asked for again or not",
        arguments: Gift.allCases)
    func stoppedGiving(gift: Gift) throws {
        let server = try QueueBench()
        for call in 1...400 {
            let scene = try GivingScene(try QueueBench(sharing: server, prefix: "\(gift)\(call):"))
            let request = try scene.request(gift)
            let reply = try scene.bench.client.call(request.stopped(atCall: call))
            #expect(reply.isStopped || reply.error == nil, "\(gift), \(call): \(reply)")
            guard reply.isStopped else {
                #expect(call > 5, "the script was never stopped")
                return
            }
            if call.isMultiple(of: 2) { _ = try scene.bench.client.call(request) }
            try scene.finishAll("\(gift) stopped at call \(call)")
        }
        Issue.record("more calls than a script should make")
    }
}

/// Tasks of a job of which some have a size or a timeout of their own, and one waits for another.
private final class GivingScene {
    let bench: QueueBench
    private let node: BenchNode
    private let job: Job

    init(_ bench: QueueBench) throws {
        self.bench = bench
        node = try bench.node("a")
        job = try bench.job("job")
        try bench.submit(job, "1", "2")
        for operation in SubmitDependent.operations(
            [try task("3", 4), try task("4", 0), try task("5", 4, after: ["1"])], keys: bench.keys)
        {
            try bench.perform(operation)
        }
    }

    private func task(_ command: String, _ gigabytes: UInt64, after: [String] = []) throws -> DependentTask {
        let own = OwnSettings(memoryBytes: gigabytes << 30, millicores: 0, timeout: .seconds(9))
        return DependentTask(
            try TaskLine(command: command, of: job).taking(own), after: after.map { "@\(job.identifier) \($0)" })
    }

    func request(_ gift: AfterCrashTests.Gift) throws -> RedisRequest {
        var settings = job.settings
        settings.memoryBytes = 8 << 30
        switch gift {
        case .set: return ChangeJob(job.identifier, settings: settings, forAll: [.timeout], keys: bench.keys).request
        case .asksForAnew:
            return OpenJob(
                name: "job", isNameChosen: true, settings: settings, definition: job.definition, keys: bench.keys
            ).request
        case .ownSize:
            let tasks = [try task("2", 2), try task("3", 2), try task("4", 0)]
            return SubmitDependent.operations(tasks, keys: bench.keys)[0].request
        case .withoutAny:
            return SubmitTasks([try TaskLine(command: "5", of: job)], keys: bench.keys).request
        }
    }

    func finishAll(_ comment: Comment) throws {
        try node.beat()
        #expect(try Set(node.runAll()) == ["1", "2", "3", "4", "5"], comment)
        #expect(try bench.numbers(of: job) == [0, 0, 5, 0] && bench.dependent(of: job) == 0, comment)
    }
}

/// Three tasks one behind the other, another that waits for the last, and a job that waits for all of them.
private final class AfterScene {
    let bench: QueueBench
    private let node: BenchNode
    private let first: Job
    private let second: Job
    private let load = "load"

    init(_ bench: QueueBench) throws {
        self.bench = bench
        node = try bench.node("a")
        first = try bench.job("first", load: load)
        second = try bench.job("second")
        try bench.submit(second, "x", "y")
    }

    private var dependent: SubmitDependent {
        get throws {
            let after = [("a", []), ("b", ["a"]), ("c", ["a", "b"]), ("d", ["c"])]
            let tasks = try after.map { command, parents in
                DependentTask(
                    try TaskLine(command: command, of: first), after: parents.map { "@\(first.identifier) \($0)" })
            }
            return SubmitDependent.operations(tasks, keys: bench.keys)[0]
        }
    }

    private var gate: GateJob {
        GateJob(second.identifier, after: [(first.identifier, .ok)], notBefore: .atOnce, keys: bench.keys)
    }

    /// It may begin in an hour.
    private var time: GateJob {
        GateJob(second.identifier, after: nil, notBefore: .after(milliseconds: 3_600_000), keys: bench.keys)
    }

    private var loaded: LoadedJob { LoadedJob(first.identifier, load: load, keys: bench.keys) }

    private func report(_ task: ClaimTasks.Claimed, _ result: ReportTask.Result) -> RedisRequest {
        ReportTask(keys: bench.keys, incarnation: node.incarnation, line: task.line, token: task.token, result: result)
            .request
    }

    private var failure: ReportTask.Result {
        .failed(reason: "exit 1", record: "{}", attemptsMax: 1, retryMilliseconds: 0)
    }

    private var retry: RedisRequest {
        get throws {
            let lines = try ["a", "b", "c", "d"].map { try TaskLine(command: $0, of: first) }
            return RetryTasks(lines[...], keys: bench.keys).request
        }
    }

    func prepare(_ operation: AfterCrashTests.Operation) throws -> RedisRequest {
        if operation == .gate { return gate.request }
        try bench.perform(gate)
        if operation == .submit { return try dependent.request }
        try bench.perform(dependent)
        if operation == .loaded {
            #expect(try node.runAll() == ["a", "b", "c", "d"])
            return loaded.request
        }
        try bench.perform(loaded)
        if operation == .time { return time.request }
        if operation == .due {
            try bench.perform(time)
            try bench.pass(seconds: 3601)
            return node.claimRequest(0)
        }
        if operation == .cancel {
            return CancelTask("@\(first.identifier) a", keys: bench.keys, jobs: [first.identifier: first]).request
        }
        let task = try #require(try node.claim(10).first)
        switch operation {
        case .finish: return report(task, .finished(value: Array("a: \"\"".utf8), record: "{}"))
        case .fail: return report(task, failure)
        case .goBack, .goBackLater:
            return report(
                task,
                .failed(
                    reason: "exit 85", record: "{}", attemptsMax: 1, retryMilliseconds: 0,
                    requeueAfterMilliseconds: operation == .goBack ? 100_000 : 0))
        case .retry:
            _ = try bench.call(report(task, failure))
            return try retry
        case .heartbeat, .claim:
            // Noted, and not told.
            try node.fail(task, attemptsMax: 1)
            try bench.command(
                "HSET", bench.keys.of(job: first.identifier).todo, "@\(first.identifier) a", "", "z", "")
            try bench.command("HDEL", bench.keys.of(job: first.identifier).todo, "@\(first.identifier) a", "z")
            for item in ["gate \(second.identifier)", "job \(first.identifier)", "task \(first.identifier) 1"] {
                try bench.command("ZADD", bench.keys.prefix + "distcomp:telling", "0", item)
            }
            return operation == .claim ? node.claimRequest(0) : node.heartbeat().request
        case .submit, .gate, .loaded, .cancel, .time, .due: return loaded.request
        }
    }

    /// Everybody does what is left to do, until all has finished.
    func finishAll(_ comment: Comment) throws {
        try bench.perform(gate)
        try bench.perform(dependent)
        try bench.perform(loaded)
        var order: [String] = []
        for round in 0..<20 {
            try node.beat()
            order += try node.runAll()
            if try bench.numbers(of: first) == [0, 0, 4, 0], try bench.numbers(of: second) == [0, 0, 2, 0] { break }
            _ = try bench.call(try retry)
            #expect(round < 19, comment)
        }
        let expected = ["a", "b", "c", "d", "x", "y"]
        #expect(
            order.filter { "abcd".contains($0) } == expected.filter { order.contains($0) && "abcd".contains($0) },
            comment)
        #expect(order.suffix(2).sorted() == ["x", "y"], comment)
        #expect(try bench.numbers(of: first) == [0, 0, 4, 0] && bench.numbers(of: second) == [0, 0, 2, 0], comment)
        #expect(try bench.dependent(of: first) == 0 && bench.gate(of: second) == .open, comment)
        #expect(try bench.command("EXISTS", bench.keys.prefix + "distcomp:telling").int == 0, comment)
    }
}

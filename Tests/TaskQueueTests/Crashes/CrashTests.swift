import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Crashes")
struct CrashTests {
    /// What is done, with one script of it stopped half-way, and then finished by all concerned as they would.
    enum Operation: String, CaseIterable {
        case submit, retry, claim, claimMoved, finish, finishMoved, finishRetried, fail, failDelayed, failForGood,
            giveBack, cancelled, register,
            reap, poison,
            leave, adopt, cancel, requeue, recover, restore, restoreMoved, settle
    }

    @Test("a script stopped at any call loses no line and finishes none twice", arguments: Operation.allCases)
    func stopped(operation: Operation) throws {
        let server = try QueueBench()
        for call in 1...200 {
            let bench = try QueueBench(sharing: server, prefix: "\(operation)\(call):")
            var scene = try Scene(bench)
            guard try scene.play(operation, stoppedAtCall: call) else {
                #expect(call > 3, "the script was never stopped")
                return
            }
            try scene.finishAll("\(operation) stopped at call \(call)")
        }
        Issue.record("more calls than a script should make")
    }

    @Test("an answer to a claim that was lost is made up for by asking what is held")
    func lostClaimReply() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit((0..<300).map { line("t\($0)") })
        _ = try bench.call(node.claimRequest(300))
        let request = HeldTasks(keys: bench.keys, incarnation: node.incarnation).request
        let held = try HeldTasks.parse(try bench.call(request))
        #expect(held.count == 300)
        for task in held { #expect(try node.finish(task) == .accepted) }
        #expect(try bench.numbers == [0, 0, 300, 0])
    }

    @Test("kill -9 of a Redis that syncs always loses nothing that was answered")
    func killed() throws {
        let bench = try QueueBench(configuration: ["appendonly yes", "appendfsync always"])
        let node = try bench.node("a")
        try bench.submit((0..<400).map { line("t\($0)") })
        for (index, task) in try node.claim(100).enumerated() {
            if index % 3 == 0 { try node.finish(task) } else if index % 3 == 1 { try node.fail(task) }
        }
        let (state, held) = (try bench.state(), try node.held)
        bench.server.kill9()
        try bench.server.start()
        let again = try QueueBench(reconnectingTo: bench.server)
        #expect(try again.state() == state)
        let node2 = BenchNode(
            bench: again, name: "a", incarnation: node.incarnation, leaseMilliseconds: node.leaseMilliseconds,
            description: node.description, known: node.known)
        #expect(try node2.held == held)
        #expect(try node2.claim(1000).count == 400 - held.count - (try again.counts).finished)
    }

    @Test("an append-only file cut off anywhere holds a queue that goes on to finish every line once", arguments: 1...6)
    func cutOff(seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        let bench = try QueueBench(configuration: ["appendonly yes", "appendfsync always"])
        let nodes = [try bench.node("a"), try bench.node("b")]
        try bench.submit((0..<50).map { line("t\($0)", priority: $0 % 3) })
        let path = bench.server.directory + "/appendonlydir/appendonly.aof.1.incr.aof"
        let start = try FileSystem.contents(of: path).count
        for _ in 0..<20 {
            let node = nodes[Int.random(in: 0..<2, using: &random)]
            for task in try node.claim(4) {
                switch Int.random(in: 0..<4, using: &random) {
                case 0: try node.finish(task)
                case 1: try node.fail(task, attemptsMax: 9)
                case 2: try node.report(task, .returned)
                default: break
                }
            }
        }
        bench.server.kill9()
        let bytes = try FileSystem.contents(of: path)
        let kept = Int.random(in: start...bytes.count, using: &random)
        try FileSystem.replace(path, with: Array(bytes[..<kept]), mode: 0o600)
        try bench.server.start()

        let again = try QueueBench(reconnectingTo: bench.server)
        var scene = try Scene(again, lines: (0..<50).map { line("t\($0)", priority: $0 % 3) }, nodes: ["c", "d"])
        try scene.checkStates("cut after \(kept) of \(bytes.count) bytes")
        for node in nodes { try again.command("ZADD", again.keys.leases, "XX", "1", node.incarnation.text) }
        try again.setClock { $0.quiet = 0 }
        try scene.finishAll("cut after \(kept) of \(bytes.count) bytes")
    }
}

/// A queue with two nodes and some lines in every state.
private struct Scene {
    let bench: QueueBench
    var nodes: [BenchNode]
    let lines: [String]
    private var finishedCounts: [String: Int] = [:]
    private var life: Int64 = 10

    init(_ bench: QueueBench) throws {
        try self.init(bench, lines: (0..<6).map { line("t\($0)", memory: "\($0 % 2)") }, nodes: ["a", "b"])
    }

    init(_ bench: QueueBench, lines: [String], nodes names: [String]) throws {
        self.bench = bench
        self.lines = lines
        nodes = try names.map { try bench.node($0) }
    }

    private var tasks: ArraySlice<TaskLine> { lines.compactMap { try? TaskLine(parsing: $0) }[...] }

    /// False when the script was over before it could be stopped.
    mutating func play(_ operation: CrashTests.Operation, stoppedAtCall call: Int) throws -> Bool {
        let request = try prepare(operation).stopped(atCall: call)
        let reply = try bench.client.call(request)
        #expect(reply.isStopped || reply.error == nil, "\(operation), \(call): \(reply)")
        return reply.isStopped
    }

    private mutating func prepare(_ operation: CrashTests.Operation) throws -> RedisRequest {
        let keys = bench.keys
        if operation == .submit { return SubmitTasks(tasks, keys: keys).request }
        if operation == .adopt {
            for text in lines { try bench.command("HSET", keys.todo, text, "") }
            return AdoptLines(Array(tasks), keys: keys).request
        }
        try bench.submit(lines)
        switch operation {
        case .submit, .adopt, .claim: return nodes[0].claimRequest(4)
        case .claimMoved:
            let worker = OldWorker(bench: bench, name: "old")
            try worker.fail(try #require(try worker.take()), attemptsMax: 9)
            return nodes[0].claimRequest(4)
        case .retry:
            for task in try nodes[0].claim(4) { try nodes[0].fail(task, attemptsMax: 1) }
            try nodes[0].fail(try #require(try nodes[0].claim().first), retryMilliseconds: 3_600_000)
            return RetryTasks(tasks, keys: keys).request
        case .finish, .finishMoved, .fail, .failDelayed, .failForGood, .giveBack, .cancelled:
            return try reportRequest(operation)
        case .finishRetried:
            let failed = try #require(try nodes[0].claim().first)
            try nodes[0].fail(failed, attemptsMax: 9)
            let again = try #require(try nodes[1].claim(6).first { $0.line == failed.line })
            return report(again, of: nodes[1], .finished(value: Array("b: \"\"".utf8), record: "{}"))
        case .register:
            _ = try nodes[0].claim(4)
            life += 1
            return RegisterNode(
                keys: keys, incarnation: Incarnation(name: "a", machine: "ma", life: life), leaseMilliseconds: 60_000,
                status: "1:0:1:0:1", node: nodes[0].description, earlier: [nodes[0].incarnation]
            ).request
        case .reap, .poison:
            for task in try nodes[0].claim(4) where operation == .poison {
                try bench.command("HSET", keys.prefix + "distcomp:lost", task.line, "2")
            }
            try nodes[0].loseLease()
            return heartbeat
        case .leave:
            _ = try nodes[0].claim(4)
            return LeaveQueue(keys: keys, incarnation: nodes[0].incarnation).request
        case .cancel:
            return CancelTask(lines[0], keys: keys).request
        case .requeue:
            _ = try nodes[0].claim(4)
            return RequeueTasks(tasks, keys: keys).request
        case .restore, .restoreMoved:
            let tasks = try nodes[0].claim(4)
            for (index, task) in tasks.enumerated() {
                try bench.command("HDEL", keys.prefix + "distcomp:held:" + nodes[0].incarnation.text, task.line)
                try bench.command("HDEL", keys.inProgress, task.line)
                if operation == .restoreMoved || index % 2 == 0 { try bench.command("HSET", keys.todo, task.line, "") }
            }
            if operation == .restoreMoved { try bench.perform(AdoptLines(Array(self.tasks), keys: keys)) }
            return try nodes[0].restoreOperation(tasks).request
        case .settle:
            let worker = OldWorker(bench: bench, name: "old")
            for task in try nodes[0].claim(4) { try nodes[0].fail(task, attemptsMax: 9, retryMilliseconds: 3_600_000) }
            for index in 0..<6 {
                guard let line = try worker.take() else { break }
                if index % 2 == 0 { try worker.fail(line, attemptsMax: 2) } else { try worker.finish(line, output: "") }
            }
            return heartbeat
        case .recover:
            let worker = OldWorker(bench: bench, name: "old")
            for _ in 0..<3 { _ = try worker.take(dies: true) }
            for task in try nodes[0].claim(6) { try nodes[0].report(task, .returned) }
            return heartbeat
        }
    }

    private mutating func reportRequest(_ operation: CrashTests.Operation) throws -> RedisRequest {
        let task = try #require(try nodes[0].claim(2).first)
        let result: ReportTask.Result
        switch operation {
        case .finish: result = .finished(value: Array("a: \"\"".utf8), record: "{}")
        case .finishMoved:
            try OldManager(bench: bench).moveInProgressTaskToTodo()
            result = .finished(value: Array("a: \"\"".utf8), record: "{}")
        case .giveBack: result = .returned
        case .cancelled:
            _ = try bench.call(CancelTask(task.line, keys: bench.keys).request)
            result = .returned
        default:
            result = .failed(
                reason: "exit 1", record: "{}", attemptsMax: operation == .failForGood ? 1 : 3,
                retryMilliseconds: operation == .failDelayed ? 1 : 0)
        }
        return report(task, of: nodes[0], result)
    }

    private func report(_ task: ClaimTasks.Claimed, of node: BenchNode, _ result: ReportTask.Result) -> RedisRequest {
        ReportTask(
            keys: bench.keys, incarnation: node.incarnation, line: task.line, token: task.token, result: result
        ).request
    }

    private var heartbeat: RedisRequest { nodes[1].heartbeat(graceMilliseconds: 0).request }

    /// Everybody does what is left to do: lines are submitted again, nodes compare what they hold, the dead are reaped, todo is
    /// swept, what failed is retried; until every line has finished.
    mutating func finishAll(_ comment: Comment) throws {
        if lines.count == 6 { try bench.submit(lines) }
        for round in 0..<100 {
            for node in nodes { try work(node) }
            if try bench.counts.finished == lines.count { break }
            _ = try RetryTasks.parse(try bench.call(RetryTasks(tasks, keys: bench.keys).request))
            try nodes[1].sweep()
            #expect(round < 99, comment)
        }
        let state = try bench.state()
        #expect(Set(state.finished.keys) == Set(lines), comment)
        #expect(state.todo.isEmpty && state.inProgress.isEmpty && state.failed.isEmpty, comment)
        #expect(state.retrying.isEmpty, comment)
        #expect(finishedCounts.values.allSatisfy { $0 == 1 }, comment)
        #expect(try bench.numbers == [0, 0, lines.count, 0], comment)
    }

    private mutating func work(_ node: BenchNode) throws {
        let heartbeat = node.heartbeat(graceMilliseconds: 0)
        // A node that is fenced registers as a new life; here the other one goes on alone.
        if try bench.call(heartbeat.request).error != nil { return }
        _ = try bench.call(TakeCancellations(keys: bench.keys, incarnation: node.incarnation).request)
        let held = HeldTasks(keys: bench.keys, incarnation: node.incarnation)
        for task in try HeldTasks.parse(try bench.call(held.request)) + node.claim(100) {
            if try node.finish(task) == .accepted { finishedCounts[task.line, default: 0] += 1 }
        }
    }

    /// Each line is in one state, and what runs is held by the node it runs on.
    func checkStates(_ comment: Comment) throws {
        let state = try bench.state()
        let running = Set(state.inProgress.keys)
        let finished = Set(state.finished.keys)
        let failed = Set(state.failed.keys).subtracting(state.retrying)
        #expect(state.todo.union(running).union(finished).union(failed) == Set(lines), comment)
        #expect(state.todo.count + running.count + finished.count + failed.count == lines.count, comment)
        var held: [String: String] = [:]
        for node in try ReadNodes.parse(try bench.call(ReadNodes(keys: bench.keys).request)) {
            let request = HeldTasks(keys: bench.keys, incarnation: node.incarnation).request
            for task in try HeldTasks.parse(try bench.call(request)) { held[task.line] = node.incarnation.nodeName }
        }
        #expect(held == state.inProgress, comment)
    }
}

// Scripts that fail at a chosen call, as one would whose user lacks a permission or that meets a key of the wrong type. Redis undoes
// nothing then, so each is a crash point.

extension RedisRequest {
    /// The same request, failing in place of its `call`-th call to Redis, counted from 1.
    func stopped(atCall call: Int) -> RedisRequest {
        guard case .script(var scriptCall) = self else { return self }
        let source = scriptCall.script.source
        let firstLine = source.prefix { $0 != "\n" }
        let counting = """
            local calls, real = 0, redis
            -- Who calls by pcall goes on, whatever comes of it.
            local redis = {error_reply = real.error_reply, status_reply = real.status_reply, pcall = real.pcall}
            function redis.call(...)
              calls = calls + 1
              if calls == \(call) then error({err = 'STOPPED'}) end
              return real.call(...)
            end

            """
        let script = RedisScript(
            name: scriptCall.script.name,
            source: firstLine + "\n" + counting + source.dropFirst(firstLine.count + 1))
        scriptCall = RedisScriptCall(script, keys: scriptCall.keys, arguments: scriptCall.arguments)
        return .script(scriptCall)
    }
}

extension RESPValue {
    var isStopped: Bool { error?.code == "STOPPED" }
}

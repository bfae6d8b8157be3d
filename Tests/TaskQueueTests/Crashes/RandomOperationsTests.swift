// The queue against a plain model of it: random operations of several nodes and people, and after each the same state in both.

import RedisClient
import TaskModel
import TaskQueue
import Testing

/// splitmix64: the same numbers from the same seed on every machine.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Random operations")
struct RandomOperationsTests {
    @Test("whatever nodes and people do, the queue does what the plain model does", arguments: 1...5)
    func model(group: UInt64) throws {
        let bench = try QueueBench()
        for seed in 1...6 {
            var run = try RandomRun(seed: group * 100 + UInt64(seed), sharing: bench)
            for _ in 0..<200 { try run.step() }
            try run.checkIndex()
        }
    }
}

/// One random history.
private struct RandomRun {
    private let bench: QueueBench
    private let seed: UInt64
    private var random: SeededNumbers
    private var model = QueueModel()
    private var nodes: [BenchNode] = []
    private var life: Int64 = 0
    /// Attempts whose report was answered, or that were taken away.
    private var past: [(node: BenchNode, task: ClaimTasks.Claimed)] = []

    init(seed: UInt64, sharing shared: QueueBench) throws {
        bench = try QueueBench(sharing: shared, prefix: "seed\(seed):")
        self.seed = seed
        random = SeededNumbers(state: seed)
        for index in 0..<4 { nodes.append(try register(index)) }
    }

    private mutating func pick(_ below: Int) -> Int { Int.random(in: 0..<below, using: &random) }

    private mutating func someLine() -> String {
        let number = pick(40)
        // A line's size and priority are part of it.
        return line(
            "t\(number)", priority: number % 3, memory: ["0", "1", "8", "24"][number % 4],
            cores: ["0", "1", "2"][number / 4 % 3])
    }

    private mutating func someLines() -> [String] { (0..<(1 + pick(8))).map { _ in someLine() } }

    private mutating func register(_ index: Int) throws -> BenchNode {
        life += 1
        let sizes = [(8, 2), (16, 4), (32, 4), (32, 1)]
        let (gigabytes, cores) = sizes[index]
        model.nodes["n\(index)"] = .init(gigabytes: gigabytes, cores: cores)
        return try bench.node("n\(index)", life: life, gigabytes: UInt64(gigabytes), cores: cores)
    }

    private mutating func someAttempt() -> (node: BenchNode, task: ClaimTasks.Claimed)? {
        guard let (line, attempt) = model.running.sorted(by: { $0.key < $1.key }).randomElement(using: &random),
            let node = nodes.first(where: { $0.name == attempt.node })
        else { return nil }
        return (node, ClaimTasks.Claimed(line: line, token: attempt.token, attempt: attempt.attempt))
    }

    mutating func step() throws {
        let operation = pick(24)
        switch operation {
        case 0...3:
            let lines = someLines()
            let reply = try bench.submit(lines)
            #expect([reply.added, reply.inTodo, reply.inProgress, reply.finished] == model.submit(lines))
        case 4...8: try claim()
        case 9...12: try report(.finished(value: Array("n: \"\"".utf8), record: "{}"))
        case 13, 14:
            let delay = pick(3) == 0 ? 3_600_000 : 0
            try report(.failed(reason: "exit 1", record: "{}", attemptsMax: pick(4), retryMilliseconds: delay))
        case 15: try report(.returned)
        case 16: try orderOnLines()
        case 17: try cancel()
        case 18: try takeCancellations()
        case 19: try reportAgain()
        case 20: try loseNode()
        case 21: try leaveAndReturn()
        case 22:
            model.isPaused.toggle()
            try PauseQueue.parse(try bench.call(PauseQueue(model.isPaused, keys: bench.keys).request))
        default: try nodes[pick(4)].beat()
        }
        try checkState("seed \(seed), operation \(operation)")
    }

    private mutating func claim() throws {
        let node = nodes[pick(4)]
        let (count, gigabytes, cores) = (1 + pick(6), [4, 8, 16, 32][pick(4)], pick(5))
        let expected = model.claim(node.name, count: count, gigabytes: gigabytes, cores: cores)
        let reply = try node.claimReply(count, gigabytes: UInt64(gigabytes), cores: cores)
        #expect(reply.tasks.map(\.line) == expected.map(\.line), "seed \(seed)")
        #expect(reply.tasks.map(\.attempt) == expected.map(\.attempt))
        #expect(reply.isPaused == model.isPaused)
        #expect(reply.hasCancellations == !model.cancellations(of: node.name).isEmpty)
        for task in reply.tasks { model.taken(task, by: node.name) }
    }

    private mutating func report(_ result: ReportTask.Result) throws {
        guard let (node, task) = someAttempt() else { return }
        #expect(try node.report(task, result) == model.report(task, by: node.name, result))
        past.append((node, task))
    }

    private mutating func reportAgain() throws {
        guard let (node, task) = past.randomElement(using: &random) else { return }
        let result = ReportTask.Result.finished(value: [], record: "{}")
        let expected = model.report(task, by: node.name, result)
        #expect(expected != .accepted)
        #expect(try node.report(task, result) == expected)
    }

    private mutating func orderOnLines() throws {
        let lines = someLines()
        let tasks = try lines.map { try TaskLine(parsing: $0) }[...]
        switch pick(4) {
        case 0:
            let reply = try RetryTasks.parse(try bench.call(RetryTasks(tasks, keys: bench.keys).request))
            #expect([reply.queued, reply.hastened] == model.retry(lines))
        case 1:
            for line in Set(lines) {
                guard let attempt = model.running[line], let node = nodes.first(where: { $0.name == attempt.node })
                else { continue }
                past.append((node, .init(line: line, token: attempt.token, attempt: attempt.attempt)))
            }
            let reply = try RequeueTasks.parse(try bench.call(RequeueTasks(tasks, keys: bench.keys).request))
            #expect(reply == model.requeue(lines))
        case let choice:
            let state = choice == 2 ? ForgetTasks.State.finished : .failed
            let request = ForgetTasks(state, lines.map { Array($0.utf8) }[...], keys: bench.keys).request
            #expect(try ForgetTasks.parse(try bench.call(request)) == model.forget(state, Set(lines)))
        }
    }

    private mutating func cancel() throws {
        let line = someLine()
        let reply = try CancelTask.parse(try bench.call(CancelTask(line, keys: bench.keys).request))
        #expect(reply == model.cancel(line))
    }

    private mutating func takeCancellations() throws {
        let node = nodes[pick(4)]
        let request = TakeCancellations(keys: bench.keys, incarnation: node.incarnation).request
        #expect(
            Set(try TakeCancellations.parse(try bench.call(request))) == model.cancellations(of: node.name))
        model.nodes[node.name]?.revoked = []
    }

    private mutating func loseNode() throws {
        let index = pick(4)
        let dead = nodes[index]
        try dead.loseLease()
        try nodes[(index + 1) % 4].beat()
        remember(dead)
        model.remove(dead.name, inOrder: false)
        #expect(throws: try bench.fenced) { try dead.claim() }
        nodes[index] = try register(index)
    }

    private mutating func leaveAndReturn() throws {
        let index = pick(4)
        let request = LeaveQueue(keys: bench.keys, incarnation: nodes[index].incarnation).request
        #expect(try LeaveQueue.parse(try bench.call(request)) == 0)
        remember(nodes[index])
        model.remove(nodes[index].name, inOrder: true)
        nodes[index] = try register(index)
    }

    private mutating func remember(_ node: BenchNode) {
        for (line, attempt) in model.running where attempt.node == node.name {
            past.append((node, .init(line: line, token: attempt.token, attempt: attempt.attempt)))
        }
    }

    private func checkState(_ comment: Comment) throws {
        let state = try bench.state()
        #expect(state.todo == model.todo, comment)
        #expect(state.inProgress == model.running.mapValues(\.node), comment)
        #expect(Set(state.finished.keys) == Set(model.finished.keys), comment)
        #expect(state.failed == model.failedOn.mapValues { $0.map { $0 + "," }.joined() }, comment)
        #expect(state.retrying == model.retrying, comment)
        let numbers = [model.todo.count, model.running.count, model.finished.count, model.failedForGood.count]
        #expect(try bench.numbers == numbers, comment)
        #expect(try bench.counts.delayed == model.delayed.count, comment)
        for node in nodes {
            let held = model.running.filter { $0.value.node == node.name }.keys.sorted()
            #expect(try node.held == held, comment)
        }
    }

    /// Every line that may be taken is in exactly the class where a claim looks for it, and nothing is counted wrongly.
    func checkIndex() throws {
        var places: [String: [String]] = [:]
        for key in (try bench.command("KEYS", bench.keys.prefix + "distcomp:class:*").elements ?? []).compactMap(
            \.string)
        {
            let known = try bench.command("ZSCORE", bench.keys.prefix + "distcomp:classes", classOf(key))
            #expect(!known.isNull, "a class nobody would look at: \(key)")
            for member in (try bench.command("ZRANGE", key, "0", "-1").elements ?? []).compactMap(\.string) {
                places[member, default: []].append(classOf(key))
            }
        }
        #expect(Set(places.keys) == Set(model.waiting.keys))
        for (text, classes) in places {
            let task = try TaskLine(parsing: text)
            let exclusion = (model.failedOn[text] ?? []).map { $0 + "," }.joined()
            #expect(classes == ["\(task.memoryBytes):\(task.millicores):\(exclusion)"])
        }
        let indexed = try bench.command("GET", bench.keys.prefix + "distcomp:indexed").int ?? 0
        #expect(indexed == places.count)
    }

    private func classOf(_ key: String) -> String {
        String(key.dropFirst((bench.keys.prefix + "distcomp:class:").count))
    }
}

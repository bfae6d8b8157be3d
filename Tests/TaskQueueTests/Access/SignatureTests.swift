import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Signatures in the queue")
struct SignatureTests {
    private let bench: QueueBench
    private let key: TaskKey

    init() throws {
        bench = try QueueBench()
        key = try TaskKey(contents: Array(repeating: 7, count: 32), prefix: bench.keys.prefix)
    }

    private func submit(_ lines: String..., signed: Bool = true) throws {
        let tasks = try lines.map { try TaskLine(parsing: $0) }
        let request = SubmitTasks(tasks[...], keys: bench.keys, taskKey: signed ? key : nil).request
        _ = try SubmitTasks.parse(try bench.call(request))
    }

    private func claim(_ node: BenchNode, _ count: Int = 1) throws -> [ClaimTasks.Claimed] {
        let claim = ClaimTasks(
            keys: bench.keys, incarnation: node.incarnation, leaseMilliseconds: node.leaseMilliseconds, count: count,
            freeMemoryBytes: 64 << 30, freeMillicores: 64_000, withSignatures: true, silence: node.known.silence)
        return try ClaimTasks.parse(try bench.call(claim.request)).tasks
    }

    private func problem(with claimed: ClaimTasks.Claimed) throws -> SignatureProblem? {
        key.problem(with: try TaskLine(parsing: claimed.line), signature: claimed.signature)
    }

    @Test("a claim brings each line's own signature, and none for a line that has none")
    func claims() throws {
        let node = try bench.node("a")
        try submit(line("one", priority: 3), line("three", priority: 1))
        try submit(line("two", priority: 2), signed: false)
        let tasks = try claim(node, 3)
        #expect(tasks.map(\.line) == [line("one", priority: 3), line("two", priority: 2), line("three", priority: 1)])
        #expect(try tasks.map { try problem(with: $0) } == [nil, .missing, nil])
    }

    @Test("a node that asks for none is given none")
    func unasked() throws {
        let node = try bench.node("a")
        try submit(line("x"))
        #expect(try node.claim().map(\.signature) == [nil])
    }

    @Test("what is held comes with its signature, since the answer to the claim may have been lost")
    func held() throws {
        let node = try bench.node("a")
        try submit(line("signed"))
        try submit(line("unsigned"), signed: false)
        #expect(try claim(node, 2).count == 2)
        let request = HeldTasks(keys: bench.keys, incarnation: node.incarnation, withSignatures: true).request
        let tasks = try HeldTasks.parse(try bench.call(request)).sorted { $0.line < $1.line }
        #expect(tasks.map(\.line) == [line("signed"), line("unsigned")])
        #expect(try tasks.map { try problem(with: $0) } == [nil, .missing])
    }

    @Test("a line that waits or runs unsigned is signed by submitting it again")
    func signedLater() throws {
        let node = try bench.node("a")
        try submit(line("waiting"), line("running", priority: 2), signed: false)
        let running = try #require(try claim(node).first)
        #expect(running.line == line("running", priority: 2))
        try submit(line("waiting"), line("running", priority: 2))
        #expect(try bench.numbers == [1, 1, 0, 0])
        try node.fail(running)
        let tasks = try claim(node, 2)
        #expect(tasks.count == 2)
        #expect(try tasks.allSatisfy { try problem(with: $0) == nil })
    }

    @Test("a signature lasts through retries and failures, and goes when the task has finished")
    func lifetime() throws {
        let node = try bench.node("a")
        try submit(line("x"))
        for attempt in 1...3 {
            let task = try #require(try claim(node).first)
            #expect(task.attempt == attempt)
            #expect(try problem(with: task) == nil)
            try node.fail(task)
        }
        #expect(try bench.numbers == [0, 0, 0, 1])
        try submit(line("x"), signed: false)
        let task = try #require(try claim(node).first)
        #expect(try problem(with: task) == nil)
        try node.finish(task)
        #expect(try bench.command("EXISTS", bench.keys.signatures).int == 0)
        try submit(line("x"))
        #expect(try bench.command("EXISTS", bench.keys.signatures).int == 0)
    }

    @Test("a thousand lines are signed in one call")
    func many() throws {
        let node = try bench.node("a")
        let tasks = try (0..<1000).map { try TaskLine(parsing: line("t\($0)")) }
        let reply = try SubmitTasks.parse(
            try bench.call(SubmitTasks(tasks[...], keys: bench.keys, taskKey: key).request))
        #expect(reply.added == 1000)
        let claimed = try claim(node, 1000)
        #expect(claimed.count == 1000)
        #expect(try claimed.allSatisfy { try problem(with: $0) == nil })
    }
}

// A line that failed on a node of ours, and whose next try an old worker has: it says in the six hashes alone what came of it.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Retries that old workers have")
struct OldRetryTests {
    private let bench: QueueBench
    private let node: BenchNode
    private let worker: OldWorker

    init() throws {
        bench = try QueueBench()
        node = try bench.node("a")
        worker = OldWorker(bench: bench, name: "old")
    }

    /// Fails here and waits a minute for its retry; the old worker, which knows of no such time, takes it.
    private func takenByOldWorker(_ text: String, dies: Bool = false) throws -> String {
        try bench.submit(text)
        try node.fail(try #require(try node.claim().first), attemptsMax: 2, retryMilliseconds: 60_000)
        return try #require(try worker.take(dies: dies))
    }

    private func states(_ lines: String...) throws -> [ReadRetrying.State] {
        try bench.perform(ReadRetrying(lines.map { Array($0.utf8) }[...], keys: bench.keys))
    }

    @Test("failed there for good, it is counted and told as failed at once, with nobody having looked at it")
    func failed() throws {
        let text = try takenByOldWorker(line("x"))
        #expect(try bench.numbers == [0, 1, 0, 0])
        #expect(try states(text) == [.retrying])
        try worker.fail(text, attemptsMax: 2)
        #expect(try bench.numbers == [0, 0, 0, 1])
        #expect(try states(text) == [.failedForGood])
        let standing = try bench.standing(of: text)
        #expect(!standing.isRetrying)
        try node.beat()
        #expect(try bench.state().retrying.isEmpty)
        #expect(try bench.command("EXISTS", "distcomp:failed-on", "distcomp:attempts").int == 0)
        #expect(try bench.numbers == [0, 0, 0, 1])
        #expect(try bench.perform(RetryTasks([try TaskLine(parsing: text)], keys: bench.keys)).queued == 1)
        #expect(try node.claim().map(\.attempt) == [1])
    }

    @Test("finished there, it hides no failure of another, before it is settled and after")
    func finished() throws {
        let text = try takenByOldWorker(line("x"))
        try worker.finish(text, output: "done")
        try bench.submit(line("y"))
        try node.fail(try #require(try node.claim().first), attemptsMax: 1)
        #expect(try bench.numbers == [0, 0, 1, 1])
        #expect(try states(text, line("y"), line("unknown")) == [.finished, .failedForGood, .failedForGood])
        try node.beat()
        #expect(try bench.numbers == [0, 0, 1, 1])
        let state = try bench.state()
        #expect(state.failed == [line("y"): "a,"] && state.reasons == [line("y"): "exit 1"] && state.retrying.isEmpty)
    }

    @Test("dropped there, it is still to be tried again, and comes back")
    func dropped() throws {
        try bench.submit(line("x"))
        try node.fail(try #require(try node.claim().first), attemptsMax: 2)
        let text = try #require(try worker.take(dies: true))
        let other = try bench.node("b")
        #expect(try other.claim().isEmpty)
        for _ in 0..<3 { try node.beat() }
        #expect(try bench.numbers == [0, 0, 0, 0])
        #expect(try states(text) == [.retrying])
        #expect(try other.beat(graceMilliseconds: 0).recoveredCount == 1)
        #expect(try other.claim().map(\.line) == [text])
    }

    @Test("put back to todo there, it waits, and is no failure")
    func putBack() throws {
        let text = try takenByOldWorker(line("x"))
        try worker.fail(text, attemptsMax: 9)
        #expect(try bench.numbers == [1, 0, 0, 0])
        #expect(try states(text) == [.retrying])
        try node.beat()
        try bench.perform(AdoptLines([try TaskLine(parsing: text)], keys: bench.keys))
        try bench.command("DEL", "distcomp:delayed")
        try bench.perform(AdoptLines([try TaskLine(parsing: text)], keys: bench.keys))
        let task = try #require(try bench.node("b").claim().first)
        #expect(try bench.numbers == [0, 1, 0, 0])
        #expect(task.line == text && task.attempt == 2)
    }

    @Test("forgotten as finished, it leaves nothing that would count")
    func forgotten() throws {
        let text = try takenByOldWorker(line("x"))
        try worker.finish(text, output: "done")
        #expect(try bench.perform(ForgetTasks(.finished, [Array(text.utf8)], keys: bench.keys)) == 1)
        #expect(try bench.numbers == [0, 0, 0, 0])
        #expect(try bench.state() == QueueState())
    }

    @Test(
        "of a thousand such the count is exact, and of three thousand after some heartbeats", arguments: [1000, 3000])
    func many(count: Int) throws {
        try bench.submit((0..<count).map { line("t\($0)") })
        while case let tasks = try node.claim(500), !tasks.isEmpty {
            for task in tasks { try node.fail(task, attemptsMax: 2, retryMilliseconds: 60_000) }
        }
        #expect(try bench.numbers == [count, 0, 0, 0])
        var requests: [RedisRequest] = []
        for number in 0..<count {
            let text = line("t\(number)")
            requests.append(.command(RedisCommand("HDEL", bench.keys.todo, text)))
            if number % 2 == 0 {
                requests.append(.command(RedisCommand("HSET", bench.keys.finished, text, "old: \"\"")))
            } else {
                requests.append(.command(RedisCommand("HSET", bench.keys.failed, text, "a,old,")))
            }
        }
        _ = try bench.client.pipeline(requests)
        let expected = [0, 0, count / 2, count / 2]
        if count <= 1000 { #expect(try bench.numbers == expected) }
        var beats = 0
        while try !bench.state().retrying.isEmpty {
            try node.beat()
            beats += 1
            try #require(beats < 200)
        }
        #expect(try bench.numbers == expected)
        #expect(count <= 1000 || beats > 10, "a beat does a bounded part")
        #expect(try bench.command("EXISTS", "distcomp:settled").int == 0)
    }
}

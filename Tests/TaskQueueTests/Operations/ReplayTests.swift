import RedisClient
import TaskModel
import TaskQueue
import Testing

/// Everything a queue has in Redis, but for what counts calls or time.
private func contents(of bench: QueueBench) throws -> [String: String] {
    let counters = ["metrics-noted", "metrics-arrivals"]
    let volatile = (["sequence", "tokens", "fed", "sweeper", "leases", "clock"] + counters).map {
        bench.keys.prefix + "distcomp:" + $0
    }
    var contents: [String: String] = [:]
    for key in (try bench.command("KEYS", bench.keys.prefix + "*").elements ?? []).compactMap(\.string)
    where !volatile.contains(key) {
        let value: RESPValue
        switch try bench.command("TYPE", key).string {
        case "hash": value = try bench.command("HGETALL", key)
        case "zset": value = try bench.command("ZRANGE", key, "0", "-1", "WITHSCORES")
        case "set": value = try bench.command("SMEMBERS", key)
        default: value = try bench.command("GET", key)
        }
        contents[key] = "\(value)"
    }
    return contents
}

@Suite("Repetition")
struct ReplayTests {
    @Test("a request that is sent again changes nothing, whichever it is")
    func replay() throws {
        let bench = try QueueBench()
        let keys = bench.keys
        let (a, b) = (try bench.node("a"), try bench.node("b"))
        let lines = (0..<8).map { line("t\($0)", memory: "\($0 % 2)") }
        let tasks = try lines.map { try TaskLine(parsing: $0) }
        func again(_ name: String, _ request: RedisRequest) throws {
            let first = try bench.call(request)
            #expect(first.error == nil, "\(name)")
            let state = try contents(of: bench)
            for _ in 0..<2 { _ = try bench.call(request) }
            #expect(try contents(of: bench) == state, "\(name)")
        }
        func report(_ task: ClaimTasks.Claimed, _ result: ReportTask.Result) -> RedisRequest {
            ReportTask(keys: keys, incarnation: a.incarnation, line: task.line, token: task.token, result: result)
                .request
        }
        func failure(attemptsMax: Int, delay: Int) -> ReportTask.Result {
            .failed(reason: "exit 1", record: "{}", attemptsMax: attemptsMax, retryMilliseconds: delay)
        }
        try again("submit", SubmitTasks(tasks[...], keys: keys).request)
        let taken = try a.claim(6)
        try again("finished", report(taken[0], .finished(value: [65], record: "{}")))
        try again("failed", report(taken[1], failure(attemptsMax: 3, delay: 0)))
        try again("failed, to wait", report(taken[2], failure(attemptsMax: 3, delay: 3_600_000)))
        try again("failed for good", report(taken[3], failure(attemptsMax: 1, delay: 0)))
        try again("returned", report(taken[4], .returned))
        try again("cancel a running one", CancelTask(taken[5].line, keys: keys).request)
        try again("cancellations", TakeCancellations(keys: keys, incarnation: a.incarnation).request)
        try again("cancel a waiting one", CancelTask(taken[2].line, keys: keys).request)
        try again("retry", RetryTasks(tasks[...], keys: keys).request)
        try again("forget", ForgetTasks(.finished, [Array(taken[0].line.utf8)][...], keys: keys).request)
        try again("requeue", RequeueTasks(tasks[...], keys: keys).request)
        try again("pause", PauseQueue(true, keys: keys).request)
        try again("drain", DrainNodes(["a", "b", "nobody"], isDraining: true, keys: keys).request)
        try again("resume", DrainNodes(["a", "b", "nobody"], isDraining: false, keys: keys).request)
        try again("resume", PauseQueue(false, keys: keys).request)
        try bench.command("HSET", keys.todo, "nonsense", "")
        try again("reject", RejectLine(Array("nonsense".utf8), reason: "no task", keys: keys).request)
        try OldManager(bench: bench).load([line("theirs")])
        try bench.command("SET", keys.sweeper, "9999999999999")
        try again("adopt", AdoptLines([try TaskLine(parsing: line("theirs"))], keys: keys).request)
        _ = try b.claim(3)
        try again(
            "register",
            RegisterNode(
                keys: keys, incarnation: Incarnation(name: "b", machine: "mb", life: 2), leaseMilliseconds: 60_000,
                status: "1:0:1:0:1", node: b.description, earlier: [b.incarnation]
            ).request)
        _ = try a.claim(3)
        try a.loseLease()
        let second = Incarnation(name: "b", machine: "mb", life: 2)
        let heartbeat = Heartbeat(
            keys: keys, incarnation: second, leaseMilliseconds: 60_000,
            status: "1:0:1:0:1", silence: a.known.silence, elapsedMilliseconds: 3_600_000, node: b.description)
        try again("heartbeat", heartbeat.request)
        try again("leave", LeaveQueue(keys: keys, incarnation: second).request)
    }
}

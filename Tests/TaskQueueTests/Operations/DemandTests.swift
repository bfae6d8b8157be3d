// What is asked of the fleet, as the queue counts it.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("What waits and what is held, counted")
struct DemandTests {
    private func demand(_ bench: QueueBench, owner: String = "", offset: Int = 0) throws -> ReadDemand.Page {
        try bench.client(of: .watcher).perform(ReadDemand(ofOwner: owner, offset: offset, keys: bench.keys))
    }

    private func open(_ bench: QueueBench, _ name: String, _ change: (inout Job.Settings) -> Void = { _ in }) throws
        -> Job
    {
        var settings = Job.Settings()
        change(&settings)
        let open = OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, _, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        return Job(identifier: identifier, name: name, settings: settings, definition: .init())
    }

    private func add(_ count: Int, to job: Job, _ bench: QueueBench) throws {
        let lines = try (1...count).map { try TaskLine(command: "t\($0)", of: job) }
        try bench.perform(SubmitTasks(lines[...], keys: bench.keys))
    }

    @Test("what waits is counted by what it asks for, of jobs and of none; what runs is not")
    func classes() throws {
        let bench = try QueueBench()
        try bench.submit(["shell:1:2:1:a", "shell:9:2:1:b", "shell:1:4:1:c"])
        let job = try open(bench, "j") {
            $0.memoryBytes = 8 << 30
            $0.millicores = 2000
            $0.nodeLabels = LabelExpression(text: "ssd")
            $0.resources = ResourceRequest(typed: "gpu=1") ?? .init()
        }
        try add(5, to: job, bench)
        func rows() throws -> [String] {
            try demand(bench).classes.map {
                "\($0.count)x\($0.memoryBytes >> 30):\($0.millicores) \($0.nodeLabels?.text ?? "") \($0.resources.typed)"
            }.sorted()
        }
        #expect(try rows() == ["1x4:1000  ", "2x2:1000  ", "5x8:2000 ssd gpu=1"])
        let node = try bench.node("a", labels: ["ssd"], resources: "gpu:d8")
        #expect(try node.claim(4, freeResources: "gpu@1000,0").count == 4)
        #expect(try rows() == ["4x8:2000 ssd gpu=1"])
        let load = try #require(
            bench.client(of: .watcher).perform(ReadLoads(of: [node.incarnation], keys: bench.keys)).first)
        #expect(load.taskCount == 4 && load.memoryBytes == 16 << 30 && load.millicores == 5000)
        #expect(load.resources == ["gpu": 1000])
    }

    @Test(
        "what waits for others, for its time, or in a paused job is not counted, and all is told while nothing is given"
    )
    func waitingForOthers() throws {
        let bench = try QueueBench()
        let first = try open(bench, "first")
        try add(2, to: first, bench)
        let second = try open(bench, "second")
        try bench.perform(GateJob(second.identifier, after: [(first.identifier, .ok)], keys: bench.keys))
        try add(3, to: second, bench)
        #expect(try demand(bench).classes.map(\.count) == [2])
        try bench.perform(PauseJob(first.identifier, isPaused: true, keys: bench.keys))
        #expect(try demand(bench).classes == [])
        #expect(try !demand(bench).isPaused)
        try bench.perform(PauseQueue(true, keys: bench.keys))
        #expect(try demand(bench).isPaused)
    }

    @Test("a failed task that waits for its next try is counted when its time has come")
    func retries() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit("shell:1:2:1:a")
        try node.fail(try #require(node.claim().first), retryMilliseconds: 3_600_000)
        #expect(try demand(bench).classes == [])
        try bench.pass(seconds: 4000)
        try node.beat()
        #expect(try demand(bench).classes.map(\.count) == [1])
    }

    @Test("lines of old managers are told to be there, though nobody knows what they ask for")
    func unknown() throws {
        let bench = try QueueBench()
        try bench.command("HSET", bench.keys.todo, "shell:1:2:1:a", "", "shell:1:2:1:b", "")
        #expect(try demand(bench).unknownCount == 2)
        try bench.submit("shell:1:2:1:c")
        #expect(try demand(bench).unknownCount == 2)
        #expect(try demand(bench).classes.map(\.count) == [1])
    }

    @Test("many classes come in pages, each once")
    func pages() throws {
        let bench = try QueueBench()
        try bench.submit((1...450).map { "shell:1:0:\($0):t" })
        var names: [String] = []
        var offset: Int? = 0
        while let start = offset {
            let page = try demand(bench, offset: start)
            names += page.classes.map(\.name)
            offset = page.next
        }
        #expect(names.count == 450 && Set(names).count == 450)
    }

    @Test("a node that was awaited is noted to have come")
    func came() throws {
        let bench = try QueueBench()
        for request in ChangeScalingNotes(["node a": "one 1 0 0 1"], removing: [], keys: bench.keys).requests {
            _ = try bench.client(of: .submitter).call(request)
        }
        _ = try bench.node("a")
        _ = try bench.node("b")
        #expect(try bench.command("HLEN", bench.keys.scaling) == .integer(2))
        #expect(try bench.command("HGET", bench.keys.scaling, "came a").string == "1")
        for request in ChangeScalingNotes([:], removing: ["node a", "came a"], keys: bench.keys).requests {
            _ = try bench.client(of: .submitter).call(request)
        }
        #expect(try bench.command("EXISTS", bench.keys.scaling) == .integer(0))
    }
}

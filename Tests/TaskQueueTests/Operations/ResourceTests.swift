import TaskModel
import TaskQueue
import Testing

@Suite("Jobs that ask for more than memory and cores")
struct ResourceTests {
    /// A job that asks for this, with tasks of these commands.
    @discardableResult
    private func submit(_ bench: QueueBench, _ name: String, _ typed: String, _ commands: String...) throws -> Job {
        var settings = Job.Settings()
        settings.resources = try #require(ResourceRequest(typed: typed))
        // What looks like the setting inside another one is text.
        settings.command = #"x "resources":"tape:1""#
        let open = OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, _, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        for command in commands {
            try bench.perform(SubmitTasks([try TaskLine(command: command, of: job)], keys: bench.keys))
        }
        return job
    }

    private func commands(_ node: BenchNode, _ count: Int, free: String) throws -> [String] {
        try node.claim(count, freeResources: free).map { TaskLine.command(ofLine: $0.line) }
    }

    @Test(
        "whole devices go to tasks that ask for them, parts to others, and what waits does not hold up who asks for none"
    )
    func claims() throws {
        let bench = try QueueBench()
        try submit(bench, "pairs", "gpu=2", "pair 1", "pair 2")
        try submit(bench, "halves", "gpu=0.5,licence=1", "half 1", "half 2", "half 3", "half 4")
        try bench.submit("shell:0:0:0:plain")
        let node = try bench.node("a", resources: "gpu:d4 licence:3000")
        let first = try commands(node, 9, free: "gpu@1000,500,1000,0 licence:3000")
        #expect(first.sorted() == ["half 1", "pair 1", "plain"])
        #expect(try commands(node, 9, free: "gpu@500,500,0,1000 licence:2000") == ["half 2", "half 3"])
    }

    @Test("a node that tells of nothing, as an older one does, gets only what asks for nothing")
    func older() throws {
        let bench = try QueueBench()
        try submit(bench, "gpus", "gpu=1", "gpu")
        try bench.submit("shell:0:0:0:plain")
        #expect(try bench.node("a").claim(9).map(\.line) == ["shell:0:0:0:plain"])
    }

    @Test("what failed on one of two nodes is the other's only where that could ever hold it")
    func exclusion() throws {
        for (other, isLeft) in [("gpu:d1", false), ("gpu:d2", true), ("licence:9000", false), ("gpu:9000", true)] {
            let bench = try QueueBench()
            try submit(bench, "pairs", "gpu=2", "pair")
            let node = try bench.node("a", resources: "gpu:d2")
            _ = try bench.node("b", resources: other)
            try node.fail(try #require(node.claim(1, freeResources: "gpu@1000,1000").first))
            #expect(try commands(node, 1, free: "gpu@1000,1000") == (isLeft ? [] : ["pair"]), "\(other)")
        }
    }

    @Test("another job's settings, or a node's, hold for the next claim, and a job that is forgotten leaves nothing")
    func changes() throws {
        let bench = try QueueBench()
        let job = try submit(bench, "gpus", "gpu=1", "one")
        let node = try bench.node("a")
        #expect(try commands(node, 1, free: "").isEmpty)
        var settings = Job.Settings()
        try bench.perform(ChangeJob(job.identifier, settings: settings, keys: bench.keys))
        #expect(try commands(node, 1, free: "") == ["one"])
        settings.resources = try #require(ResourceRequest(typed: "tape=1"))
        try bench.perform(ChangeJob(job.identifier, settings: settings, keys: bench.keys))
        #expect(try bench.command("HGET", bench.keys.jobNeeds, job.identifier).string == "tape:1000")
        let described = NodeDescription(
            memoryBytes: 1 << 30, millicores: 1000, resources: ResourceTotals(text: "gpu:d2 tape:4000"))
        try node.beat(description: described)
        #expect(try bench.perform(ReadNodes(keys: bench.keys)).map(\.resources.text) == ["gpu:d2 tape:4000"])
        try node.finish(
            try #require(
                try bench.perform(
                    HeldTasks(keys: bench.keys, incarnation: node.incarnation)
                ).first))
        try bench.perform(ForgetJob(job, keys: bench.keys))
        #expect(try bench.command("EXISTS", bench.keys.jobNeeds).int == 0)
    }

    @Test("what is used of a node's devices is told as it said last, and is forgotten with it")
    func devices() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        func told(_ devices: [DeviceReading]) throws -> [DeviceReading] {
            try node.beat(description: NodeDescription(memoryBytes: 1 << 30, millicores: 1000, devices: devices))
            return try bench.perform(ReadNodes(keys: bench.keys)).flatMap(\.devices)
        }
        let first = DeviceReading(name: "GPU-0a1b", usedBytes: 1 << 30, totalBytes: 80 << 30, percent: 57)
        let slice = DeviceReading(name: "MIG-GPU-0a1b/1/0", usedBytes: nil, totalBytes: nil, percent: nil)
        #expect(try told([first, slice]) == [first, slice])
        #expect(try bench.command("HLEN", "distcomp:device-use").int == 1)
        let text = "GPU-0a1b/1/2/101 GPU-1/x/2/3 GPU-2 //// GPU-3/-1/2/3 GPU-4/99999999999999999999/1/1"
        _ = try bench.command("HSET", "distcomp:device-use", node.incarnation.text, text)
        let unknown = DeviceReading(name: "GPU-0a1b", usedBytes: 1, totalBytes: 2, percent: nil)
        #expect(try bench.perform(ReadNodes(keys: bench.keys)).flatMap(\.devices) == [unknown])
        #expect(try told([]).isEmpty)
        #expect(try bench.command("EXISTS", "distcomp:device-use").int == 0)
        #expect(try told([first]) == [first])
        try bench.perform(LeaveQueue(keys: bench.keys, incarnation: node.incarnation))
        #expect(try bench.command("EXISTS", "distcomp:device-use").int == 0)
    }

    @Test("a queue that was emptied is told by the node that runs a task what its job asks for")
    func restored() throws {
        let bench = try QueueBench()
        let job = try submit(bench, "gpus", "gpu=1", "one")
        let task = try #require(try bench.node("a").claim(1, freeResources: "gpu@1000").first)
        try bench.command("FLUSHALL")
        let again = try bench.node("a", life: 2, runsSomething: true)
        let running = RestoreTasks.Running(line: try TaskLine(command: "one", of: job), token: task.token, attempt: 1)
        try bench.perform(RestoreTasks([running], keys: bench.keys, incarnation: again.incarnation, isLast: true))
        #expect(try bench.command("HGET", bench.keys.jobNeeds, job.identifier).string == "gpu:1000")
    }
}

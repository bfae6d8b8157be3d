import TaskModel
import TaskQueue
import Testing

@Suite("Jobs for nodes with labels")
struct LabelTests {
    /// A job for such nodes, with a task of this command.
    @discardableResult
    private func submit(_ bench: QueueBench, _ name: String, for labels: String?, _ command: String) throws -> Job {
        var settings = Job.Settings()
        settings.nodeLabels = labels.flatMap { LabelExpression(text: $0) }
        // What looks like the setting inside another one is text.
        settings.command = #"x "where":"tape""#
        let open = OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, _, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        try bench.perform(SubmitTasks([try TaskLine(command: command, of: job)], keys: bench.keys))
        return job
    }

    private func commands(_ tasks: [ClaimTasks.Claimed]) -> [String] {
        tasks.map { String($0.line.split(separator: " ", maxSplits: 1)[1]) }
    }

    @Test("a task is given to the nodes that its job is for, in its turn, and to no other")
    func claims() throws {
        let bench = try QueueBench()
        try submit(bench, "fast", for: "ssd & !spot", "fast")
        try submit(bench, "any", for: nil, "any")
        let plain = try bench.node("plain")
        let spot = try bench.node("spot", labels: ["ssd", "spot"])
        let fast = try bench.node("fast", labels: ["big", "ssd"])
        #expect(try commands(plain.claim(4)) == ["any"])
        #expect(try spot.claim(4).isEmpty)
        #expect(try commands(fast.claim(4)) == ["fast"])
    }

    @Test(
        "the queue reads an expression as we do",
        arguments: [
            "a", "!a", "a & b", "a | b", "!(a | b)", "(a | b) & !c", "a | b & c", "a & (b | c) & !(a & c)", "!!c",
            "b & !a | c & a",
        ])
    func sameAsOurs(_ text: String) throws {
        let bench = try QueueBench()
        for bits in 0..<8 {
            let labels = ["a", "b", "c"].enumerated().filter { bits >> $0.offset & 1 == 1 }.map(\.element)
            try submit(bench, "job\(bits)", for: text, "true")
            let given = try bench.node("node\(bits)", labels: labels).claim(1)
            let isMeant = try #require(LabelExpression(text: text)).matches(Set(labels))
            #expect(given.isEmpty != isMeant, "\(labels)")
            try bench.command("FLUSHALL")
        }
    }

    @Test("a job given other labels, or a node with others, is given at the next claim")
    func changes() throws {
        let bench = try QueueBench()
        let job = try submit(bench, "job", for: "ssd", "one")
        let node = try bench.node("node")
        #expect(try node.claim().isEmpty)
        let labelled = NodeDescription(memoryBytes: 64 << 30, millicores: 64_000, labels: ["ssd"])
        try node.beat(description: labelled)
        #expect(try commands(node.claim()) == ["one"])
        try node.beat()
        try bench.perform(SubmitTasks([try TaskLine(command: "two", of: job)], keys: bench.keys))
        #expect(try node.claim().isEmpty)
        try bench.perform(ChangeJob(job.identifier, settings: Job.Settings(), keys: bench.keys))
        #expect(try commands(node.claim()) == ["two"])
    }

    @Test("a column of a sweep is no setting, whatever it is called")
    func columns() throws {
        let bench = try QueueBench()
        let names = ["where", "resources", "halt", "idempotent", "memory_auto", "timeout", "priority"]
        var settings = Job.Settings()
        settings.template = JobTemplate(
            words: ["x"] + names.map { "{\($0)}" }, columns: names.map { JobTemplate.Column(name: $0, kind: .text) })
        let open = OpenJob(name: "j", isNameChosen: true, settings: settings, definition: .init(), keys: bench.keys)
        func expectPlain(_ step: String) throws {
            for key in [bench.keys.jobWheres, bench.keys.jobNeeds] {
                #expect(try bench.command("HLEN", key).int == 0, "\(step): \(key)")
            }
        }
        guard case .opened(let identifier, _, _) = try bench.perform(open) else {
            throw QueueError.unexpectedReply("open")
        }
        try expectPlain("new")
        // As a version writes it that does not care how columns are called.
        let plain = settings.json.replacing(#"\u0077"#, with: "w").replacing(#"\u0072"#, with: "r")
        guard case .script(var call) = ChangeJob(identifier, settings: settings, keys: bench.keys).request else {
            return
        }
        let at = try #require(call.arguments.firstIndex { $0 == Array(settings.json.utf8) })
        call.arguments[at] = Array(plain.utf8)
        _ = try bench.call(.script(call))
        try expectPlain("changed")
        let job = Job(identifier: identifier, name: "j", settings: settings, definition: .init())
        try bench.perform(SubmitTasks([try TaskLine(command: "one", of: job)], keys: bench.keys))
        #expect(try commands(bench.node("node").claim()) == ["one"])
    }

    @Test("what failed on one of two nodes is the other's only where its job is for both")
    func exclusion() throws {
        let bench = try QueueBench()
        try submit(bench, "job", for: "ssd", "one")
        let node = try bench.node("node", labels: ["ssd"])
        let other = try bench.node("other", labels: [])
        try node.fail(try #require(node.claim().first))
        #expect(try other.claim().isEmpty)
        #expect(try commands(node.claim()) == ["one"])
    }

    @Test("a queue that was emptied is told by the node that runs a task which nodes its job is for")
    func restored() throws {
        let bench = try QueueBench()
        let job = try submit(bench, "job", for: "ssd", "one")
        let task = try #require(try bench.node("node", labels: ["ssd"]).claim().first)
        try bench.command("FLUSHALL")
        let again = try bench.node("node", life: 2, labels: ["ssd"], runsSomething: true)
        let running = RestoreTasks.Running(line: try TaskLine(command: "one", of: job), token: task.token, attempt: 1)
        try bench.perform(RestoreTasks([running], keys: bench.keys, incarnation: again.incarnation, isLast: true))
        #expect(try bench.command("HGET", bench.keys.jobWheres, job.identifier).string == "ssd")
    }
}

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Nodes reserved for big tasks")
struct ReservationTests {
    @Test("what small tasks always pass gets a node reserved, and is the next that is given there")
    func reserved() throws {
        let scene = try Scene()
        let (a, b) = (try scene.node("a"), try scene.node("b"))
        try scene.keepBusy(a, b, until: scene.big)
        let first = try #require(try scene.reservations.first)
        #expect(try scene.reservations.count == 1)
        #expect(first.value.memoryBytes == 0 && first.value.millicores == 4000)
        let (node, other) = first.key == "a" ? (a, b) : (b, a)
        // The other node goes on with what is small; this one is emptied for the big one.
        #expect(try scene.turnOver(other) == "small")
        for _ in 0..<3 { #expect(try scene.turnOver(node) == nil) }
        #expect(try scene.turnOver(node) == "big")
        #expect(try scene.reservations.isEmpty)
    }

    @Test("by when there is room at the latest is known from the timeouts of what runs there, where all of it has one")
    func latest() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.keepBusy(a, timeout: 300, until: scene.big)
        let until = try #require(try scene.reservations["a"]?.latestMilliseconds)
        #expect((300_000...500_000).contains(until), "\(until)")
        // The last of what runs has no limit.
        let other = try Scene()
        let b = try other.node("b", timeoutMilliseconds: 0)
        try other.keepBusy(b, timeout: nil, until: other.big)
        #expect(try other.reservations["b"] != nil)
        #expect(try other.reservations["b"]?.latestMilliseconds == nil)
    }

    @Test("others pass whose timeout ends before there must be room, be it of their line, their job or their node")
    func quick() throws {
        let scene = try Scene()
        let a = try scene.node("a", timeoutMilliseconds: 20_000)
        try scene.keepBusy(a, timeout: 300, until: scene.big)
        #expect(try scene.turnOver(a) == nil)
        try scene.bench.submit(
            line("long", priority: 9, cores: "1:90m"), line("quick", priority: 8, memory: "1", cores: "1:30"))
        #expect(try scene.claim(a, cores: 1) == ["quick"])
        try scene.bench.submit(#"{"command":"quick too","priority":9,"memory":2,"cores":1,"timeout":"1m"}"#)
        #expect(try scene.turnOver(a) == "quick too")
        try scene.bench.submit(line("as the node has it", priority: 9, memory: "3", cores: "1"))
        #expect(try scene.turnOver(a) == "as the node has it")
        try scene.submit(toJob: "j1", timeout: .seconds(4000), "of a job")
        #expect(try scene.turnOver(a) == nil)
        try scene.submit(toJob: "j2", timeout: .seconds(30), "of another job")
        #expect(try scene.claim(a, cores: 1) == ["of another job"])
    }

    @Test("others pass that fit beside it, however long they run, but not more of them than that")
    func beside() throws {
        let scene = try Scene(bigCores: 2)
        let a = try scene.node("a")
        // Three cores are in use for a while, the fourth is what small ones follow one another on.
        try scene.bench.submit(line("medium", priority: 9, cores: "3:500"))
        try #require(scene.claim(a, cores: 4) == ["medium"])
        let medium = scene.running["a"] ?? []
        scene.running["a"] = []
        try scene.submitSmall(1000, timeout: 9000)
        try #require(scene.claim(a, cores: 1) == ["small"])
        try scene.bench.submit(scene.big)
        func turnOver() throws -> String? {
            try scene.endFirst(on: a)
            return try scene.claim(a, cores: 1).first
        }
        try scene.submitSmall(1000, priority: 0, timeout: 9000)
        for _ in 0..<1000 where try scene.reservations.isEmpty {
            try scene.look(a)
            if try scene.reservations.isEmpty { _ = try turnOver() }
        }
        #expect(try scene.reservations["a"] != nil)
        // When those three are free, two of them are for the big one; one is left, beside the fourth.
        #expect(try turnOver() == "small")
        #expect(try turnOver() == nil)
        for task in medium { try a.finish(task) }
        #expect(try scene.claim(a, cores: 3) == ["big"])
    }

    @Test("where something has no limit, what fits beside the task is given again when who had it has ended")
    func besideAgain() throws {
        let scene = try Scene(bigCores: 3)
        let a = try scene.node("a", timeoutMilliseconds: 0)
        try scene.bench.submit(line("medium", priority: 9, cores: "3"))
        try #require(scene.claim(a, cores: 4) == ["medium"])
        scene.running["a"] = []
        try scene.submitSmall(1, timeout: nil)
        try #require(scene.claim(a, cores: 1) == ["small"])
        try scene.bench.submit(scene.big)
        try scene.submitSmall(1000, timeout: nil)
        func turnOver() throws -> String? {
            try a.finish(scene.running["a", default: []].removeFirst())
            return try scene.claim(a, cores: 1).first
        }
        for _ in 0..<200 where try scene.reservations.isEmpty {
            try scene.look(a)
            if try scene.reservations.isEmpty { _ = try turnOver() }
        }
        #expect(try scene.reservations["a"] != nil)
        #expect(try turnOver() == "small")
        #expect(try turnOver() == nil, "what it had is not known to be free")
        try scene.look(a)
        #expect(try scene.claim(a, cores: 1) == ["small"])
    }

    @Test("nothing is reserved for what others go before by their order, or for what has not waited for long")
    func inOrder() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.submitSmall(200, priority: 2)
        for task in try a.claim(4, cores: 4) { scene.running["a", default: []].append(task) }
        try scene.bench.submit(scene.big)
        try scene.submitSmall(10)
        for _ in 0..<40 {
            try scene.look(a)
            #expect(try scene.turnOver(a) == "small")
        }
        #expect(try scene.reservations.isEmpty)
    }

    @Test("while tasks that came before it are served, what others leave on those nodes is not kept for it")
    func notBeforeOthers() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.bench.submit((0..<60).map { line("older \($0)", priority: 2, cores: "3:\(9000 + $0)") })
        try #require(scene.claim(a, cores: 3).first?.hasPrefix("older") == true)
        try scene.bench.submit(scene.big)
        try scene.submitSmall(1000, priority: 0, timeout: 9000)
        try #require(scene.claim(a, cores: 1) == ["small"])
        for _ in 0..<59 {
            try scene.look(a)
            for cores in [3, 1] {
                try scene.endFirst(on: a)
                #expect(try scene.claim(a, cores: cores) != ["big"])
            }
        }
        #expect(try scene.reservations.isEmpty)
        // The last of them ended: what small ones leave is the big one's now.
        try scene.empty(a)
        _ = try (0..<3).map { _ in try scene.claim(a, cores: 1) }
        for _ in 0..<30 where try scene.reservations.isEmpty {
            try scene.look(a)
            try scene.endFirst(on: a)
            _ = try scene.claim(a, cores: 1)
        }
        #expect(try scene.reservations["a"] != nil)
    }

    @Test("the next of many that are alike does not wait for as long again")
    func many() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.keepBusy(a)
        try scene.bench.submit(line("big too", cores: "4:300"))
        try scene.keepBusy(a, until: scene.big)
        for _ in 0..<3 { _ = try scene.turnOver(a) }
        #expect(try scene.turnOver(a) == "big too")
        #expect(try scene.reservations.isEmpty)
        try scene.look(a)
        #expect(try scene.reservations["a"] != nil)
    }

    @Test("a node that asks for more than it has free, as tasks end in a moment there, has to wait until it is free")
    func expecting() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.keepBusy(a, until: scene.big)
        try scene.endFirst(on: a)
        #expect(try scene.claim(a, cores: 4) == [])
        try scene.empty(a)
        #expect(try scene.claim(a, cores: 4) == ["big"])
    }

    @Test(
        "it is over when the task is served elsewhere, cancelled, or its job is paused, and when its node is drained, gone or too small for it"
    )
    func over() throws {
        for way in 0..<6 {
            let scene = try Scene()
            let (a, b) = (try scene.node("a"), try scene.node("b"))
            try scene.keepBusy(a, b, until: scene.big)
            let name = try #require(try scene.reservations.first?.key)
            let (node, other) = name == "a" ? (a, b) : (b, a)
            switch way {
            case 0:
                for task in scene.running[other.name] ?? [] { try other.finish(task) }
                scene.running[other.name] = []
                try scene.empty(other)
                #expect(try other.claim(1, cores: 4).first?.line == scene.big)
            case 1:
                try scene.bench.perform(CancelTask(scene.big, keys: scene.bench.keys, jobs: [:]))
            case 2: try scene.bench.command("SADD", "distcomp:jobs-paused", "")
            case 3: _ = try scene.bench.drain(name)
            case 4: try scene.beat(node, NodeDescription(memoryBytes: 64 << 30, millicores: 3000))
            default: try scene.bench.perform(LeaveQueue(keys: scene.bench.keys, incarnation: node.incarnation))
            }
            try scene.look(other)
            let record = try scene.bench.command("HGET", "distcomp:reserved", node.incarnation.text).string
            #expect(record == nil, "way \(way)")
        }
    }

    @Test("a node that has no room in time is given up, and another has its turn")
    func vain() throws {
        let scene = try Scene()
        let (a, b) = (try scene.node("a"), try scene.node("b"))
        try scene.keepBusy(a, b, until: scene.big)
        let first = try #require(try scene.reservations.first?.key)
        for _ in 0..<120 where try scene.reservations.keys.contains(first) { try scene.look(a) }
        #expect(try scene.reservations[first] == nil)
        try scene.keepBusy(a, b)
        for _ in 0..<30 where try scene.reservations.isEmpty {
            try scene.look(a)
            _ = try scene.turnOver(a)
            _ = try scene.turnOver(b)
        }
        #expect(try Array(scene.reservations.keys) == [first == "a" ? "b" : "a"])
    }

    @Test("only a node is reserved that could ever hold the task: large enough, well, not drained, and of this version")
    func chosen() throws {
        let scene = try Scene()
        let small = try scene.node("small", cores: 3)
        let ill = try scene.node("ill", trouble: "the disk is full")
        let old = try scene.node("old", keepsReservations: false)
        try scene.keepBusy(small, old, until: scene.big, tries: 60)
        #expect(try scene.reservations.isEmpty)
        let fit = try scene.node("fit")
        try scene.look(fit)
        try scene.look(fit)
        #expect(try Array(scene.reservations.keys) == ["fit"])
        _ = ill
    }

    @Test("0 seconds is never")
    func never() throws {
        let scene = try Scene()
        let a = try scene.node("a", afterMilliseconds: 0)
        try scene.keepBusy(a, until: scene.big, tries: 60)
        #expect(try scene.reservations.isEmpty)
    }

    @Test(
        "what needs several devices gets a node that has them, where others that need one do not follow one another any more"
    )
    func devices() throws {
        let scene = try Scene()
        let without = try scene.node("without", cores: 16)
        let a = try scene.node("a", resources: "gpu:d2")
        try scene.submit(toJob: "ones", resources: "gpu=1", timeout: .none, ["one 1", "one 2"])
        func claim(free: String) throws -> [String] {
            let tasks = try a.claim(1, cores: 1, freeResources: free)
            scene.running["a", default: []] += tasks
            return tasks.map { String(TaskLine.command(ofLine: $0.line).prefix(3)) }
        }
        #expect(try claim(free: "gpu@1000,1000") == ["one"] && claim(free: "gpu@0,1000") == ["one"])
        try scene.submit(toJob: "pairs", resources: "gpu=2", timeout: .seconds(60), ["pair"])
        try scene.submit(toJob: "more", resources: "gpu=1", timeout: .none, (0..<400).map { "one \($0)" })
        func turnOver(free: String = "gpu@1000,0") throws -> [String] {
            try a.finish(scene.running["a", default: []].removeFirst())
            return try claim(free: free)
        }
        for _ in 0..<300 where try scene.reservations.isEmpty {
            try scene.look(without)
            try scene.look(a)
            if try scene.reservations.isEmpty { #expect(try turnOver() == ["one"]) }
        }
        #expect(try Array(scene.reservations.keys) == ["a"])
        #expect(try turnOver().isEmpty)
        #expect(try turnOver(free: "gpu@1000,1000") == ["pai"])
    }

    @Test("what is given to a node that is reserved counts for its owner as ever")
    func owners() throws {
        let scene = try Scene()
        let a = try scene.node("a")
        try scene.submit(toJob: "j1", owner: "ann", cores: 4, timeout: .seconds(60), "big")
        try scene.submit(toJob: "j2", owner: "bob", timeout: .none, (0..<400).map { "small \($0)" })
        scene.running["a"] = try a.claim(4, cores: 3)
        for _ in 0..<200 where try scene.reservations.isEmpty {
            try scene.look(a)
            if try scene.reservations.isEmpty { _ = try scene.turnOver(a) }
        }
        #expect(try scene.reservations["a"] != nil)
        for _ in 0..<3 { _ = try scene.turnOver(a) }
        #expect(scene.running["a"]?.count == 1)
        let owners = try scene.bench.perform(ReadOwners(keys: scene.bench.keys)).owners
        #expect(owners.map(\.name) == ["ann", "bob"])
        #expect(owners.map(\.millicores) == [4000, 0])
    }
}

/// Nodes of four cores on which many small tasks follow one another, and a big one that waits. Time passes by the queue's clock alone.
private final class Scene {
    let bench: QueueBench
    /// The line of the big task.
    let big: String
    var running: [String: [ClaimTasks.Claimed]] = [:]
    private var cores: [String: Int] = [:]
    private var reserving: [String: ReservingSettings] = [:]
    private var smallCount = 0
    private let bigCores: Int

    /// So long a task waits before a node is reserved.
    static let afterMilliseconds = 100_000

    init(bigCores: Int = 4) throws {
        bench = try QueueBench()
        self.bigCores = bigCores
        big = line("big", cores: "\(bigCores):300")
    }

    func node(
        _ name: String, cores: Int = 4, trouble: String = "", timeoutMilliseconds: Int = 3_600_000,
        afterMilliseconds: Int = afterMilliseconds, keepsReservations: Bool = true, resources: String = ""
    ) throws -> BenchNode {
        self.cores[name] = cores
        if keepsReservations {
            reserving[name] = ReservingSettings(
                afterMilliseconds: afterMilliseconds, timeoutMilliseconds: timeoutMilliseconds, graceMilliseconds: 5000)
        }
        let node = try bench.node(
            name, leaseMilliseconds: 1 << 40, cores: cores, trouble: trouble, resources: resources)
        try beat(node)
        return node
    }

    /// - Parameter description: what it says that it has now; nil: what it has.
    func beat(_ node: BenchNode, _ description: NodeDescription? = nil) throws {
        let reserving = reserving[node.name] ?? .never
        try node.beat(elapsedMilliseconds: 1 << 41, description: description, reserving: reserving)
    }

    /// Some seconds later a node is heard of, and looks.
    func look(_ node: BenchNode) throws {
        try bench.pass(seconds: 6)
        try beat(node)
    }

    func submitSmall(_ count: Int, priority: Int = 1, timeout: Int? = 600) throws {
        try bench.submit(
            (0..<count).map { _ in
                smallCount += 1
                // Each longer than what came before it: else it might end before that must have ended, and pass.
                let limit = timeout.map { ":\($0 + 2 * smallCount)" } ?? ""
                return line("small \(smallCount)", priority: priority, cores: "1\(limit)")
            })
    }

    func submit(
        toJob name: String, owner: String = "", cores: Int = 1, timeout: TimeoutRequest, _ commands: String...
    ) throws { try submit(toJob: name, owner: owner, cores: cores, timeout: timeout, commands) }

    func submit(
        toJob name: String, owner: String = "", cores: Int = 1, resources: String = "", timeout: TimeoutRequest,
        _ commands: [String]
    ) throws {
        var settings = Job.Settings()
        settings.resources = ResourceRequest(typed: resources) ?? ResourceRequest()
        (settings.owner, settings.millicores, settings.timeout, settings.priority) = (owner, cores * 1000, timeout, 9)
        let open = OpenJob(name: name, isNameChosen: false, settings: settings, definition: .init(), keys: bench.keys)
        guard case .opened(let identifier, _, _) = try bench.client.perform(open) else {
            throw QueueError.unexpectedReply(name)
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        let lines = try commands.map { try TaskLine(command: $0, of: job) }
        _ = try bench.call(SubmitTasks(lines[...], keys: bench.keys).request)
    }

    var reservations: [String: ReadNodes.Reservation] {
        get throws {
            let nodes = try bench.perform(ReadNodes(keys: bench.keys))
            return nodes.reduce(into: [:]) { $0[$1.incarnation.nodeName] = $1.reservation }
        }
    }

    /// What runs there ends in its order, one at a time, and others follow: the first word of what is given for it.
    func turnOver(_ node: BenchNode) throws -> String? {
        if running[node.name]?.isEmpty == false { try endFirst(on: node) }
        return try claim(node, cores: cores[node.name, default: 0] - used(node)).first
    }

    /// What has run there for longest ends.
    func endFirst(on node: BenchNode) throws {
        try node.finish(try #require(running[node.name]?.first))
        running[node.name]?.removeFirst()
    }

    private func used(_ node: BenchNode) -> Int {
        running[node.name, default: []].reduce(0) { $0 + ($1.line == big || $1.line.hasSuffix(" big") ? bigCores : 1) }
    }

    func claim(_ node: BenchNode, cores: Int) throws -> [String] {
        let tasks = try node.claim(1, cores: cores)
        running[node.name, default: []] += tasks
        return tasks.map { task in
            let text = (try? TaskLine(parsing: task.line).command) ?? String(task.line.drop { $0 != " " }.dropFirst())
            return text.hasPrefix("small") ? "small" : text
        }
    }

    /// Small tasks follow one another on these nodes; once there is one that is big, until a node is reserved for it.
    func keepBusy(_ nodes: BenchNode..., timeout: Int? = 600, until big: String? = nil, tries: Int = 200) throws {
        try submitSmall(4 * nodes.count, timeout: timeout)
        for node in nodes where running[node.name, default: []].isEmpty {
            running[node.name] = try node.claim(4, cores: cores[node.name, default: 0])
        }
        guard let big else { return }
        try bench.submit(big)
        try submitSmall(1000, timeout: timeout)
        for _ in 0..<tries where try reservations.isEmpty {
            try look(nodes[0])
            for node in nodes where try reservations.isEmpty { _ = try turnOver(node) }
        }
    }

    func empty(_ node: BenchNode) throws {
        for task in running[node.name, default: []] { try node.finish(task) }
        running[node.name] = []
    }
}

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Owners")
struct OwnerTests {
    @Test("a second owner's first task is the next that is given out, whatever waits before it")
    func second() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 500, priority: 9)
        #expect(try scene.claim(node, 8) == ["ann": 8])
        try scene.submit("bob", 100, priority: -9)
        #expect(try scene.claim(node, 1) == ["bob": 1])
    }

    @Test("owners whose tasks are short have turns on the only slot there is, and on the one that is left over")
    func turns() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        for owner in ["ann", "bob", "zoe"] { try scene.submit(owner, 200) }
        var given: [String: Int] = [:]
        for _ in 0..<12 {
            let task = try #require(try node.claim().first)
            given[scene.owner(of: task), default: 0] += 1
            try node.finish(task)
        }
        #expect(given == ["ann": 4, "bob": 4, "zoe": 4])
        // Of four slots each has one, and the fourth is nobody's for long. Time goes by tokens, here from the beginning of six days.
        let days = 1 << 39
        try scene.bench.command("SET", "distcomp:tokens", "\((1_900_000_000_000_000 / days + 1) * days)")
        var running = try node.claim(4)
        given = [:]
        var order: [String] = []
        for _ in 0..<90 {
            // Whoever has two is the first to end one.
            let counts = running.reduce(into: [:]) { $0[scene.owner(of: $1), default: 0] += 1 }
            let index = try #require(running.firstIndex { counts[scene.owner(of: $0)] == 2 })
            try node.finish(running.remove(at: index))
            let next = try #require(try node.claim().first)
            given[scene.owner(of: next), default: 0] += 1
            order.append(scene.owner(of: next))
            running.append(next)
            try scene.bench.command("INCRBY", "distcomp:tokens", "100000")
        }
        #expect(given.count == 3 && given.values.allSatisfy { $0 >= 29 }, "\(given) \(order)")
    }

    @Test("of one alone all is given out that fits, in one claim")
    func alone() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 50)
        try scene.submit("bob", 1)
        #expect(try scene.claim(node, 64) == ["ann": 50, "bob": 1])
    }

    @Test("the larger of the shares of memory and cores counts")
    func dominant() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", gigabytes: 18, cores: 9)
        try scene.submit("ann", 20, gigabytes: 4, cores: 1)
        try scene.submit("bob", 20, gigabytes: 1, cores: 3)
        var (memory, cores, given) = (18, 9, [String: Int]())
        while case let owners = try scene.claim(node, 1, gigabytes: memory, cores: cores), let owner = owners.keys.first
        {
            given[owner, default: 0] += 1
            (memory, cores) = owner == "ann" ? (memory - 4, cores - 1) : (memory - 1, cores - 3)
        }
        #expect(given == ["ann": 3, "bob": 2])
    }

    @Test("a share of 2 is twice as much, also when it is set while tasks run")
    func weights() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 100)
        try scene.submit("bob", 100)
        try scene.bench.perform(SetShare(2, of: "bob", keys: scene.bench.keys))
        var given: [String: Int] = [:]
        for _ in 0..<30 { given.merge(try scene.claim(node, 1)) { $0 + $1 } }
        #expect(given == ["ann": 10, "bob": 20])
        try scene.bench.perform(SetShare(1, of: "bob", keys: scene.bench.keys))
        for _ in 0..<10 { given.merge(try scene.claim(node, 1)) { $0 + $1 } }
        #expect(given == ["ann": 20, "bob": 20])
    }

    @Test("who has nothing that fits this node, or is paused, holds up nobody")
    func passedOver() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", gigabytes: 8)
        try scene.submit("ann", 4)
        try scene.submit("bob", 4, gigabytes: 32)
        let paused = try scene.submit("zoe", 4)
        try scene.bench.perform(PauseJob(paused.identifier, isPaused: true, keys: scene.bench.keys))
        #expect(try scene.claim(node, 8, gigabytes: 8) == ["ann": 4])
    }

    @Test("of one owner the higher priority is first, and then who came first")
    func within() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 1)
        let low = try scene.submit("bob", 2, priority: 1)
        let high = try scene.submit("bob", 2, priority: 2)
        let jobs = try node.claim(8).map { Job.identifier(ofLine: $0.line) }.filter {
            [low.identifier, high.identifier].contains($0)
        }
        #expect(jobs == [high.identifier, high.identifier, low.identifier, low.identifier])
    }

    @Test("what has ended, was taken away, or was lost with its node counts no more")
    func ends() throws {
        let scene = try OwnerScene()
        let bench = scene.bench
        let (node, other) = (try bench.node("a"), try bench.node("b"))
        try scene.submit("ann", 6)
        try scene.submit("bob", 2)
        let tasks = try node.claim(6)
        #expect(tasks.count == 6)
        #expect(try scene.running() == ["ann": 4, "bob": 2])
        let (ann, bob) = (tasks.filter { scene.owner(of: $0) == "ann" }, tasks.filter { scene.owner(of: $0) == "bob" })
        try node.finish(ann[0])
        try node.fail(bob[0], attemptsMax: 1)
        #expect(try scene.running() == ["ann": 3, "bob": 1])
        let line = try TaskLine(parsing: ann[1].line, of: scene.jobs)
        _ = try bench.call(RequeueTasks([line], keys: bench.keys).request)
        #expect(try scene.running() == ["ann": 2, "bob": 1])
        try node.loseLease()
        while try other.beat().reapedCount > 0 {}
        #expect(try scene.running() == [:])
    }

    @Test("what runs when a second owner comes is counted as soon as its node is heard of")
    func countedLate() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 6)
        _ = try node.claim(4)
        #expect(try scene.running() == [:])
        try scene.submit("bob", 6)
        try node.beat()
        #expect(try scene.running() == ["ann": 4])
    }

    @Test(
        "while there is one owner Redis holds nothing of it but the name, and after the last job of the second neither")
    func traces() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let node = try bench.node("a")
        func traces() throws -> Int {
            let names = (try bench.command("KEYS", "distcomp:*").elements ?? []).compactMap(\.string)
            return names.count { name in
                ["owners", "uses", "owner:", "counted", "job-owners", "fleet"].contains {
                    name.hasPrefix("distcomp:" + $0)
                }
            }
        }
        try scene.submit("ann", 3)
        try node.finish(try #require(try node.claim().first))
        #expect(try traces() == 0)
        let job = try scene.submit("bob", 1)
        let task = try #require(try node.claim().first)
        #expect(scene.owner(of: task) == "bob")
        #expect(try traces() > 0)
        try node.finish(task)
        #expect(try bench.perform(ForgetJob(job, keys: keys)) == .changed)
        #expect(try traces() == 0)
        #expect(try scene.claim(node, 8) == ["ann": 2])
    }

    @Test("a job that another asks for again is that one's from then on, with all that waits and runs of it")
    func reopened() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 3)
        let job = try scene.submit("bob", 4)
        _ = try scene.claim(node, 4)
        #expect(try scene.running() == ["ann": 2, "bob": 2])
        try scene.open(job.name, "zoe", isNew: false)
        try node.beat()
        #expect(try scene.running() == ["ann": 2, "zoe": 2])
        #expect(try scene.claim(node, 8) == ["ann": 1, "zoe": 2])
    }

    @Test("a Redis user submits as nobody but who it may, if it insists, and else as nobody who is known")
    func rights() throws {
        let scene = try OwnerScene()
        try scene.submit("ann", 1)
        let (bench, keys) = (scene.bench, scene.bench.keys)
        func owner(_ owner: String, insists: Bool) throws -> String {
            var settings = Job.Settings()
            settings.owner = owner
            let open = OpenJob(
                name: "x", isNameChosen: false, settings: settings, definition: .init(), insistsOnOwner: insists,
                keys: keys)
            guard case .opened(let identifier, _, _) = try bench.perform(open) else { return "nothing" }
            return try bench.perform(ReadOwners(ofJob: identifier, keys: keys)).ownerOfJob
        }
        // The submitter of this bench is sam.
        #expect(try owner("sam", insists: true) == "sam")
        #expect(try owner("eve", insists: false) == "")
        #expect(throws: QueueError.self) { try owner("eve", insists: true) }
    }

    @Test("lines of no job are the first owner's, who is who came first")
    func lines() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let note = NoteOwner("sam", keys: keys)
        let alone = try bench.perform(note)
        #expect(alone.first == "sam" && !alone.areSeveral)
        try bench.submit((0..<4).map { line("\($0)") })
        try scene.submit("bob", 4)
        let shared = try bench.perform(NoteOwner("bob", keys: keys))
        #expect(shared.first == "sam" && shared.areSeveral)
        let node = try bench.node("a")
        #expect(try scene.claim(node, 2) == ["": 1, "bob": 1])
    }

    @Test("who shares the fleet, and what of it runs for each, is told to who may only look")
    func told() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let node = try bench.node("a", gigabytes: 8, cores: 4)
        try scene.submit("ann", 3, gigabytes: 2, cores: 1)
        try scene.submit("bob", 1, cores: 3)
        try bench.perform(SetShare(3, of: "bob", keys: keys))
        _ = try node.claim(2, gigabytes: 8, cores: 4)
        let reply = try bench.perform(ReadOwners(keys: keys))
        let (ann, bob) = (try #require(reply.owners.first), try #require(reply.owners.last))
        #expect(reply.areSeveral && reply.owners.count == 2 && reply.fleetMillicores == 4000)
        #expect(ann.name == "ann" && ann.share == 1 && ann.memoryBytes == 2 << 30 && ann.millicores == 1000)
        #expect(ann.hasWaiting)
        #expect(bob.share == 3 && bob.millicores == 3000 && !bob.hasWaiting)
        #expect(reply.part(of: ann) == 0.25 && reply.part(of: bob) == 0.75)
    }
}

/// A queue whose jobs have owners.
private final class OwnerScene {
    let bench: QueueBench
    private(set) var jobs: [String: Job] = [:]

    init() throws { bench = try QueueBench() }

    @discardableResult
    func open(
        _ name: String, _ owner: String, priority: Int = 0, gigabytes: UInt64 = 0, cores: Int = 0, isNew: Bool = true
    ) throws -> Job {
        var settings = Job.Settings()
        (settings.owner, settings.priority) = (owner, priority)
        (settings.memoryBytes, settings.millicores) = (gigabytes << 30, cores * 1000)
        let reply = try bench.client.perform(
            OpenJob(name: name, isNameChosen: !isNew, settings: settings, definition: .init(), keys: bench.keys))
        guard case .opened(let identifier, let name, _) = reply else { throw QueueError.unexpectedReply(owner) }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        jobs[identifier] = job
        return job
    }

    @discardableResult
    func submit(
        _ owner: String, _ count: Int, priority: Int = 0, gigabytes: UInt64 = 0, cores: Int = 0
    ) throws -> Job {
        let job = try open("job", owner, priority: priority, gigabytes: gigabytes, cores: cores)
        let lines = try (0..<count).map { try TaskLine(command: "t\($0)", of: job) }
        _ = try bench.call(SubmitTasks(lines[...], keys: bench.keys).request)
        return job
    }

    func owner(of task: ClaimTasks.Claimed) -> String { jobs[Job.identifier(ofLine: task.line)]?.settings.owner ?? "" }

    /// Of how many tasks each owner was given.
    func claim(_ node: BenchNode, _ count: Int, gigabytes: Int = 64, cores: Int = 64) throws -> [String: Int] {
        let tasks = try node.claim(count, gigabytes: UInt64(gigabytes), cores: cores)
        return tasks.reduce(into: [:]) { $0[owner(of: $1), default: 0] += 1 }
    }

    /// For whom something runs, by the queue's own count, of tasks that ask for no cores.
    func running() throws -> [String: Int] {
        let owners = try bench.perform(ReadOwners(keys: bench.keys)).owners.filter { $0.millicores > 0 }
        return Dictionary(uniqueKeysWithValues: owners.map { ($0.name, $0.millicores / 1000) })
    }
}

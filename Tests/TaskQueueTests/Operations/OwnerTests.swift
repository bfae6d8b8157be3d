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

    @Test("who holds all GPUs of the fleet has the larger share, and others are served first who hold more cores")
    func resources() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", resources: "gpu:d2 licence:4000")
        try scene.submit("ann", 8, resources: "gpu=1")
        #expect(try scene.claim(node, 8, free: "gpu@1000,1000 licence:4000") == ["ann": 2])
        try scene.submit("bob", 40)
        #expect(try scene.claim(node, 12, free: "gpu@0,0 licence:4000") == ["bob": 12])
        // Ann's two tasks have two cores, but all GPUs.
        try scene.submit("ann", 8)
        #expect(try scene.claim(node, 2, free: "gpu@0,0 licence:4000") == ["bob": 2])
        // One licence is a quarter of all, and more than the 14 of 64 cores that are bob's.
        try scene.submit("zoe", 3, resources: "licence=1")
        #expect(try scene.claim(node, 1, free: "gpu@0,0 licence:4000") == ["zoe": 1])
        #expect(try scene.claim(node, 2, free: "gpu@0,0 licence:3000") == ["bob": 2])
    }

    @Test("who has fewer GPUs is given the next, and in one turn no more than he has, however many cores are his")
    func turnsOfResources() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", resources: "gpu:d8")
        try scene.submit("ann", 6)
        try scene.submit("bob", 1, resources: "gpu=1")
        #expect(try scene.claim(node, 16, free: "gpu@1000,1000,1000,1000,1000,1000,1000,1000") == ["ann": 6, "bob": 1])
        try scene.submit("ann", 9, resources: "gpu=1")
        try scene.submit("bob", 9, resources: "gpu=1")
        let free = "gpu@0,1000,1000,1000,1000,1000,1000,1000"
        #expect(try scene.claim(node, 16, free: free) == ["ann": 4, "bob": 3])
    }

    @Test("a share of 2 is twice as many GPUs")
    func weightedResources() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", resources: "gpu:6000")
        try scene.submit("ann", 9, resources: "gpu=1")
        try scene.submit("bob", 9, resources: "gpu=1")
        try scene.bench.perform(SetShare(2, of: "bob", keys: scene.bench.keys))
        var given: [String: Int] = [:]
        for left in (1...6).reversed() { given.merge(try scene.claim(node, 1, free: "gpu:\(left)000")) { $0 + $1 } }
        #expect(given == ["ann": 2, "bob": 4])
    }

    @Test("a GPU counts until its task has ended, was taken away, or was lost with its node")
    func resourcesEnd() throws {
        let scene = try OwnerScene()
        let bench = scene.bench
        let (node, other) = (try bench.node("a", resources: "gpu:d8"), try bench.node("b"))
        try scene.submit("ann", 2)
        try scene.submit("bob", 4, resources: "gpu=0.5,licence=2")
        let free = "gpu@1000,1000,1000,1000 licence:9000"
        let tasks = try node.claim(9, freeResources: free).filter { scene.owner(of: $0) == "bob" }
        #expect(try scene.resources() == ["bob": ["gpu": 2000, "licence": 8000]])
        try node.finish(tasks[0])
        try node.fail(tasks[1], attemptsMax: 1)
        #expect(try scene.resources() == ["bob": ["gpu": 1000, "licence": 4000]])
        let line = try TaskLine(parsing: tasks[2].line, of: scene.jobs)
        _ = try bench.call(RequeueTasks([line], keys: bench.keys).request)
        #expect(try scene.resources() == ["bob": ["gpu": 500, "licence": 2000]])
        try node.loseLease()
        while try other.beat().reapedCount > 0 {}
        #expect(try scene.resources() == [:])
        #expect(try bench.command("HGET", bench.keys.prefix + "distcomp:uses", "bob").string?.contains("gpu") == false)
    }

    @Test("who has given back one of his GPUs still has the larger share by those that are left")
    func resourcesLeft() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", resources: "gpu:d4")
        let free = "gpu@1000,1000,1000,1000"
        try scene.submit("ann", 5)
        try scene.submit("bob", 4, resources: "gpu=1")
        let tasks = try node.claim(9, freeResources: free)
        let bob = tasks.filter { scene.owner(of: $0) == "bob" }
        #expect(bob.count == 4)
        for owner in ["ann", "bob"] { try scene.submit(owner, 4) }
        for task in bob.prefix(3) { try node.finish(task) }
        // Of bob one of 4 GPUs and one core of 64 are left, of ann five cores.
        #expect(try scene.claim(node, 1) == ["ann": 1])
    }

    @Test("other GPUs for a job count for its tasks that run, as soon as their node is heard of")
    func changedResources() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let node = try bench.node("a", resources: "gpu:d8")
        try scene.submit("ann", 1)
        let job = try scene.submit("bob", 3, resources: "gpu=2")
        let tasks = try node.claim(3, freeResources: "gpu@1000,1000,1000,1000").filter { scene.owner(of: $0) == "bob" }
        #expect(try scene.resources() == ["bob": ["gpu": 4000]])
        var settings = job.settings
        settings.resources = try #require(ResourceRequest(typed: "gpu=1"))
        try bench.perform(ChangeJob(job.identifier, settings: settings, keys: keys))
        try node.beat()
        #expect(try scene.resources() == ["bob": ["gpu": 2000]])
        try node.finish(tasks[0])
        #expect(try scene.resources() == ["bob": ["gpu": 1000]])
        try bench.perform(ChangeJob(job.identifier, settings: .init(), keys: keys))
        try node.beat()
        #expect(try scene.resources() == [:] && scene.running() == ["ann": 1, "bob": 1])
        try node.finish(tasks[1])
        #expect(try scene.running() == ["ann": 1])
    }

    @Test("a resource that no node has any more counts for nobody, and does again with the next node that has it")
    func resourcesOfNobody() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let node = try bench.node("a", gigabytes: 8, cores: 8, resources: "gpu:d2")
        try scene.submit("ann", 1)
        try scene.submit("bob", 1, resources: "gpu=1")
        _ = try node.claim(2, freeResources: "gpu@1000,1000")
        func part() throws -> Double? {
            let reply = try bench.perform(ReadOwners(keys: keys))
            return reply.owners.last.map { reply.part(of: $0) }
        }
        func measure(_ resources: String) throws {
            let description = NodeDescription(
                memoryBytes: 8 << 30, millicores: 8000, resources: ResourceTotals(text: resources))
            try bench.command("DEL", keys.prefix + "distcomp:measured")
            try node.beat(description: description)
        }
        #expect(try part() == 0.5)
        try measure("")
        #expect(try part() == 0.125)
        #expect(
            try bench.command("HGET", keys.prefix + "distcomp:uses", "bob").string?.hasSuffix(" gpu:1000/0") == true)
        try measure("gpu:d4")
        #expect(try part() == 0.25)
    }

    @Test("what a version wrote that knew of memory and cores alone is read, and counts anew in time")
    func olderUses() throws {
        let scene = try OwnerScene()
        let (bench, keys) = (scene.bench, scene.bench.keys)
        let node = try bench.node("a", resources: "gpu:d4")
        try scene.submit("ann", 2)
        try scene.submit("bob", 4, resources: "gpu=1")
        var tasks = try node.claim(4, freeResources: "gpu@1000,1000").filter { scene.owner(of: $0) == "bob" }
        for (key, field) in [("fleet", nil), ("uses", ""), ("uses", "bob")] as [(String, String?)] {
            let name = keys.prefix + "distcomp:" + key
            let text = try #require(
                try (field.map { try bench.command("HGET", name, $0) } ?? bench.command("GET", name)).string)
            let old = text.split(separator: " ").filter { !$0.contains(":") }.joined(separator: " ")
            if let field { try bench.command("HSET", name, field, old) } else { try bench.command("SET", name, old) }
        }
        #expect(try scene.resources() == [:])
        // A task that was not counted with its GPU takes none away, and the next is counted.
        try node.finish(tasks.removeFirst())
        #expect(try scene.resources() == [:])
        tasks += try node.claim(1, freeResources: "gpu@1000,0").filter { scene.owner(of: $0) == "bob" }
        #expect(try tasks.count == 2 && scene.resources() == ["bob": ["gpu": 1000]])
        try bench.command("SET", keys.prefix + "distcomp:recounted", "1")
        try node.beat()
        #expect(try scene.resources() == ["bob": ["gpu": 2000]])
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

    @Test(
        "shares are honoured however large and small they may be",
        arguments: [(1_000_000, 500_000), (0.002, 0.001), (1_000_000, 0.001)])
    func extremeShares(large: Double, small: Double) throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", gigabytes: 48, cores: 12)
        for (owner, share) in [("ann", small), ("bob", large)] {
            try scene.submit(owner, 40)
            try scene.bench.perform(SetShare(share, of: owner, keys: scene.bench.keys))
        }
        var given: [String: Int] = [:]
        for _ in 0..<12 { given.merge(try scene.claim(node, 1)) { $0 + $1 } }
        #expect(given == (large == small * 2 ? ["ann": 4, "bob": 8] : ["ann": 1, "bob": 11]))
    }

    @Test("what is noted as a share and is none counts as 1", arguments: ["0", "-1", "nan", "inf", "x"])
    func noShare(text: String) throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a")
        try scene.submit("ann", 9)
        try scene.submit("bob", 9)
        try scene.bench.command("HSET", scene.bench.keys.prefix + "distcomp:shares", "bob", text)
        var given: [String: Int] = [:]
        for _ in 0..<6 { given.merge(try scene.claim(node, 1)) { $0 + $1 } }
        #expect(given == ["ann": 3, "bob": 3])
    }

    @Test("with a large share of a large fleet what runs is still read")
    func largeUnits() throws {
        let scene = try OwnerScene()
        let node = try scene.bench.node("a", gigabytes: 1 << 20, cores: 64)
        for owner in ["ann", "bob"] {
            try scene.submit(owner, 40)
            try scene.bench.perform(SetShare(1_000_000, of: owner, keys: scene.bench.keys))
        }
        for _ in 0..<6 { _ = try scene.claim(node, 1) }
        #expect(try scene.running() == ["ann": 3, "bob": 3])
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

    @Test("what has ended counts no more for who looks or has the next turn, though reports only note it")
    func ended() throws {
        let scene = try OwnerScene()
        let (bench, ended) = (scene.bench, scene.bench.keys.prefix + "distcomp:uses-ended")
        let node = try bench.node("a", resources: "gpu:d8")
        let first = try scene.submit("ann", 200, resources: "gpu=0.001")
        try scene.submit("bob", 200)
        var tasks = try node.claim(200, freeResources: "gpu@1000") + node.claim(200, freeResources: "gpu@900")
        #expect(tasks.count == 400)
        try node.finish(tasks.removeLast())
        #expect(try bench.command("STRLEN", ended).int ?? 0 > 0)
        #expect(try scene.running().values.sorted() == [199, 200])
        _ = try node.claim()
        #expect(try bench.command("EXISTS", ended).int == 0)
        #expect(try scene.running().values.sorted() == [199, 200])
        // Of a node that asks for nothing not more is noted than can be settled in a moment.
        for task in tasks { try node.finish(task) }
        #expect(try bench.command("STRLEN", ended).int ?? 0 < 4200)
        #expect(try scene.running() == [:] && scene.resources() == [:])
        // What its tasks had asked for nobody could say afterwards.
        try scene.submit("ann", 1, resources: "gpu=1")
        let other = try node.claim(1, freeResources: "gpu@1000")
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        #expect(try other.count == 1 && scene.resources() == ["ann": ["gpu": 1000]])
    }

    @Test("a Redis user that was made before 1.1, and may not append, ends tasks of several owners as before")
    func oldUsers() throws {
        let scene = try OwnerScene()
        let bench = scene.bench
        let (node, other) = (try bench.node("a"), try bench.node("b"))
        try bench.command("ACL", "SETUSER", "node", "-append")
        try scene.submit("ann", 4)
        try scene.submit("bob", 4)
        let tasks = try node.claim(8)
        try node.finish(tasks[0])
        try node.fail(tasks[1], attemptsMax: 1)
        #expect(try scene.running().values.reduce(0, +) == 6)
        try node.loseLease()
        #expect(try other.beat().reapedCount == 6)
        #expect(try scene.running() == [:])
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
        #expect(reply.fleetResources.isEmpty && bob.resources.isEmpty)
    }

    @Test("the part of the fleet that is told is that of GPUs where that is the largest")
    func toldResources() throws {
        let scene = try OwnerScene()
        let bench = scene.bench
        let node = try bench.node("a", gigabytes: 8, cores: 8, resources: "gpu:d4 licence:500")
        try scene.submit("ann", 1, cores: 1)
        try scene.submit("bob", 3, cores: 1, resources: "gpu=1,licence=0.1")
        _ = try node.claim(8, gigabytes: 8, cores: 8, freeResources: "gpu@1000,1000,1000,1000 licence:500")
        let reply = try bench.perform(ReadOwners(keys: bench.keys))
        let bob = try #require(reply.owners.last)
        #expect(reply.fleetResources == ["gpu": 4000, "licence": 500])
        #expect(bob.resources == ["gpu": 3000, "licence": 300] && reply.part(of: bob) == 0.75)
    }
}

/// A queue whose jobs have owners.
private final class OwnerScene {
    let bench: QueueBench
    private(set) var jobs: [String: Job] = [:]

    init() throws { bench = try QueueBench() }

    @discardableResult
    func open(
        _ name: String, _ owner: String, priority: Int = 0, gigabytes: UInt64 = 0, cores: Int = 0,
        resources: String = "", isNew: Bool = true
    ) throws -> Job {
        var settings = Job.Settings()
        (settings.owner, settings.priority) = (owner, priority)
        (settings.memoryBytes, settings.millicores) = (gigabytes << 30, cores * 1000)
        settings.resources = ResourceRequest(typed: resources) ?? ResourceRequest()
        let reply = try bench.client.perform(
            OpenJob(name: name, isNameChosen: !isNew, settings: settings, definition: .init(), keys: bench.keys))
        guard case .opened(let identifier, let name, _) = reply else { throw QueueError.unexpectedReply(owner) }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        jobs[identifier] = job
        return job
    }

    @discardableResult
    func submit(
        _ owner: String, _ count: Int, priority: Int = 0, gigabytes: UInt64 = 0, cores: Int = 0, resources: String = ""
    ) throws -> Job {
        let job = try open(
            "job", owner, priority: priority, gigabytes: gigabytes, cores: cores, resources: resources)
        let lines = try (0..<count).map { try TaskLine(command: "t\($0)", of: job) }
        _ = try bench.call(SubmitTasks(lines[...], keys: bench.keys).request)
        return job
    }

    func owner(of task: ClaimTasks.Claimed) -> String { jobs[Job.identifier(ofLine: task.line)]?.settings.owner ?? "" }

    /// Of how many tasks each owner was given.
    func claim(
        _ node: BenchNode, _ count: Int, gigabytes: Int = 64, cores: Int = 64, free: String = ""
    ) throws -> [String: Int] {
        let tasks = try node.claim(count, gigabytes: UInt64(gigabytes), cores: cores, freeResources: free)
        return tasks.reduce(into: [:]) { $0[owner(of: $1), default: 0] += 1 }
    }

    /// What is held of resources, in thousandths, for whom anything is.
    func resources() throws -> [String: [String: Int]] {
        let owners = try bench.perform(ReadOwners(keys: bench.keys)).owners.filter { !$0.resources.isEmpty }
        return Dictionary(uniqueKeysWithValues: owners.map { ($0.name, $0.resources) })
    }

    /// For whom something runs, by the queue's own count, of tasks that ask for no cores.
    func running() throws -> [String: Int] {
        let owners = try bench.perform(ReadOwners(keys: bench.keys)).owners.filter { $0.millicores > 0 }
        return Dictionary(uniqueKeysWithValues: owners.map { ($0.name, $0.millicores / 1000) })
    }
}

import LinuxSystem
import TaskModel
import TaskQueue
import Testing

@testable import distcomp

@Suite("why a task is where it is")
struct DiagnosisTests {
    private let now: Int64 = 1_700_000_000

    /// A live node of ours with 8 GB and 4 cores.
    private func node(
        _ name: String, gigabytes: UInt64 = 8, cores: Int = 4, running: Int = 0, askedGigabytes: UInt64 = 0,
        leaseSecondsLeft: Double? = 20, heardSecondsAgo: Int64 = 3, usedGigabytes: Double = 1
    ) -> FleetNode {
        var node = FleetNode(name: name)
        node.report = NodeReport(
            unixSeconds: now - heardSecondsAgo, usedCores: 0, totalCores: Double(cores), usedMemoryGB: usedGigabytes,
            totalMemoryGB: Double(gigabytes))
        node.leaseSecondsLeft = leaseSecondsLeft
        node.memoryBytes = gigabytes << 30
        node.millicores = cores * 1000
        node.runningCount = running
        node.memoryBytesAsked = askedGigabytes << 30
        node.millicoresAsked = running * 1000
        return node
    }

    private func fleet(_ nodes: FleetNode...) -> Fleet { Fleet(nodes: nodes, nowUnixSeconds: now) }

    private func waiting(_ change: (inout TaskStanding) -> Void = { _ in }) -> TaskStanding {
        var standing = TaskStanding()
        standing.isWaiting = true
        standing.aheadCount = 0
        standing.serverMilliseconds = Int(now) * 1000
        change(&standing)
        return standing
    }

    private func explain(
        _ standing: TaskStanding, _ fleet: Fleet, line: String = "shell:5:2:1:./simulate", _ result: TaskResult? = nil
    ) -> Diagnosis {
        Diagnosis(try? TaskLine(parsing: line), standing, result: result, fleet)
    }

    @Test("with room and a turn, nothing hinders it")
    func ready() {
        let diagnosis = explain(waiting(), fleet(node("a")))
        #expect(diagnosis.because == "ready")
        #expect(diagnosis.sentence == "Nothing hinders it: a has room, and no task is before it.")
    }

    @Test("a node is reserved for it, or for another: which one, for what, and by when at the latest")
    func reserved() {
        func node(_ name: String, running: Int, _ reservation: ReadNodes.Reservation) -> FleetNode {
            var node = self.node(name, running: running)
            node.reservation = reservation
            return node
        }
        func kept(_ milliseconds: Int?, memory: UInt64 = 8, cores: Int = 4) -> ReadNodes.Reservation {
            ReadNodes.Reservation(
                job: "", memoryBytes: memory << 30, millicores: cores * 1000, latestMilliseconds: milliseconds)
        }
        let time = LocalTime(unixSeconds: now + 750).clockText
        let own = explain(
            waiting(), fleet(self.node("a", running: 4), node("b", running: 4, kept(750_000, memory: 2, cores: 1))))
        #expect(own.because == "reserved")
        #expect(
            own.sentence
                == "It waits for its turn: b is reserved for it, and has room by \(time) at the latest (in 12:30 min), by the timeouts "
                + "of what runs there. Others pass only if they must have ended by then, or fit beside it.")
        let later = explain(waiting { $0.aheadCount = 2 }, fleet(node("b", running: 4, kept(nil, memory: 2, cores: 1))))
        #expect(later.sentence.contains("b is reserved for the first of its job and size"), "\(later.sentence)")
        #expect(later.sentence.contains("2 tasks before this one"), "\(later.sentence)")
        #expect(later.sentence.contains("of which some has no timeout"), "\(later.sentence)")
        let others = explain(waiting(), fleet(node("b", running: 1, kept(750_000))))
        #expect(others.because == "kept")
        #expect(others.sentence.contains("is reserved for a task of 8 GB and 4 cores"), "\(others.sentence)")
        #expect(others.sentence.contains("by \(time) at the latest"), "\(others.sentence)")
        // Another node has room.
        #expect(explain(waiting(), fleet(self.node("a"), node("b", running: 1, kept(750_000)))).because == "ready")
    }

    @Test("no node is alive: none at all, one whose lease is over, an old worker that is silent")
    func noNode() {
        #expect(explain(waiting(), fleet()).sentence.hasPrefix("No node is alive: start distcompd"))
        let dead = explain(waiting(), fleet(node("a", leaseSecondsLeft: -5, heardSecondsAgo: 65)))
        #expect(dead.because == "no-node")
        #expect(dead.sentence.contains("(a was last heard of 1:05 min ago)"), "\(dead.sentence)")
        #expect(
            explain(waiting(), fleet(node("old", leaseSecondsLeft: nil, heardSecondsAgo: 500))).because == "no-node")
        #expect(explain(waiting(), fleet(node("old", leaseSecondsLeft: nil, heardSecondsAgo: 100))).because == "ready")
    }

    @Test("of a job for other nodes than there are it is said for which, and which labels there are")
    func labels() throws {
        var settings = Job.Settings()
        settings.nodeLabels = LabelExpression(text: "ssd & !spot")
        let line = try TaskLine(
            command: "x", of: Job(identifier: "j1", name: "sweep", settings: settings, definition: .init()))
        var (spot, fast) = (node("a"), node("b"))
        spot.labels = ["spot", "ssd"]
        let nowhere = Diagnosis(line, waiting(), result: nil, fleet(spot))
        #expect(nowhere.because == "no-such-node")
        #expect(
            nowhere.sentence.hasPrefix(
                "No live node is such as it is for (--where 'ssd & !spot'); the labels there are: spot, ssd."),
            "\(nowhere.sentence)")
        fast.labels = ["ssd"]
        #expect(Diagnosis(line, waiting(), result: nil, fleet(spot, fast)).sentence.contains("b has room"))
    }

    @Test(
        "of a job that asks for GPUs it is said who has how many at most, and where there are enough, that others use them"
    )
    func resources() throws {
        var settings = Job.Settings()
        settings.resources = try #require(ResourceRequest(typed: "gpu=2"))
        let line = try TaskLine(
            command: "x", of: Job(identifier: "j1", name: "train", settings: settings, definition: .init()))
        var (small, large) = (node("a"), node("b"))
        func answer(_ nodes: FleetNode...) -> Diagnosis {
            let all = Fleet(nodes: nodes, nowUnixSeconds: fleet(nodes[0]).nowUnixSeconds)
            return Diagnosis(line, waiting(), result: nil, all)
        }
        #expect(
            answer(small).sentence.hasPrefix(
                "It asks for 2 gpu, and no live node that could take it has that: none has gpu."))
        small.resources = ResourceTotals(text: "gpu:d1")
        let nowhere = answer(small, node("c"))
        #expect(nowhere.because == "no-such-resource")
        #expect(
            nowhere.sentence
                == "It asks for 2 gpu, and no live node that could take it has that: the most, a, has 1 gpu. "
                + "A node's resources stand in its conf.json; distcomp set train --resources says other ones.")
        large.resources = ResourceTotals(text: "gpu:d4 tape:1000")
        large.resourcesAsked = ["gpu": 3000]
        let busy = answer(small, large)
        #expect(busy.because == "resources")
        #expect(
            busy.sentence
                == "It waits for a free gpu: it asks for 2 gpu, and what has that is in use: b (3/4 gpu 0/1 tape); "
                + "no task is before it.")
        large.resourcesAsked = ["gpu": 2000]
        #expect(answer(small, large).sentence.contains("b has room"))
    }

    @Test("a part of a GPU is not free where what is left is in smaller parts of several, nor are two whole ones")
    func devicesInParts() throws {
        func answer(_ request: String, of devices: Int, asked: Int, inParts parts: Int) throws -> Diagnosis {
            var settings = Job.Settings()
            settings.resources = try #require(ResourceRequest(typed: request))
            let line = try TaskLine(
                command: "x", of: Job(identifier: "j1", name: "train", settings: settings, definition: .init()))
            var node = node("a")
            node.resources = ResourceTotals(text: "gpu:d\(devices)")
            node.resourcesAsked = ["gpu": asked]
            var inParts = DeviceParts()
            for _ in 0..<parts { inParts.add(asked / parts) }
            node.partsAsked = ["gpu": inParts]
            return Diagnosis(line, waiting(), result: nil, fleet(node))
        }
        let cut = try answer("gpu=0.6", of: 2, asked: 1200, inParts: 2)
        #expect(cut.because == "resources")
        #expect(
            cut.sentence
                == "It waits for a free gpu: it asks for 0.6 gpu, and what is left of that is in parts of several devices: "
                + "a (1.2/2 gpu); no task is before it.")
        let whole = try answer("gpu=2", of: 3, asked: 1000, inParts: 2)
        #expect(whole.because == "resources" && whole.sentence.contains("in parts of several devices"), "\(whole)")
        // One device is free, whatever the others are used for; or one has as much, however the parts are laid.
        #expect(try answer("gpu=1", of: 3, asked: 1000, inParts: 2).because == "ready")
        #expect(try answer("gpu=0.6", of: 3, asked: 1200, inParts: 2).because == "ready")
        #expect(try answer("gpu=0.4", of: 2, asked: 1200, inParts: 4).because == "ready")
        let full = try answer("gpu=0.6", of: 1, asked: 1000, inParts: 0)
        #expect(full.sentence.contains("what has that is in use"), "\(full)")
    }

    @Test(
        "of a task that ran out of memory it is said with how much, what it waits for now, and what it may come to have"
    )
    func moreMemory() throws {
        var settings = Job.Settings()
        (settings.memoryBytes, settings.memoryMaxBytes) = (2 << 30, 16 << 30)
        let job = Job(identifier: "j1", name: "sweep", settings: settings, definition: .init())
        var own = OwnSettings(memoryBytes: 4 << 30, millicores: 1000, timeout: .byDefault)
        own.grownFromBytes = 2 << 30
        let line = try TaskLine(command: "x", of: job).taking(own)
        let fits = Diagnosis(line, waiting { $0.own = own }, result: nil, fleet(node("a")))
        let words = "It ran out of memory with 2 GB, and is tried again with 4 GB, of 16 GB that it may come to have."
        #expect(fits.because == "ready" && fits.sentence.hasSuffix(words), "\(fits.sentence)")
        let tooLarge = Diagnosis(line, waiting { $0.own = own }, result: nil, fleet(node("a", gigabytes: 3)))
        #expect(tooLarge.because == "too-large" && tooLarge.sentence.hasSuffix(words), "\(tooLarge.sentence)")
    }

    @Test("no live node is large enough, by memory or by cores")
    func tooLarge() {
        let memory = explain(waiting(), fleet(node("a"), node("b", gigabytes: 16)), line: "shell:5:64:1:x")
        #expect(memory.because == "too-large")
        #expect(
            memory.sentence == "No live node is large enough: it asks for 64 GB and 1 core; the largest, b, has 16 GB "
                + "and 4 cores. Submit it with less, or start a larger node.")
        let cores = explain(
            waiting(), fleet(node("a"), node("b", cores: 64, leaseSecondsLeft: -1)), line: "shell:5:1:8:x")
        #expect(cores.because == "too-large", "a dead node helps nobody")
    }

    @Test("all that could take it are in trouble, each with its own; one that is well takes it")
    func trouble() {
        var broken = node("a")
        broken.trouble = "create /srv/result/x: Read-only file system"
        let one = explain(waiting(), fleet(broken, node("b", gigabytes: 1)))
        #expect(one.because == "trouble")
        #expect(
            one.sentence == "It waits because the only node that could take it is in trouble: a: create /srv/result/x: "
                + "Read-only file system. A node takes tasks again by itself as soon as that is over.")
        var other = node("b")
        other.trouble = "no space"
        let two = explain(waiting(), fleet(broken, other))
        #expect(two.sentence.hasPrefix("It waits because all 2 nodes that could take it are in trouble: a: create "))
        #expect(two.sentence.contains("Read-only file system; b: no space. A node"), "\(two.sentence)")
        #expect(explain(waiting(), fleet(broken, node("c"))).sentence.contains("c has room"))
        var drained = node("c")
        drained.isDrained = true
        #expect(explain(waiting(), fleet(broken, drained)).because == "trouble", "one that is drained cannot take it")
    }

    @Test("a node in trouble is not another that could try it where it failed")
    func troubleElsewhere() {
        let standing = waiting { $0.failedValue = Array("a,".utf8) }
        var broken = node("b")
        broken.trouble = "no space"
        #expect(explain(standing, fleet(node("a"), broken)).sentence.contains("a has room"))
    }

    @Test("all that could run it are busy: with memory, with cores, with as many tasks as cores")
    func busy() {
        let standing = waiting { $0.aheadCount = 340 }
        let full = explain(
            standing, fleet(node("a", running: 2, askedGigabytes: 7), node("b", running: 4), node("c", gigabytes: 1)))
        #expect(full.because == "busy")
        #expect(
            full.sentence
                == "It waits for its turn: all 2 nodes it could run on are busy with 6 tasks, and 340 tasks before it.")
        let one = explain(waiting(), fleet(node("a", running: 4)), line: "shell:5:0:0:x")
        #expect(one.sentence == "It waits for its turn: a is busy with 4 tasks, and no task is before it.")
    }

    @Test("where it failed it waits for the others, and is taken there again when there are none")
    func excluded() {
        let standing = waiting {
            $0.failedValue = Array("a,a,".utf8)
            $0.isRetrying = true
        }
        let failed = result("shell:5:2:1:./simulate", .exit(code: 3))
        let other = explain(standing, fleet(node("a"), node("b", running: 4)), failed)
        #expect(other.because == "busy")
        #expect(
            other.sentence.hasSuffix("b is busy with 4 tasks, and no task is before it. It failed on a (exit 3)."),
            "\(other.sentence)")
        #expect(explain(standing, fleet(node("a")), failed).because == "ready")
    }

    @Test("it waits for its retry until a time")
    func retry() {
        let standing = waiting {
            $0.failedValue = Array("a,".utf8)
            $0.dueMilliseconds = Int(now) * 1000 + 12_000
        }
        let diagnosis = explain(standing, fleet(node("a")), result("shell:5:2:1:./simulate", .exit(code: 3)))
        #expect(diagnosis.because == "retry")
        #expect(diagnosis.sentence.contains("(in 12 s): it failed on a (exit 3)."), "\(diagnosis.sentence)")
        let due = waiting { $0.dueMilliseconds = Int(now) * 1000 - 1 }
        #expect(explain(due, fleet(node("a"))).because == "ready")
    }

    @Test("the whole queue stands: paused, or closing")
    func stopped() {
        var paused = fleet(node("a"))
        paused.isPaused = true
        #expect(explain(waiting(), paused).sentence == "The queue is paused: distcomp resume lets it go on.")
        var closing = paused
        closing.isClosing = true
        #expect(explain(waiting(), closing).because == "closing")
    }

    @Test("memory that others use is named, and a line the index does not know")
    func others() {
        let short = explain(waiting(), fleet(node("a", usedGigabytes: 7.5)))
        #expect(short.because == "memory-short")
        #expect(short.sentence.contains("a has only 512 MB left"), "\(short.sentence)")
        #expect(short.sentence.contains("tasks' own among them"), "what may be ours is not blamed on others")
        #expect(explain(waiting { $0.aheadCount = nil }, fleet(node("a"))).because == "not-indexed")
        #expect(explain(waiting(), fleet(node("a")), line: "nonsense").because == "not-a-task")
    }

    @Test("it runs, or its node has gone")
    func running() {
        var standing = TaskStanding()
        standing.worker = "a"
        #expect(explain(standing, fleet(node("a"))).sentence == "It runs on a.")
        standing.attempts = 2
        let third = explain(standing, fleet(node("a"))).sentence
        #expect(third.hasPrefix("It runs on a, for the 3rd time. `distcomp logs --attempt 2 "), "\(third)")
        #expect(third.hasSuffix("` shows what it wrote before."), "\(third)")
        let gone = explain(standing, fleet(node("a", leaseSecondsLeft: -1, heardSecondsAgo: 40), node("b")))
        #expect(gone.because == "node-lost")
        #expect(
            gone.sentence.contains("a, which has not been heard of for 40 s: another node puts it back"),
            "\(gone.sentence)")
        #expect(explain(standing, fleet()).sentence.contains("distcomp cleanup"))
    }

    @Test("it has ended, with what to do about it")
    func ended() {
        var standing = TaskStanding()
        standing.finishedValue = Array("a: \"\"".utf8)
        let finished = explain(standing, fleet(), result("x", wallSeconds: 3.21))
        #expect(finished.because == "finished")
        #expect(
            finished.sentence.hasPrefix("It has finished on node1 at ") && finished.sentence.hasSuffix(" after 3.2 s."))
        standing = TaskStanding()
        standing.failedValue = Array("a,b,a,".utf8)
        let causes: [(Cause, String)] = [
            (.oom, "more memory"), (.timeout, "more time"),
            (.launch(step: "execve", errno: 2, message: ""), "has to be there"),
            (.exit(code: 1), "tried anew"), (.nodeLost, "Look at what it does"), (.memoryPressure, "more memory free"),
        ]
        for (cause, remedy) in causes {
            let failed = explain(standing, fleet(), result("x", cause))
            #expect(failed.because == "failed")
            #expect(failed.sentence.hasPrefix("It has failed for good on a, b at "), "\(failed.sentence)")
            #expect(failed.sentence.contains(remedy), "\(failed.sentence)")
        }
        var told = result("x", .exit(code: 3))
        told.outcome?.stderrTail = "Traceback\n  File x\nno such trace.\n"
        let sentence = explain(standing, fleet(), told).sentence
        #expect(sentence.contains(": exit 3: no such trace. Submitted again"), "\(sentence)")
        #expect(explain(TaskStanding(), fleet()).because == "unknown")
    }
}

@Suite("naming tasks")
struct TaskSelectorTests {
    @Test("a line is tried first, then the digits of an id, then a name, then a glob")
    func candidates() {
        #expect(TaskSelector.candidates("shell:1:0:0:a") == [.line("shell:1:0:0:a"), .name("shell:1:0:0:a")])
        #expect(TaskSelector.candidates(" 4F2a ") == [.line("4F2a"), .identifier("4f2a"), .name("4F2a")])
        #expect(TaskSelector.candidates("4f2") == [.line("4f2"), .name("4f2")])
        #expect(
            TaskSelector.candidates("0123456789abcdef0") == [.line("0123456789abcdef0"), .name("0123456789abcdef0")])
        for glob in ["*lru*", "a?b", "[ab]"] {
            #expect(TaskSelector.candidates(glob) == [.line(glob), .name(glob), .glob(glob)])
        }
    }
}

@Suite("output of tasks on a terminal")
struct LogPrinterTests {
    @Test("what a terminal would obey is written out; lines and tabs stay")
    func escaped() {
        #expect(LogPrinter.escaped("a\tb\n\u{1b}[2J\rc\n") == "a\tb\n\\x1b[2J\\rc\n")
        #expect(LogPrinter.escaped("\r\n") == "\\r\n")
        #expect(LogPrinter.escaped("äöü 漢字") == "äöü 漢字")
        #expect(LogPrinter.escaped("") == "")
    }
}

// From a connection to a place in the queue, and back again after whatever befell the queue meanwhile.

import NodeSupervisor
import RedisClient
import TaskQueue
import Testing

@testable import NodeProtocol

@Suite("A connection")
struct ConnectingTests {
    @Test("the server is asked what it is before anything else, and the supervisor hears of it after that")
    func asksFirst() {
        var node = Conversation()
        node.hear(.connected(localAddress: "10.0.0.1"))
        #expect(node.names == ["INFO"])
        #expect(node.told == [])
        node.answer("INFO", Answer.info())
        #expect(node.told == [.connected])
    }

    @Test("a server that may throw tasks away is refused, with what to do")
    func eviction() {
        var node = Conversation()
        node.hear(.connected(localAddress: "10.0.0.1"))
        node.answer("INFO", Answer.info(policy: "allkeys-lru"))
        #expect(node.failure?.contains("maxmemory-policy allkeys-lru") == true)
        #expect(node.told == [])
    }

    @Test("reports of earlier lives are delivered first, in their name, before this life registers")
    func earlierReports() {
        let old = ReportTask(
            keys: QueueKeys(), incarnation: Incarnation(name: "a", machine: "m", life: 0), line: "shell:1:0:0:old",
            token: "7", result: .returned)
        var node = Conversation()
        node.earlier = [.init(name: "1.report", report: old), .init(name: "2.report", report: old)]
        node.connect()
        #expect(node.names == ["report", "report"])
        #expect(node.told == [])
        node.answer("report", Answer.text("accepted"))
        #expect(node.told == [])
        node.answer("report", Answer.error("OOM"))
        #expect(node.told == [.connected], "one that cannot be answered now holds up nobody")
        node.hear(.disconnected)
        node.connect()
        #expect(node.names == [], "they are not looked for again")
    }

    @Test("nothing of a connection that is gone is understood, and it is told once")
    func lost() {
        var node = Conversation.member()
        node.hear(.heartbeat)
        let old = node.asked[0].number
        node.hear(.disconnected, .disconnected)
        #expect(node.told == [.disconnected])
        node.hear(.reply(old, Answer.beaten()))
        #expect(node.told == [.disconnected])
    }

    @Test("a server that is the same process is not asked what it remembers; another one is, if there is anything")
    func otherProcess() {
        var node = Conversation.running(task("x"))
        node.hear(.disconnected)
        node.connect(run: "run-1")
        #expect(node.names == [])
        node.hear(.disconnected)
        node.connect(run: "run-2")
        #expect(node.names == ["restore"])
        #expect(node.told == [.disconnected, .connected, .disconnected])
        node.answer("restore", .array([Answer.text("held")]))
        #expect(node.told.last == .connected)
        #expect(node.logged == [])
    }
}

@Suite("A place in the queue")
struct RegisteringTests {
    @Test(
        "a claim that was under way while the queue was silent got nothing, and is asked once more with what it learned"
    )
    func silence() {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", Answer.claimed([], silence: 2))
        #expect(node.told == [])
        #expect(node.names == ["claim"])
        node.answer("claim", Answer.claimed([task("x")], silence: 2))
        #expect(node.told == [.claimed(request(1), [task("x")], refusedCount: 0, dueSeconds: nil)])
    }

    @Test("nor is the right to look for lines without an index lost by that, which its first answer brought")
    func sweepAfterSilence() {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", Answer.claimed([], silence: 2, sweep: true))
        #expect(node.names.sorted() == ["HSCAN", "claim"])
    }

    @Test("two silences in one claim are no loop: the supervisor hears that there is nothing, and asks in its own time")
    func twoSilences() {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", Answer.claimed([], silence: 2))
        node.answer("claim", Answer.claimed([], silence: 3))
        #expect(node.names == [])
        #expect(node.told == [.claimed(request(1), [], refusedCount: 0, dueSeconds: nil)])
    }

    @Test("a life is numbered higher than the one before, whatever the clock on the wall does")
    func lives() throws {
        var node = Conversation.member()
        let first = node.node.incarnation.text
        node.node.facts.wallNanoseconds = 5
        node.hear(.register)
        let second = try #require(node.question("register")?.incarnation)
        #expect(second > first)
        #expect(node.lives == [first, second])
        node.answer("register", Answer.registered())
        #expect(node.lives == [first, second], "a server that was rolled back may know the first for alive")
    }

    @Test("lives that the disk refuses are noted with the first heartbeat after it takes them, and no more then")
    func refusedLives() throws {
        var node = Conversation.member()
        let noted = node.lives
        node.diskRefusesLives = true
        node.hear(.register)
        node.answer("register", Answer.registered())
        node.hear(.heartbeat)
        #expect(node.lives == noted)
        node.diskRefusesLives = false
        node.hear(.heartbeat)
        #expect(node.lives == (noted ?? []) + [node.node.incarnation.text])
        let writes = node.livesWrites
        node.hear(.heartbeat)
        #expect(node.livesWrites == writes)
    }

    @Test("the queue hears every report of a life before it hears of the next one")
    func reportsFirst() {
        var node = Conversation.running(task("x"), task("y"))
        node.encodesAtOnce = false
        node.hear(.report(ended(1, task("x"))), .report(ended(2, task("y"))), .register)
        #expect(node.names == [], "they are not in their form yet")
        node.encode(task("x").token, ended(1, task("x")))
        #expect(node.names == ["report"])
        node.encode(task("y").token, ended(2, task("y")))
        #expect(node.names == ["report", "report", "register"])
    }

    @Test("a node the queue does not know registers anew, and kills only what others have begun")
    func fenced() {
        var node = Conversation.running(task("x"), task("y"))
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.error("FENCED", "\(queue(1)) the lease is over"))
        #expect(node.told == [.outside])
        node.hear(.register)
        node.answer("register", Answer.registered())
        #expect(node.names == ["restore"])
        #expect(node.told == [.outside], "it is not a member before it knows whose its tasks are")
        let isFirst = node.asked[0].lines.first == task("x").line.text
        let answers = (isFirst ? ["restored", "taken"] : ["taken", "restored"]).map { Answer.text($0) }
        node.answer("restore", .array(answers))
        #expect(node.told.dropFirst() == [.takenAway(tokens: [task("y").token]), .registered(sentAt: node.now)])
        #expect(node.logged == [.restored(count: 1, takenCount: 1)])
    }

    @Test(
        "its lives before keep what they hold until it has said what of it runs, to the last task, whatever connection that takes"
    )
    func livesBefore() throws {
        var node = Conversation.running(task("x"))
        let first = node.node.incarnation.text
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.error("FENCED", "\(queue(1)) the lease is over"))
        node.hear(.register)
        let second = node.node.incarnation.text
        #expect(node.question("register")?.arguments.suffix(3) == ["run-1", "1", first])
        node.answer("register", Answer.registered())
        #expect(node.question("restore")?.arguments.prefix(3) == ["1", "1", first])
        // It ends before the answer, which is lost: what is left is said all the same.
        node.hear(.forget(token: task("x").token), .disconnected)
        node.connect()
        #expect(node.question("restore")?.arguments == ["1", "1", first])
        #expect(node.node.incarnation.text == second)
        node.answer("restore", .array([]))
        node.hear(.register)
        #expect(node.names == [], "it is registered")
        #expect(node.told.last == .registered(sentAt: node.now))
        node.hear(.disconnected)
        node.connect(run: "run-2")
        #expect(node.names == [], "there is nothing to say any more")
    }

    @Test("a node that runs nothing has what its lives before held put back at once")
    func runsNothing() {
        var node = Conversation(earlierLives: ["a/m/0000000000000001"])
        node.connect()
        node.hear(.register)
        #expect(node.question("register")?.arguments.suffix(2) == ["0", "a/m/0000000000000001"])
        node.answer("register", Answer.registered())
        #expect(node.names == [])
    }

    @Test(
        "a node takes over nothing before its connection has stood for two fifths of a lease, and tells which server it is"
    )
    func takesOverLater() {
        var node = Conversation.member()
        node.hear(.disconnected)
        node.connect(run: "run-7")
        func asked(after seconds: Double) -> [String]? {
            node.pass(seconds: seconds)
            node.hear(.heartbeat)
            defer { node.answer("heartbeat", Answer.beaten(silence: 5)) }
            return node.question("heartbeat")?.arguments
        }
        _ = asked(after: 1)
        #expect(asked(after: 10.9)?[2] == "0")
        #expect(asked(after: 0.1)?[2] == "5")
        // What stands last is of reservations.
        #expect(asked(after: 0)?.dropLast(3).last == "run-7")
    }

    @Test("after how long nodes are reserved, and by when what runs here must have ended, stands last in a heartbeat")
    func reserving() {
        var node = Conversation.member {
            $0.reserving = ReservingSettings(
                afterMilliseconds: 600_000, timeoutMilliseconds: 60_000, graceMilliseconds: 5000)
        }
        node.hear(.heartbeat)
        #expect(node.question("heartbeat")?.arguments.suffix(3) == ["600000", "60000", "5000"])
    }

    @Test("the supervisor is told when the queue wants to be looked at more often")
    func beatSoon() {
        var node = Conversation.member()
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.beaten(soon: true))
        #expect(node.told == [.leaseRenewed(sentAt: node.now), .beatSoon(sentAt: node.now)])
    }

    @Test("one that kills when it is cut off kills all, for it has promised that nothing runs by now")
    func fencedAndKilling() {
        var node = Conversation.running(task("x")) { $0.killsWhenCutOff = true }
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.error("FENCED", "\(queue(1)) the lease is over"))
        #expect(node.told == [.fenced])
        node.hear(.leaseLost, .register)
        node.answer("register", Answer.registered())
        #expect(node.names == [], "nothing is taken up again")
        #expect(node.told == [.fenced, .registered(sentAt: node.now)])
    }

    @Test(
        "a queue that is gone takes nobody's tasks: what runs goes on and is told to the new one, whatever the settings"
    )
    func queueGone() {
        var node = Conversation.running(task("x")) { $0.killsWhenCutOff = true }
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.error("FENCED", "- the lease is over"))
        #expect(node.told == [.outside])
        node.hear(.register)
        node.answer("register", Answer.registered(queue: 2))
        #expect(node.logged == [.queueIsAnother(taskCount: 1)])
        node.answer("restore", .array([Answer.text("restored")]))
        node.hear(.report(ended(1, task("x"))))
        #expect(node.question("report")?.incarnation == node.node.incarnation.text)
        node.answer("report", Answer.text("accepted"))
        #expect(node.released == [task("x").token])
    }

    @Test("a result that a queue has no task for is told again once the queue says that it had forgotten")
    func staleAfterLoss() {
        var node = Conversation.running(task("x"))
        node.hear(.report(ended(1, task("x"))))
        node.answer("report", Answer.text("stale"))
        #expect(node.names == ["restore"])
        #expect(node.released == [])
        node.answer("restore", .array([Answer.text("restored")]))
        #expect(node.names == ["report"])
        node.answer("report", Answer.text("accepted"))
        #expect(node.released == [task("x").token])
        #expect(node.node.unansweredReportCount == 0)
    }

    @Test("a result that is really too late is dropped, and the log names the task")
    func stale() {
        var node = Conversation.running(task("x"))
        node.hear(.report(ended(1, task("x"))))
        node.answer("report", Answer.text("stale"))
        node.answer("restore", .array([Answer.text("taken")]))
        #expect(node.names == [])
        #expect(node.released == [task("x").token])
        #expect(node.logged == [.reportRefused(line: task("x").line.text, .stale)])
        #expect(node.node.isAtRest)
    }

    @Test("a server that comes back without its last seconds is told again what it had accepted in them")
    func rolledBack() {
        var node = Conversation.running(task("x"), task("y"))
        node.hear(.report(ended(1, task("x"))))
        node.answer("report", Answer.text("accepted"))
        node.hear(.disconnected)
        node.connect(run: "run-2")
        #expect(node.question("restore")?.lines.count == 2, "what runs, and what was accepted a moment ago")
        let isFirst = node.asked[0].lines.first == task("y").line.text
        node.answer(
            "restore", .array((isFirst ? ["held", "restored"] : ["restored", "held"]).map { Answer.text($0) }))
        #expect(node.names == ["report"])
        node.answer("report", Answer.text("accepted"))
        #expect(node.node.unansweredReportCount == 0)
    }

    @Test("a copy of this node that is alive is found out at once, with its address and what to do")
    func twin() {
        var node = Conversation(earlierLives: ["a/m/0000000000000001"])
        node.connect()
        node.hear(.register)
        #expect(node.question("register")?.arguments.last == "a/m/0000000000000001")
        node.answer("register", Answer.error("TWIN", "10.0.0.2 25000"))
        #expect(node.failure?.contains("10.0.0.2") == true)
        #expect(node.failure?.contains("node_name") == true)
    }

    @Test("one behind the same address is found out by its beats; a lease that only becomes shorter is waited for")
    func sameAddress() {
        var node = Conversation(earlierLives: [])
        node.connect()
        for remaining in [25_000, 24_000, 23_000] {
            node.hear(.register)
            node.answer("register", Answer.error("TWIN", "10.0.0.1 \(remaining)"))
            #expect(node.told.last == .requestFailed(.register))
        }
        #expect(node.logged == [.waitingForLease(address: "10.0.0.1", seconds: 25)], "told once")
        for remaining in [30_000, 29_000, 30_000, 29_000, 30_000, 29_000, 30_000, 29_000, 30_000] {
            #expect(node.failure == nil)
            node.hear(.register)
            node.answer("register", Answer.error("TWIN", "10.0.0.1 \(remaining)"))
        }
        #expect(node.failure?.contains("10.0.0.1") == true)
    }

    @Test("a name that another machine has is waited for in the same way")
    func nameTaken() {
        var node = Conversation()
        node.connect()
        for remaining in [20_000, 30_000, 30_001, 30_002, 30_003, 30_004] {
            #expect(node.failure == nil)
            node.hear(.register)
            node.answer("register", Answer.error("NAMETAKEN", "a 10.0.0.7 \(remaining)"))
        }
        #expect(node.failure?.contains("node_name") == true)
    }

    @Test(
        "a report of an earlier life that a queue does not know any more is told under this life, unless others have the task"
    )
    func earlierReportAfterLoss() {
        let old = Incarnation(name: "a", machine: "m", life: 0)
        let reports = ["shell:1:0:0:lost", "shell:1:0:0:taken"].enumerated().map { index, line in
            NodeProtocol.EarlierReport(
                name: "\(index).report",
                report: ReportTask(
                    keys: QueueKeys(), incarnation: old, line: line, token: "\(index)",
                    result: .finished(value: Array("a: \"\"".utf8), record: "{}")))
        }
        var node = Conversation()
        node.earlier = reports
        node.connect()
        node.answer("report", Answer.text("stale"))
        node.earlier = []
        node.answer("report", Answer.text("stale"))
        #expect(node.releasedFiles == [])
        node.hear(.register)
        node.answer("register", Answer.registered())
        let isFirst = node.question("restore")?.lines.first == "shell:1:0:0:lost"
        node.answer(
            "restore", .array((isFirst ? ["restored", "taken"] : ["taken", "restored"]).map { Answer.text($0) }))
        #expect(node.releasedFiles == ["1.report"])
        #expect(node.question("report")?.incarnation == node.node.incarnation.text)
        node.answer("report", Answer.text("accepted"))
        #expect(node.releasedFiles == ["1.report", "0.report"])
    }
}

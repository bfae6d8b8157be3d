// Reports from their making to their answer: in order, bounded in memory, and on the disk while nobody hears them.

import NodeSupervisor
import RedisClient
import TaskQueue
import Testing

@testable import NodeProtocol

@Suite("Reports")
struct ReportsTests {
    @Test("one is put into its form at a time, and they go out in their order")
    func order() {
        var node = Conversation.running(task("x"), task("y"))
        node.encodesAtOnce = false
        node.hear(.report(ended(1, task("x"))), .report(ended(2, task("y"))))
        #expect(node.names == [])
        node.encode(task("x").token, ended(1, task("x")))
        node.encode(task("y").token, ended(2, task("y")))
        #expect(node.asked.compactMap(\.arguments.first) == [task("x").line.text, task("y").line.text])
    }

    @Test("no more than eight megabytes and one report are in memory, whatever the tasks wrote")
    func bounded() {
        let tasks = (1...20).map { task("\($0)") }
        var node = Conversation.running(tasks[0])
        node.hear(.claim(Conversation.claim(2, count: 20)))
        node.answer("claim", Answer.claimed(Array(tasks.dropFirst())))
        node.encodesAtOnce = false
        for (index, task) in tasks.enumerated() { node.hear(.report(ended(UInt64(index + 1), task))) }
        var answered = 0
        for (index, task) in tasks.enumerated() {
            let before = node.names.count
            node.encode(task.token, ended(UInt64(index + 1), task), bytes: 3 << 20)
            if node.names.count == before {
                // It was not asked for yet: the queue has to answer first.
                #expect(before == 3)
                node.answer("report", Answer.text("accepted"))
                answered += 1
                node.encode(task.token, ended(UInt64(index + 1), task), bytes: 3 << 20)
            }
            #expect(node.names.count <= 3)
        }
        #expect(answered > 10)
    }

    @Test(
        "without a connection they go to the disk one at a time and out of memory, and are made again for the next one")
    func disk() {
        var node = Conversation.running(task("x"), task("y"))
        node.hear(.report(ended(1, task("x"))))
        node.storesAtOnce = false
        node.hear(.disconnected)
        node.hear(.report(ended(2, task("y"))))
        #expect(node.stored == [task("x").token])
        node.hear(.stored(token: task("x").token, isStored: true))
        #expect(node.stored == [task("x").token, task("y").token])
        node.hear(.stored(token: task("y").token, isStored: true))
        node.connect(run: "run-1")
        #expect(node.names == ["report", "report"])
        node.answer("report", Answer.text("duplicate"))
        node.answer("report", Answer.text("accepted"))
        #expect(node.released == [task("x").token, task("y").token])
        node.hear(.disconnected)
        #expect(node.stored.count == 2, "what was answered is not written any more")
    }

    @Test("a disk that refuses is asked once for each, and nothing is lost")
    func diskRefuses() {
        var node = Conversation.running(task("x"))
        node.storesAtOnce = false
        node.hear(.disconnected)
        node.hear(.report(ended(1, task("x"))))
        node.hear(.stored(token: task("x").token, isStored: false), .tick, .tick)
        #expect(node.stored == [task("x").token])
        node.connect(run: "run-1")
        node.answer("report", Answer.text("accepted"))
        #expect(node.released == [task("x").token])
    }

    @Test("what the queue could not take is sent again after a second, before what came later")
    func refused() {
        var node = Conversation.running(task("x"), task("y"))
        node.hear(.report(ended(1, task("x"))))
        node.answer("report", Answer.error("OOM"))
        node.hear(.report(ended(2, task("y"))))
        #expect(node.names == [])
        #expect(node.node.nextDeadline == node.now.advanced(bySeconds: 1))
        node.pass(seconds: 1)
        #expect(node.asked.compactMap(\.arguments.first) == [task("x").line.text, task("y").line.text])
    }

    @Test("the supervisor is told when a thousand wait for their answer, and when they do no longer")
    func pileUp() {
        let tasks = (1...1024).map { task("\($0)", token: "\($0)") }
        var node = Conversation.running(tasks[0])
        node.hear(.claim(Conversation.claim(2, count: 1024)))
        node.answer("claim", Answer.claimed(Array(tasks.dropFirst())))
        node.forget()
        for (index, task) in tasks.enumerated() { node.hear(.report(ended(UInt64(index + 1), task))) }
        #expect(node.told == [.reportsPileUp(true)])
        node.answer("report", Answer.text("accepted"))
        #expect(node.told == [.reportsPileUp(true), .reportsPileUp(false)])
    }

    @Test("a line that may not be run here fails with its reason, and the supervisor hears only of how many")
    func refusedLine() {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        let row: [RESPValue] = [Answer.text("nonsense"), Answer.text("5"), .integer(1), .null, .null]
        node.answer("claim", .array([.array(row)] + Answer.integers(0, 0, -1, 0, 0, 0, 1, 0) + [.array([])]))
        #expect(node.told == [.claimed(request(1), [], refusedCount: 1, dueSeconds: nil)])
        #expect(node.question("report")?.arguments.prefix(3) == ["nonsense", "5", "failed"])
        #expect(node.logged.count == 1 && node.logged[0].line == "nonsense")
    }

    @Test("what an answer that was lost gave is told; what ended meanwhile, or was accepted, is not begun again")
    func reconciled() {
        var node = Conversation.running(task("runs"), task("ends"))
        node.hear(.report(ended(2, task("ends"))))
        node.hear(.reconcile(request(9)))
        node.answer("report", Answer.text("accepted"))
        node.forget()
        node.answer("held", Answer.held([task("runs"), task("ends"), task("lost")]))
        #expect(node.told == [.held(request(9), [task("runs"), task("lost")])])
        node.hear(.reconcile(request(10)))
        node.answer("held", Answer.held([task("runs"), task("ends"), task("lost")]))
        #expect(node.told.last == .held(request(10), [task("runs"), task("lost")]))
        #expect(node.names == ["report"], "a server that still holds what it had accepted is told again")
    }
}

@Suite("Leaving the queue")
struct LeavingTests {
    @Test("waits for the last answer, says so, and goes when that is heard")
    func leaves() {
        var node = Conversation.running(task("x"))
        node.hear(.report(ended(1, task("x"))), .leave)
        #expect(node.names == ["report"])
        node.answer("report", Answer.text("accepted"))
        #expect(node.names == ["leave"])
        node.answer("leave", .integer(0))
        #expect(node.hasLeft)
    }

    @Test("a last word that is not answered is waited for two seconds")
    func silentQueue() {
        var node = Conversation.member()
        node.hear(.leave)
        #expect(node.names == ["leave"])
        node.pass(seconds: 1.9)
        #expect(!node.hasLeft)
        node.pass(seconds: 0.1)
        #expect(node.hasLeft)
    }

    @Test("what is not answered in time is on the disk, for the next life")
    func stores() {
        var node = Conversation.running(task("x"), task("y"))
        node.storesAtOnce = false
        node.hear(.report(ended(1, task("x"))), .report(ended(2, task("y"))), .leave)
        node.pass(seconds: 9.9)
        #expect(node.stored == [])
        node.pass(seconds: 0.1)
        node.hear(.stored(token: task("x").token, isStored: true))
        #expect(!node.hasLeft)
        node.hear(.stored(token: task("y").token, isStored: true))
        #expect(node.hasLeft)
        #expect(node.logged == [.leftWithout(reportCount: 2)])
        #expect(!node.names.contains("leave"), "leaving would end the lease under which they are accepted")
    }

    @Test("with nothing to say and nobody to hear it, goes at once")
    func nobody() {
        var node = Conversation()
        node.hear(.leave)
        #expect(node.hasLeft)
    }
}

@Suite("Orders")
struct OrdersTests {
    @Test("an order to stop is asked for, by whatever way it was announced")
    func cancellations() {
        var node = Conversation.running(task("x"))
        node.hear(.message(Array("cancel".utf8)))
        node.answer("cancellations", .array([Answer.text("shell:1:0:0:x")]))
        #expect(node.told == [.cancelRequested(line: "shell:1:0:0:x")])
        node.hear(.message(Array("todo".utf8)))
        #expect(node.told.last == .wake)
    }

    @Test("what somebody took away by order is not taken up again: its report is not doubted, and it is not asked for")
    func requeued() {
        var node = Conversation.running(task("x"))
        node.hear(.message(Array("cancel".utf8)))
        node.answer("cancellations", .array([Answer.text("shell:1:0:0:x")]))
        node.hear(.report(ended(1, task("x"))))
        node.answer("report", Answer.text("stale"))
        #expect(node.names == [])
        #expect(node.released == [task("x").token])
    }

    @Test("a drain is told once to the log and to those that run, and again after it was taken back")
    func drained() {
        var node = Conversation.member()
        for isDrained in [true, true, false, true] {
            node.hear(.heartbeat)
            node.answer("heartbeat", Answer.beaten(drained: isDrained))
        }
        #expect(node.logged == [.drained("a"), .resumed, .drained("a")])
        #expect(node.told.filter { $0 == .drained }.count == 2)
        #expect(node.node.isDrained)
    }

    @Test(
        "a node that is drained by its name looks at once whether it is; others do not, nor does one that is not known yet"
    )
    func drainedByName() {
        var node = Conversation.member()
        for text in ["drain b", "drain ", "drain a2", "drain"] { node.hear(.message(Array(text.utf8))) }
        #expect(node.names == [])
        node.hear(.message(Array("drain a".utf8)))
        #expect(node.names == ["heartbeat"])
        node.answer("heartbeat", Answer.beaten(drained: true))
        #expect(node.told.contains(.drained))
        var newcomer = Conversation()
        newcomer.connect()
        newcomer.hear(.message(Array("drain a".utf8)))
        #expect(!newcomer.names.contains("heartbeat"))
    }

    @Test("a field of todo that is no task is told with the field itself")
    func noTaskLine() {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", .array([.array([])] + Answer.integers(0, 1, -1, 0, 0, 0, 1, 0) + [.array([])]))
        let page: [RESPValue] = [
            Answer.text("shell:1:0:0:fine"), Answer.text(""), Answer.text("no task"), Answer.text(""),
        ]
        node.answer("HSCAN", .array([Answer.text("0"), .array(page)]))
        #expect(node.logged.compactMap(\.line) == ["no task"])
        #expect(node.names == ["adopt", "reject"])
    }

    @Test("a refusal that goes on is told once a minute")
    func refusals() {
        var node = Conversation.member()
        for _ in 1...3 {
            node.hear(.heartbeat)
            node.answer("heartbeat", Answer.error("BUSY", "a script runs"))
        }
        #expect(node.logged.count == 1)
        node.now = node.now.advanced(bySeconds: 61)
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.error("BUSY", "a script runs"))
        #expect(node.logged.count == 2)
    }
}

// Tasks on a node, from claim to report: timeouts, endings, and the removal of groups.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A task on a node")
struct TaskRunTests {
    @Test("is launched, collected when it exits, and reported with all that is known")
    func wholeRun() throws {
        var node = Node.running(claimed("1:2G:1:100:true", token: "t", attempt: 2))
        node.now = node.now.advanced(bySeconds: 1.5)
        #expect(node.hear(.exited(number(1), .code(3))).withoutLog == [.collect(number(1))])
        let report = try #require(node.hear(.collected(number(1), collected(removed: true))).reports.first)
        #expect(report.task.token == "t")
        guard case .ended(let outcome) = report.result else {
            Issue.record("\(report)")
            return
        }
        #expect(outcome.cause == .exit(code: 3))
        #expect(outcome.usage.wallSeconds == 1.5)
        #expect(outcome.usage.userSeconds == 0.5)
        #expect(outcome.memoryCapBytes == 2 << 30)
        #expect(outcome.timeoutSeconds == 100)
        #expect(outcome.attempt == 2)
        #expect(outcome.node == "node")
        #expect([outcome.stderrTail, outcome.stdoutPath, outcome.stderrPath] == ["tail", "out", "err"])
        #expect(node.supervisor.load.taskCount == 0)
    }

    @Test("that was killed for a limit above its own is an oom, and its reason says whose limit that was")
    func limitAbove() throws {
        var node = Node.running(claimed("1:500M:0:100:hog"))
        let usage = Usage(wallSeconds: 0, memoryPeakBytes: 381 << 20, oomKills: 1)
        let found = NodeSupervisor.Collected(
            usage: usage, removed: true, notes: ["the memory.max of /unit was reached"])
        let report = try #require(node.hear(.exited(number(1), .signal(9)), .collected(number(1), found)).reports.first)
        guard case .ended(let outcome) = report.result else {
            Issue.record("\(report)")
            return
        }
        #expect(outcome.cause == .oom)
        #expect(outcome.reason == "oom (cap 500 MB, peak 381 MB); the memory.max of /unit was reached")
    }

    @Test("that ignores TERM is killed when its grace is over")
    func graceOver() {
        var node = Node.running(claimed("1:0:0:10:sleep 99"))
        let start = node.now
        #expect(!node.passAnswered(seconds: 9.999).contains(.terminate(number(1))))
        #expect(node.passAnswered(seconds: 0.001).contains(.terminate(number(1))))
        #expect(node.supervisor.nextDeadline.map { $0 <= start.advanced(bySeconds: 15) } == true)
        #expect(!node.passAnswered(seconds: 4.999).contains(.kill(number(1))))
        #expect(node.passAnswered(seconds: 0.001).contains(.kill(number(1))))
        #expect(node.end(number(1), .signal(9)).causes == [.timeout])
    }

    @Test("has its default timeout when the line names none, and no limit when it names 0")
    func defaultTimeout() {
        var node = Node.running(claimed("1:0:0:sleep 1"), claimed("1:0:0:0:sleep 2")) { $0.defaultTimeoutSeconds = 60 }
        let actions = node.passAnswered(seconds: 1000)
        #expect(actions.contains(.terminate(number(1))))
        #expect(!actions.contains(.terminate(number(2))))
    }

    @Test(
        "that exits in the batch of its deadline gives one result, whichever was read first", arguments: [true, false])
    func exitAndDeadline(exitFirst: Bool) {
        var node = Node.running(claimed("1:0:0:10:true"))
        node.now = node.now.advanced(bySeconds: 10)
        let exit = Event.exited(number(1), .code(0))
        var actions = node.supervisor.handle(exitFirst ? [exit, .tick] : [.tick, exit], at: node.now)
        actions += node.hear(.collected(number(1), collected(removed: true)))
        #expect(actions.causes == [exitFirst ? .exit(code: 0) : .timeout])
        #expect(actions.filter { $0 == .collect(number(1)) }.count == 1)
        #expect(actions.contains(.terminate(number(1))) == !exitFirst)
    }

    @Test("whose exit is told twice is collected once and reported once")
    func duplicates() {
        var node = Node.running(claimed("1:0:0:10:true"))
        let exit = Event.exited(number(1), .code(0))
        let gone = Event.collected(number(1), collected(removed: true))
        let actions = node.hear(exit, exit) + node.hear(gone, gone) + node.hear(exit, gone, .launched(number(1)))
        #expect(actions.filter { $0 == .collect(number(1)) }.count == 1)
        #expect(actions.reports.count == 1)
    }

    @Test("past its deadline when the clock has jumped is stopped by the next tick")
    func clockJump() {
        var node = Node.running(claimed("1:0:0:10:true")) { $0.leaseSeconds = 1e6 }
        node.now = node.now.advanced(bySeconds: 86400)
        #expect(node.hear(.tick).contains(.terminate(number(1))))
    }

    @Test("that leaves children has them killed, and is looked at again after 1, 2, 4 ... 100 ms")
    func leftovers() throws {
        var node = Node.running(claimed("1:0:0:100:true"))
        node.hear(.exited(number(1), .code(0)))
        var pauses: [Int64] = []
        for _ in 0..<9 {
            #expect(node.hear(.collected(number(1), collected(removed: false))).contains(.kill(number(1))))
            let deadline = try #require(node.supervisor.nextDeadline)
            pauses.append(deadline.nanoseconds(since: node.now) / 1_000_000)
            node.now = deadline
            #expect(node.hear(.tick).contains(.collect(number(1))))
        }
        #expect(pauses == [1, 2, 4, 8, 16, 32, 64, 100, 100])
        #expect(node.hear(.collected(number(1), collected(removed: true))).causes == [.exit(code: 0)])
    }

    @Test("whose group never empties is reported after 5 s, warned of after 10 s, and keeps its room")
    func neverEmpties() {
        var node = Node.running(claimed("1:3G:2:100:true"))
        node.hear(.exited(number(1), .code(0)))
        let end = node.now
        var reportedAfter: Double?
        var warnings: [Double] = []
        while node.now < end.advanced(bySeconds: 20) {
            let actions = node.hear(.collected(number(1), collected(removed: false)))
            if !actions.reports.isEmpty { reportedAfter = node.now.seconds(since: end) }
            for case .groupNotEmpty(_, let seconds) in actions.notices { warnings.append(seconds) }
            while !node.passAnswered(seconds: 0.001).contains(.collect(number(1))) {}
        }
        #expect(reportedAfter.map { (5..<5.3).contains($0) } == true)
        #expect(warnings.count == 1 && (10..<10.3).contains(warnings[0]))
        #expect(node.supervisor.load.memoryBytes == 3 << 30)
        node.hear(.collected(number(1), collected(removed: true)))
        #expect(
            node.supervisor.load == .init(taskCount: 0, memoryBytes: 0, millicores: 0))
    }

    @Test("that cannot be started is collected and reported with its step")
    func launchFails() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:./x")], refusedCount: 0, dueSeconds: nil))
        #expect(node.hear(.launchFailed(number(1), notFound)).withoutLog == [.collect(number(1))])
        let actions = node.hear(.collected(number(1), collected(removed: true)))
        #expect(actions.causes == [.launch(step: "execve ./x", errno: 2, message: "No such file or directory")])
    }

    @Test("cancelled gets TERM, its grace, and its cause; the others go on")
    func cancel() {
        var node = Node.running(claimed("1:0:0:one"), claimed("1:0:0:two"))
        #expect(node.hear(.cancelRequested(line: "shell:1:0:0:two")).withoutLog == [.terminate(number(2))])
        #expect(node.passAnswered(seconds: 5).contains(.kill(number(2))))
        #expect(node.end(number(2), .signal(9)).causes == [.cancelled])
        #expect(node.supervisor.load.taskCount == 1)
    }

    @Test("that ended long ago leaves no deadline behind, so ten thousand of them cost no memory")
    func alarmsBounded() {
        var node = Node.waitingForTasks()
        var claim = request(1)
        for index in 1...10_000 {
            let task = UInt64(index)
            let given = claimed("1:0:0:3600:true", token: "\(index)")
            node.hear(.claimed(claim, [given], refusedCount: 0, dueSeconds: nil), .launched(number(task)))
            let actions = node.end(number(task)) + node.hear(.memory(availableBytes: 8 << 30))
            claim = actions.claim?.number ?? claim
        }
        #expect(node.supervisor.timers.count < 200)
    }
}

// The lease, lost connections, lost answers: what a node does when it and the queue cannot hear each other.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A node and its queue")
struct MembershipTests {
    @Test("heartbeats come at least three times a lease")
    func heartbeats() {
        var node = Node.waitingForTasks { $0.heartbeatSeconds = 60 }
        #expect(node.passAnswered(seconds: 60).filter { $0 == .heartbeat }.count == 6)
    }

    @Test("tasks go on while the connection is lost, and the next one is asked what is held")
    func disconnected() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        node.hear(.disconnected)
        #expect(node.end(number(1)).reports.count == 1)
        #expect(node.hear(.connected) == [.heartbeat, .reconcile(request(2))])
        #expect(node.supervisor.load.taskCount == 1)
    }

    @Test("tasks given in an answer that was lost are found and started; those we know are left alone")
    func lostClaim() {
        var node = Node.running(claimed("1:0:0:known"))
        node.hear(.wake)
        node.hear(.disconnected)
        node.hear(.connected)
        let held = [claimed("1:0:0:known"), claimed("1:0:0:lost")]
        let actions = node.hear(.held(request(3), held))
        #expect(actions.launched == [number(2)])
        #expect(actions.claim != nil)
    }

    @Test("a task that ended while the question was under way is not started again")
    func endedMeanwhile() {
        var node = Node.running(claimed("1:0:0:known"))
        node.hear(.disconnected)
        node.hear(.connected)
        node.end(number(1))
        #expect(node.hear(.held(request(2), [claimed("1:0:0:known")])).launched == [])
    }

    @Test("a task the queue no longer holds for ours is killed and not reported")
    func noLongerHeld() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        node.hear(.disconnected)
        node.hear(.connected)
        let actions = node.hear(.held(request(2), [claimed("1:0:0:b")]))
        #expect(actions.contains(.kill(number(1))))
        #expect(!actions.contains(.kill(number(2))))
        #expect(node.end(number(1), .signal(9)).reports == [])
    }

    @Test("nothing is claimed before the question what we hold is answered")
    func noClaimWhileReconciling() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.disconnected)
        #expect(node.hear(.connected, .wake).claim == nil)
        #expect(node.hear(.held(request(2), [claimed("1:0:0:a")])).claim != nil)
    }

    @Test("the question is asked once a lease, for a claim may reach the queue after the next connection has asked")
    func periodic() {
        var node = Node.running(claimed("1:0:0:a")) { $0.taskCountMax = 1 }
        let actions = node.passAnswered(seconds: 90)
        #expect(actions.filter { if case .reconcile = $0 { true } else { false } }.count == 3)
    }

    @Test("an answer to an older claim is not taken")
    func oldAnswer() {
        var node = Node.waitingForTasks()
        node.hear(.disconnected)
        node.hear(.connected)
        let old = Event.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil)
        #expect(node.hear(old) == [])
        #expect(node.hear(.held(request(2), [])).claim?.number == request(3))
        #expect(node.hear(old) == [])
    }

    @Test(
        "a lease that is not renewed ends counted from when the last renewal was sent: nothing is claimed, all goes on")
    func leaseEnds() throws {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        let registeredAt = node.now
        node.pass(seconds: 10)
        node.now = node.now.advanced(bySeconds: 2)
        node.hear(.leaseRenewed(sentAt: registeredAt.advanced(bySeconds: 10)))
        #expect(node.pass(seconds: 27.999).notices == [])
        #expect(node.pass(seconds: 0.001).notices == [.outOfTouch(taskCount: 2, seconds: 30)])
        let actions = node.pass(seconds: 1800)
        #expect(actions.notices == [], "it is told once")
        #expect(actions.claim == nil)
        #expect(actions.contains(.heartbeat), "and asked for")
        #expect(node.supervisor.load.taskCount == 2)
    }

    @Test("while the queue is about to take another node for dead, twelve heartbeats come in a lease")
    func beatsSoon() {
        var node = Node.running(claimed("1:0:0:a"))
        func beats(in seconds: Double) -> Int {
            (0..<Int(seconds * 10)).reduce(0) { count, _ in
                count + node.pass(seconds: 0.1).filter { $0 == .heartbeat }.count
            }
        }
        node.pass(seconds: 10)
        node.hear(.leaseRenewed(sentAt: node.now), .beatSoon(sentAt: node.now))
        #expect(beats(in: 2.4) == 0)
        #expect(beats(in: 0.2) == 1)
        #expect(beats(in: 9.8) == 0, "and not more than it was asked for")
        #expect(beats(in: 0.2) == 1)
        node.hear(.disconnected, .beatSoon(sentAt: node.now))
        #expect(beats(in: 20) == 0)
    }

    @Test("an answer to what was sent within the last lease ends the doubt, an older one does not")
    func leaseRenewedLate() {
        var node = Node.running(claimed("1:0:0:a"))
        node.pass(seconds: 100)
        #expect(node.hear(.leaseRenewed(sentAt: node.now.advanced(bySeconds: -30)), .wake).claim == nil)
        #expect(node.hear(.leaseRenewed(sentAt: node.now.advanced(bySeconds: -29))) != [])
        let actions = node.pass(seconds: 1.5)
        #expect(actions.notices == [.outOfTouch(taskCount: 1, seconds: 30)])
    }

    @Test(
        "a lease that ends while the connection is lost: at the next one it is asked for"
    )
    func leaseEndsDisconnected() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        node.hear(.disconnected)
        #expect(!node.pass(seconds: 300).contains(.kill(number(1))))
        #expect(node.end(number(2)).reports.count == 1)
        #expect(
            node.supervisor.nextDeadline.map { $0 > node.now } == true, "no deadline of the past keeps the loop busy")
        #expect(node.hear(.connected) == [.heartbeat])
        #expect(node.hear(.leaseRenewed(sentAt: node.now)) == [.reconcile(request(2))])
        let held = Event.held(request(2), [claimed("1:0:0:a")])
        #expect(node.hear(held, .memory(availableBytes: 8 << 30)).claim != nil)
        #expect(node.supervisor.load.taskCount == 1)
    }

    @Test("when the queue has given away what a node out of touch held, it is killed at the first answer")
    func takenOver() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.disconnected)
        node.pass(seconds: 300)
        node.hear(.connected)
        #expect(node.hear(.fenced).withoutLog == [.leaseLost, .kill(number(1)), .register])
        #expect(node.end(number(1), .signal(9)).reports == [])
    }

    @Test(
        "when the queue does not know us, all goes on until it has said whose it is; what others have is killed alone")
    func outside() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        #expect(node.hear(.outside, .outside) == [.log(.outside(taskCount: 2)), .register])
        #expect(node.pass(seconds: 300).withoutLog.allSatisfy { $0 == .measureMemory })
        let taken = node.hear(.takenAway(tokens: ["token of 1:0:0:a"]), .registered(sentAt: node.now))
        #expect(taken.contains(.kill(number(1))) && !taken.contains(.kill(number(2))))
        let ended = node.end(number(1), .signal(9))
        #expect(ended.reports == [])
        #expect(ended.contains(.forget(number(1), token: "token of 1:0:0:a")))
        #expect(node.end(number(2)).causes == [.exit(code: 0)])
    }

    @Test("a node that leaves while the queue does not know it registers for the sake of what still runs")
    func outsideLeaving() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.stopRequested)
        #expect(node.hear(.outside).withoutLog == [.register])
    }

    @Test("nothing is claimed while too many reports wait for their answer")
    func reportsPileUp() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.reportsPileUp(true))
        #expect(node.hear(.wake).claim == nil)
        #expect(node.hear(.reportsPileUp(false)).claim != nil)
    }

    @Test("lines that were refused cost a claim nothing: the next one is asked for at once")
    func refusedLines() {
        var node = Node.waitingForTasks { $0.taskCountMax = 2 }
        let answer = Event.claimed(request(1), [], refusedCount: 2, dueSeconds: nil)
        #expect(node.hear(answer).claim?.count == 2)
    }

    @Test("a node that is to kill when it is cut off kills all when the lease ends, and reports nothing of it")
    func killsWhenLeaseEnds() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b")) { $0.killsWhenCutOff = true }
        #expect(!node.pass(seconds: 29.999).contains(.kill(number(1))))
        let actions = node.pass(seconds: 0.001)
        #expect(actions.contains(.kill(number(1))) && actions.contains(.kill(number(2))))
        #expect(actions.contains(.register))
        #expect((node.end(number(1), .signal(9)) + node.end(number(2), .signal(9))).reports == [])
    }

    @Test("and does so while the connection is lost as well, and registers with the next one")
    func killsWhenLeaseEndsDisconnected() {
        var node = Node.running(claimed("1:0:0:a")) { $0.killsWhenCutOff = true }
        node.hear(.disconnected)
        #expect(node.pass(seconds: 30).contains(.kill(number(1))))
        node.end(number(1), .signal(9))
        #expect(node.hear(.connected) == [.register])
        #expect(node.hear(.registered(sentAt: node.now), .memory(availableBytes: 8 << 30)).claim != nil)
    }

    @Test("a refused incarnation kills all at once and registers anew, once")
    func fenced() {
        var node = Node.running(claimed("1:0:0:a"))
        let actions = node.hear(.fenced, .fenced)
        #expect(actions.withoutLog == [.leaseLost, .kill(number(1)), .register])
    }

    @Test("a task claimed under a lease that has ended meanwhile is not started")
    func claimedTooLate() {
        var node = Node.waitingForTasks()
        node.now = node.now.advanced(bySeconds: 31)
        #expect(node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil)).launched == [])
    }

    @Test("the answer to a claim renews the lease too, from when the claim was sent")
    func claimRenews() throws {
        var node = Node.running(claimed("1:0:0:a"))
        node.pass(seconds: 20)
        let claim = try #require(node.hear(.memory(availableBytes: 8 << 30)).claim)
        node.now = node.now.advanced(bySeconds: 1)
        node.hear(.claimed(claim.number, [], refusedCount: 0, dueSeconds: nil))
        #expect(node.pass(seconds: 28.999).notices == [])
        #expect(node.pass(seconds: 0.001).notices == [.outOfTouch(taskCount: 1, seconds: 30)])
    }

    @Test("a registration the queue could not take is tried again")
    func registerFails() {
        var node = Node()
        node.hear(.connected)
        node.hear(.requestFailed(.register))
        #expect(node.pass(seconds: 1).contains(.register))
    }

    @Test("a claim that failed may have been carried out: what we hold is asked before the next")
    func claimFails() {
        var node = Node.waitingForTasks()
        node.hear(.requestFailed(.claim(request(1))))
        #expect(node.pass(seconds: 1) == [.reconcile(request(2))])
        let actions = node.hear(.held(request(2), [claimed("1:0:0:a")]))
        #expect(actions.launched.count == 1)
    }

    @Test("a launch still to be made when the lease runs out waits until the queue has renewed it")
    func launchWaits() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil))
        #expect(node.launchTurn(1) == .now)
        node.now = node.now.advanced(bySeconds: 30)
        #expect(node.launchTurn(1) == .later, "the process slept, and no tick has told so yet")
        node.hear(.tick)
        #expect(node.launchTurn(1) == .later)
        node.hear(.leaseRenewed(sentAt: node.now))
        #expect(node.launchTurn(1) == .now)
    }

    @Test("a launch still to be made when the lease is refused is called off, and nothing is reported of it")
    func launchCalledOff() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil))
        node.now = node.now.advanced(bySeconds: 30)
        node.hear(.tick, .fenced)
        #expect(node.launchTurn(1) == .never(.stoppedBeforeItBegan))
        #expect(node.hear(.launchFailed(number(1), notFound)).withoutLog == [.collect(number(1))])
        #expect(node.hear(.collected(number(1), collected(removed: true))).reports == [])
        #expect(node.supervisor.load.taskCount == 0)
        #expect(node.launchTurn(1) == .never(.stoppedBeforeItBegan))
    }
}

extension Node {
    fileprivate func launchTurn(_ rawValue: UInt64) -> NodeSupervisor.LaunchTurn {
        supervisor.launchTurn(of: number(rawValue), at: now)
    }
}

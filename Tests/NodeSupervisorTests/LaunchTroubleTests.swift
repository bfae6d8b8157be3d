// A node that cannot start tasks: nothing is charged to a task, nothing is taken meanwhile, and it recovers by itself.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A node that cannot start tasks")
struct LaunchTroubleTests {
    /// In trouble, with a task that runs since before.
    private func troubled() -> Node {
        var node = Node.running(claimed("1:0:0:runs"))
        node.hear(.wake)
        node.hear(.claimed(request(2), [claimed("1:0:0:new")], refusedCount: 0, dueSeconds: nil))
        node.hear(.launchFailed(number(2), noProcesses))
        node.hear(.collected(number(2), collected(removed: true)))
        return node
    }

    private func trials(_ actions: [Action]) -> Int { actions.count { $0 == .tryLaunch } }

    @Test("gives back, untried, the task it could not start, and says why it takes none")
    func givesBack() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:true")], refusedCount: 0, dueSeconds: nil))
        #expect(node.supervisor.trouble == nil)
        #expect(
            node.hear(.launchFailed(number(1), noProcesses)).notices == [
                .nodeCannotLaunch(noProcesses, retrySeconds: 1)
            ])
        #expect(node.supervisor.trouble == noProcesses)
        let actions = node.hear(.collected(number(1), collected(removed: true)))
        #expect(actions.returns == [.launch(noProcesses)])
        #expect(actions.claim == nil)
        #expect(node.hear(.wake).claim == nil)
    }

    @Test("says so to the queue at once, and that it is over, and what else it has become")
    func heartbeat() {
        var node = Node.running(claimed("1:0:0:a"))
        let beats = { (actions: [Action]) in actions.count { $0 == .heartbeat } }
        #expect(beats(node.hear(.trialEnded(noProcesses))) == 1)
        #expect(beats(node.hear(.trialEnded(noProcesses))) == 0)
        #expect(beats(node.hear(.trialEnded(diskFull))) == 1)
        #expect(beats(node.hear(.trialEnded(nil))) == 1)
        node.hear(.disconnected)
        #expect(beats(node.hear(.trialEnded(noProcesses))) == 0)
    }

    @Test("tries after 1, 2, 4 ... and every 30 s, and takes tasks as soon as a trial works")
    func trialPauses() {
        var node = troubled()
        var pauses: [Double] = []
        for _ in 1...8 {
            let since = node.now
            while trials(node.passAnswered(seconds: 0.1)) == 0 {}
            pauses.append(node.now.seconds(since: since).rounded())
            #expect(node.hear(.trialEnded(noProcesses)).claim == nil)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
        #expect(node.passAnswered(seconds: 29).claim == nil)
        #expect(trials(node.passAnswered(seconds: 1)) == 1)
        let actions = node.hear(.trialEnded(nil))
        #expect(node.supervisor.trouble == nil)
        #expect(actions.notices == [.nodeLaunchesAgain])
        #expect((actions + node.passAnswered(seconds: 0.01)).claim != nil)
    }

    @Test("is not impatient anew with a trouble that comes back before any task has run")
    func pausesGrow() {
        var node = troubled()
        node.passAnswered(seconds: 1)
        node.hear(.trialEnded(nil))
        #expect(node.hear(.trialEnded(noProcesses)).notices == [.nodeCannotLaunch(noProcesses, retrySeconds: 2)])
        node.end(number(1))  // It began before the trouble, and says nothing of now.
        node.passAnswered(seconds: 2)
        #expect(node.hear(.trialEnded(diskFull)).notices == [.nodeCannotLaunch(diskFull, retrySeconds: 4)])
        #expect(node.supervisor.trouble == diskFull)
    }

    @Test("lets what runs go on, and reports it")
    func runningGoOn() {
        var node = troubled()
        let actions = node.passAnswered(seconds: 100)
        #expect(actions.withoutLog.allSatisfy { $0 != .terminate(number(1)) && $0 != .kill(number(1)) })
        #expect(node.end(number(1)).causes == [.exit(code: 0)])
        #expect(node.supervisor.trouble != nil)
    }

    @Test("makes another trial when one has no answer")
    func trialHangs() {
        var node = troubled()
        #expect(trials(node.passAnswered(seconds: 1)) == 1)
        #expect(trials(node.passAnswered(seconds: 29.9)) == 0)
        #expect(trials(node.passAnswered(seconds: 0.2)) == 1)
    }

    @Test("begins none of the tasks that wait for their turn, and those go back with the reason")
    func launchesThatWait() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:a"), claimed("1:0:0:b")], refusedCount: 0, dueSeconds: nil))
        #expect(node.supervisor.launchTurn(of: number(2), at: node.now) == .now)
        node.hear(.launchFailed(number(1), noProcesses))
        #expect(node.supervisor.launchTurn(of: number(2), at: node.now) == .never(noProcesses))
        node.hear(.launchFailed(number(2), noProcesses))
        #expect(node.hear(.collected(number(2), collected(removed: true))).returns == [.launch(noProcesses)])
    }

    @Test("gives back what a claim brings that was under way")
    func claimUnderWay() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.wake)
        node.hear(.trialEnded(diskFull))
        let actions = node.hear(.claimed(request(2), [claimed("1:0:0:b")], refusedCount: 0, dueSeconds: nil))
        #expect(actions.launched.isEmpty)
        #expect(actions.returns == [.launch(diskFull)])
    }

    @Test("is one where a task could not write its output, and that task goes back")
    func outputCannotBeWritten() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.exited(number(1), .code(1)))
        let usage = collected(removed: true).usage
        let found = NodeSupervisor.Collected(usage: usage, removed: true, shortage: .init(diskFull, ownBytes: 100))
        let actions = node.hear(.collected(number(1), found))
        #expect(actions.returns == [.nodeTrouble(diskFull)])
        #expect(actions.claim == nil)
        #expect(node.supervisor.trouble == diskFull)
    }

    @Test("does not try when it leaves, and has nothing to wait for then")
    func leaving() {
        var node = troubled()
        node.hear(.stopRequested)
        #expect(trials(node.passAnswered(seconds: 10)) == 0)
    }

    @Test("charges a task whose command cannot be executed, and takes the next")
    func commandsFault() {
        var node = Node.running(claimed("1:0:0:./x"))
        node.hear(.launchFailed(number(1), notFound))
        let actions = node.hear(.collected(number(1), collected(removed: true)))
        #expect(actions.causes == [.launch(step: "execve ./x", errno: 2, message: "No such file or directory")])
        #expect(actions.claim != nil)
        #expect(node.supervisor.trouble == nil)
    }
}

@Suite("The wall time of a task")
struct WallTimeTests {
    private func wallSeconds(_ actions: [Action]) -> Double? {
        for case .ended(let outcome) in actions.reports.map(\.result) { return outcome.usage.wallSeconds }
        return nil
    }

    @Test("begins when it was told to begin, though we hear later of it, and so does its timeout")
    func begins() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:10:a")], refusedCount: 0, dueSeconds: nil))
        let begun = node.now
        node.now = begun.advanced(bySeconds: 0.25)
        node.hear(.launched(number(1), begunAt: begun))
        #expect(node.supervisor.nextDeadline.map { $0 <= begun.advanced(bySeconds: 10) } == true)
        node.now = begun.advanced(bySeconds: 0.5)
        #expect(wallSeconds(node.end(number(1))) == 0.5)
    }

    @Test("is never negative, whatever the clock says")
    func neverNegative() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil))
        node.hear(.launched(number(1), begunAt: node.now.advanced(bySeconds: 5)))
        #expect(wallSeconds(node.end(number(1))) == 0)
    }
}

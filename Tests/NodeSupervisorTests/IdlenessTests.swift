// A node that goes when there has been nothing to do for long.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A node with nothing to do")
struct IdlenessTests {
    /// Answered in vain for the first time, and idle since.
    private func idle(_ change: (inout NodeSupervisor.Settings) -> Void = { _ in }) -> Node {
        var node = Node.waitingForTasks {
            $0.idleExitSeconds = 60
            change(&$0)
        }
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        return node
    }

    /// The claims it makes in this time, each answered in vain, up to one that may be its last.
    ///
    /// - Parameter open: what it has asked before, and was not answered.
    private func lastClaim(
        _ node: inout Node, within seconds: Double, open: [Action] = []
    ) -> NodeSupervisor.Claim? {
        let end = node.now.advanced(bySeconds: seconds)
        var actions = open
        repeat {
            while !actions.isEmpty {
                var answers: [Event] = []
                for action in actions {
                    switch action {
                    case .heartbeat: answers.append(.leaseRenewed(sentAt: node.now))
                    case .reconcile(let number): answers.append(.held(number, []))
                    case .measureMemory: answers.append(.memory(availableBytes: 8 << 30))
                    case .claim(let claim):
                        if claim.leavesIfIdle { return claim }
                        answers.append(.claimed(claim.number, [], refusedCount: 0, dueSeconds: nil))
                    default: break
                    }
                }
                actions = answers.isEmpty ? [] : node.supervisor.handle(answers, at: node.now)
            }
            guard let deadline = node.supervisor.nextDeadline, deadline <= end else { break }
            node.now = max(node.now, deadline)
            actions = node.hear(.tick)
        } while true
        node.now = end
        return nil
    }

    @Test("claims for the last time when its time is over, and leaves when the queue lets it go")
    func leaves() throws {
        var node = idle()
        #expect(lastClaim(&node, within: 59.9) == nil)
        let claim = try #require(lastClaim(&node, within: 0.5))
        #expect(claim.count == 4)
        let actions = node.hear(.claimed(claim.number, [], refusedCount: 0, dueSeconds: nil), .letGo)
        #expect(actions.last == .leave)
        #expect(actions.notices.count == 1 && "\(actions.notices)".contains("idle_exit_seconds"), "\(actions)")
        #expect(node.supervisor.nextDeadline == nil && !node.supervisor.wasClosed)
    }

    @Test("stays when that claim brings something, and its time begins anew with the end of that")
    func stays() throws {
        var node = idle()
        let claim = try #require(lastClaim(&node, within: 61))
        let launched = node.hear(.claimed(claim.number, [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil))
            .launched
        #expect(launched == [number(1)])
        node.hear(.launched(number(1)))
        #expect(lastClaim(&node, within: 300) == nil)
        #expect(lastClaim(&node, within: 59.8, open: node.end(number(1))) == nil)
        #expect(lastClaim(&node, within: 2) != nil)
    }

    @Test("asks again when the queue could not let it go, or did not answer")
    func again() throws {
        var node = idle()
        let first = try #require(lastClaim(&node, within: 61))
        node.hear(.claimed(first.number, [], refusedCount: 0, dueSeconds: nil))
        #expect(!node.supervisor.isLeaving)
        let second = try #require(lastClaim(&node, within: 6))
        node.hear(.disconnected)
        let open = node.hear(.connected)
        #expect(!node.supervisor.isLeaving)
        let third = try #require(lastClaim(&node, within: 20, open: open))
        #expect(Set([first.number, second.number, third.number]).count == 3)
        node.hear(.claimed(third.number, [], refusedCount: 0, dueSeconds: nil), .letGo)
        #expect(node.supervisor.isLeaving)
    }

    @Test("one that can start nothing, or has no memory, asks for no task and leaves all the same")
    func useless() throws {
        var node = idle()
        node.hear(.trialEnded(noProcesses))
        #expect(try #require(lastClaim(&node, within: 61)).count == 0)
    }

    @Test("without that setting it stays for ever; taken away it stays, and given it counts from the last task")
    func settings() throws {
        var node = idle { $0.idleExitSeconds = 0 }
        #expect(lastClaim(&node, within: 100_000) == nil)
        var settings = node.settings
        settings.idleExitSeconds = 60
        node.hear(.settingsChanged(settings))
        if let claim = node.supervisor.admission.outstanding?.claim {
            node.hear(.claimed(claim.number, [], refusedCount: 0, dueSeconds: nil))
        }
        #expect(lastClaim(&node, within: 50) == nil)
        settings.idleExitSeconds = 0
        node.hear(.settingsChanged(settings))
        if let claim = node.supervisor.admission.outstanding?.claim {
            node.hear(.claimed(claim.number, [], refusedCount: 0, dueSeconds: nil))
        }
        #expect(lastClaim(&node, within: 1000) == nil)
    }

    @Test("that WORKER_COMMAND_CLOSE sends home is told from one that leaves by itself")
    func closed() {
        var node = idle()
        node.hear(.closeRequested)
        #expect(node.supervisor.isLeaving && node.supervisor.wasClosed)
    }
}

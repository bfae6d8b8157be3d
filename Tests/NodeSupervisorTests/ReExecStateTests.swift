import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("What a re-exec keeps")
struct ReExecStateTests {
    /// The node as the re-executed daemon has it.
    private func successor(of node: Node) throws -> Node {
        var next = Node()
        next.supervisor = NodeSupervisor(settings: node.settings, resuming: try #require(node.supervisor.reExecState))
        next.now = node.now
        return next
    }

    @Test(
        "running tasks go on under their deadlines, their numbers are not used again, and the room they take is known")
    func runningTasks() throws {
        var node = Node.running(claimed("1:4G:2:60:a"), claimed("1:1G:1:0:b")) { $0.leaseSeconds = 1000 }
        node.pass(seconds: 20)
        let reExecState = try #require(node.supervisor.reExecState)
        #expect(reExecState.tasks.map(\.number) == [number(1), number(2)])

        var next = try successor(of: node)
        #expect(next.supervisor.load == node.supervisor.load)
        next.hear(.connected)
        #expect(next.pass(seconds: 39.9).contains(.terminate(number(1))) == false)
        #expect(next.pass(seconds: 0.2).contains(.terminate(number(1))))
        next.hear(.exited(number(1), .code(0)))
        let reports = next.hear(.collected(number(1), collected(removed: true))).reports
        #expect(reports.map(\.task.token) == ["token of 1:4G:2:60:a"])
        guard case .ended(let outcome) = try #require(reports.first).result else {
            Issue.record("not an ending")
            return
        }
        #expect(outcome.cause == .timeout)
        #expect(outcome.usage.wallSeconds >= 60)
    }

    @Test("the lease goes on: the re-executed daemon asks what it holds and does not register")
    func lease() throws {
        let node = Node.running(claimed("1:0:0:0:a"))
        var next = try successor(of: node)
        let actions = next.hear(.connected)
        #expect(!actions.contains(.register))
        #expect(actions.contains(.heartbeat))
        #expect(actions.contains { if case .reconcile = $0 { true } else { false } })
    }

    @Test("a task the queue has given away meanwhile is stopped")
    func givenAway() throws {
        let node = Node.running(claimed("1:0:0:0:a"))
        var next = try successor(of: node)
        let actions = next.hear(.connected)
        let asked = actions.compactMap { if case .reconcile(let number) = $0 { number } else { nil } }
        #expect(next.hear(.held(try #require(asked.first), [])).contains(.kill(number(1))))
    }

    @Test("there is nothing to leave while a launch, an ending, a report or a claim is under way")
    func notAtRest() {
        var node = Node.waitingForTasks()
        #expect(node.supervisor.reExecState == nil)  // A claim.
        node.hear(.drain)
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        #expect(node.supervisor.reExecState?.tasks == [])

        node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:0:0:0:a")], refusedCount: 0, dueSeconds: nil), .drain)
        #expect(node.supervisor.reExecState == nil)  // A launch.
        node.hear(.launched(number(1)))
        #expect(node.supervisor.reExecState != nil)
        node.hear(.exited(number(1), .code(0)))
        #expect(node.supervisor.reExecState == nil)  // An ending.
        node.hear(.collected(number(1), collected(removed: true)))
        #expect(node.supervisor.reExecState?.tasks == [])
    }
}

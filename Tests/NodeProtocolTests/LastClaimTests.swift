// The claim that is a node's last one if it brings nothing.

import NodeSupervisor
import Testing

@testable import NodeProtocol

@Suite("The last claim of a node that has nothing to do")
struct LastClaimTests {
    private let claim = NodeSupervisor.Claim(
        number: request(7), count: 4, freeMemoryBytes: 1 << 30, freeMillicores: 4000, leavesIfIdle: true)

    @Test("says so, and the supervisor hears that the queue lets the node go, behind the claim's answer")
    func letGo() {
        var node = Conversation.member()
        node.hear(.claim(claim))
        #expect(node.asked.last?.arguments.last == "1")
        node.answer("claim", Answer.claimed([], hasLeft: true))
        #expect(node.told == [.claimed(request(7), [], refusedCount: 0, dueSeconds: nil), .letGo])
        node.hear(.leave)
        node.answer("leave", .integer(0))
        #expect(node.hasLeft)
    }

    @Test("is none while the queue has not answered all reports: it holds their tasks for ours")
    func withReports() {
        var node = Conversation.running(task("x"))
        node.hear(.report(ended(1, task("x"))), .claim(claim))
        #expect(node.asked.last?.arguments.last == "0")
    }

    @Test("sent before a silence it is sent again, and is still the last")
    func silence() {
        var node = Conversation.member()
        node.hear(.claim(claim))
        node.answer("claim", Answer.claimed([], silence: 2))
        #expect(node.told == [] && node.asked.last?.arguments.last == "1")
        node.answer("claim", Answer.claimed([], silence: 2, hasLeft: true))
        #expect(node.told.last == .letGo)
    }
}

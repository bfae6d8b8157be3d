// Results that leave Redis: when a node asks for it, and that it does nothing where nobody wants it.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue
import Testing

@testable import NodeProtocol

@Suite("Results that leave, asked by nodes")
struct RetainingTests {
    private func answer(pause: Int, over: Bool = false, outputs: Int = 0, jobs: Int = 0) -> RESPValue {
        .array(Answer.integers(pause, over ? 1 : 0, outputs, jobs))
    }

    private func beat(_ node: inout Conversation) {
        node.hear(.heartbeat)
        node.answer("heartbeat", Answer.beaten())
    }

    @Test("where everything is kept nothing is asked")
    func off() {
        var node = Conversation.member()
        beat(&node)
        node.pass(seconds: 100_000)
        #expect(!node.names.contains("retain"))
    }

    @Test("a step is asked for beside the heartbeat, and the next one when the queue says, one at a time")
    func steps() {
        var node = Conversation.member { $0.retention = Retention(keepSeconds: 86_400) }
        beat(&node)
        #expect(node.names == ["retain"])
        beat(&node)
        #expect(node.names == ["retain"], "its answer is awaited")
        node.answer("retain", answer(pause: 25))
        #expect(node.node.nextDeadline == node.now.advanced(bySeconds: 0.025))
        node.pass(seconds: 0.02)
        #expect(node.names.isEmpty)
        node.pass(seconds: 0.01)
        #expect(node.names == ["retain"])
        node.answer("retain", answer(pause: 60_000, over: true, outputs: 3, jobs: 1))
        #expect(node.logged == [.resultsLeft(outputCount: 3, jobCount: 1)])
        beat(&node)
        #expect(node.names.isEmpty, "the pass is over")
        node.pass(seconds: 60)
        #expect(node.names == ["retain"])
    }

    @Test("a refusal is asked again after a minute, and a lost connection after the next one is open")
    func troubles() {
        var node = Conversation.member { $0.retention = Retention(bytesMax: 1) }
        beat(&node)
        node.answer("retain", Answer.error("NOPERM"))
        beat(&node)
        node.pass(seconds: 59)
        #expect(node.names.isEmpty)
        node.pass(seconds: 1)
        #expect(node.names == ["retain"])
        node.hear(.disconnected)
        #expect(node.node.nextDeadline == nil)
        node.connect()
        #expect(!node.names.contains("retain"))
        beat(&node)
        #expect(node.names.contains("retain"))
    }
}

// What others see of outputs: whoever may look can ask, as often as they like, so it is bounded here.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue
import Testing

@testable import NodeProtocol

@Suite("Outputs for others")
struct OutputsTests {
    private func wanted(_ reader: Int, _ number: Int = 1, node: String = "a") throws -> OutputRequest {
        let digits = String(reader, radix: 16)
        return try #require(
            OutputRequest(
                node: node, reader: String(repeating: "0", count: 16 - digits.count) + digits, number: number, place: 3,
                task: "0123456789abcdef", attempt: 1, isRunning: true, stream: .stdout, offset: 0))
    }

    private func message(_ request: OutputRequest) -> Event { .message(Array(request.message.utf8)) }

    @Test("a request is read at once, and its answer put where its reader looks; the supervisor hears nothing")
    func one() throws {
        var node = Conversation.member()
        node.hear(message(try wanted(1)))
        #expect(node.outputsAsked == [try wanted(1)])
        node.hear(.outputRead(try wanted(1), .piece(Array("x".utf8), sizeBytes: 1)))
        let put = try #require(node.question("SET"))
        #expect(put.arguments[0] == "distcomp:output:3" && put.arguments[2] == "PX", "\(put.arguments)")
        #expect(node.told.isEmpty)
    }

    @Test("what is asked of another node, or of nobody, costs nothing, not even a look for work")
    func others() throws {
        var node = Conversation.member()
        node.hear(message(try wanted(1, node: "b")), .message(Array("output a".utf8)), .message(Array("output ".utf8)))
        #expect(node.outputsAsked.isEmpty && node.names.isEmpty && node.told.isEmpty)
    }

    @Test("of a thousand that ask at once eight wait, one is read at a time, and the rest is dropped")
    func many() throws {
        var node = Conversation.member()
        for reader in 0..<1000 { node.hear(message(try wanted(reader))) }
        #expect(node.outputsAsked == [try wanted(0)])
        for _ in 0..<1000 {
            guard let last = node.outputsAsked.last else { break }
            node.hear(.outputRead(last, .absent))
            node.pass(seconds: 1)
        }
        #expect(node.outputsAsked == (try (0...8).map { try wanted($0) }))
    }

    @Test("a reader who asks again has asked once, for what it asked last")
    func again() throws {
        var node = Conversation.member()
        node.hear(message(try wanted(1)))
        for number in 1...5 { node.hear(message(try wanted(2, number))) }
        node.hear(.outputRead(try wanted(1), .absent))
        node.pass(seconds: 1)
        #expect(node.outputsAsked == [try wanted(1), try wanted(2, 5)])
    }

    @Test("no more than two MiB a second are handed on, and the timer is set for what waits")
    func rate() throws {
        var node = Conversation.member()
        let piece = OutputAnswer.piece([UInt8](repeating: 0, count: OutputRequest.pieceBytesMax), sizeBytes: 1 << 40)
        var reader = 0
        let begun = node.now
        while node.now < begun.advanced(bySeconds: 10) {
            reader += 1
            node.hear(message(try wanted(reader % 2, reader)))
            if let last = node.outputsAsked.last { node.hear(.outputRead(last, piece)) }
            node.pass(seconds: 0.01)
        }
        let bytes = node.outputsAsked.count * OutputRequest.pieceBytesMax
        #expect((18 << 20...21 << 20).contains(bytes), "\(bytes)")
        node.hear(message(try wanted(7, 1_000_000)))
        if node.outputsAsked.last != (try wanted(7, 1_000_000)) {
            #expect(node.node.nextDeadline.map { $0 > node.now } == true)
        }
    }

    @Test("with the connection goes what waits; an answer that comes then is for nobody")
    func disconnected() throws {
        var node = Conversation.member()
        node.hear(message(try wanted(1)), message(try wanted(2)), .disconnected)
        node.hear(.outputRead(try wanted(1), .absent))
        #expect(node.node.nextDeadline == nil && node.names.isEmpty)
        node.connect()
        node.forget()
        node.hear(message(try wanted(3)))
        #expect(node.outputsAsked.last == (try wanted(3)))
    }
}

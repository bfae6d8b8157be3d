// Requests for outputs and their answers, as they travel.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Requests for output")
struct OutputTests {
    private let wanted: OutputRequest

    init() throws {
        wanted = try #require(
            OutputRequest(
                node: "node-1.a_b", reader: "0123456789abcdef", number: 7, place: 127, task: "fedcba9876543210",
                attempt: 3, isRunning: false, stream: .stderr, offset: 1 << 40))
    }

    @Test("a request is read back as it was")
    func roundTrip() {
        #expect(OutputRequest(message: Array(wanted.message.utf8)) == wanted)
        #expect(OutputRequest.isOne(Array(wanted.message.utf8)))
        #expect(!OutputRequest.isOne(Array("todo".utf8)) && !OutputRequest.isOne(Array("outputs".utf8)))
    }

    @Test("one that says where the output stands is read back as it was, however large the numbers are")
    func place() throws {
        for (segment, offset, bytes) in [(UInt32(1), Int64(64), 5), (.max, 1 << 40, 1 << 30), (0, 0, 0)] {
            let packed = PackedOutput(segment: segment, offset: offset, stdoutBytes: bytes, stderrBytes: 0)
            let request = try #require(
                OutputRequest(
                    node: String(repeating: "n", count: 64), reader: wanted.reader, number: .max, place: 127,
                    task: wanted.task, attempt: .max, isRunning: false, stream: .stdout, offset: .max >> 1,
                    packed: packed))
            #expect(OutputRequest(message: Array(request.message.utf8)) == request)
        }
        for word in ["1:64:5", "1:64:5:0:0", "1:64:-5:0", "0:64:5:0", "1:64:0:0", "4294967296:64:5:0", "1::5:0", ""] {
            #expect(OutputRequest(message: Array("\(wanted.message) \(word)".utf8)) == nil, "\(word)")
        }
    }

    @Test("what is no request, or asks for what cannot be, is none: each word of one changed")
    func hostile() {
        let words = wanted.message.split(separator: " ").map(String.init)
        let others = [
            ["put", "", "Output"], ["", "a/b", "a b", String(repeating: "n", count: 65)],
            ["", "0123456789abcde", "0123456789abcdeg", "../../../../../x"], ["-1", "x", "", "99999999999999999999"],
            ["-1", "128", "x", ""], ["", "fedcba987654321", "fedcba987654321/", "................"],
            ["0", "-1", "", "99999999999999999999"], ["", "Running", "waiting"],
            ["", "stdin", "stdout.1", "../stdout"],
            ["-1", "", "9223372036854775807", "99999999999999999999", "1e3"],
        ]
        #expect(words.count == others.count)
        for (place, wrong) in others.enumerated() {
            for word in wrong {
                var changed = words
                changed[place] = word
                #expect(OutputRequest(message: Array(changed.joined(separator: " ").utf8)) == nil, "\(changed)")
            }
        }
        #expect(OutputRequest(message: Array((wanted.message + " x").utf8)) == nil)
        #expect(OutputRequest(message: Array((wanted.message + String(repeating: "0", count: 300)).utf8)) == nil)
        #expect(OutputRequest(message: []) == nil && OutputRequest(message: [0xFF, 0x20, 0]) == nil)
    }

    @Test(
        "an answer that a node puts a watcher finds, for some seconds; that to another request is none",
        arguments: ["", "lab1:"])
    func answers(prefix: String) throws {
        let queue = try QueueBench(prefix: prefix)
        let (node, watcher) = (queue.client(of: .node), queue.client(of: .watcher))
        let answers: [OutputAnswer] = [
            .piece([0, 10, 255, 10], sizeBytes: 1 << 41), .piece([], sizeBytes: 0), .notBegun, .absent,
            .unreadable("read: no"),
        ]
        let reading = ReadOutputAnswer(wanted, keys: queue.keys)
        #expect(try ReadOutputAnswer.parse(try watcher.call(reading.request)) == .nothing)
        for answer in answers {
            let put = try node.call(AnswerOutput(answer, to: wanted, keys: queue.keys).request)
            try AnswerOutput.parse(put)
            let reply = try ReadOutputAnswer.parse(try watcher.call(reading.request))
            #expect(reply.answer(to: wanted) == answer && !reply.isOfAnother(than: wanted))
            let other = try #require(OutputRequest(message: Array(wanted.message.replacing(" 7 ", with: " 8 ").utf8)))
            #expect(reply.answer(to: other) == nil && !reply.isOfAnother(than: other))
            let stranger = try #require(
                OutputRequest(
                    message: Array(wanted.message.replacing("0123456789abcdef", with: "0123456789abcde0").utf8)))
            #expect(reply.answer(to: stranger) == nil && reply.isOfAnother(than: stranger))
            let left = try queue.client.call(.command(RedisCommand("PTTL", prefix + "distcomp:output:127"))).int ?? 0
            #expect((1...AnswerOutput.keptMilliseconds).contains(left))
        }
        // Who may look may ask, and write nothing.
        let asked = try watcher.call(AskForOutput(wanted, keys: queue.keys).request)
        #expect(try AskForOutput.parse(asked) == 0)
        let forged = try watcher.call(AnswerOutput(.absent, to: wanted, keys: queue.keys).request)
        #expect(forged.error?.code == "NOPERM")
    }
}

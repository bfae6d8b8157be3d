// What readers elsewhere want to see of tasks' outputs. A request is a message that anybody who may look at the queue can publish, as often
// as they like, so what it can cost this node and its Redis is bounded here: a few wait, the rest is dropped, whoever wants it asks
// again; they are answered one after the other, and so many bytes a second.

import DequeModule
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Outputs: Sendable {
        /// Those that wait, of different readers.
        private(set) var waiting: Deque<OutputRequest> = []
        /// Which one is being read.
        private var current: OutputRequest?
        /// Until then nothing is read.
        private var restsUntil: Instant?

        static let waitingMax = 8
        static let bytesPerSecond = 2.0 * 1_048_576
        /// What an answer costs beside its content.
        static let answerBytes = 4096

        /// When ``next(at:)`` may have something; nil while nothing waits, or an answer is awaited.
        var deadline: Instant? { waiting.isEmpty || current != nil ? nil : restsUntil }

        /// A reader who asks again has only asked once.
        mutating func add(_ request: OutputRequest) {
            if let place = waiting.firstIndex(where: { $0.reader == request.reader }) {
                waiting[place] = request
            } else if waiting.count < Self.waitingMax {
                waiting.append(request)
            }
        }

        /// What is to be read now.
        mutating func next(at now: Instant) -> OutputRequest? {
            if let until = restsUntil, now < until { return nil }
            guard current == nil, let first = waiting.popFirst() else { return nil }
            current = first
            return first
        }

        /// Whether the answer is to be sent.
        mutating func answered(_ request: OutputRequest, _ bytes: Int, at now: Instant) -> Bool {
            guard current == request else { return false }
            current = nil
            restsUntil = now.advanced(bySeconds: Double(bytes + Self.answerBytes) / Self.bytesPerSecond)
            return true
        }

        mutating func forget() { (waiting, current) = ([], nil) }
    }

    mutating func askedForOutput(_ message: [UInt8], at now: Instant, into actions: inout [Action]) {
        guard let request = OutputRequest(message: message), request.node == facts.name else { return }
        outputs.add(request)
        readOutputs(at: now, into: &actions)
    }

    mutating func readOutputs(at now: Instant, into actions: inout [Action]) {
        if let request = outputs.next(at: now) { actions.append(.readOutput(request)) }
    }

    mutating func outputRead(
        _ request: OutputRequest, _ answer: OutputAnswer, at now: Instant, into actions: inout [Action]
    ) {
        guard outputs.answered(request, answer.bytes, at: now) else { return }
        send(AnswerOutput(answer, to: request, keys: keys).request, for: .nothing, into: &actions)
        readOutputs(at: now, into: &actions)
    }
}

// What is asked of the queue, in one form: a request and how its answer is read; and what it can come to besides its answer.

import RedisClient

/// One thing to ask of the queue.
public protocol QueueOperation: Sendable {
    associatedtype Reply
    var request: RedisRequest { get }
    static func parse(_ value: RESPValue) throws(QueueError) -> Reply
}

extension BlockingRedisClient {
    /// Asks for one thing and waits for its answer.
    ///
    /// - Throws: `RedisFailure` when there is no answer, `QueueError` when it is a refusal.
    public func perform<Operation: QueueOperation>(_ operation: Operation) throws -> Operation.Reply {
        try Operation.parse(try call(operation.request))
    }
}

public enum QueueError: Error, Equatable, CustomStringConvertible {
    /// The lease of this incarnation is over, and so is its hold on its tasks.
    case fenced(queueIdentity: String?)
    case twin(address: String, remainingMilliseconds: Int)
    case wrongType(String)
    /// Another machine is alive under this node's name.
    case nameTaken(String)
    /// Redis refused: out of memory, read-only, not permitted, ...
    case refused(RedisError)
    /// A reply of the wrong shape: something else writes to our keys.
    case unexpectedReply(String)

    /// To stand behind the name of the Redis it comes from.
    public var description: String {
        switch self {
        case .twin(let address, _): address
        case .wrongType(let text): text
        case .fenced: "the lease of this node is over"
        case .nameTaken(let name): "another machine runs as node \"\(name)\": give one of the two another node_name"
        case .refused(let error) where error.code == "OOM":
            "it is out of memory (maxmemory): nothing can be added until tasks have ended or maxmemory is raised"
        case .refused(let error): error.explanation
        case .unexpectedReply(let operation): "it answered \(operation) in a way that makes no sense"
        }
    }

    init(_ error: RedisError) {
        switch error.code {
        case "FENCED": self = .fenced(queueIdentity: nil)
        case "NAMETAKEN": self = .nameTaken(error.message)
        default: self = .refused(error)
        }
    }
}

/// The parts of an array reply; an error reply is thrown.
func elements(_ value: RESPValue) throws(QueueError) -> [RESPValue]? {
    if let error = value.error { throw QueueError(error) }
    return value.elements
}

/// An array reply of exactly `count` integers.
func integers(_ value: RESPValue, count: Int) throws(QueueError) -> [Int] {
    guard let parts = try elements(value), parts.count == count else { throw .unexpectedReply("with counts") }
    var numbers: [Int] = []
    for part in parts {
        guard let number = part.int else { throw .unexpectedReply("with counts") }
        numbers.append(number)
    }
    return numbers
}

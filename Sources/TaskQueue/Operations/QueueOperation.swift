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

/// By what nodes and people tell a queue from one that was put in its place: whoever comes first to an empty one names it.
public struct QueueIdentity: Hashable, Sendable, CustomStringConvertible {
    static let digitCount = 32

    /// Hexadecimal digits.
    public let text: String
    public var description: String { text }

    /// A new one.
    public init(using generator: inout some RandomNumberGenerator) {
        let digits = (0..<Self.digitCount).map { _ in Self.digits[Int.random(in: 0..<16, using: &generator)] }
        text = String(decoding: digits, as: UTF8.self)
    }

    /// A new one.
    public init() {
        var generator = SystemRandomNumberGenerator()
        self.init(using: &generator)
    }

    /// Nil for what is none.
    public init?(text: String) {
        guard text.utf8.count == Self.digitCount, text.utf8.allSatisfy({ Self.digits.contains($0) }) else { return nil }
        self.text = text
    }

    private static let digits = Array("0123456789abcdef".utf8)
}

public enum QueueError: Error, Equatable, CustomStringConvertible {
    /// The lease of this incarnation is over, and so is its hold on its tasks. By the queue's identity a node tells whether others have
    /// taken them over, or the queue is not the one it knew; nil: it has none, so it was emptied.
    case fenced(queue: QueueIdentity?)
    /// Another life of this node, of the same machine and not one of its own, has a lease: one of the two is a copy.
    case twin(address: String?, remainingMilliseconds: Int)
    /// Another machine has a lease under this node's name.
    case nameTaken(String, address: String?, remainingMilliseconds: Int)
    /// A key is not what it should be; with what is to be done.
    case wrongType(String)
    /// Redis refused: out of memory, read-only, not permitted, ...
    case refused(RedisError)
    /// A reply of the wrong shape: something else writes to our keys.
    case unexpectedReply(String)

    /// To stand behind the name of the Redis it comes from.
    public var description: String {
        switch self {
        case .fenced: "the lease of this node is over"
        case .twin(let address, _):
            "a copy of this node runs\(Self.place(address)), with the same node_name, machine-id and state_dir: "
                + "give one of the two another node_name"
        case .nameTaken(let name, let address, _):
            "another machine runs as node \"\(name)\"\(Self.place(address)): give one of the two another node_name"
        case .wrongType(let message): message
        case .refused(let error) where error.code == "OOM":
            "it is out of memory (maxmemory): nothing can be added until tasks have ended or maxmemory is raised"
        case .refused(let error): error.explanation
        case .unexpectedReply(let operation): "it answered \(operation) in a way that makes no sense"
        }
    }

    private static func place(_ address: String?) -> String { address.map { " at \($0)" } ?? "" }

    init(_ error: RedisError) {
        let words = error.message.prefix(1000).split(separator: " ").map(String.init)
        switch error.code {
        case "FENCED": self = .fenced(queue: words.first.flatMap { QueueIdentity(text: $0) })
        case "TWIN" where words.count == 2:
            self = .twin(address: Self.address(words[0]), remainingMilliseconds: Self.milliseconds(words[1]))
        case "NAMETAKEN" where words.count == 3:
            self = .nameTaken(
                words[0], address: Self.address(words[1]), remainingMilliseconds: Self.milliseconds(words[2]))
        case "WRONGTYPE": self = .wrongType(error.message)
        default: self = .refused(error)
        }
    }

    private static func address(_ word: String) -> String? { word == "-" ? nil : word }
    private static func milliseconds(_ word: String) -> Int { max(0, Int(word) ?? 0) }
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

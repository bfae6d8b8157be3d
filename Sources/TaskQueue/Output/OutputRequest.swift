// Reading what a task writes on another node. A reader asks by a message that all nodes hear and one answers; the answer lies in a key
// for some seconds. Nothing of this is kept: a request that nobody answers leaves nothing behind, the reader asks again; and where nobody
// reads, nobody asks Redis for anything.
//
// Bounded, whoever asks: a request is a short message; answers lie in a fixed number of places, each with a piece of at most 256 KiB,
// and go by themselves; a node answers one at a time, and so many bytes a second (see NodeProtocol).
//
// A reader writes no key. Whoever may look at the queue can therefore be let read outputs (`distcomp acl`): all that it takes beyond
// looking is to publish on the channel by which nodes are woken, and the worst that can be done with that is to have them look for
// work in vain.

import Notation
import RedisClient
import TaskModel

/// One of the two streams of a task: its name is that of its file.
public enum OutputStream: String, Sendable {
    case stdout, stderr
}

/// What a reader asks of a node: a piece of what an attempt at a task wrote there.
public struct OutputRequest: Equatable, Sendable {
    /// How large a piece is at most.
    public static let pieceBytesMax = 256 << 10
    /// How many places there are for answers.
    public static let placeCount = 128
    /// A request is shorter than this.
    static let messageBytesMax = 320
    private static let firstWord = "output"
    private static let fieldCount = 10

    /// The name of the node.
    public let node: String
    /// Sixteen hexadecimal digits: which reader asks.
    public let reader: String
    /// Counts the requests of a reader.
    public let number: Int
    /// Where the answer is to be put.
    public let place: Int
    /// The identifier of the task.
    public let task: String
    public let attempt: Int
    /// Whether the attempt is running, for all the reader knows: files of that number may be left of an earlier count.
    public let isRunning: Bool
    public let stream: OutputStream
    /// From where on.
    public let offset: Int64
    /// Where the node keeps it, for all the reader knows.
    public let packed: PackedOutput?

    /// Nil for what no node could understand.
    public init?(
        node: String, reader: String, number: Int, place: Int, task: String, attempt: Int, isRunning: Bool,
        stream: OutputStream, offset: Int64, packed: PackedOutput? = nil
    ) {
        guard Configuration.isNodeName(node), Self.isIdentifier(reader), Self.isIdentifier(task), number >= 0,
            (0..<Self.placeCount).contains(place), attempt > 0,
            (0...(Int64.max - Int64(Self.pieceBytesMax))).contains(offset)
        else { return nil }
        (self.node, self.reader, self.number, self.place) = (node, reader, number, place)
        (self.task, self.attempt, self.isRunning) = (task, attempt, isRunning)
        (self.stream, self.offset, self.packed) = (stream, offset, packed)
    }

    /// Whether a message asks for output, of whomever.
    public static func isOne(_ message: [UInt8]) -> Bool { message.starts(with: (firstWord + " ").utf8) }

    /// Reads back ``message``; nil for what is none, or asks for what cannot be.
    public init?(message: [UInt8]) {
        guard message.count < Self.messageBytesMax else { return nil }
        let words = String(decoding: message, as: UTF8.self).split(separator: " ", omittingEmptySubsequences: false)
        guard (Self.fieldCount...Self.fieldCount + 1).contains(words.count), words[0] == Self.firstWord,
            let number = Int(words[3]),
            let place = Int(words[4]), let attempt = Int(words[6]), ["running", "ended"].contains(words[7]),
            let stream = OutputStream(rawValue: String(words[8])), let offset = Int64(words[9])
        else { return nil }
        let packed = words.count > Self.fieldCount ? PackedOutput(text: words[10]) : nil
        guard packed != nil || words.count == Self.fieldCount else { return nil }
        self.init(
            node: String(words[1]), reader: String(words[2]), number: number, place: place, task: String(words[5]),
            attempt: attempt, isRunning: words[7] == "running", stream: stream, offset: offset, packed: packed)
    }

    /// As it is published.
    public var message: String {
        "\(Self.firstWord) \(node) \(reader) \(number) \(place) \(task) \(attempt) \(isRunning ? "running" : "ended") "
            + "\(stream.rawValue) \(offset)" + (packed.map { " \($0.text)" } ?? "")
    }

    private static func isIdentifier(_ text: String) -> Bool {
        text.utf8.count == 16 && text.utf8.allSatisfy { Hexadecimal.value(of: $0) != nil }
    }
}

/// What a node answers.
public enum OutputAnswer: Equatable, Sendable {
    /// What there is from the offset on, none at the end; and how long it all is at present.
    case piece([UInt8], sizeBytes: Int64)
    /// It was given the attempt, and has not begun it.
    case notBegun
    /// It has nothing of that attempt.
    case absent
    /// It could not be read, for this reason.
    case unreadable(String)

    private static let reasonBytesMax = 500

    /// How much of a node's share of bytes it takes.
    public var bytes: Int { if case .piece(let bytes, _) = self { bytes.count } else { 0 } }

    /// As it lies in its place.
    func value(for request: OutputRequest) -> [UInt8] {
        let (word, size, content): (String, Int64, [UInt8]) =
            switch self {
            case .piece(let bytes, let size): ("piece", size, Array(bytes.prefix(OutputRequest.pieceBytesMax)))
            case .notBegun: ("not-begun", 0, [])
            case .absent: ("absent", 0, [])
            case .unreadable(let reason): ("unreadable", 0, Array(reason.utf8.prefix(Self.reasonBytesMax)))
            }
        return Array("\(request.reader) \(request.number) \(word) \(size)\n".utf8) + content
    }

    /// Nil for what is not the answer to this request.
    init?(value: [UInt8], for request: OutputRequest) {
        guard let end = value.firstIndex(of: UInt8(ascii: "\n")), end < OutputRequest.messageBytesMax else {
            return nil
        }
        let words = String(decoding: value[..<end], as: UTF8.self).split(separator: " ")
        guard words.count == 4, words[0] == request.reader, Int(words[1]) == request.number, let size = Int64(words[3])
        else { return nil }
        let content = Array(value[(end + 1)...])
        switch words[2] {
        case "piece" where size >= 0: self = .piece(content, sizeBytes: size)
        case "not-begun": self = .notBegun
        case "absent": self = .absent
        case "unreadable": self = .unreadable(String(decoding: content, as: UTF8.self))
        default: return nil
        }
    }
}

/// Asks a node for a piece of output. May be repeated for as long as there is no answer.
public struct AskForOutput: QueueOperation {
    private let keys: QueueKeys
    private let wanted: OutputRequest

    public init(_ wanted: OutputRequest, keys: QueueKeys) {
        self.keys = keys
        self.wanted = wanted
    }

    public var request: RedisRequest {
        .command(RedisCommand("PUBLISH", keys.wakeChannel, wanted.message))
    }

    /// How many programs heard it: none, and nobody is there to answer.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("PUBLISH") }
        return count
    }
}

/// Looks for the answer to a request.
public struct ReadOutputAnswer: QueueOperation {
    private let keys: QueueKeys
    private let place: Int

    public init(_ wanted: OutputRequest, keys: QueueKeys) {
        self.keys = keys
        place = wanted.place
    }

    public var request: RedisRequest { .command(RedisCommand("GET", keys[.output, "\(place)"])) }

    /// What lies in the place.
    public enum Reply: Equatable, Sendable {
        case nothing
        case value([UInt8])

        /// The answer to this request; nil where it is none, or the answer to another.
        public func answer(to request: OutputRequest) -> OutputAnswer? {
            if case .value(let value) = self { OutputAnswer(value: value, for: request) } else { nil }
        }

        /// Whether another reader's answer lies there, who has drawn the same place.
        public func isOfAnother(than request: OutputRequest) -> Bool {
            if case .value(let value) = self { !value.starts(with: request.reader.utf8) } else { false }
        }
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        return value.bytes.map { .value($0) } ?? .nothing
    }
}

/// Puts an answer where its reader looks for it, for some seconds.
public struct AnswerOutput: QueueOperation {
    /// How long an answer is kept.
    public static let keptMilliseconds = 10_000

    private let keys: QueueKeys
    private let wanted: OutputRequest
    private let answer: OutputAnswer

    public init(_ answer: OutputAnswer, to wanted: OutputRequest, keys: QueueKeys) {
        self.keys = keys
        self.wanted = wanted
        self.answer = answer
    }

    public var request: RedisRequest {
        .command(
            RedisCommand(bytes: [
                Array("SET".utf8), Array(keys[.output, "\(wanted.place)"].utf8), answer.value(for: wanted),
                Array("PX".utf8), Array("\(Self.keptMilliseconds)".utf8),
            ]))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) {
        if let error = value.error { throw QueueError(error) }
    }
}

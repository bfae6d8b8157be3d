// Signed tasks. Whoever can write to Redis can put a line into the queue; with a key that only submitters and nodes have, nodes
// tell the lines of the one from those of the other. Of a line of a job the job's definition is signed too: with it the line decides
// what is run. What it may use is the queue's to say.
//
// A signature is HMAC-SHA256 of the queue's prefix, a newline, and the line, in hexadecimal digits. The line alone decides what is
// run, with how much memory and for how long, so nothing else needs to be covered; the prefix keeps a line signed for one queue
// from being given to another. What it cannot tell is whether a line that was signed once is meant to be run again.

import Cryptography
import Notation
import TaskModel

/// Why a line is not to be run.
public enum SignatureProblem: Hashable, Sendable, CustomStringConvertible {
    /// No time and no other node will mend it.
    case missing
    /// The line was altered, or one of submitter and node has another key.
    case wrong

    public var description: String {
        switch self {
        case .missing: "the line is not signed, and this node runs signed ones only (task_key_file)"
        case .wrong: "the signature is not that of this line: it was altered, or signed with another key or key_prefix"
        }
    }
}

/// A file that holds no key.
public struct TaskKeyError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

/// The key of `task_key_file`: submitters sign with it, nodes check by it.
public struct TaskKey: Sendable {
    /// As many as a code of SHA-256 has: fewer could be guessed more easily than the code itself.
    public static let bytesMin = 32

    private let key: MessageKey
    private let prefix: [UInt8]

    /// - Parameter contents: of the file. A newline at its end is no part of the key: some editors add one.
    /// - Parameter prefix: `key_prefix` of the settings.
    public init(contents: [UInt8], prefix: String) throws(TaskKeyError) {
        guard contents.count >= Self.bytesMin else {
            throw TaskKeyError(
                description: "a key has at least \(Self.bytesMin) bytes, this has \(contents.count): "
                    + "distcomp key new FILE makes one")
        }
        key = MessageKey(contents.last == UInt8(ascii: "\n") ? contents.dropLast() : contents)
        self.prefix = Array(prefix.utf8) + [UInt8(ascii: "\n")]
    }

    /// The text of a new key file, from 32 random bytes.
    public static func newContents(using generator: inout some RandomNumberGenerator) -> [UInt8] {
        let bytes = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        return Hexadecimal.digits(bytes) + [UInt8(ascii: "\n")]
    }

    /// The signature of `line`; nil when there is no memory left to make one.
    public func signature(of line: TaskLine) -> [UInt8]? {
        key.code(for: signed(line)).map { Hexadecimal.digits($0) }
    }

    /// Why `line` must not be run; nil when `signature` is its signature.
    ///
    /// - Parameter signature: as it came from Redis, where anybody may have put it; empty or nil: none.
    public func problem(with line: TaskLine, signature: [UInt8]?) -> SignatureProblem? {
        guard let signature, !signature.isEmpty else { return .missing }
        guard let code = Hexadecimal.bytes(signature) else { return .wrong }
        return key.accepts(code, for: signed(line)) ? nil : .wrong
    }

    private func signed(_ line: TaskLine) -> [UInt8] {
        let definition = line.job.map { "\n" + $0.definition.json } ?? ""
        return prefix + Array(line.text.utf8) + Array(definition.utf8)
    }
}

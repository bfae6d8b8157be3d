// What is known of tasks that are not known any more: enough to tell whether those that are missing of a job had finished.

import Cryptography
import RedisClient

/// Tasks of one job that were forgotten since the last were added to it.
///
/// What was forgotten and what was never added look the same to the queue. Since the last were added none can have been forgotten twice: so
/// those that are missing had all finished if they are as many as had, and have the same sum.
public struct ForgottenTasks: Equatable, Sendable {
    static let digitCount = 9
    static let modulus = 1 << (4 * digitCount)

    public private(set) var finished = 0
    /// Cancelled ones too.
    public private(set) var failed = 0
    private var sum = 0

    public init() {}

    fileprivate init(finished: Int, failed: Int, sum: Int) {
        (self.finished, self.failed, self.sum) = (finished, failed, sum)
    }

    /// Takes in one that has finished. False where there is no memory left to do so.
    public mutating func add(finishedLine line: String) -> Bool {
        guard let digest = Self.digest(of: line) else { return false }
        finished += 1
        sum = (sum + digest) % Self.modulus
        return true
    }

    /// As forget.lua makes it.
    private static func digest(of line: String) -> Int? {
        guard let digest = MessageDigest.sha1(of: Array(line.utf8)), digest.count >= 5 else { return nil }
        return digest.prefix(5).reduce(0) { $0 << 8 | Int($1) } >> (5 * 8 - 4 * digitCount)
    }
}

/// What is known of those of the job of these keys.
public struct ReadForgottenTasks: QueueOperation {
    private let keys: QueueKeys

    public init(keys: QueueKeys) { self.keys = keys }

    public var request: RedisRequest {
        .command(RedisCommand("HMGET", keys[.forgotten], "finished", "failed", "sum"))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> ForgottenTasks {
        guard let fields = try elements(value), fields.count == 3 else { throw .unexpectedReply("HMGET") }
        let numbers = fields.map { $0.string.flatMap { Int($0) } ?? 0 }
        return ForgottenTasks(finished: numbers[0], failed: numbers[1], sum: numbers[2])
    }
}

// Taking a task back. One that waits fails at once; one that runs is stopped by the node that holds it.

import RedisClient
import TaskModel

/// Cancels one line. Harmless when repeated.
public struct CancelTask: QueueOperation {
    public enum Reply: Equatable, Sendable {
        /// It waited, and has now failed as cancelled.
        case cancelled
        /// Its node has been told. Should the node die or return it instead, it fails as cancelled all the same.
        case stopping
        /// It neither waits nor runs on a node of ours.
        case notFound
    }

    private let keys: QueueKeys
    private let line: String
    private let jobs: [String: Job]

    /// - Parameter jobs: of which the line may be.
    public init(_ line: String, keys: QueueKeys, jobs: [String: Job] = [:]) {
        self.keys = keys
        self.line = line
        self.jobs = jobs
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.cancel, keys)
        if let task = try? TaskLine(parsing: line, of: jobs), task.text == line {
            call.append(task)
        } else {
            call.append(line)  // What is no task line has no place in the index.
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        switch value.string {
        case "cancelled": return .cancelled
        case "stopping": return .stopping
        case "not found": return .notFound
        default: throw .unexpectedReply("cancel")
        }
    }
}

/// The lines this incarnation runs and is to stop: those that somebody has cancelled, told until their report is in, and those
/// that were requeued, told once; the report of the latter will be stale.
public struct TakeCancellations: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation

    public init(keys: QueueKeys, incarnation: Incarnation) {
        self.keys = keys
        self.incarnation = incarnation
    }

    public var request: RedisRequest {
        .script(RedisScriptCall(QueueScripts.cancellations, keys, incarnation))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [String] {
        guard let members = try elements(value) else { throw .unexpectedReply("cancellations") }
        return members.compactMap(\.string)
    }
}

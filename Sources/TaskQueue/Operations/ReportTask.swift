// Saying how a task ended. Accepted from the holder of the attempt's token alone, so a report may be sent again until it is
// answered, and a node that was taken for dead cannot overwrite what came after it.

import RedisClient
import TaskModel

/// One report.
public struct ReportTask: QueueOperation, Equatable {
    public enum Result: Equatable, Sendable {
        /// Exit 0. `value` is what finished_tasks holds: `worker: <JSON string of stdout>`.
        case finished(value: [UInt8], record: String)
        /// Anything else. It goes back to todo while it has failed on fewer than `attemptsMax` workers, after
        /// `retryMilliseconds`, which double each time up to an hour. With 0 for `attemptsMax`, as for what was cancelled, it
        /// stays failed.
        case failed(reason: String, record: String, attemptsMax: Int, retryMilliseconds: Int)
        /// Back to todo without a mark, to its old place, as if it had not been taken.
        case returned
    }

    public enum Reply: Equatable, Sendable {
        case accepted
        /// This very report was accepted before.
        case duplicate
        /// The task is no longer this incarnation's.
        case stale
    }

    let keys: QueueKeys
    let incarnation: Incarnation
    public let line: String
    /// Of the line, for a report that is stored; nil for a line of none.
    public let job: Job?
    public let token: String
    public let result: Result

    public init(
        keys: QueueKeys, incarnation: Incarnation, line: String, job: Job? = nil, token: String, result: Result
    ) {
        self.job = job
        self.keys = keys
        self.incarnation = incarnation
        self.line = line
        self.token = token
        self.result = result
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.report, keys, incarnation)
        call.append(line)
        call.append(token)
        switch result {
        case .finished(let value, let record):
            call.append("finished")
            call.append(record)
            call.append(bytes: value)
        case .failed(let reason, let record, let attemptsMax, let retryMilliseconds):
            call.append("failed")
            call.append(record)
            call.append(reason)
            call.append(attemptsMax)
            call.append(retryMilliseconds)
        case .returned:
            call.append("returned")
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        switch value.string {
        case "accepted": return .accepted
        case "duplicate": return .duplicate
        case "stale": return .stale
        default: throw .unexpectedReply("report")
        }
    }
}

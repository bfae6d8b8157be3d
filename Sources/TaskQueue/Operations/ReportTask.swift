// Saying how a task ended. Accepted from the holder of the attempt's token alone, so a report may be sent again until it is
// answered, and a node that was taken for dead cannot overwrite what came after it.

import RedisClient
import TaskModel

/// One report.
public struct ReportTask: QueueOperation, Equatable {
    public enum Result: Equatable, Sendable {
        /// Exit 0. `value` is what finished_tasks holds: `worker: <JSON string of stdout>`. `memoryBytes` is what it needed, where its job
        /// wants to learn of that. It began `startMilliseconds` after it was given out, which is counted.
        case finished(
            value: [UInt8], record: String, memoryBytes: UInt64? = nil, startMilliseconds: Int? = nil)
        /// Anything else. It goes back to todo while it has failed on fewer than `attemptsMax` workers, after
        /// `retryMilliseconds`, which double each time up to an hour. With 0 for `attemptsMax`, as for what was cancelled, it
        /// stays failed. Where it is to have more memory and can have it, it goes back with that instead, without a mark; so does one that
        /// asked for that by its exit code, having run for `requeueAfterMilliseconds`, as often as it may.
        case failed(
            reason: String, record: String, attemptsMax: Int, retryMilliseconds: Int, more: MoreMemory? = nil,
            requeueAfterMilliseconds: Int? = nil, startMilliseconds: Int? = nil)
        /// Back to todo without a mark, to its old place, as if it had not been taken.
        case returned
    }

    /// What a task is to have of its own in its next attempt.
    public struct MoreMemory: Equatable, Sendable {
        public let own: OwnSettings
        /// Its job learns: what the largest of its like needed may be more to the point. It gets this much at most, or with 0 what the
        /// largest node has.
        public let learnedMaxBytes: UInt64?

        public init(_ own: OwnSettings, learnedMaxBytes: UInt64? = nil) {
            (self.own, self.learnedMaxBytes) = (own, learnedMaxBytes)
        }
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
    /// Of the line; nil for a line of none.
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
        var sign = job?.settings.isIdempotent == true ? "+" : ""
        if let start = result.startMilliseconds { sign += ":\(max(0, start))" }
        switch result {
        case .finished(let value, let record, let memoryBytes, _):
            call.append("finished" + sign)
            call.append(record)
            call.append(bytes: value)
            if let memoryBytes { call.append(memoryBytes) }
        case .failed(let reason, let record, let attemptsMax, let retryMilliseconds, let more, let requeueAfter, _):
            call.append("failed" + sign)
            call.append(record)
            call.append(reason)
            call.append(attemptsMax)
            call.append(retryMilliseconds)
            if more != nil || requeueAfter != nil {
                call.append(more?.own.text ?? "")
                call.append(more?.learnedMaxBytes.map { "\($0)" } ?? "")
            }
            if let requeueAfter { call.append(requeueAfter) }
        case .returned:
            call.append("returned" + sign)
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

extension ReportTask.MoreMemory {
    /// For a task that ended so; nil where more memory is not what it wants, or it has had all that it may have.
    public init?(for line: TaskLine, after outcome: TaskOutcome) {
        guard let own = line.withMoreMemory(after: outcome), let settings = line.job?.settings else { return nil }
        self.init(own, learnedMaxBytes: settings.learnsMemory ? line.memoryMaxBytes : nil)
    }
}

extension ReportTask.Result {
    /// How many milliseconds after it was given out it began; nil where that is not known.
    public var startMilliseconds: Int? {
        switch self {
        case .finished(_, _, _, let start), .failed(_, _, _, _, _, _, let start): start
        case .returned: nil
        }
    }

    /// For a task that did not finish.
    public static func failed(
        _ outcome: TaskOutcome, of line: TaskLine, attemptsMax: Int, retryMilliseconds: Int
    ) -> ReportTask.Result {
        .failed(
            reason: outcome.reason, record: outcome.record, attemptsMax: outcome.cause == .cancelled ? 0 : attemptsMax,
            retryMilliseconds: retryMilliseconds, more: ReportTask.MoreMemory(for: line, after: outcome),
            requeueAfterMilliseconds: line.asksToGoBack(by: outcome)
                ? Int(min(outcome.usage.wallSeconds, 1e9) * 1000) : nil,
            startMilliseconds: startMilliseconds(of: outcome))
    }

    /// As a report says it; nil where it is not known.
    public static func startMilliseconds(of outcome: TaskOutcome) -> Int? {
        outcome.startDelaySeconds.map { Int(min($0, 1e9) * 1000) }
    }

    /// What a task needed, without files that could have been dropped from memory; nil where its job does not ask, or nobody knows.
    public static func memoryBytes(of line: TaskLine, _ outcome: TaskOutcome) -> UInt64? {
        guard line.job?.settings.learnsMemory == true else { return nil }
        return outcome.usage.memoryNeededBytes ?? outcome.usage.memoryPeakBytes
    }
}

// What became of the tasks that have ended, read a page at a time: ten million results are never in memory together.

import RedisClient
import TaskModel
import TaskQueue

/// One task that has ended.
struct TaskResult {
    let line: String
    /// nil for a task of an old worker, which keeps no record.
    var outcome: TaskOutcome?
    let succeeded: Bool
    let node: String
    let reason: String
    /// A JSON string; nil where nothing was kept.
    var standardOutputJSON: [UInt8]?
    /// Whether it wrote more than that; nil where that is not known.
    var isOutputTruncated: Bool?
    /// What else is known of more than that.
    var outputEnd: OutputEnd?
    /// Since when it is not in Redis any more.
    var outputLeftAtUnixSeconds: Int?
    /// Of the attempt that the queue has a record of; nil where it has none.
    var token: String?

    /// The end of an output whose middle was left out.
    struct OutputEnd {
        /// Between its beginning and this.
        let omittedBytes: Int
        /// A JSON string.
        let json: [UInt8]
    }

    /// What a line of a job says, which only they who know the job can read.
    var taskOfJob: TaskLine?

    /// The values of a sweep that its command has; nil where they are not known, or were not asked for.
    var values: NamedValues?

    /// nil for a line that is no task.
    var task: TaskLine? { taskOfJob ?? (try? TaskLine(parsing: line)) }

    var state: TaskState { succeeded ? .finished : .failed }

    /// `unknown` where no record says.
    var causeWord: String { outcome?.cause.word ?? "unknown" }

    /// When it began, in seconds since 1970.
    var startUnixSeconds: Double? {
        outcome.flatMap { outcome in outcome.finishedAtUnixSeconds.map { $0 - outcome.usage.wallSeconds } }
    }

    /// The line of standard error that says what went wrong; nil where it went well, or nothing was said.
    var errorLine: String? { succeeded ? nil : outcome?.errorLine }

    /// How it ended, with what it said itself: `exit 3: no such file`.
    var explanation: String { reason + (errorLine.map { ": \($0)" } ?? "") }
}

extension TaskOutcome {
    /// The line of standard error that says what went wrong; nil where nothing was said.
    var errorLine: String? { ErrorText.line(in: stderrTail).map { String($0) } }
}

extension TaskResult {
    /// A finished task, by what the three places hold that know of it.
    init(finished line: [UInt8], value: [UInt8], record: [UInt8]?) {
        let read = FinishedValue(parsing: value)
        // It may be of an attempt that failed here, before an old worker, which keeps no record, had it.
        let outcome = TaskOutcome(entry: record).flatMap { $0.succeeded && $0.node == read.worker ? $0 : nil }
        self.init(
            line: String(decoding: line, as: UTF8.self), outcome: outcome, succeeded: true, node: read.worker,
            reason: outcome?.reason ?? "exit 0", standardOutputJSON: read.standardOutputJSON, isOutputTruncated: true)
        switch read.content {
        case .whole: isOutputTruncated = false
        case .ends(_, let omittedBytes, let tail): outputEnd = OutputEnd(omittedBytes: omittedBytes, json: tail)
        case .left(let unixSeconds): outputLeftAtUnixSeconds = unixSeconds
        case .tooLarge: break
        }
        token = record.flatMap { OutcomeEntry(parsing: $0)?.token }
    }

    /// A failed task; `failedOn` is its value in failed_tasks.
    init(failed line: [UInt8], failedOn: [UInt8], record: [UInt8]?, reason: [UInt8]?) {
        let last = String(decoding: failedOn, as: UTF8.self).split(separator: ",").last.map { String($0) } ?? ""
        let reason = reason.map { String(decoding: $0, as: UTF8.self) }
        let outcome = Self.recordOfFailure(record, last: last, reason: reason)
        self.init(
            line: String(decoding: line, as: UTF8.self), outcome: outcome, succeeded: false,
            node: outcome.map(\.node) ?? last, reason: reason ?? outcome?.reason ?? "unknown", standardOutputJSON: nil,
            isOutputTruncated: nil)
        token = record.flatMap { OutcomeEntry(parsing: $0)?.token }
    }

    /// The record of a failure; nil when it is of an earlier one than the last, which an old worker had: it keeps no records, but puts
    /// its name and its reason where they are known to all.
    private static func recordOfFailure(_ record: [UInt8]?, last: String, reason: String?) -> TaskOutcome? {
        guard let entry = record.flatMap({ OutcomeEntry(parsing: $0) }), let outcome = TaskOutcome(entry: record),
            !outcome.succeeded
        else { return nil }
        // Cancelled, or lost with its nodes: no node puts its name there for that.
        if entry.token == "0" || outcome.cause == .cancelled { return outcome }
        return outcome.node == last && reason?.hasPrefix(outcome.reason) ?? true ? outcome : nil
    }
}

extension TaskOutcome {
    /// A value of `outcomes`; nil for what is none.
    fileprivate init?(entry value: [UInt8]?) {
        guard let entry = value.flatMap({ OutcomeEntry(parsing: $0) }),
            let outcome = try? TaskOutcome(record: entry.record)
        else { return nil }
        self = outcome
    }
}

extension QueueClient {
    /// Every finished task, then every one that failed for good, as far as `filter` wants them and for as long as `use` does.
    func forEachResult(
        _ filter: TaskFilter = TaskFilter(), _ use: (TaskResult) throws(CommandError) -> Bool
    ) throws(CommandError) {
        if filter.wants(.finished), filter.causes.isEmpty {
            let isComplete = try scanEach(\.finished, pattern: filter.pattern) { keys, entries throws(CommandError) in
                for result in try finished(entries, keys) where filter.includes(result) {
                    if !(try use(result)) { return false }
                }
                return true
            }
            guard isComplete else { return }
        }
        if filter.wants(.failed) { try forEachFailure(filter, use) }
    }

    /// Every task that failed for good, as far as `filter` wants it and for as long as `use` does.
    func forEachFailure(
        _ filter: TaskFilter = TaskFilter(), _ use: (TaskResult) throws(CommandError) -> Bool
    ) throws(CommandError) {
        _ = try scanEach(\.failed, pattern: filter.pattern) { keys, entries throws(CommandError) in
            for result in try failures(entries, keys) where filter.includes(result) {
                if !(try use(result)) { return false }
            }
            return true
        }
    }

    /// What became of these entries of the finished tasks of one job.
    func finished(
        _ entries: [(field: [UInt8], value: [UInt8])], _ keys: QueueKeys
    ) throws(CommandError) -> [TaskResult] {
        let fields = entries.map(\.field)
        let records = try values(keys.outcomes, of: fields)
        let tasks = try tasksOfJob(fields, keys)
        return entries.indices.map { index in
            var result = TaskResult(
                finished: fields[index], value: entries[index].value, record: records[index])
            result.taskOfJob = tasks.isEmpty ? nil : tasks[index]
            return result
        }
    }

    /// What became of these entries of the failed tasks of one job, without those that are to be tried again.
    func failures(
        _ entries: [(field: [UInt8], value: [UInt8])], _ keys: QueueKeys
    ) throws(CommandError) -> [TaskResult] {
        let fields = entries.map(\.field)
        let states = try retryStates(of: fields)
        let records = try values(keys.outcomes, of: fields)
        let reasons = try values(keys.failReason, of: fields)
        let tasks = try tasksOfJob(fields, keys)
        return entries.indices.filter { states[$0] == .failedForGood }.map { index in
            var result = TaskResult(
                failed: fields[index], failedOn: entries[index].value, record: records[index], reason: reasons[index])
            result.taskOfJob = tasks.isEmpty ? nil : tasks[index]
            return result
        }
    }

    /// What lines of one job say, with what each may use; none for what is of no job.
    private func tasksOfJob(_ fields: [[UInt8]], _ keys: QueueKeys) throws(CommandError) -> [TaskLine?] {
        keys.job.isEmpty ? [] : try tasks(fields, keys)
    }

    /// What lines of one job, or of none, say, with what each may use; nil for what is no task.
    func tasks(_ fields: [[UInt8]], _ keys: QueueKeys) throws(CommandError) -> [TaskLine?] {
        let owns = try values(keys.own, of: fields)
        var tasks: [TaskLine?] = []
        for (field, own) in zip(fields, owns) {
            let task = try parse(text(field))
            tasks.append(own.flatMap { OwnSettings(text: text($0)) }.flatMap { task?.taking($0) } ?? task)
        }
        return tasks
    }

    /// What it means for these lines to be in failed_tasks.
    func retryStates(of fields: [[UInt8]]) throws(CommandError) -> [ReadRetrying.State] {
        var states: [ReadRetrying.State] = []
        while states.count < fields.count {
            let page = try perform(ReadRetrying(fields[states.count...], keys: keys))
            if page.isEmpty { throw .failed("Redis does not say which tasks are to be tried again") }
            states += page
        }
        return states
    }

    func parseOutcome(_ value: [UInt8]?) -> TaskOutcome? { TaskOutcome(entry: value) }

    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

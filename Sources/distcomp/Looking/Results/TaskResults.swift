// What became of the tasks that have ended, read a page at a time: ten million results are never in memory together.

import RedisClient
import TaskModel
import TaskQueue

/// One task that has ended.
struct TaskResult {
    let line: String
    /// nil for a task of an old worker, which keeps no record.
    let outcome: TaskOutcome?
    let succeeded: Bool
    let node: String
    let reason: String
    /// A JSON string; nil where nothing was kept.
    let standardOutputJSON: [UInt8]?

    var state: TaskState { succeeded ? .finished : .failed }

    /// `unknown` where no record says.
    var causeWord: String { outcome?.cause.word ?? "unknown" }

    /// One object with the names the design promises.
    var json: String {
        var writer = JSONObjectWriter()
        writer.field("task", line)
        writer.field("state", state.rawValue)
        if let outcome {
            outcome.writeFields(to: &writer)
        } else {
            for name in ["cause", "exit_code", "signal"] { writer.field(name, String?.none) }
            writer.field("worker", node)
            for name in ["attempts", "wall_seconds", "cpu_seconds", "memory_peak_bytes", "stdout_path", "stderr_path"] {
                writer.field(name, String?.none)
            }
            writer.field("reason", reason)
        }
        if let standardOutputJSON {
            writer.field("stdout", json: standardOutputJSON)
        } else {
            writer.field("stdout", String?.none)
        }
        return writer.text
    }
}

extension QueueClient {
    /// Every finished task, then every one that failed for good, as far as `filter` wants them and for as long as `use` does.
    func forEachResult(
        _ filter: TaskFilter = TaskFilter(), _ use: (TaskResult) throws(CommandError) -> Bool
    ) throws(CommandError) {
        if filter.wants(.finished), filter.causes.isEmpty {
            let isComplete = try scanWhile(keys.finished, pattern: filter.pattern) { entries throws(CommandError) in
                let records = try values(keys.outcomes, of: entries.map(\.field))
                for (entry, record) in zip(entries, records) {
                    let result = finishedResult(line: entry.field, value: entry.value, record: record)
                    if filter.includes(result), !(try use(result)) { return false }
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
        _ = try scanWhile(keys.failed, pattern: filter.pattern) { entries throws(CommandError) in
            let fields = entries.map(\.field)
            let waiting = try areMembers(fields, of: keys.retrying)
            let records = try values(keys.outcomes, of: fields)
            let reasons = try values(keys.failReason, of: fields)
            for (index, entry) in entries.enumerated() where !waiting[index] {
                let result = failedResult(
                    line: entry.field, failedOn: entry.value, record: records[index], reason: reasons[index])
                if filter.includes(result), !(try use(result)) { return false }
            }
            return true
        }
    }

    /// What is known of a finished task from the three places that know of it.
    func finishedResult(line: [UInt8], value: [UInt8], record: [UInt8]?) -> TaskResult {
        let value = FinishedValue(parsing: value)
        let outcome = parseOutcome(record)
        return TaskResult(
            line: text(line), outcome: outcome, succeeded: true, node: value.worker,
            reason: outcome?.reason ?? "exit 0", standardOutputJSON: value.standardOutputJSON)
    }

    /// What is known of a failed task; `failedOn` is its value in failed_tasks.
    func failedResult(line: [UInt8], failedOn: [UInt8], record: [UInt8]?, reason: [UInt8]?) -> TaskResult {
        let outcome = parseOutcome(record)
        let last = text(failedOn).split(separator: ",").last.map { String($0) }
        return TaskResult(
            line: text(line), outcome: outcome, succeeded: false, node: outcome?.node ?? last ?? "",
            reason: reason.map { text($0) } ?? outcome?.reason ?? "unknown", standardOutputJSON: nil)
    }

    func parseOutcome(_ value: [UInt8]?) -> TaskOutcome? {
        value.flatMap { OutcomeEntry(parsing: $0) }.flatMap { try? TaskOutcome(record: $0.record) }
    }

    func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

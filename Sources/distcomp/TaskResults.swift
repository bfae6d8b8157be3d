// What became of the tasks that have ended, a page at a time: ten million results never stand in memory together.

import RedisClient
import TaskModel
import TaskQueue

/// One task that has ended.
struct TaskResult {
    let line: String
    /// nil for a task of an old worker, which keeps no record.
    let outcome: TaskOutcome?
    let succeeded: Bool
    let worker: String
    let reason: String
    /// A JSON string; nil where nothing was kept.
    let standardOutputJSON: [UInt8]?

    /// One object with the names the design promises.
    var json: String {
        var writer = JSONObjectWriter()
        writer.field("task", line)
        if let outcome {
            writer.field("state", succeeded ? "finished" : "failed")
            outcome.writeFields(to: &writer)
        } else {
            writer.field("state", succeeded ? "finished" : "failed")
            for name in ["cause", "exit_code", "signal"] { writer.field(name, String?.none) }
            writer.field("worker", worker)
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
    /// Every finished task, then every one that failed for good.
    func forEachResult(_ use: (TaskResult) throws(CommandError) -> Void) throws(CommandError) {
        try scan(keys.finished) { entries throws(CommandError) in
            let records = try values(keys.outcomes, of: entries.map(\.field))
            for (entry, record) in zip(entries, records) {
                let value = FinishedValue(parsing: entry.value)
                let outcome = parseOutcome(record)
                try use(
                    TaskResult(
                        line: text(entry.field), outcome: outcome, succeeded: true, worker: value.worker,
                        reason: outcome?.reason ?? "exit 0", standardOutputJSON: value.standardOutputJSON))
            }
        }
        try forEachFailure(use)
    }

    /// Every task that failed for good.
    func forEachFailure(_ use: (TaskResult) throws(CommandError) -> Void) throws(CommandError) {
        try scan(keys.failed) { entries throws(CommandError) in
            let fields = entries.map(\.field)
            let waiting = try areMembers(fields, of: keys.retrying)
            let records = try values(keys.outcomes, of: fields)
            let reasons = try values(keys.failReason, of: fields)
            for (index, entry) in entries.enumerated() where !waiting[index] {
                let outcome = parseOutcome(records[index])
                let workers = text(entry.value).split(separator: ",")
                try use(
                    TaskResult(
                        line: text(entry.field), outcome: outcome, succeeded: false,
                        worker: outcome?.worker ?? workers.last.map { String($0) } ?? "",
                        reason: reasons[index].map { text($0) } ?? outcome?.reason ?? "unknown", standardOutputJSON: nil
                    ))
            }
        }
    }

    /// `token {record}`.
    private func parseOutcome(_ value: [UInt8]?) -> TaskOutcome? {
        guard let value, let space = value.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        return try? TaskOutcome(record: Array(value[(space + 1)...]))
    }

    private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}

// Why a job is where it is: how its tasks stand, what those that wait wait for, and for each way in which some failed an example and what
// to do about it.

import TaskModel
import TaskQueue

/// The answer of `distcomp why JOB`.
struct JobDiagnosis {
    /// A word for scripts.
    let because: String
    let sentences: [String]

    /// Tasks that failed in the same way.
    struct Failures {
        var cause: String
        var count: Int
        /// Whether the count is estimated from a part of them.
        var isEstimated = false
        /// One of them, and what it said.
        var example: TaskResult
    }

    /// - Parameters:
    ///   - waiting: of one of the tasks that wait; nil where none does.
    ///   - failures: by their cause, as many as there are kinds.
    init(_ job: Job, _ counts: QueueCounts, waiting: Diagnosis?, failures: [Failures]) {
        var sentences = [Self.standing(of: job, counts)]
        if let waiting {
            sentences.append((counts.todo == 1 ? "What waits: " : "One of those that wait: ") + waiting.sentence)
        }
        // What others were waiting for in vain comes after why that was.
        let own = failures.filter { $0.cause != "dependency" }
        for failed in own.sorted(by: { ($1.count, $0.cause) < ($0.count, $1.cause) })
            + failures.filter({ $0.cause == "dependency" })
        {
            let identifier = TaskLine.identifier(of: failed.example.line).prefix(8)
            let example = failed.example.explanation
            sentences.append(
                "\(failed.isEstimated ? "About " : "")\(grouped(failed.count)) failed by \(failed.cause), such as \(identifier): \(Diagnosis.sentence(example)) "
                    + Self.remedy(failed, job))
        }
        self.sentences = sentences
        because =
            waiting?.because ?? (counts.inProgress > 0 ? "running" : failures.isEmpty ? "finished" : "failed")
    }

    private static func standing(of job: Job, _ counts: QueueCounts) -> String {
        let total = counts.todo + counts.inProgress + counts.finished + counts.failed
        if total == 0 { return "\(job.name) has no tasks." }
        if counts.finished == total { return "\(job.name): all of its \(grouped(total)) have finished." }
        let parts = [
            (counts.todo, "wait"), (counts.inProgress, "run"), (counts.finished, "finished"), (counts.failed, "failed"),
        ].filter { $0.0 > 0 }
        return "\(job.name): of \(grouped(total)), " + parts.map { "\(grouped($0.0)) \($0.1)" }.joined(separator: ", ")
            + "."
    }

    /// Twice as much, as it is typed.
    private static func asked(twice bytes: UInt64) -> String {
        let mebibytes = max(1, bytes >> 19)
        return mebibytes.isMultiple(of: 1024) ? "\(mebibytes >> 10)G" : "\(mebibytes)M"
    }

    private static func remedy(_ failures: Failures, _ job: Job) -> String {
        let retry = "`distcomp retry --job \(job.name) --cause \(failures.cause)"
        let them = failures.count == 1 ? "it" : "them"
        let task = failures.example.task
        switch failures.cause {
        case "oom":
            let memory = task?.memoryBytes ?? job.settings.memoryBytes
            if memory == 0 { return "Give \(them) less to do, or the machine more memory." }
            return "\(retry) --memory \(Self.asked(twice: memory))` tries \(them) again with twice as much."
        case "timeout":
            guard let seconds = (task?.timeoutSeconds(default: 0) ?? nil) else {
                return "\(retry) --timeout TIME` tries \(them) again with more time."
            }
            return "\(retry) --timeout \(Int(2 * seconds))s` tries \(them) again with twice the time."
        case "dependency":
            let they = failures.count == 1 ? ("it", "waits") : ("they", "wait")
            return "What \(they.0) waited for is to be retried: then \(they.0) \(they.1) again."
        case "node-lost":
            return "Look at what \(them == "it" ? "it does" : "they do") to a node before you retry \(them)."
        default: return "\(retry)` tries \(them) again."
        }
    }
}

extension QueueClient {
    /// Failures that are looked at: of more it is estimated how many there are of a kind, and a kind that is rare may not be seen.
    private static let failuresMax = 20_000

    /// Of the job that this command is about.
    func diagnosis(of job: Job, _ fleet: Fleet) throws(CommandError) -> JobDiagnosis {
        let overview = try overview()
        var waiting: Diagnosis?
        _ = try scanEach(\.todo) { _, entries throws(CommandError) in
            guard let line = entries.first.map({ text($0.field) }) else { return true }
            let details = try details(of: line)
            waiting = Diagnosis(
                details.task, details.standing, result: details.result, awaited: details.awaited, fleet)
            return false
        }
        var examples: [String: JobDiagnosis.Failures] = [:]
        var seen = 0
        if overview.counts.failed > 0 {
            try forEachFailure { result in
                examples[result.causeWord, default: .init(cause: result.causeWord, count: 0, example: result)].count +=
                    1
                seen += 1
                return seen < Self.failuresMax
            }
        }
        let total = overview.counts.failed
        return JobDiagnosis(
            job, overview.counts, waiting: waiting,
            failures: examples.values.map { failures in
                guard seen < total else { return failures }
                var failures = failures
                failures.count = max(1, Int((Double(failures.count) / Double(seen) * Double(total)).rounded()))
                failures.isEstimated = true
                return failures
            })
    }
}

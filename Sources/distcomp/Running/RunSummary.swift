// What came of a run: the counts, and for each task that failed, why.

import TaskModel
import TaskQueue

struct RunSummary {
    /// How many failures are shown one by one.
    private static let failuresShownMax = 20

    let counts: QueueCounts
    private var failuresByCause: [String: Int] = [:]
    private var failures: [TaskResult] = []
    private let seconds: Double
    /// The job it is about; "" where that need not be said.
    private var jobName = ""
    /// What to say where a task was not permitted something; nil for nothing.
    var hintOfPermission: String?
    /// Whether it ended early, because of its failures; nil for a queue that was watched.
    var isHalted: Bool?

    init(_ queue: QueueClient, seconds: Double) throws(CommandError) {
        counts = try queue.counts()
        self.seconds = seconds
        var byCause: [String: Int] = [:]
        var shown: [TaskResult] = []
        if counts.failed > 0 {
            try queue.forEachFailure { result in
                byCause[result.causeWord, default: 0] += 1
                if shown.count < Self.failuresShownMax { shown.append(result) }
                return true
            }
        }
        failuresByCause = byCause
        failures = shown
    }

    /// For a queue that was watched, perhaps of millions: its failures are counted by a sample, and the first are listed.
    init(_ queue: QueueClient, watched overview: QueueOverview, seconds: Double) throws(CommandError) {
        counts = overview.counts
        failuresByCause = overview.failuresByCause
        self.seconds = seconds
        jobName = try queue.selectedJobName() ?? ""
        var shown: [TaskResult] = []
        if counts.failed > 0 {
            try queue.forEachFailure { result in
                shown.append(result)
                return shown.count < Self.failuresShownMax
            }
        }
        failures = shown
    }

    /// One object with the integers of `distcomp status --json`, and the failures by their cause.
    var json: String {
        var writer = JSONObjectWriter()
        counts.write(to: &writer)
        writer.field("failed_by_cause", failuresByCause)
        if let isHalted { writer.field("halted", isHalted) }
        writer.field("wall_seconds", (seconds * 1000).rounded() / 1000)
        return writer.text
    }

    func text(columns: Int?) -> String {
        var text = ""
        if !failures.isEmpty { text = "\n" + failureLines(columns: columns ?? 120).joined(separator: "\n") + "\n" }
        if counts.failed > failures.count {
            text +=
                "... and \(grouped(counts.failed - failures.count)) more: distcomp results \(jobName.isEmpty ? "" : jobName + " ")--failed\n"
        }
        if let hintOfPermission, failures.contains(where: \.wasNotPermitted) { text += hintOfPermission + "\n" }
        return (isHalted == nil && text.isEmpty ? "" : text + "\n") + sentence + "\n"
    }

    /// Why they failed, and what they are: each gets half of the room, or what the other leaves.
    private func failureLines(columns: Int) -> [String] {
        let reasons = failures.map { TerminalText.escaped($0.explanation) }
        let widest = reasons.map { TerminalText.columnCount($0) }.max() ?? 0
        let commands = failures.map { TerminalText.columnCount(TaskLine.command(ofLine: $0.line)) }.max() ?? 0
        let room = columns - 12  // Behind the id, with the blanks between.
        let width = min(max(widest, 3), max(room / 2, room - commands))
        let rows = zip(failures, reasons).map { failure, reason in
            TaskListing.Row(
                cells: [String(TaskLine.identifier(of: failure.line).prefix(8)), reason],
                command: TaskLine.command(ofLine: failure.line))
        }
        let layout: [TaskListing.Column] = [.init(heading: "ID", width: 8), .init(heading: "WHY", width: width)]
        return TaskListing.lines(rows, layout, columns: columns, hasHeading: true)
    }

    /// `12 tasks: 9 finished, 3 failed (1 exit, 1 oom, 1 timeout), 4.2 s`.
    var sentence: String {
        let total = counts.finished + counts.failed + counts.todo + counts.inProgress
        var parts = ["\(grouped(counts.finished)) finished"]
        if counts.failed > 0 {
            let causes = failuresByCause.sorted { $0.key < $1.key }.map { "\(grouped($0.value)) \($0.key)" }
            parts.append("\(grouped(counts.failed)) failed (\(causes.joined(separator: ", ")))")
        }
        if counts.todo + counts.inProgress > 0 {
            parts.append("\(grouped(counts.todo + counts.inProgress)) still to do")
        }
        return
            "\(grouped(total)) task\(total == 1 ? "" : "s"): \(parts.joined(separator: ", ")), \(oneDecimal(seconds)) s"
    }
}

extension TaskResult {
    /// Whether the task says that it lacked a right.
    fileprivate var wasNotPermitted: Bool {
        let texts = [reason, outcome?.stderrTail ?? ""]
        return texts.contains { $0.contains("Operation not permitted") || $0.contains("Permission denied") }
    }
}

extension QueueCounts {
    /// The integers that `status --json` and the JSON summaries begin with.
    func write(to writer: inout JSONObjectWriter) {
        writer.field("todo", todo)
        writer.field("in_progress", inProgress)
        writer.field("finished", finished)
        writer.field("failed", failed)
        writer.field("workers", workers)
    }
}

extension JSONObjectWriter {
    /// An object of numbers, in the order of their names.
    mutating func field(_ name: String, _ numbers: [String: Int]) {
        var writer = JSONObjectWriter()
        for (name, number) in numbers.sorted(by: { $0.key < $1.key }) { writer.field(name, number) }
        field(name, json: writer.bytes)
    }
}

extension Progress {
    init(_ counts: QueueCounts) {
        self.init(waiting: counts.todo, running: counts.inProgress, finished: counts.finished, failed: counts.failed)
    }
}

extension WatchedQueue.Look {
    init(_ counts: QueueCounts) {
        let progress = Progress(counts)
        self.init(
            identity: counts.identity?.text ?? "", taskCount: progress.total, endedCount: progress.ended,
            restoredCount: counts.restored)
    }
}

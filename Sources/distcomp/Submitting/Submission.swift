// Task files on their way into the queue: read in pieces, sent in batches, so that ten million lines need no more memory than
// ten thousand. What is not a task is reported with its place, and the rest is loaded.

import LinuxSystem
import TaskModel
import TaskQueue

/// What came of submitting tasks.
struct Submission {
    /// How many lines are on their way at once: enough to keep Redis busy, few enough to see how it goes.
    private static let batchLines = 10_000

    private(set) var reply = SubmitReply()
    private var problems = ProblemList()

    var errorCount: Int { problems.count }

    var hasErrors: Bool { errorCount > 0 }

    /// `1,000 tasks added, 20 finished before, 3 already in todo`.
    var summary: String {
        var parts = ["\(grouped(reply.added)) task\(reply.added == 1 ? "" : "s") added"]
        if reply.finished > 0 { parts.append("\(grouped(reply.finished)) finished before") }
        if reply.inTodo > 0 { parts.append("\(grouped(reply.inTodo)) already in todo") }
        if reply.inProgress > 0 { parts.append("\(grouped(reply.inProgress)) already running") }
        if errorCount > 0 { parts.append("\(grouped(errorCount)) line\(errorCount == 1 ? "" : "s") not understood") }
        return parts.joined(separator: ", ")
    }

    /// Loads the tasks into the queue.
    static func submit(
        _ tasks: TaskInput, to queue: QueueClient, isQuiet: Bool = false
    ) throws(CommandError) -> Submission {
        var submission = Submission()
        var lines: [TaskLine] = []
        let display = LoadingDisplay(isQuiet: isQuiet)
        defer { display.clear() }
        try tasks.forEach(progress: display, isQuiet: isQuiet) { entry throws(CommandError) in
            switch entry {
            case .form: display.clear()
            case .task(let line, _):
                lines.append(line)
                if lines.count >= Self.batchLines { try submission.send(&lines, to: queue, display) }
            case .problem(let problem):
                display.clear()
                submission.problems.add(problem)
            }
        }
        try submission.send(&lines, to: queue, display)
        return submission
    }

    private mutating func send(
        _ lines: inout [TaskLine], to queue: QueueClient, _ display: LoadingDisplay
    ) throws(CommandError) {
        reply.add(try queue.submit(lines))
        display.sent(lines.count)
        lines.removeAll(keepingCapacity: true)
    }
}

/// Lines that are not tasks: reported one by one up to a bound, beyond that only counted.
struct ProblemList {
    private static let shownMax = 50

    private(set) var count = 0

    mutating func add(_ problem: TaskFileProblem) {
        count += 1
        if count <= Self.shownMax { standardError.write("\(problem)\n") }
        if count == Self.shownMax { standardError.write("(further lines like these are only counted)\n") }
    }
}

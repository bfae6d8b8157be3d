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
    /// Of which the tasks are; nil for task lines.
    private(set) var job: Job?
    /// Whether some were task lines, which are of no job.
    private var hasLines = false
    private var problems = ProblemList()
    /// Where the order of what waits then is wanted.
    private var order: WaitingOrder?

    var errorCount: Int { problems.count }

    /// The identifier of the job of which all tasks are, "" where they are of none; nil where some are and some are not.
    var onlyJob: String? {
        guard let job else { return "" }
        return hasLines ? nil : job.identifier
    }

    var hasErrors: Bool { errorCount > 0 }

    /// `1,000 tasks added, 20 finished before, 3 already in todo`.
    var summary: String {
        var parts = ["\(grouped(reply.added)) task\(reply.added == 1 ? "" : "s") added"]
        if reply.finished > 0 { parts.append("\(grouped(reply.finished)) finished before") }
        if reply.inTodo > 0 { parts.append("\(grouped(reply.inTodo)) already in todo") }
        if reply.inProgress > 0 { parts.append("\(grouped(reply.inProgress)) already running") }
        if errorCount > 0 { parts.append("\(grouped(errorCount)) line\(errorCount == 1 ? "" : "s") not understood") }
        return (job.map { "job \($0.name): " } ?? "") + parts.joined(separator: ", ")
    }

    /// Loads the tasks into the queue.
    ///
    /// - Parameters:
    ///   - isForFleet: whether the nodes may be other machines.
    ///   - isForced: whether a job is added though a node knows nothing of jobs.
    ///   - order: takes in those that wait then, in the order of the input.
    static func submit(
        _ tasks: TaskInput, to queue: QueueClient, isForFleet: Bool, isForced: Bool = false, isQuiet: Bool = false,
        notingIn order: WaitingOrder? = nil
    ) throws(CommandError) -> Submission {
        var submission = Submission()
        submission.order = order
        func openJob(firstCommand: String? = nil) throws(CommandError) -> Job {
            if let job = submission.job { return job }
            if isForFleet, !isForced { try queue.refuseOldNodes() }
            var request = try tasks.jobRequest(isForFleet: isForFleet, firstCommand: firstCommand)
            // A share is one of all there are, which are known when all have been added.
            if tasks.halt?.isShare == true { request.settings.halt = "" }
            let job = try queue.open(request)
            submission.job = job
            return job
        }
        var looksForOldWorkers = isForFleet && !isForced
        var isOfCommands = tasks.isOfCommands
        var job = isOfCommands ? try openJob() : nil
        var lines: [TaskLine] = []
        let display = LoadingDisplay(isQuiet: isQuiet)
        defer { display.clear() }
        try tasks.forEach(progress: display, isQuiet: isQuiet) { entry throws(CommandError) in
            switch entry {
            case .form(let form):
                display.clear()
                (job, isOfCommands) = (nil, form == .commands)
                submission.hasLines = submission.hasLines || form == .taskLines
            case .task(let line, _):
                if isOfCommands, job == nil { job = try openJob(firstCommand: line.command) }
                if job == nil, looksForOldWorkers, !line.isOfOldForm {
                    looksForOldWorkers = false
                    try queue.refuseOldWorkers(line)
                }
                lines.append(try job.map { job throws(CommandError) in try Self.task(line, of: job) } ?? line)
                if lines.count >= Self.batchLines { try submission.send(&lines, to: queue, display) }
            case .problem(let problem):
                display.clear()
                submission.problems.add(problem)
            }
        }
        try submission.send(&lines, to: queue, display)
        if let halt = tasks.halt, halt.isShare, let job = submission.job {
            var settings = job.settings
            settings.halt = halt.text
            _ = try queue.perform(ChangeJob(job.identifier, settings: settings, keys: queue.keys))
        }
        return submission
    }

    private static func task(_ line: TaskLine, of job: Job) throws(CommandError) -> TaskLine {
        do {
            return try TaskLine(command: line.command, surroundings: line.surroundings ?? TaskSurroundings(), of: job)
        } catch {
            throw .usage("a command is not a task: \(error.message)")
        }
    }

    private mutating func send(
        _ lines: inout [TaskLine], to queue: QueueClient, _ display: LoadingDisplay
    ) throws(CommandError) {
        reply.add(try queue.submit(lines))
        try order?.add(lines.map(\.text))
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

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp retry`: tries failed tasks again.
struct RetryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Queue tasks again that have failed; those that wait for their next try need not wait any longer.",
        discussion: """
            Examples:
              distcomp retry --all-failed
              distcomp retry --cause oom --cause timeout
              distcomp retry --job cachesim --cause oom --memory 4G
              distcomp retry --file sweep.txt
              distcomp retry 4f2a '*cachesim * lru*'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: .init(
            "A job's name, or a task's line, the first digits of its id, its name, or a glob.", valueName: "task"))
    var tasks: [String] = []

    @Option(help: .init("The tasks of a file of task lines; - is standard input.", valueName: "file"))
    var file: [String] = []

    @Flag(help: "Every task that has failed.")
    var allFailed = false

    @Option(help: .init("Only tasks of this job; alone: all of it that has failed.", valueName: "job"))
    var job: String?

    @Option(help: .init("Every task that failed so: \(Cause.words.joined(separator: ", ")).", valueName: "cause"))
    var cause: [String] = []

    @OptionGroup var sizes: SizeOptions

    @OptionGroup var caution: OrderCaution

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let unknown = cause.first(where: { !Cause.words.contains($0) }) {
            throw ValidationError("there is no cause \"\(unknown)\": \(Cause.words.joined(separator: ", "))")
        }
        if tasks.isEmpty && file.isEmpty && !allFailed && cause.isEmpty && job == nil {
            throw ValidationError("name tasks, or say --file FILE, --job JOB, --cause CAUSE or --all-failed")
        }
    }

    func run() throws {
        var (queued, hastened, unchangedCount) = (0, 0, 0)
        let change = try sizes.change()
        var problems = ProblemList()
        let agrees = try connection.withQueue { queue in
            try queue.select(job)
            guard try isAgreedTo(queue, &problems) else { return false }
            var batch = LineBatch<String> { lines throws(CommandError) in
                var lines = lines
                if !change.isEmpty {
                    // A task that is of no job is its line, and with other fields it is another.
                    let count = lines.count
                    lines.removeAll { Job.identifier(ofLine: $0).isEmpty }
                    unchangedCount += count - lines.count
                }
                let reply = try queue.retry(lines, change)
                queued += reply.queued
                hastened += reply.hastened
            }
            for task in tasks {
                try queue.forEachLine(named: task, in: [.failed, .todo]) { line throws(CommandError) in
                    try batch.add(line)
                    return true
                }
            }
            for path in file { try batch.add(file: path, &problems) }
            try forEachFailed(queue) { line throws(CommandError) in
                try batch.add(line)
                return true
            }
            try batch.flush()
            return true
        }
        if !agrees {
            if problems.count > 0 { throw CommandError.reported }
            return
        }
        if json {
            var writer = JSONObjectWriter()
            writer.field("queued", queued)
            writer.field("hastened", hastened)
            try show(writer.text + "\n")
        } else {
            let waited = hastened == 0 ? "" : ", \(grouped(hastened)) waited and need not any longer"
            try show("\(grouped(queued)) queued again\(waited)\n")
        }
        if unchangedCount > 0 {
            standardError.write(
                "distcomp: left alone: \(grouped(unchangedCount)) of no job, whose lines say what they may use; submit them with other "
                    + "fields, or retry them without --memory, --cores and --timeout\n")
            throw CommandError.reported
        }
        if problems.count > 0 { throw CommandError.reported }
    }

    /// The tasks that options stand for.
    private func forEachFailed(_ queue: QueueClient, _ use: OrderCaution.Use) throws(CommandError) {
        guard allFailed || !cause.isEmpty || job != nil && tasks.isEmpty && file.isEmpty else { return }
        var filter = TaskFilter()
        filter.states = [.failed]
        filter.causes = Set(cause)
        try queue.forEachTask(filter) { task throws(CommandError) in try use(task.line) }
    }

    private func isAgreedTo(_ queue: QueueClient, _ problems: inout ProblemList) throws(CommandError) -> Bool {
        // Of what waits, this is about what has failed before only.
        try caution.agrees(to: "retry", asJSON: json, files: file, &problems) { use throws(CommandError) in
            for task in tasks {
                try queue.forEachLineIfAny(named: task, in: [.failed], use)
                try queue.forEachRetrying(named: task, use)
            }
            try forEachFailed(queue, use)
        }
    }
}

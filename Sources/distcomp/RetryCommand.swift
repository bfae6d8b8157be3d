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
              distcomp retry 4f2a '*cachesim * lru*'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("The task's line, the first digits of its id, or a glob.", valueName: "task"))
    var tasks: [String] = []

    @Flag(help: "Every task that has failed.")
    var allFailed = false

    @Option(help: .init("Every task that failed so: \(Cause.words.joined(separator: ", ")).", valueName: "cause"))
    var cause: [String] = []

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if let unknown = cause.first(where: { !Cause.words.contains($0) }) {
            throw ValidationError("there is no cause \"\(unknown)\": \(Cause.words.joined(separator: ", "))")
        }
        if tasks.isEmpty && !allFailed && cause.isEmpty {
            throw ValidationError("name tasks, or say --all-failed or --cause CAUSE")
        }
    }

    func run() throws {
        var (queued, hastened) = (0, 0)
        try connection.withQueue { queue in
            var batch = LineBatch { lines throws(CommandError) in
                let reply = try queue.retry(lines)
                queued += reply.queued
                hastened += reply.hastened
            }
            for task in tasks {
                try queue.forEachLine(named: task, in: [.failed, .todo]) { line throws(CommandError) in
                    try batch.add(line)
                    return true
                }
            }
            if allFailed || !cause.isEmpty {
                var filter = TaskFilter()
                filter.states = [.failed]
                filter.causes = Set(cause)
                try queue.forEachTask(filter) { task throws(CommandError) in
                    try batch.add(task.line)
                    return true
                }
            }
            try batch.flush()
        }
        if json {
            var writer = JSONObjectWriter()
            writer.field("queued", queued)
            writer.field("hastened", hastened)
            return try show(writer.text + "\n")
        }
        let waited = hastened == 0 ? "" : ", \(grouped(hastened)) waited and need not any longer"
        try show("\(grouped(queued)) queued again\(waited)\n")
    }
}

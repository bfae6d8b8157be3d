import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp requeue`: takes running tasks away from their nodes.
struct RequeueCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "requeue",
        abstract: "Put tasks that are in progress back into todo; their nodes stop them.",
        discussion: """
            A worker of the old system cannot be told to stop: what it runs may then run twice.

            Examples:
              distcomp requeue --node node17
              distcomp requeue 4f2a
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("The task's line, the first digits of its id, its name, or a glob.", valueName: "task"))
    var tasks: [String] = []

    @Option(help: .init("The tasks of a file of task lines; - is standard input.", valueName: "file"))
    var file: [String] = []

    @Option(help: .init("Everything that this node runs.", valueName: "name"))
    var node: String?

    @Flag(help: "Everything that runs.")
    var all = false

    @OptionGroup var caution: OrderCaution

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if tasks.isEmpty && file.isEmpty && node == nil && !all {
            throw ValidationError("name tasks, or say --file FILE, --node NAME or --all")
        }
    }

    func run() throws {
        var count = 0
        var problems = ProblemList()
        let agrees = try connection.withQueue { queue in
            let agrees = try caution.agrees(to: "requeue", asJSON: json, files: file, &problems) {
                use throws(CommandError) in
                for task in tasks { try queue.forEachLineIfAny(named: task, in: [.inProgress], use) }
                try forEachOfNode(queue, use)
            }
            guard agrees else { return false }
            var batch = LineBatch { lines throws(CommandError) in count += try queue.requeue(lines) }
            for task in tasks {
                try queue.forEachLine(named: task, in: [.inProgress]) { line throws(CommandError) in
                    try batch.add(line)
                    return true
                }
            }
            for path in file { try batch.add(file: path, &problems) }
            try forEachOfNode(queue) { line throws(CommandError) in
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
            writer.field("requeued", count)
            try show(writer.text + "\n")
        } else {
            try show("\(grouped(count)) back in todo\n")
        }
        if problems.count > 0 { throw CommandError.reported }
    }

    /// The tasks that options stand for.
    private func forEachOfNode(_ queue: QueueClient, _ use: OrderCaution.Use) throws(CommandError) {
        guard node != nil || all else { return }
        var filter = TaskFilter()
        filter.states = [.inProgress]
        filter.node = node
        try queue.forEachTask(filter) { task throws(CommandError) in try use(task.line) }
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp tasks`: which tasks there are.
struct TasksCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tasks",
        abstract: "List tasks: what runs, waits, has finished, has failed.",
        discussion: """
            The ID names a task in other commands, which take its first digits. With --cause, --node or --since, of the tasks \
            that wait only those are listed that failed and wait for another try.

            Examples:
              distcomp tasks --state running --node node7
              distcomp tasks --cause oom --match '*cachesim*'
              distcomp tasks --state todo --limit 20 --json
            """)

    @OptionGroup var server: ServerOptions
    @OptionGroup var options: TaskFilterOptions

    @Flag(help: "Print one JSON object a task.")
    var json = false

    func run() throws {
        let filter = options.filter
        let printer = TaskPrinter(asJSON: json, columns: standardOutput.terminalColumns)
        try server.withQueue(stateDirectory: options.stateDirectory ?? server.runBeside()) { queue in
            try queue.select(options.selection.job)
            queue.beforeWaiting = printer.flush
            var count = 0
            try queue.forEachTask(filter) { task throws(CommandError) in
                try printer.print(task)
                count += 1
                return count < filter.limit ?? .max
            }
            try printer.flush()
        }
    }
}

/// Prints tasks one by one as they are read.
private struct TaskPrinter {
    private let output = BufferedOutput()
    /// nil for objects.
    private let listing: TaskListing?

    init(asJSON: Bool, columns: Int?) {
        let layout: [TaskListing.Column] = [
            .init(heading: "ID", width: 8), .init(heading: "STATE", width: 8), .init(heading: "NODE", width: 12),
        ]
        listing = asJSON ? nil : TaskListing(layout, columns: columns, output)
    }

    func print(_ task: ListedTask) throws(CommandError) {
        guard let listing else { return try output.show(ResultFormat.shown(json(task)) + "\n") }
        try listing.add(row(task))
    }

    func flush() throws(CommandError) {
        try listing?.flush()
        try output.flush()
    }

    private func row(_ task: ListedTask) -> TaskListing.Row {
        var row = TaskListing.Row(
            cells: [String(task.identifier.prefix(8)), task.state.label, task.node.isEmpty ? "-" : task.node],
            command: TaskLine.command(ofLine: task.line))
        switch task.state {
        case .failed:
            row.remark = task.explanation
            row.color = Style.standardOutput.red
        case .todo where !task.reason.isEmpty: row.remark = "again after \(task.explanation)"
        case .todo where task.waitsForOthers: row.remark = "waits for others"
        case .todo where task.beginsAtUnixSeconds != nil:
            let time = LocalTime(unixSeconds: Int64(task.beginsAtUnixSeconds ?? 0)).text
            row.remark = "not before \(time)"
        case .inProgress: row.color = Style.standardOutput.cyan
        case .todo, .finished: break
        }
        return row
    }

    private func json(_ task: ListedTask) -> String {
        var writer = JSONObjectWriter()
        writer.field("task", task.line)
        writer.field("id", task.identifier)
        writer.field("command", TaskLine.command(ofLine: task.line))
        writer.field("state", task.state.rawValue)
        writer.field("worker", task.node.isEmpty ? nil : task.node)
        writer.field("cause", task.outcome?.cause.word)
        writer.field("attempts", task.outcome?.attempt)
        writer.field("reason", task.reason.isEmpty ? nil : task.reason)
        writer.field("error", task.errorLine)
        if task.state == .todo {
            writer.field("waits_for_others", task.waitsForOthers)
            writer.field("not_before", task.beginsAtUnixSeconds)
        }
        writer.field("end", task.outcome?.finishedAtUnixSeconds)
        return writer.text
    }
}

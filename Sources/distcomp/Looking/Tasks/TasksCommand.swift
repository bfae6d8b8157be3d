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
        guard let listing else { return try output.show(ResultFormat.shown(task.object.text) + "\n") }
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
}

extension ListedTask {
    /// As programs read it.
    var object: JSONObjectWriter {
        var writer = JSONObjectWriter()
        writer.field("task", line)
        writer.field("id", identifier)
        writer.field("command", TaskLine.command(ofLine: line))
        writer.field("state", state.rawValue)
        writer.field("worker", node.isEmpty ? nil : node)
        writer.field("cause", outcome?.cause.word)
        writer.field("attempts", outcome?.attempt)
        writer.field("reason", reason.isEmpty ? nil : reason)
        writer.field("error", errorLine)
        if state == .todo {
            writer.field("waits_for_others", waitsForOthers)
            writer.field("not_before", beginsAtUnixSeconds)
        }
        writer.field("end", outcome?.finishedAtUnixSeconds)
        return writer
    }
}

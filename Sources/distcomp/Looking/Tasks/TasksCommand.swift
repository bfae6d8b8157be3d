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
            queue.beforeWaiting = printer.output.flush
            var count = 0
            try queue.forEachTask(filter) { task throws(CommandError) in
                try printer.print(task)
                count += 1
                return count < filter.limit ?? .max
            }
            try printer.output.flush()
        }
    }
}

/// Prints tasks one by one as they are read.
private struct TaskPrinter {
    let output = BufferedOutput()
    private let asJSON: Bool
    private let columns: Int?

    init(asJSON: Bool, columns: Int?) {
        self.asJSON = asJSON
        self.columns = columns
    }

    func print(_ task: ListedTask) throws(CommandError) {
        try output.show((asJSON ? json(task) : row(task)) + "\n")
    }

    private func row(_ task: ListedTask) -> String {
        let node = TerminalText.escaped(task.node.isEmpty ? "-" : task.node)
        var line =
            "\(task.identifier.prefix(8))  \(filled(task.state.label, 8))  \(filled(node, 12))  "
            + TerminalText.escaped(task.line)
        if task.state == .failed { line += "  (\(TerminalText.escaped(task.reason)))" }
        if task.state == .todo, !task.reason.isEmpty { line += "  (again after \(TerminalText.escaped(task.reason)))" }
        let row = columns.map { TerminalText.shortened(line, to: $0) } ?? line
        switch task.state {
        case .failed: return Style.standardOutput.red(row)
        case .inProgress: return Style.standardOutput.cyan(row)
        case .todo, .finished: return row
        }
    }

    private func json(_ task: ListedTask) -> String {
        var writer = JSONObjectWriter()
        writer.field("task", task.line)
        writer.field("id", task.identifier)
        writer.field("state", task.state.rawValue)
        writer.field("worker", task.node.isEmpty ? nil : task.node)
        writer.field("cause", task.outcome?.cause.word)
        writer.field("attempts", task.outcome?.attempt)
        writer.field("reason", task.reason.isEmpty ? nil : task.reason)
        writer.field("ended_at", task.outcome?.finishedAtUnixSeconds)
        return writer.text
    }
}

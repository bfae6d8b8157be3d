import ArgumentParser
import LinuxSystem
import TaskModel

extension ResultFormat: ExpressibleByArgument {}

/// `distcomp results`: what became of the tasks that have ended.
struct ResultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Print what became of each task that has ended, or a summary.",
        discussion: """
            jsonl and csv have a record a task with cause, exit code, times, peak memory, and output; joblog has the columns \
            of GNU parallel's --joblog. --summary tells by command how long the tasks took and what memory they used, and \
            the memory to ask for the next time; words that differ between commands are shown as *.

            Examples:
              distcomp results --format jsonl > results.jsonl
              distcomp results --format csv --state finished --since 2h
              distcomp results --cause oom --cause timeout
              distcomp results --summary --match '*cachesim*'
            """)

    @OptionGroup var server: ServerOptions
    @OptionGroup var options: TaskFilterOptions

    @Option(help: "")
    var format = ResultFormat.table

    @Flag(help: "Percentiles of time and memory by command instead of a row a task.")
    var summary = false

    @Flag(help: "The same as --state failed.")
    var failed = false

    @Flag(help: "The same as --format jsonl.")
    var json = false

    func validate() throws {
        if summary, format == .csv || format == .joblog {
            throw ValidationError("--summary is printed as a table or, with --json, as an object a command")
        }
        if options.state.contains(where: { TaskState(parsing: $0) == .todo || TaskState(parsing: $0) == .inProgress }) {
            throw ValidationError(
                "results are of tasks that have ended: --state finished or failed; see distcomp tasks")
        }
    }

    func run() throws {
        var filter = options.filter
        if failed { filter.states = [.failed] }
        let format = json ? .jsonl : format
        try server.withQueue(stateDirectory: options.stateDirectory ?? server.runBeside()) { queue in
            try queue.select(options.selection.job)
            if summary {
                try printSummary(queue, filter, asJSON: format == .jsonl)
            } else {
                try printRows(queue, filter, ResultPrinter(format))
            }
        }
    }

    private func printRows(_ queue: QueueClient, _ filter: TaskFilter, _ printer: ResultPrinter) throws(CommandError) {
        queue.beforeWaiting = printer.output.flush
        try printer.begin()
        var count = 0
        try queue.forEachResult(filter) { result throws(CommandError) in
            count += 1
            try printer.print(result, number: count)
            return count < filter.limit ?? .max
        }
        try printer.output.flush()
    }

    private func printSummary(_ queue: QueueClient, _ filter: TaskFilter, asJSON: Bool) throws(CommandError) {
        var summary = ResultSummary()
        var count = 0
        try queue.forEachResult(filter) { result in
            summary.add(result)
            count += 1
            return count < filter.limit ?? .max
        }
        let groups = summary.groups
        if asJSON {
            for group in groups { try show(group.json + "\n") }
        } else {
            try show(groups.isEmpty ? "no task has ended\n" : groups.map(\.paragraph).joined(separator: "\n"))
        }
    }
}

/// Prints results one by one as they are read.
private struct ResultPrinter {
    let output = BufferedOutput()
    private let format: ResultFormat
    private let columns: Int?

    init(_ format: ResultFormat) {
        self.format = format
        columns = standardOutput.terminalColumns
    }

    func begin() throws(CommandError) {
        switch format {
        case .table, .jsonl: return
        case .csv: try output.show(ResultCSV.heading)
        case .joblog: try output.show(ResultJobLog.heading)
        }
    }

    func print(_ result: TaskResult, number: Int) throws(CommandError) {
        switch format {
        case .table: try output.show(row(result) + "\n")
        case .jsonl: try output.show(ResultFormat.shown(result.json) + "\n")
        case .csv: try output.show(ResultCSV.row(result))
        case .joblog: try output.show(ResultJobLog.row(result, number: number))
        }
    }

    private func row(_ result: TaskResult) -> String {
        let state = result.succeeded ? "finished" : "failed  "
        let seconds = result.outcome.map { AmountText.seconds($0.usage.wallSeconds) } ?? "-"
        let peak = result.outcome?.usage.memoryPeakBytes.map { AmountText.memory($0) } ?? "-"
        let line =
            "\(state)  \(padded(seconds, 9))  \(padded(peak, 9))  \(TerminalText.escaped(result.line))"
            + (result.succeeded ? "" : "  (\(TerminalText.escaped(result.reason)))")
        let row = columns.map { TerminalText.shortened(line, to: $0) } ?? line
        return result.succeeded ? row : Style.standardOutput.red(row)
    }
}

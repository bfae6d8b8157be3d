import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp results`: what became of the tasks that have ended.
struct ResultsCommand: ParsableCommand {
    enum Format: String, ExpressibleByArgument, CaseIterable { case table, jsonl }

    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Print what became of each task that has ended.",
        discussion: """
            Examples:
              distcomp results --format jsonl > results.jsonl
              distcomp results --failed
            """)

    @OptionGroup var connection: ConnectionOptions

    @Option(help: "table or jsonl.")
    var format = Format.table

    @Flag(help: "Only tasks that failed.")
    var failed = false

    @Flag(help: "The same as --format jsonl.")
    var json = false

    func run() throws {
        let printer = ResultPrinter(asJSON: json || format == .jsonl, columns: standardOutput.terminalColumns)
        try connection.withQueue { queue in
            if failed {
                try queue.forEachFailure(printer.print)
            } else {
                try queue.forEachResult(printer.print)
            }
        }
    }
}

/// Prints results one by one as they are read.
private struct ResultPrinter {
    let asJSON: Bool
    let columns: Int?

    func print(_ result: TaskResult) throws(CommandError) {
        try show((asJSON ? result.json : row(result)) + "\n")
    }

    private func row(_ result: TaskResult) -> String {
        let state = result.succeeded ? "finished" : "failed  "
        let seconds = result.outcome.map { AmountText.seconds($0.usage.wallSeconds) } ?? "-"
        let peak = result.outcome?.usage.memoryPeakBytes.map { AmountText.memory($0) } ?? "-"
        let padded = { (text: String, width: Int) in String(repeating: " ", count: max(0, width - text.count)) + text }
        let line =
            "\(state)  \(padded(seconds, 9))  \(padded(peak, 9))  \(TerminalText.escaped(result.line))"
            + (result.succeeded ? "" : "  (\(TerminalText.escaped(result.reason)))")
        return columns.map { TerminalText.shortened(line, to: $0) } ?? line
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp logs TASK`: what a task wrote.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Print what a task wrote, from its files on its node, elsewhere from what was reported.",
        discussion: """
            On the node the files of the task are read, also while it runs; -f goes on until the task has ended. Elsewhere there \
            is what the node reported: all of a finished task's standard output up to 1 MiB, and the end of standard error. On a \
            terminal control characters are shown escaped.

            Examples:
              distcomp logs 4f2a
              distcomp logs -f --stderr 4f2a
              distcomp logs --state .distcomp '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: TaskSelection

    @Flag(name: .shortAndLong, help: "Go on until the task has ended.")
    var follow = false

    @Flag(help: "Standard error instead of standard output.")
    var stderr = false

    @Flag(help: "Control characters as they are, also on a terminal.")
    var raw = false

    func validate() throws {
        if follow, selection.tasks.count > 1 { throw ValidationError("one task at a time can be followed") }
    }

    func run() throws {
        try connection.withQueue { queue in
            let log = TaskLog(
                queue: queue, files: OutputFiles(queue, stateDirectory: connection.state),
                stream: stderr ? .stderr : .stdout,
                printer: LogPrinter(isRaw: raw || !standardOutput.isTerminal))
            if follow { return try log.follow(try queue.line(named: selection.tasks[0])) }
            var lines: [String] = []
            for task in selection.tasks {
                try queue.forEachLine(named: task) { line in
                    lines.append(line)
                    return lines.count < 1000
                }
            }
            for line in lines {
                if lines.count > 1 {
                    let name = TaskLine.identifier(of: line).prefix(8)
                    try show("==> \(name) \(TerminalText.escaped(TaskLine.command(ofLine: line))) <==\n")
                }
                try log.print(line)
            }
        }
    }
}

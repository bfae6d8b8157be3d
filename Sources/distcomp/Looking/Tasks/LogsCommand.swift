import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp logs TASK`: what a task wrote.
struct LogsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Print what a task wrote, or writes, wherever it runs.",
        discussion: """
            On the node the files of the task are read. Elsewhere it is what the node reported, where that is all: a finished task's \
            standard output up to 1 MiB. Else the node is asked for it, through the queue, 2 MiB a second at most; where it does not \
            answer, what was reported has to do: the end of standard error. -f goes on until the task has ended, also when it \
            is tried again on another node. On a terminal control characters are shown escaped.

            Examples:
              distcomp logs 4f2a
              distcomp logs -f --stderr 4f2a
              distcomp logs --attempt 1 4f2a
              distcomp logs --state .distcomp '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: TaskSelection

    @Flag(name: .shortAndLong, help: "Go on until the task has ended.")
    var follow = false

    @Flag(help: "Standard error instead of standard output.")
    var stderr = false

    @Option(
        help: .init(
            "What this attempt wrote (default: the last). A node keeps the last three, by their number.",
            valueName: "number"))
    var attempt: Int?

    @Flag(help: "Control characters as they are, also on a terminal.")
    var raw = false

    func validate() throws {
        if follow, selection.tasks.count > 1 { throw ValidationError("one task at a time can be followed") }
        if follow, attempt != nil {
            throw ValidationError("--attempt and -f exclude each other: the last attempt is followed")
        }
        if let attempt, attempt < 1 { throw ValidationError("--attempt: attempts are counted from 1") }
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
            var missed: CommandError?
            for line in lines {
                if lines.count > 1 {
                    let name = TaskLine.identifier(of: line).prefix(8)
                    try show("==> \(name) \(TerminalText.escaped(TaskLine.command(ofLine: line))) <==\n")
                }
                do throws(CommandError) {
                    if let attempt { try log.print(line, attempt: attempt) } else { try log.print(line) }
                } catch {
                    // One that has none keeps no other from being shown.
                    guard lines.count > 1, error.isOfOneTask, let message = error.message else { throw error }
                    standardError.write("distcomp: \(message)\n")
                    missed = .reported
                }
            }
            if let missed { throw missed }
        }
    }
}

extension CommandError {
    /// Whether another task may be shown all the same.
    fileprivate var isOfOneTask: Bool {
        switch self {
        case .usage, .noSuchTask, .failed: true
        case .unreachable, .notPermitted, .queueGone, .tasksFailed, .reported, .readerGone, .interrupted: false
        }
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel

/// The tasks a command is about.
struct TaskSelection: ParsableArguments {
    @Argument(
        help: .init(
            "The task's line, the first digits of its id (four or more), or a glob such as '*lru*'.", valueName: "task")
    )
    var tasks: [String]
}

/// `distcomp show TASK`: everything known of a task.
struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show everything known of a task.",
        discussion: """
            Examples:
              distcomp show 4f2a
              distcomp show 'shell:5:2G:1:10m:./cachesim lru 1G'
              distcomp show --json '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: TaskSelection

    @Flag(help: "Print one JSON object a task.")
    var json = false

    func run() throws {
        try connection.withQueue { queue in
            var isFirst = true
            for task in selection.tasks {
                try queue.forEachLine(named: task) { line throws(CommandError) in
                    let details = try queue.details(of: line)
                    if !json && !isFirst { try show("\n") }
                    isFirst = false
                    try show(json ? details.json + "\n" : details.text(columns: standardOutput.terminalColumns))
                    return true
                }
            }
        }
    }
}

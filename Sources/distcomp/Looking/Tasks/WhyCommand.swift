import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp why TASK`: why a task is where it is.
struct WhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Say in a sentence why a task waits, runs or failed, and what to do about it.",
        discussion: """
            Examples:
              distcomp why 4f2a
              distcomp why '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: TaskSelection

    @Flag(help: "Print one JSON object a task.")
    var json = false

    func run() throws {
        try connection.withQueue { queue in
            let fleet = try queue.fleet()
            for task in selection.tasks {
                try queue.forEachLine(named: task) { line throws(CommandError) in
                    let details = try queue.details(of: line)
                    let diagnosis = Diagnosis(details.task, details.standing, result: details.result, fleet)
                    try print(diagnosis, of: line)
                    return true
                }
            }
        }
    }

    private func print(_ diagnosis: Diagnosis, of line: String) throws(CommandError) {
        let identifier = TaskLine.identifier(of: line)
        guard json else {
            return try show("\(identifier.prefix(8))  \(TerminalText.escaped(diagnosis.sentence))\n")
        }
        var writer = JSONObjectWriter()
        writer.field("task", line)
        writer.field("id", identifier)
        writer.field("because", diagnosis.because)
        writer.field("explanation", diagnosis.sentence)
        try show(writer.text + "\n")
    }
}

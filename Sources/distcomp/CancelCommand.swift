import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp cancel LINE...`: takes tasks back.
struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Take tasks back: one that waits fails as cancelled, one that runs is stopped.",
        discussion: """
            Examples:
              distcomp cancel 'shell:5:8:2:300:./cachesim trace.bin lru'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "The lines of the tasks.")
    var lines: [String]

    func run() throws {
        var missed = false
        try connection.withQueue { queue in
            for line in lines {
                let shown = TerminalText.escaped(line)
                switch try queue.cancel(line) {
                case .cancelled: try show("cancelled: \(shown)\n")
                case .stopping: try show("stopping: \(shown)\n")
                case .notFound:
                    missed = true
                    standardError.write("distcomp: neither waiting nor running: \(shown)\n")
                }
            }
        }
        if missed { throw CommandError.reported }
    }
}

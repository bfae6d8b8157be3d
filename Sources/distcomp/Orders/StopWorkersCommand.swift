import ArgumentParser
import LinuxSystem

/// `distcomp stop-workers`: the end of a fleet's work.
struct StopWorkersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop-workers",
        abstract: "Tell all workers to finish what they run and stop.",
        discussion: """
            Sets WORKER_COMMAND_CLOSE in todo_tasks, as the old system knows it. It stays until it is taken back: a worker that is \
            started meanwhile stops at once.

            Examples:
              distcomp stop-workers
              distcomp stop-workers --undo
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Take it back.")
    var undo = false

    @Flag(name: .shortAndLong, help: "Say nothing when all goes well.")
    var quiet = false

    func run() throws {
        let isNews = try connection.withQueue { try $0.setClosing(!undo) }
        if quiet { return }
        switch (undo, isNews) {
        case (false, _): try show("WORKER_COMMAND_CLOSE is set: workers finish what they run and stop\n")
        case (true, true): try show("WORKER_COMMAND_CLOSE is taken back\n")
        case (true, false): try show("WORKER_COMMAND_CLOSE was not set\n")
        }
    }
}

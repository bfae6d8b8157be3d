import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp reset`: an empty queue.
struct ResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Delete the whole queue: what waits, what runs, and all results.",
        discussion: """
            Only keys of this queue are deleted, whatever else is in the Redis. Nodes stop what they run. Asks before it does, or is \
            told --yes. Files on the nodes stay.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @Flag(name: .shortAndLong, help: "Say nothing when all goes well.")
    var quiet = false

    func run() throws {
        try connection.withQueue { queue in
            let counts = try queue.perform(ReadCounts(keys: queue.keys))
            if !yes {
                let content =
                    "\(grouped(counts.todo)) waiting, \(grouped(counts.inProgress)) running, "
                    + "\(grouped(counts.finished)) finished, \(grouped(counts.failed)) failed"
                guard try isConfirmed("Delete this queue (\(content))? yes or no: ") else {
                    throw CommandError.usage("nothing was deleted")
                }
            }
            let count = try queue.reset()
            if !quiet { try show("\(grouped(count)) keys deleted; the queue is empty\n") }
        }
    }
}

/// Asks the person at the terminal; an error where there is none.
func isConfirmed(_ question: String) throws(CommandError) -> Bool {
    guard standardInputIsTerminal else { throw .usage("nobody is there to be asked: say --yes") }
    standardError.write(question)
    return ["y", "yes"].contains((readLine() ?? "").lowercased())
}

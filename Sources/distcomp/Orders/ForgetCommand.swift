import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp forget`: removes results.
struct ForgetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Forget how tasks ended, as if they had never been submitted; files on the nodes stay.",
        discussion: """
            Examples:
              distcomp forget --finished
              distcomp forget --failed --match '*cachesim*'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "What has finished.")
    var finished = false

    @Flag(help: "What has failed; what waits for another try is left alone.")
    var failed = false

    @Option(help: .init("Only tasks whose line matches.", valueName: "glob"))
    var match: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if !finished && !failed { throw ValidationError("say --finished, --failed, or both") }
    }

    func run() throws {
        var count = 0
        try connection.withQueue { queue in
            if finished { count += try forget(.finished, queue.keys.finished, queue) }
            if failed { count += try forget(.failed, queue.keys.failed, queue) }
        }
        if json {
            var writer = JSONObjectWriter()
            writer.field("forgotten", count)
            return try show(writer.text + "\n")
        }
        try show("\(grouped(count)) forgotten\n")
    }

    private func forget(_ state: ForgetTasks.State, _ key: String, _ queue: QueueClient) throws(CommandError) -> Int {
        var count = 0
        var batch = LineBatch { lines throws(CommandError) in
            count += try queue.perform(ForgetTasks(state, lines[...], keys: queue.keys))
        }
        _ = try queue.scanWhile(key, pattern: match) { entries throws(CommandError) in
            for (field, _) in entries { try batch.add(field) }
            return true
        }
        try batch.flush()
        return count
    }
}

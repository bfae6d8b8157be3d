import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp cleanup`: takes dead nodes away.
struct CleanupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cleanup",
        abstract: "Put back what dead nodes were running, and list them no more.",
        discussion: """
            Living nodes do this for dead ones of their kind by themselves, soon after their lease is over. It is needed when none is \
            alive, or for workers of the old system, which count as dead when they have said nothing for twenty times \
            health_report_interval.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let cleanup = try connection.withQueue { queue in
            try queue.cleanUp(silenceSecondsMax: queue.settings.healthReportIntervalSeconds * 20)
        }
        if json {
            var writer = JSONObjectWriter()
            writer.field("removed_workers", cleanup.removedWorkers)
            writer.field("requeued", cleanup.requeuedCount)
            return try show(writer.text + "\n")
        }
        let names = cleanup.removedWorkers.isEmpty ? "" : ": " + cleanup.removedWorkers.joined(separator: ", ")
        let count = cleanup.removedWorkers.count
        try show(
            "\(count) worker\(count == 1 ? "" : "s") removed\(TerminalText.escaped(names)); "
                + "\(grouped(cleanup.requeuedCount)) back in todo\n")
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp status`: how the queue stands.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how many tasks wait, run, have finished, have failed.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let counts = try connection.withQueue { try $0.counts() }
        if json {
            var writer = JSONObjectWriter()
            counts.write(to: &writer)
            try show(writer.text + "\n")
            return
        }
        var table = TextTable([("STATE", .left), ("TASKS", .right)])
        table.append(["todo", grouped(counts.todo)])
        table.append(["in progress", grouped(counts.inProgress)])
        table.append(["finished", grouped(counts.finished)])
        table.append(["failed", grouped(counts.failed)])
        try show(table.rendered(columns: standardOutput.terminalColumns))
        try show("\(counts.workers) worker\(counts.workers == 1 ? "" : "s")\n")
        if counts.closeRequested {
            try show("WORKER_COMMAND_CLOSE is set: workers finish what they run and stop\n")
        }
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp workers`: the nodes and what they have.
struct WorkersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers", abstract: "Show the nodes, what they have, and when they were last heard of.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object a worker.")
    var json = false

    func run() throws {
        var rows: [(name: String, report: NodeReport?)] = []
        try connection.withQueue { queue in
            try queue.scan(queue.keys.workerStatus) { entries in
                for (field, value) in entries {
                    let text = String(decoding: value, as: UTF8.self)
                    rows.append((String(decoding: field, as: UTF8.self), NodeReport(parsing: text)))
                }
            }
        }
        rows.sort { $0.name < $1.name }
        if json { return try printJSON(rows) }
        var table = TextTable([
            ("WORKER", .left), ("CORES USED", .right), ("CORES", .right), ("GB USED", .right), ("GB", .right),
            ("HEARD", .left),
        ])
        for (name, report) in rows {
            guard let report else {
                table.append([name, "?", "?", "?", "?", "in a form we cannot read"])
                continue
            }
            table.append([
                name, oneDecimal(report.usedCores), oneDecimal(report.totalCores), oneDecimal(report.usedMemoryGB),
                oneDecimal(report.totalMemoryGB),
                "\(duration(Double(max(0, SystemClock.wallSeconds() - report.unixSeconds)))) ago",
            ])
        }
        try show(table.rendered(columns: standardOutput.terminalColumns))
    }

    private func printJSON(_ rows: [(name: String, report: NodeReport?)]) throws(CommandError) {
        for (name, report) in rows {
            var writer = JSONObjectWriter()
            writer.field("worker", name)
            writer.field("unix_seconds", report?.unixSeconds)
            writer.field("used_cores", report?.usedCores)
            writer.field("total_cores", report?.totalCores)
            writer.field("used_memory_gb", report?.usedMemoryGB)
            writer.field("total_memory_gb", report?.totalMemoryGB)
            try show(writer.text + "\n")
        }
    }
}

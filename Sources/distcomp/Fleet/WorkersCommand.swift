import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp workers`: the nodes and what they have.
struct WorkersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "Show the nodes: what they have, what their tasks ask for, when they were last heard of.",
        discussion: """
            ASKED is what the running tasks of a node ask for together, USED what the whole machine uses. A node in trouble \
            takes no tasks, or only small ones, until that is over. One that is reserved is kept for a large task that has waited for long, \
            by a time that is known from the timeouts of what runs there. RESOURCES, where a \
            node has some, is what tasks ask for of all there is; while tasks have GPUs of NVIDIA, also what is used of their memory, and how busy \
            they are.

            Examples:
              distcomp workers
              distcomp workers --json
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object a node.")
    var json = false

    func run() throws {
        let fleet = try connection.withFleetQueue { try $0.fleet() }
        if json {
            for node in fleet.nodes { try show(node.object(fleet).text + "\n") }
            return
        }
        try show(fleet.table.rendered(columns: standardOutput.terminalColumns))
    }
}

extension FleetNode {
    /// As programs read it.
    func object(_ fleet: Fleet) -> JSONObjectWriter {
        var writer = JSONObjectWriter()
        writer.field("worker", name)
        writer.field("unix_seconds", report?.unixSeconds)
        writer.field("used_cores", report?.usedCores)
        writer.field("total_cores", report?.totalCores)
        writer.field("used_memory_gb", report?.usedMemoryGB)
        writer.field("total_memory_gb", report?.totalMemoryGB)
        writer.field("alive", isAlive(nowUnixSeconds: fleet.nowUnixSeconds))
        writer.field("lease_seconds_left", leaseSecondsLeft)
        writer.field("heard_seconds_ago", heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds))
        writer.field("running", runningCount)
        writer.field("asked_cores", Double(millicoresAsked) / 1000)
        writer.field("asked_memory_bytes", memoryBytesAsked)
        writer.field("memory_bytes_for_tasks", memoryBytes)
        writer.field("version", version)
        writer.field("drained", isDrained)
        writer.field("trouble", trouble)
        writer.field("address", address)
        writer.field("labels", labels.sorted())
        writer.field("reserved", reservation != nil)
        writer.field("reserved_until", reservation?.latestUnixSeconds(fleet.nowUnixSeconds))
        writer.field("resources", json: resourcesJSON)
        if let devicesJSON { writer.field("devices", json: devicesJSON) }
        return writer
    }
}

extension Fleet {
    /// A row a node.
    var table: TextTable {
        let showsLabels = nodes.contains { !$0.labels.isEmpty }
        let showsResources = nodes.contains { !$0.resources.isEmpty }
        var table = TextTable(
            [
                ("NODE", .left), ("TASKS", .right), ("CORES", .right), ("ASKED", .right), ("USED", .right),
                ("GB", .right), ("ASKED", .right), ("USED", .right), ("VERSION", .left),
            ] + (showsResources ? [("RESOURCES", .left)] : []) + (showsLabels ? [("LABELS", .left)] : [])
                + [("HEARD", .left)])
        for node in nodes {
            let asked = (
                oneDecimal(Double(node.millicoresAsked) / 1000),
                oneDecimal(Double(node.memoryBytesAsked) / 1_073_741_824)
            )
            let report = node.report
            let cells = [
                node.name, grouped(node.runningCount), report.map { oneDecimal($0.totalCores) } ?? "?", asked.0,
                report.map { oneDecimal($0.usedCores) } ?? "?", report.map { oneDecimal($0.totalMemoryGB) } ?? "?",
                asked.1, report.map { oneDecimal($0.usedMemoryGB) } ?? "?", node.version ?? "",
            ]
            let labels = showsLabels ? [TerminalText.escaped(node.labels.sorted().joined(separator: " "))] : []
            table.append(cells + (showsResources ? [node.resourcesText] : []) + labels + [heard(node)])
        }
        return table
    }

    private func heard(_ node: FleetNode) -> String {
        guard let seconds = node.heardSecondsAgo(nowUnixSeconds: nowUnixSeconds) else {
            return node.leaseSecondsLeft == nil ? "in a form we cannot read" : "never"
        }
        return "\(duration(seconds)) ago" + (node.condition(nowUnixSeconds: nowUnixSeconds).map { ", \($0)" } ?? "")
    }
}

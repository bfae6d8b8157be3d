import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp status`: how the queue stands.
struct StatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show how many tasks wait, run, have finished, have failed, and how fast it goes.",
        discussion: """
            The counts are exact. The rate, and the causes of more than a thousand failures, are estimated from a sample.

            Examples:
              distcomp status
              distcomp status --json | jq .todo
              distcomp status cachesim
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: JobArgument

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let overview = try connection.withQueue { queue in
            try queue.select(selection.job)
            return try queue.overview()
        }
        try show(json ? overview.json + "\n" : overview.text(columns: standardOutput.terminalColumns))
    }
}

extension QueueOverview {
    private static let troublesShownMax = 3

    /// As programs read it.
    var json: String {
        var writer = JSONObjectWriter()
        counts.write(to: &writer)
        writer.field("live_workers", fleet.alive.count)
        writer.field("drained_workers", fleet.alive.count(where: \.isDrained))
        writer.field("reserved_workers", fleet.reserved.count)
        writer.field("rate_per_second", ratePerSecond)
        writer.field("eta_seconds", etaSeconds)
        writer.field("failed_by_cause", failuresByCause)
        writer.field("too_large", tooLargeCount)
        writer.field("waits_for_others", counts.dependent)
        writer.field("waits_for_time", counts.timed)
        writer.field("begins_at", counts.timed > 0 ? Double(counts.beginsAtMilliseconds) / 1000 : nil)
        writer.field("paused", fleet.isPaused)
        writer.field("closing", fleet.isClosing)
        writer.field("trouble", json: troubles)
        if let resources { writer.field("resources", json: resources) }
        if owners.areSeveral { writer.field("owners", json: owners.json) }
        return writer.text
    }

    fileprivate func text(columns: Int?) -> String {
        var table = TextTable([("STATE", .left), ("TASKS", .right)])
        table.append(["todo", grouped(counts.todo)])
        table.append(["in progress", grouped(counts.inProgress)])
        table.append(["finished", grouped(counts.finished)])
        table.append(["failed", grouped(counts.failed)])
        let lines = remarks.map { line in columns.map { TerminalText.shortened(line, to: $0) } ?? line }
        return table.rendered(columns: columns) + lines.joined(separator: "\n") + "\n"
    }

    /// The nodes that are in trouble, and why; null when none is.
    private var troubles: [UInt8] {
        if fleet.inTrouble.isEmpty { return Array("null".utf8) }
        let objects = fleet.inTrouble.map { node in
            var writer = JSONObjectWriter()
            writer.field("worker", node.name)
            writer.field("trouble", node.trouble)
            return writer.bytes
        }
        return Array("[".utf8) + objects.joined(separator: ",".utf8) + Array("]".utf8)
    }

    private var remarks: [String] {
        let drained = fleet.alive.count(where: \.isDrained)
        let silent = counts.workers - fleet.nodes.filter { $0.report != nil && isAlive($0) }.count
        var lines = [
            "\(counts.workers) node\(counts.workers == 1 ? "" : "s")" + (silent > 0 ? ", \(silent) not heard of" : "")
                + (drained > 0 ? ", \(drained) drained" : "")
                + (fleet.reserved.isEmpty ? "" : ", \(fleet.reserved.count) reserved for large tasks")
        ]
        for node in fleet.inTrouble.prefix(Self.troublesShownMax) {
            lines.append(TerminalText.escaped("\(node.name) is in trouble: \(node.trouble ?? "")"))
        }
        if fleet.inTrouble.count > Self.troublesShownMax {
            lines.append(
                "\(grouped(fleet.inTrouble.count - Self.troublesShownMax)) more nodes in trouble: distcomp workers")
        }
        if counts.dependent > 0 {
            lines.append("\(grouped(counts.dependent)) of todo wait for others: distcomp jobs, distcomp why")
        }
        if counts.timed > 0 {
            let time = LocalTime(unixSeconds: Int64(counts.beginsAtMilliseconds / 1000)).text
            lines.append("\(grouped(counts.timed)) of todo wait for their time, the first until \(time)")
        }
        if owners.areSeveral, !owners.active.isEmpty {
            lines.append(TerminalText.escaped("shared by \(owners.summary): distcomp shares"))
        }
        if let rate = ratePerSecond {
            let speed = rate < 10 ? oneDecimal(rate) : grouped(Int(rate))
            lines.append("\(speed) tasks/s" + (etaSeconds.map { ", all over in about \(duration($0))" } ?? ""))
        }
        if !failuresByCause.isEmpty {
            let causes = failuresByCause.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
                .map { "\(grouped($0.value)) \($0.key)" }
            lines.append("failed by \(isFailuresSampled ? "about " : "")\(causes.joined(separator: ", "))")
        }
        if tooLargeCount > 0 {
            lines.append(
                "\(grouped(tooLargeCount)) waiting ask for what no live node has: distcomp why"
            )
        }
        if fleet.isPaused { lines.append("the queue is paused: distcomp resume lets it go on") }
        if counts.closeRequested { lines.append("WORKER_COMMAND_CLOSE is set: nodes finish what they run and stop") }
        return lines
    }

    private func isAlive(_ node: FleetNode) -> Bool { node.isAlive(nowUnixSeconds: fleet.nowUnixSeconds) }
}

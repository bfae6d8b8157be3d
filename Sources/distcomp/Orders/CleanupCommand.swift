import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

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
            writer.field("removed_workers", cleanup.removedNodes)
            writer.field("requeued", cleanup.requeuedCount)
            return try show(writer.text + "\n")
        }
        let names = cleanup.removedNodes.isEmpty ? "" : ": " + cleanup.removedNodes.joined(separator: ", ")
        let count = cleanup.removedNodes.count
        try show(
            "\(count) node\(count == 1 ? "" : "s") removed\(TerminalText.escaped(names)); "
                + "\(grouped(cleanup.requeuedCount)) back in todo\n")
    }
}

extension QueueClient {
    /// What `cleanup` did.
    struct Cleanup {
        var removedNodes: [String] = []
        var requeuedCount = 0
    }

    /// Takes nodes that are not alive out of worker_status, and puts back what they were running, and what is marked as running on
    /// an unknown node.
    ///
    /// - Parameter silenceSecondsMax: how long an old worker, which has no lease, may say nothing.
    func cleanUp(silenceSecondsMax: Double) throws(CommandError) -> Cleanup {
        let fleet = try fleet(countingTasks: false)
        let alive = Set(
            fleet.nodes.filter {
                $0.isAlive(nowUnixSeconds: fleet.nowUnixSeconds, silenceSecondsMax: silenceSecondsMax)
            }.map(\.name))
        var cleanup = Cleanup()
        // Tasks first: a node that is gone from worker_status is not looked for any more.
        var batch = LineBatch { lines throws(CommandError) in cleanup.requeuedCount += try self.requeue(lines) }
        _ = try scanEach(\.inProgress) { _, entries throws(CommandError) in
            for (line, node) in entries where !alive.contains(text(node)) { try batch.add(text(line)) }
            return true
        }
        try batch.flush()
        for node in fleet.nodes where !alive.contains(node.name) {
            let removed = try answers([.command(RedisCommand("HDEL", keys.workerStatus, node.name))])
            if removed.first?.int == 1 { cleanup.removedNodes.append(node.name) }
        }
        return cleanup
    }
}

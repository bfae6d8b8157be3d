// The queue's metrics, once, for a file of node_exporter, for checks, and for a look.

import ArgumentParser
import LinuxSystem
import Monitoring
import TaskModel
import TaskQueue

/// `distcomp metrics`: how the queue stands and what was counted, as Prometheus reads it.
struct MetricsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "metrics",
        abstract: "Print the queue's metrics, as Prometheus reads them.",
        discussion: """
            Once, in the older text format, which node_exporter reads from a file and `promtool check metrics` from its input. What each \
            series means and which alerts go with them is in MONITORING.md. A Redis user of the kind `watcher` is enough.

            Examples:
              distcomp metrics | grep distcomp_queue_tasks
              distcomp metrics > queue.prom.new && mv queue.prom.new /var/lib/prometheus/node-exporter/queue.prom
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "In the format of OpenMetrics 1.0.")
    var openMetrics = false

    @Option(
        help: .init(
            "Also the tasks of so many jobs, those of which most waits and runs (default: 0; at most \(Self.jobsMax)). Each is "
                + "seven more series, which Prometheus keeps for as long as all others.", valueName: "count"))
    var metricsByJob = 0

    private static let jobsMax = 1000

    func validate() throws {
        guard (0...Self.jobsMax).contains(metricsByJob) else {
            throw ValidationError("--metrics-by-job is from 0 to \(Self.jobsMax)")
        }
    }

    func run() throws {
        let snapshot = try connection.withQueue { queue in try queue.metrics(jobsMax: metricsByJob) }
        try show(snapshot.render(as: openMetrics ? .openMetrics : .prometheusText))
    }
}

extension QueueClient {
    /// How the queue stands, and how long it took to ask.
    func metrics(jobsMax: Int = 0) throws(CommandError) -> MetricsSnapshot {
        let begin = bootSeconds()
        var snapshot: MetricsSnapshot
        do {
            snapshot = try MetricsSnapshot.read(keys: keys, jobsMax: jobsMax) { requests in try pipeline(requests) }
        } catch let error as CommandError {
            throw error
        } catch let error as QueueError {
            snapshot = try parsed { () throws(QueueError) in throw error }
        } catch {
            throw .failed("\(error)")
        }
        snapshot.readSeconds = bootSeconds() - begin
        return snapshot
    }
}

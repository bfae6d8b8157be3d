// The performance suite. Each measurement starts a Redis and a daemon of its own, does real work, and prints one line a figure;
// docs/PERFORMANCE.md quotes what it prints.

import ArgumentParser
import LinuxSystem

struct DistcompBench: ParsableCommand {
    enum Measurement: String, ExpressibleByArgument, CaseIterable {
        case throughput, running, timeouts, tree, queue, all
    }

    static let configuration = CommandConfiguration(
        commandName: "distcomp-bench",
        abstract: "Measure DistComp on this machine.",
        discussion: """
            throughput   short tasks from submit to report, beside `xargs -P`: tasks/s and the daemon's CPU per task
            running      1,000 sleeping tasks at once: the daemon's memory, idle and with them
            timeouts     how late 1,000 deadlines are
            tree         how long a tree of 500 processes takes to die
            queue        the queue by itself: a million tasks, a thousand nodes that are nothing but their requests
            """)

    @Argument(help: "What to measure.")
    var measurement: Measurement

    @Option(help: "How many tasks, where that can be chosen.")
    var tasks = 2000

    @Option(help: "How many tasks are queued, in `queue`.")
    var queued = 1_000_000

    @Flag(help: "Print one JSON object a figure.")
    var json = false

    func run() throws {
        let report = FigurePrinter(asJSON: json)
        let place = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-bench-")
        defer { try? FileSystem.removeTree(place) }
        let chosen = measurement == .all ? Measurement.allCases.filter { $0 != .all } : [measurement]
        for measurement in chosen {
            switch measurement {
            case .throughput: try measureThroughput(taskCount: tasks, in: place, report)
            case .running: try measureRunning(taskCount: 1000, in: place, report)
            case .timeouts: try measureTimeouts(taskCount: 1000, in: place, report)
            case .tree: try measureTree(processCount: 500, in: place, report)
            case .queue: try measureQueue(taskCount: queued, nodeCount: 1000, in: place, report)
            case .all: break  // Stands for the others, and is replaced by them above.
            }
        }
    }
}

do {
    var command = try DistcompBench.parseAsRoot()
    try command.run()
} catch {
    let status = DistcompBench.exitCode(for: error).rawValue
    let text = error is BenchError ? "distcomp-bench: \(error)" : DistcompBench.fullMessage(for: error)
    (status == 0 ? standardOutput : standardError).write(text + "\n")
    exitProcess(status == 0 ? 0 : 2)
}

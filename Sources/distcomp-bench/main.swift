// The performance suite. Each measurement starts a Redis and, where it needs one, a daemon of its own, does real work, and prints
// what that took; docs/PERFORMANCE.md quotes it.

import ArgumentParser
import LinuxSystem

struct DistcompBench: ParsableCommand {
    static let measurements: [any Measurement.Type] = [
        ThroughputMeasurement.self, LatencyMeasurement.self, SpawnMeasurement.self, TimeoutMeasurement.self,
        PipelineMeasurement.self, FetchMeasurement.self, NodesMeasurement.self, QueueMeasurement.self,
        ScaleMeasurement.self,
    ]

    static let configuration = CommandConfiguration(
        commandName: "distcomp-bench",
        abstract: "Measure DistComp on this machine.",
        discussion: "`make peers` measures other systems beside it.",
        subcommands: measurements + [AllMeasurements.self])
}

struct AllMeasurements: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "All of them, one after the other, in about five minutes.")

    @OptionGroup var output: OutputOptions

    func run() throws {
        try Workplace.with { place in
            for measurement in DistcompBench.measurements {
                try measurement.parse([]).run(in: place, asJSON: output.json)
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

// The performance suite. Each measurement starts a Redis and, where it needs one, a daemon of its own, does real work, and prints
// what that took; docs/PERFORMANCE.md quotes it.

import ArgumentParser
import LinuxSystem

struct DistcompBench: ParsableCommand {
    static let measurements: [any Measurement.Type] = [
        ThroughputMeasurement.self, LatencyMeasurement.self, SpawnMeasurement.self, TimeoutMeasurement.self,
        PipelineMeasurement.self, FetchMeasurement.self, NodesMeasurement.self, QueueMeasurement.self,
        ScaleMeasurement.self, JobsMeasurement.self, AfterMeasurement.self, MemoryMeasurement.self,
        OwnersMeasurement.self, ScheduleMeasurement.self, PagesMeasurement.self,
    ]

    static let configuration = CommandConfiguration(
        commandName: "distcomp-bench",
        abstract: "Measure DistComp on this machine.",
        discussion: "`make peers` measures other systems beside it.",
        // What needs NumPy stands by itself.
        subcommands: measurements + [ThreadsMeasurement.self, AllMeasurements.self])
}

struct AllMeasurements: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "all", abstract: "All of them but threads, one after the other, in about five minutes.")

    @OptionGroup var output: OutputOptions

    func run() throws {
        try Workplace.with { place in
            for measurement in DistcompBench.measurements {
                try measurement.parse([]).run(in: place, asJSON: output.json)
            }
        }
    }
}

/// One measurement: it does real work and says what that took. Its options come with values that let `all` end in minutes.
protocol Measurement: ParsableCommand {
    var output: OutputOptions { get }

    /// How many of what is measured, as the options say.
    var amounts: [Int] { get }

    /// - Parameter place: a directory for its files.
    func measure(in place: String, _ figures: FigureTable) throws
}

struct OutputOptions: ParsableArguments {
    @Flag(help: "Print one JSON object a measurement.")
    var json = false
}

extension Measurement {
    /// Zero, or more than a machine has memory for, is a typing mistake.
    func validate() throws {
        guard amounts.allSatisfy({ (1...10_000_000).contains($0) }) else {
            throw ValidationError("every number must be from 1 to 10000000")
        }
    }

    func run() throws { try Workplace.with { try run(in: $0, asJSON: output.json) } }

    func run(in place: String, asJSON: Bool) throws {
        let figures = FigureTable(Self.configuration.commandName ?? "", asJSON: asJSON)
        try measure(in: place, figures)
        figures.end()
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

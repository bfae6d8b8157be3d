// What a measurement found: single figures, and the spread of many values, as a table for people or one JSON object for programs.

import LinuxSystem
import TaskModel

/// Many values of one kind, by their mean and percentiles.
struct Spread {
    let count: Int
    let mean: Double
    let median: Double
    let percentile95: Double
    let percentile99: Double
    let largest: Double

    /// - Parameter values: one at least; of none, everything is 0.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        func percentile(_ share: Int) -> Double {
            sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * share / 100)]
        }
        count = sorted.count
        mean = sorted.reduce(0, +) / Double(max(1, sorted.count))
        median = percentile(50)
        percentile95 = percentile(95)
        percentile99 = percentile(99)
        largest = sorted.last ?? 0
    }

    fileprivate var parts: [(name: String, value: Double)] {
        [
            ("mean", mean), ("p50", median), ("p95", percentile95), ("p99", percentile99), ("max", largest),
        ]
    }
}

/// The figures of one measurement. A person sees each as soon as it is known, a program all of them at the end.
final class FigureTable {
    private let measurement: String
    private let asJSON: Bool
    private var rows: [[UInt8]] = []
    private var heading = ""

    init(_ measurement: String, asJSON: Bool) {
        self.measurement = measurement
        self.asJSON = asJSON
        if !asJSON { standardOutput.write("\(measurement)\n") }
    }

    /// One figure with its unit; a ratio has none.
    func add(_ name: String, _ value: Double, _ unit: String) {
        if !asJSON { return printRow(name, text(value) + (unit.isEmpty ? "" : " " + unit)) }
        addObject(name, unit) { $0.field("value", value) }
    }

    /// The spread of many values.
    func add(_ name: String, _ spread: Spread, _ unit: String) {
        if !asJSON {
            let parts = spread.parts.map { "\($0.name) \(text($0.value))" }.joined(separator: "  ")
            return printRow(name, "\(parts)  \(unit)")
        }
        addObject(name, unit) { writer in
            writer.field("count", spread.count)
            for part in spread.parts { writer.field(part.name, part.value) }
        }
    }

    /// To be called when there are no more figures: prints the object.
    func end() {
        if !asJSON { return standardOutput.write("\n") }
        var writer = JSONObjectWriter()
        writer.field("measurement", measurement)
        writer.field("figures", json: Array("[".utf8) + rows.joined(separator: ",".utf8) + Array("]".utf8))
        standardOutput.write(writer.text + "\n")
    }

    private func addObject(_ name: String, _ unit: String, _ values: (inout JSONObjectWriter) -> Void) {
        // A person sees below what a row stands.
        let isBelow = name.hasPrefix("- ")
        if !isBelow { heading = name }
        var writer = JSONObjectWriter()
        writer.field("figure", isBelow ? "\(heading): \(name.dropFirst(2))" : name)
        writer.field("unit", unit)
        values(&writer)
        rows.append(writer.bytes)
    }

    private func printRow(_ name: String, _ values: String) {
        let padding = String(repeating: " ", count: max(0, 58 - name.count))
        standardOutput.write("  \(name)\(padding)  \(values)\n")
    }

    private func text(_ value: Double) -> String {
        let rounded = value >= 100 ? value.rounded() : (value * 100).rounded() / 100
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }
}

func seconds(since nanoseconds: Int64) -> Double { Double(SystemClock.bootNanoseconds() - nanoseconds) / 1e9 }

/// How long `work` takes, in seconds.
func seconds(_ work: () throws -> Void) rethrows -> Double {
    let start = SystemClock.bootNanoseconds()
    try work()
    return seconds(since: start)
}

func median(_ values: [Double]) -> Double { Spread(values).median }

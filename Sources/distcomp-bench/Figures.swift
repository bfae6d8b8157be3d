// Figures and their percentiles, as lines for people or objects for programs.

import LinuxSystem
import TaskModel

struct FigurePrinter {
    let asJSON: Bool

    /// One figure with its unit.
    func print(_ measurement: String, _ name: String, _ value: Double, _ unit: String) {
        if asJSON {
            var writer = JSONObjectWriter()
            writer.field("measurement", measurement)
            writer.field("figure", name)
            writer.field("value", value)
            writer.field("unit", unit)
            standardOutput.write(writer.text + "\n")
        } else {
            let rounded = value >= 100 ? "\(Int(value.rounded()))" : "\((value * 100).rounded() / 100)"
            standardOutput.write("\(measurement): \(name) \(rounded) \(unit)\n")
        }
    }

    /// p50, p95, p99 and the maximum.
    func print(_ measurement: String, _ name: String, of values: [Double], _ unit: String) {
        let sorted = values.sorted()
        guard let last = sorted.last else { return }
        for share in [50, 95, 99] {
            print(measurement, "\(name) p\(share)", sorted[min(sorted.count - 1, sorted.count * share / 100)], unit)
        }
        print(measurement, "\(name) max", last, unit)
    }
}

// The last hours, drawn from the ring of counts that the scripts keep in Redis: no other program is needed for it.

import LinuxSystem
import Monitoring
import TaskModel
import WebServer

struct Charts {
    /// Oldest first.
    let slots: [MetricsSlot]

    /// Four hours.
    static let slotCount = 48
    private static let height = 80.0

    var content: HTML {
        let ended = slots.map { Double($0.tally.finished + $0.tally.failed.values.reduce(0, +)) }
        guard ended.contains(where: { $0 > 0 }) else { return HTML() }
        let failed = slots.map { Double($0.tally.failed.values.reduce(0, +)) }
        let waited = slots.map { $0.tally.wait.quantile(0.95) ?? 0 }
        let took = slots.map { $0.tally.run.quantile(0.95) ?? 0 }
        return "<section><h2>The last four hours</h2>\n<div class=\"charts\">\n"
            + figure("Tasks that ended in five minutes", ended, failed) { grouped(Int(exactly: $0.rounded()) ?? 0) }
            + figure("Time within which 19 of 20 began, from when they could", waited) { duration($0) }
            + figure("Time within which 19 of 20 ended, from when they began", took) { duration($0) }
            + "</div></section>\n"
    }

    /// A bar a slot, with the share that failed at its foot.
    private func figure(
        _ caption: String, _ values: [Double], _ failed: [Double] = [], _ text: (Double) -> String
    ) -> HTML {
        let most = values.filter(\.isFinite).max() ?? 0
        func tall(_ value: Double) -> Int {
            guard value.isFinite, most > 0, value > 0 else { return 0 }
            return max(1, Int((value / most * Self.height).rounded()))
        }
        let bars = values.indices.html { index in
            let height = tall(values[index])
            guard height > 0 else { return HTML() }
            let bad = failed.indices.contains(index) ? tall(failed[index]) : 0
            let time = LocalTime(unixSeconds: Int64(slots[index].beginUnixSeconds)).clockText
            let foot: HTML =
                bad > 0
                ? "<rect class=\"failed\" x=\"\(index * 10 + 1)\" y=\"\(80 - bad)\" width=\"8\" height=\"\(bad)\"/>"
                : ""
            let words = bad > 0 ? "\(text(values[index])), \(text(failed[index])) failed" : text(values[index])
            return """
                <g><title>\(time): \(words)</title><rect class="finished" x="\(index * 10 + 1)" y="\(80 - height)" width="8" height="\(height)"/>\
                \(foot)</g>

                """
        }
        return """
            <figure><svg viewBox="0 0 \(values.count * 10) 80" preserveAspectRatio="none" role="img" aria-label="\(caption), \(text(most)) at most">
            \(bars)</svg><figcaption>\(caption): \(text(most)) at most</figcaption></figure>

            """
    }
}

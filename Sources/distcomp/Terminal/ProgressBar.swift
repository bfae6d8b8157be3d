// What a person sees while tasks run: how far it is, what failed, when it will be over. Pure text; who draws it decides when.

/// How the tasks of a queue stand at one moment.
struct Progress: Equatable {
    var waiting = 0
    var running = 0
    var finished = 0
    var failed = 0

    var ended: Int { finished + failed }
    var total: Int { ended + waiting + running }
    var isOver: Bool { waiting == 0 && running == 0 }
}

/// Draws `Progress` as one line and estimates when it is over.
struct ProgressBar {
    private let startedSeconds: Double
    private let endedAtStart: Int

    /// - Parameters:
    ///   - startedSeconds: a time on the clock that `line` is given, too.
    ///   - endedAtStart: tasks that had ended before; they tell nothing about the speed of this run.
    init(startedSeconds: Double, endedAtStart: Int) {
        self.startedSeconds = startedSeconds
        self.endedAtStart = endedAtStart
    }

    /// One line of at most `columns` columns. What does not fit is left out, the least important part first.
    func line(_ progress: Progress, nowSeconds: Double, columns: Int) -> String {
        let share = progress.total == 0 ? 1 : Double(progress.ended) / Double(progress.total)
        var parts = ["\(Int(share * 100))%", "\(grouped(progress.ended))/\(grouped(progress.total))"]
        if progress.failed > 0 { parts.append("\(grouped(progress.failed)) failed") }
        parts.append("\(grouped(progress.running)) running")
        if let rate = rate(progress, nowSeconds: nowSeconds) {
            parts.append("ETA \(duration(Double(progress.total - progress.ended) / rate))")
            parts.append(rate < 10 ? "\(oneDecimal(rate))/s" : "\(grouped(Int(rate)))/s")
        }

        return barLine(share: share, parts: parts, columns: columns)
    }

    /// Tasks ended per second since the start, nil before the first.
    func rate(_ progress: Progress, nowSeconds: Double) -> Double? {
        let elapsed = nowSeconds - startedSeconds
        let ended = progress.ended - endedAtStart
        return elapsed > 0 && ended > 0 ? Double(ended) / elapsed : nil
    }
}

/// `[####....]  part  part`, at most `columns` wide: the parts that fit, from the first on, and a bar where there is room for one.
func barLine(share: Double?, parts: [String], columns: Int) -> String {
    var text = ""
    for part in parts {
        let longer = text.isEmpty ? part : text + "  " + part
        if longer.count > columns { break }
        text = longer
    }
    let barWidth = min(30, columns - text.count - 4)
    guard let share, barWidth >= 8 else { return text }
    let filled = max(0, min(barWidth, Int(Double(barWidth) * share)))
    return "[" + String(repeating: "#", count: filled) + String(repeating: ".", count: barWidth - filled) + "]  " + text
}

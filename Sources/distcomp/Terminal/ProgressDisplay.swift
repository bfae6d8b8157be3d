// The progress of something long: a line redrawn on a terminal, a line now and then in a file or a pipe.

import LinuxSystem

/// The line of standard error that shows how far something is. On anything but a terminal that can redraw a line it does nothing.
final class TransientLine {
    let isShown: Bool
    private var last = ""

    /// - Parameter isQuiet: the person wants to see nothing of it.
    init(isQuiet: Bool) { isShown = !isQuiet && standardError.takesEscapeCodes }

    /// How wide the line may be: a full line would wrap.
    var columns: Int { max(1, (standardError.terminalColumns ?? 80) - 1) }

    func show(_ text: String) {
        guard isShown, text != last else { return }
        last = text
        standardError.write("\r\u{1b}[K" + text)
    }

    func clear() {
        guard isShown, !last.isEmpty else { return }
        last = ""
        standardError.write("\r\u{1b}[K")
    }
}

/// The progress of running tasks.
final class ProgressDisplay {
    private let isQuiet: Bool
    private let bar: ProgressBar
    private let line: TransientLine
    private var nextReportSeconds = 0.0

    init(isQuiet: Bool, bar: ProgressBar) {
        self.isQuiet = isQuiet
        self.bar = bar
        line = TransientLine(isQuiet: isQuiet)
    }

    func show(_ progress: Progress, nowSeconds: Double) {
        guard !isQuiet else { return }
        if line.isShown {
            line.show(bar.line(progress, nowSeconds: nowSeconds, columns: line.columns))
        } else if nowSeconds >= nextReportSeconds {
            if nextReportSeconds > 0 {
                standardError.write(bar.line(progress, nowSeconds: nowSeconds, columns: 120) + "\n")
            }
            nextReportSeconds = nowSeconds + 10
        }
    }

    func clear() { line.clear() }
}

/// The progress of loading tasks into the queue.
final class LoadingDisplay {
    /// Known for files, but not for pipes.
    var bytesTotal: Int?
    var bytesRead = 0
    /// Known for sweeps.
    var linesTotal: Int?
    private(set) var linesSent = 0
    /// What messages call the file that is read.
    var fileName = ""

    private let line: TransientLine
    private let startedSeconds = bootSeconds()

    init(isQuiet: Bool) { line = TransientLine(isQuiet: isQuiet) }

    func sent(_ count: Int) {
        linesSent += count
        guard line.isShown else { return }
        let elapsed = bootSeconds() - startedSeconds
        // What is over in a moment needs no bar.
        if elapsed > 0.3 { line.show(text(elapsedSeconds: elapsed, columns: line.columns)) }
    }

    func clear() { line.clear() }

    /// `[#####.....]  50%  500,000 lines  ETA 4 s  120,000/s`
    func text(elapsedSeconds: Double, columns: Int) -> String {
        var share: Double?
        if let bytesTotal, bytesTotal > 0 { share = Double(bytesRead) / Double(bytesTotal) }
        if let linesTotal, linesTotal > 0 { share = Double(linesSent) / Double(linesTotal) }
        var parts = ["\(grouped(linesSent)) lines"]
        if let share {
            parts.insert("\(Int(min(1, share) * 100))%", at: 0)
            if share > 0 { parts.append("ETA \(duration(max(0, elapsedSeconds * (1 - share) / share)))") }
        }
        parts.append("\(grouped(Int(Double(linesSent) / max(0.001, elapsedSeconds))))/s")
        return barLine(share: share, parts: parts, columns: columns)
    }
}

/// The clock that progress is measured by: seconds since the machine started.
func bootSeconds() -> Double { Double(SystemClock.bootNanoseconds()) / 1e9 }

/// How long to wait before the next look at what has gone on for so many seconds: a share of that, by which its end is noticed late, so
/// that short ones are not waited for and long ones not looked at all the time.
func lookPause(after seconds: Double, share: Double, milliseconds: ClosedRange<Int32>) -> Int32 {
    Int32(min(Double(milliseconds.upperBound), max(Double(milliseconds.lowerBound), seconds * share * 1000)))
}

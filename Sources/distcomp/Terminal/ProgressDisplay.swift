// Progress for whoever looks: a line redrawn on a terminal, a line now and then in a file or a pipe.

import LinuxSystem

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

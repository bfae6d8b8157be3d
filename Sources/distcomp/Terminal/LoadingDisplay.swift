// What a person sees while a million lines go into the queue.

import LinuxSystem

/// How far loading is, drawn at most some times a second.
final class LoadingDisplay {
    /// Known for files, but not for pipes.
    var bytesTotal: Int?
    var bytesRead = 0
    /// Known for sweeps.
    var linesTotal: Int?
    private(set) var linesSent = 0

    private let line: TransientLine
    private let startedSeconds = LoadingDisplay.now()

    init(isQuiet: Bool) { line = TransientLine(isQuiet: isQuiet) }

    func sent(_ count: Int) {
        linesSent += count
        guard line.isShown else { return }
        let elapsed = Self.now() - startedSeconds
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

    private static func now() -> Double { Double(SystemClock.bootNanoseconds()) / 1e9 }
}

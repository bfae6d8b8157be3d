// Prints results one by one: as they are read, or in an order of their own once all have been read.

import LinuxSystem
import TaskModel

final class ResultPrinter {
    let output = BufferedOutput()
    private let format: ResultFormat
    private let files: OutputFiles
    private let columns: Int?
    private let limit: Int
    /// The order that is wanted, where it is another than that of Redis.
    private let places: PlacesInFile?
    private let spool: RowSpool?
    private var printedCount = 0
    /// The number of the last row of a job log, and of the last place that is known.
    private var number = 0

    /// - Parameters:
    ///   - places: in whose order, if any.
    ///   - keepsOrder: in the order in which tasks began, where there are no places.
    init(
        _ format: ResultFormat, _ files: OutputFiles, places: PlacesInFile?, keepsOrder: Bool, limit: Int?
    ) throws(CommandError) {
        self.format = format
        self.files = files
        self.places = places
        self.limit = limit ?? .max
        columns = standardOutput.terminalColumns
        // Its rows are numbered, so there the order always matters.
        spool = keepsOrder || places != nil || format == .joblog ? try RowSpool() : nil
    }

    func begin() throws(CommandError) {
        switch format {
        case .table, .jsonl: return
        case .csv: try output.show(ResultCSV.heading)
        case .joblog: try output.show(ResultJobLog.heading)
        }
    }

    /// Whether more is wanted.
    func print(_ result: TaskResult) throws(CommandError) -> Bool {
        let text = row(result)
        guard let spool else {
            try output.show(text)
            printedCount += 1
            return printedCount < limit
        }
        let start = result.startUnixSeconds ?? .infinity
        try spool.add(text, at: RowSpool.Place(number: places?.place(of: result), startUnixSeconds: start))
        return true
    }

    func end() throws(CommandError) {
        try spool?.forEach { place, row throws(CommandError) in
            if format == .joblog { try output.show("\(nextNumber(place))\t") }
            try output.show(row)
            printedCount += 1
            return printedCount < limit
        }
        try output.flush()
    }

    /// What is not in the file comes behind all of it.
    private func nextNumber(_ place: RowSpool.Place) -> Int {
        number = place.number ?? max(number, places?.lineCount ?? 0) + 1
        return number
    }

    private func row(_ result: TaskResult) -> String {
        switch format {
        case .table: tableRow(result) + "\n"
        case .jsonl: ResultFormat.shown(files.completed(result).json) + "\n"
        case .csv: ResultCSV.row(files.completed(result))
        case .joblog: ResultJobLog.row(result, outputByteCount: files.outputByteCount(result))
        }
    }

    private func tableRow(_ result: TaskResult) -> String {
        let state = result.succeeded ? "finished" : "failed  "
        let seconds = result.outcome.map { AmountText.seconds($0.usage.wallSeconds) } ?? "-"
        let peak = result.outcome?.usage.memoryPeakBytes.map { AmountText.memory($0) } ?? "-"
        let line =
            "\(state)  \(padded(seconds, 9))  \(padded(peak, 9))  \(TerminalText.escaped(result.line))"
            + (result.succeeded ? "" : "  (\(TerminalText.escaped(result.reason)))")
        let row = columns.map { TerminalText.shortened(line, to: $0) } ?? line
        return result.succeeded ? row : Style.standardOutput.red(row)
    }
}

extension OutputFiles {
    /// The most that is read of an output: as much as nodes report.
    private static let outputBytesMax = 1 << 20

    /// With what is known here beyond what was reported: where the files are now, and what nodes do not report (what a failed task wrote,
    /// the beginning of much).
    func completed(_ result: TaskResult) -> TaskResult {
        guard let outcome = result.outcome else { return result }
        var result = result
        result.outcome?.stdoutPath = path(.stdout, of: result.line, outcome)
        result.outcome?.stderrPath = path(.stderr, of: result.line, outcome)
        if result.standardOutputJSON == nil, let file = file(.stdout, of: result.line, outcome),
            let head = try? file.head(Self.outputBytesMax)
        {
            result.standardOutputJSON = JSONText.quoted(bytes: head)
            result.isOutputTruncated = file.status.sizeBytes > head.count
        }
        return result
    }

    /// How much it wrote to standard output, as far as that is known here.
    func outputByteCount(_ result: TaskResult) -> Int {
        if let json = result.standardOutputJSON { return JSONText.unquoted(json)?.utf8.count ?? 0 }
        return result.outcome.flatMap { file(.stdout, of: result.line, $0) }.map { Int($0.status.sizeBytes) } ?? 0
    }
}

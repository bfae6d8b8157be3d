// Prints results one by one: as they are read, or in an order of their own once all have been read.

import LinuxSystem
import TaskModel

final class ResultPrinter {
    private let output = BufferedOutput()
    private let format: ResultFormat
    private let files: OutputFiles
    private let csv: ResultCSV
    private let sweepValues = SweepValues()
    private let listing: TaskListing
    private let limit: Int
    /// The order that is wanted, where it is another than that of Redis.
    private let places: PlacesInFile?
    private let spool: RowSpool?
    private var printedCount = 0
    private var numbering: ResultNumbering

    /// - Parameters:
    ///   - places: in whose order, if any.
    ///   - keepsOrder: in the order in which tasks began, where there are no places.
    ///   - columns: of the values of the one sweep that is printed.
    init(
        _ format: ResultFormat, _ files: OutputFiles, places: PlacesInFile?, keepsOrder: Bool, limit: Int?,
        columns: [String]? = nil
    ) throws(CommandError) {
        self.format = format
        self.files = files
        csv = ResultCSV(columns: columns)
        self.places = places
        numbering = ResultNumbering(places)
        self.limit = limit ?? .max
        let layout: [TaskListing.Column] = [
            .init(heading: "ID", width: 8), .init(heading: "STATE", width: 8),
            .init(heading: "WALL", width: 9, isNumber: true), .init(heading: "PEAK", width: 9, isNumber: true),
        ]
        listing = TaskListing(layout, columns: standardOutput.terminalColumns, output)
        // Its rows are numbered, so there the order always matters.
        spool = keepsOrder || places != nil || format == .joblog ? try RowSpool() : nil
    }

    func begin() throws(CommandError) {
        switch format {
        case .table, .jsonl: return
        case .csv: try output.show(csv.heading)
        case .joblog: try output.show(ResultJobLog.heading)
        }
    }

    /// Whether more is wanted.
    func print(_ result: TaskResult) throws(CommandError) -> Bool {
        guard let spool else { return try show(row(result)) }
        let start = result.startUnixSeconds ?? .infinity
        try spool.add(row(result), at: RowSpool.Place(number: places?.place(of: result), startUnixSeconds: start))
        return true
    }

    /// Prints what is ready; called whenever the next row may take long.
    func flush() throws(CommandError) {
        if format == .table { try listing.flush() }
        try output.flush()
    }

    func end() throws(CommandError) {
        try spool?.read { place, row throws(CommandError) in
            if format == .joblog { try output.show("\(numbering.next(place))\t") }
            return try show(row)
        }
        try flush()
    }

    /// Whether more is wanted.
    private func show(_ row: String) throws(CommandError) -> Bool {
        if format == .table { try listing.add(tableRow(row)) } else { try output.show(row) }
        printedCount += 1
        return printedCount < limit
    }

    private func row(_ result: TaskResult) -> String {
        switch format {
        case .table: tableText(result)
        case .jsonl: ResultFormat.shown(completed(result).json) + "\n"
        case .csv: csv.row(completed(result))
        case .joblog: ResultJobLog.row(result, outputByteCount: files.outputByteCount(result))
        }
    }

    private func completed(_ result: TaskResult) -> TaskResult { sweepValues.completed(files.completed(result)) }

    // MARK: The table

    /// A row as it can wait in a file: escaped text holds no control.
    private static let separator: Character = "\u{1f}"

    private func tableText(_ result: TaskResult) -> String {
        // One that was never begun has taken no time.
        let wall = result.outcome.flatMap { $0.usage.wallSeconds > 0 ? wallText($0.usage.wallSeconds) : nil } ?? "-"
        let peak = result.outcome?.usage.memoryPeakBytes.map { AmountText.memory($0) } ?? "-"
        let cells = [
            String(TaskLine.identifier(of: result.line).prefix(8)), result.state.label, wall, peak,
            TaskLine.command(ofLine: result.line), result.succeeded ? "" : result.explanation,
        ]
        return cells.map { TerminalText.escaped($0) }.joined(separator: String(Self.separator))
    }

    private func tableRow(_ text: String) -> TaskListing.Row {
        let cells = text.split(separator: Self.separator, omittingEmptySubsequences: false).map { String($0) }
        var row = TaskListing.Row(cells: Array(cells[..<4]), command: cells[4], remark: cells[5])
        if cells[1] == TaskState.failed.label { row.color = Style.standardOutput.red }
        return row
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
        result.outcome?.packedOutput = place(of: outcome)
        result.outcome?.stdoutPath = path(.stdout, of: result.line, outcome)
        result.outcome?.stderrPath = path(.stderr, of: result.line, outcome)
        if result.standardOutputJSON == nil, let file = file(.stdout, of: result.line, outcome),
            let head = try? file.head(Self.outputBytesMax)
        {
            result.standardOutputJSON = JSONText.quoted(bytes: head)
            result.isOutputTruncated = file.sizeBytes > head.count
        }
        return result
    }

    /// How much it wrote to standard output, as far as that is known here.
    func outputByteCount(_ result: TaskResult) -> Int {
        if let json = result.standardOutputJSON { return JSONText.unquoted(json)?.utf8.count ?? 0 }
        return result.outcome.flatMap { file(.stdout, of: result.line, $0) }.map { Int($0.sizeBytes) } ?? 0
    }
}

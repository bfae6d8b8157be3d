// Rows of tasks for people: a few cells of fixed width, then the command, which gets what room is left on the terminal. A listing may
// have millions of rows, so they are printed as they are read, some hundred at a time: these are cut in one manner, so that what tells
// them apart stays.

import LinuxSystem
import TaskModel

/// Prints a heading and rows of tasks.
final class TaskListing {
    /// What a row shows of one task.
    struct Row {
        /// As wide as the headings, or a little more.
        var cells: [String]
        var command: String
        /// What is said behind the command, such as why it failed.
        var remark = ""
        var color: (String) -> String = { $0 }
    }

    /// A heading and how wide its cells are; numbers stand at the right.
    struct Column {
        let heading: String
        let width: Int
        var isNumber = false
    }

    /// Rows that are cut in one manner.
    private static let rowsMax = 500

    private let layout: [Column]
    private let columns: Int?
    private let output: BufferedOutput
    private var rows: [Row] = []
    private var hasHeading = false

    /// - Parameter columns: how wide the terminal is; nil for whole rows.
    init(_ layout: [Column], columns: Int?, _ output: BufferedOutput) {
        self.layout = layout
        self.columns = columns
        self.output = output
    }

    func add(_ row: Row) throws(CommandError) {
        rows.append(row)
        if rows.count >= Self.rowsMax { try flush() }
    }

    /// Prints what has been added; called whenever the next row may take long.
    func flush() throws(CommandError) {
        guard !rows.isEmpty else { return try output.flush() }
        for line in Self.lines(rows, layout, columns: columns, hasHeading: !hasHeading) {
            try output.show(line + "\n")
        }
        hasHeading = true
        rows.removeAll(keepingCapacity: true)
        try output.flush()
    }

    /// The rows as lines of at most so many columns.
    static func lines(_ rows: [Row], _ layout: [Column], columns: Int?, hasHeading: Bool) -> [String] {
        let heads = rows.map { head($0.cells, layout, isCut: columns != nil) }
        let commands = rows.map { TerminalText.escaped($0.command) }
        let remarks = rows.map { $0.remark.isEmpty ? "" : "  (\(TerminalText.escaped($0.remark)))" }
        var lines = hasHeading ? [head(layout.map(\.heading), layout, isCut: false) + "COMMAND"] : []
        guard let columns else {
            return lines + rows.indices.map { rows[$0].color(heads[$0] + commands[$0] + remarks[$0]) }
        }
        lines = lines.map { TerminalText.shortened($0, to: columns) }
        let room = max(8, columns - layout.reduce(0) { $0 + $1.width + 2 })
        // A command may have what its remark does not need; a remark that is long gets half of the room.
        let shown = zip(commands, remarks).map { command, remark in
            let wanted = TerminalText.columnCount(remark)
            let free = max(room / 2, room - TerminalText.columnCount(command))
            return wanted <= free ? remark : TerminalText.shortened(remark, to: free - 1) + ")"
        }
        let cut = ShortenedRows.shortened(commands, to: shown.map { room - TerminalText.columnCount($0) })
        for index in rows.indices {
            let line = heads[index] + cut[index] + shown[index]
            lines.append(rows[index].color(TerminalText.shortened(line, to: columns)))
        }
        return lines
    }

    private static func head(_ cells: [String], _ layout: [Column], isCut: Bool) -> String {
        zip(cells, layout).map { cell, column in
            let whole = TerminalText.escaped(cell)
            let text = isCut ? TerminalText.shortened(whole, to: column.width) : whole
            return (column.isNumber ? padded(text, column.width) : filled(text, column.width)) + "  "
        }.joined()
    }
}

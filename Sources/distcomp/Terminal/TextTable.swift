// Columns for people: aligned, never wider than their content, safe for any terminal.

import TaskModel

/// A table of text with a heading.
struct TextTable {
    enum Alignment { case left, right }

    private let headings: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    init(_ columns: [(String, Alignment)]) {
        headings = columns.map(\.0)
        alignments = columns.map(\.1)
    }

    mutating func append(_ row: [String]) {
        rows.append(row.map { TerminalText.escaped($0) })
    }

    var isEmpty: Bool { rows.isEmpty }

    /// The table, each line ended by a newline; lines longer than `columns` are cut with an ellipsis.
    func rendered(columns: Int?) -> String {
        let all = [headings] + rows
        let widths = headings.indices.map { column in all.map { TerminalText.columnCount($0[column]) }.max() ?? 0 }
        return all.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                if column > 0 { line += "  " }
                let padding = String(repeating: " ", count: widths[column] - TerminalText.columnCount(cell))
                line += alignments[column] == .right ? padding + cell : cell + padding
            }
            while line.last == " " { line.removeLast() }
            return (columns.map { TerminalText.shortened(line, to: $0) } ?? line) + "\n"
        }.joined()
    }
}

// Columns and numbers for people: aligned, never wider than their content, safe for any terminal.

import TaskModel

/// A table of text with a heading.
struct TextTable {
    enum Alignment { case left, right }

    private let headings: [String]
    private let alignments: [Alignment]
    private let endsWithCommands: Bool
    private var rows: [[String]] = []

    /// - Parameter endsWithCommands: what is cut from the last column is cut so that its rows can be told apart.
    init(_ columns: [(String, Alignment)], endsWithCommands: Bool = false) {
        self.endsWithCommands = endsWithCommands
        headings = columns.map(\.0)
        alignments = columns.map(\.1)
    }

    mutating func append(_ row: [String]) {
        rows.append(row.map { TerminalText.escaped($0) })
    }

    /// The table, each line ended by a newline; lines longer than `columns` are cut with an ellipsis.
    func rendered(columns: Int?) -> String {
        var all = [headings] + rows
        if let columns, endsWithCommands { all = withCommandsCut(all, columns) }
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

extension TextTable {
    /// With the last cells as wide as the others leave room, though never narrower than a word.
    private func withCommandsCut(_ all: [[String]], _ columns: Int) -> [[String]] {
        let last = headings.count - 1
        let taken = (0..<last).map { column in all.map { TerminalText.columnCount($0[column]) }.max() ?? 0 }
        let room = max(8, columns - taken.reduce(0) { $0 + $1 + 2 })
        let cut = ShortenedRows.shortened(all.map { $0[last] }, to: all.map { _ in room })
        return zip(all, cut).map { Array($0.dropLast()) + [$1] }
    }
}

// MARK: Cells

/// `text` with blanks after it until it is `width` wide.
func filled(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - TerminalText.columnCount(text)))
}

/// `1700000000.250`: a number with exactly `places` decimals.
func fixed(_ number: Double, places: Int) -> String {
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    guard let units = Int64(exactly: (abs(number) * scale).rounded()) else { return "0" }
    let whole = String(units / Int64(scale))
    guard places > 0 else { return whole }
    let fraction = String(units % Int64(scale))
    return (number < 0 ? "-" : "") + whole + "." + String(repeating: "0", count: places - fraction.count) + fraction
}

/// `text` with blanks before it until it is `width` wide.
func padded(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - TerminalText.columnCount(text))) + text
}

/// `12,345`.
func grouped(_ number: Int) -> String {
    var text = ""
    for (index, digit) in String(number).reversed().enumerated() {
        if index > 0 && index % 3 == 0 && digit != "-" { text.append(",") }
        text.append(digit)
    }
    return String(text.reversed())
}

/// `2.5`.
func oneDecimal(_ number: Double) -> String {
    let tenths = Int(exactly: (number * 10).rounded()) ?? 0
    return "\(tenths / 10).\(abs(tenths % 10))"
}

/// How long a task took: `0.042 s`, `3:07 min`.
func wallText(_ seconds: Double) -> String { seconds < 60 ? AmountText.roundedSeconds(seconds) : duration(seconds) }

/// `4 s`, `3:07 min`, `2:15 h`, `5 d`.
func duration(_ seconds: Double) -> String {
    guard let whole = Int(exactly: seconds.rounded(.up)), whole >= 0 else { return "unknown" }
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60):\(two(whole % 60)) min" }
    if whole < 172_800 { return "\(whole / 3600):\(two(whole % 3600 / 60)) h" }
    return "\(whole / 86_400) d"
}

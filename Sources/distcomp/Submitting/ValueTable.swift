// The values of one source: a list after `:::`, the lines of a file, the columns of those lines. A million of them are held as
// bytes one after the other, each once, since as many strings would take several times that.

import TaskModel

/// Rows of values, with as many values in each row.
struct ValueTable {
    /// How a source is read, beyond its lines.
    struct Form {
        /// Between values in a file.
        var separator = UInt8(ascii: "\n")
        /// Between the columns of a value; nil: it has none.
        var columnSeparator: ColumnSeparator?
        /// Whether the first value names the columns.
        var hasHeader = false
    }

    /// What messages call the source.
    let name: String
    private let form: Form
    /// The names of the header; nil while there is none.
    private(set) var columnNames: [String]?
    /// Nil while there is no row.
    private var width: Int?
    private var bytes: [UInt8] = []
    /// Where each value ends in `bytes`.
    private var ends: [Int] = []

    init(named name: String, _ form: Form) {
        self.name = name
        self.form = form
        // As GNU parallel has it: where columns have names and nothing says what is between them, it is a tab.
        columnSeparator = form.columnSeparator ?? (form.hasHeader ? .literal([UInt8(ascii: "\t")]) : nil)
    }

    private let columnSeparator: ColumnSeparator?

    var rowCount: Int { width.map { ends.count / $0 } ?? 0 }

    /// How many values a row has; nil where there is neither a row nor a header.
    var columnCount: Int? { width ?? columnNames?.count }

    func row(_ index: Int) -> [String] {
        guard let width else { return [] }
        return (index * width..<(index + 1) * width).map { position in
            let start = position == 0 ? 0 : ends[position - 1]
            return String(decoding: bytes[start..<ends[position]], as: UTF8.self)
        }
    }

    /// What the values of each column are, all of them.
    var columnKinds: [ValueKind] {
        guard let width, !ends.isEmpty else { return Array(repeating: .text, count: columnCount ?? 0) }
        var kinds = Array(repeating: ValueKind.integer, count: width)
        for position in ends.indices where kinds[position % width] < .text {
            let start = position == 0 ? 0 : ends[position - 1]
            let kind = ValueKind(of: String(decoding: bytes[start..<ends[position]], as: UTF8.self))
            kinds[position % width] = max(kinds[position % width], kind)
        }
        return kinds
    }

    /// Adds a value, which may be a row of several, or the header.
    ///
    /// - Parameters:
    ///   - text: UTF-8.
    ///   - place: what a message calls it.
    mutating func append(_ text: ArraySlice<UInt8>, at place: @autoclosure () -> String) throws(SweepError) {
        let values = columnSeparator?.split(text) ?? [text]
        if form.hasHeader && columnNames == nil {
            columnNames = values.map { String(decoding: $0, as: UTF8.self) }
            return
        }
        if let expected = columnCount, expected != values.count {
            let first = columnNames == nil ? "first row" : "header"
            throw SweepError(
                "\(place()) has \(values.count) column\(values.count == 1 ? "" : "s"), and the \(first) \(expected)")
        }
        width = values.count
        for value in values {
            bytes += value
            ends.append(bytes.count)
        }
    }
}

/// What stands between columns.
enum ColumnSeparator {
    case literal([UInt8])
    case pattern(Regex<AnyRegexOutput>)

    /// - Parameter text: a regular expression, as for GNU parallel: `,` and `\t` are what they seem, `|` is written `\|`.
    init(_ text: String) throws(SweepError) {
        if let literal = Self.literal(text) {
            self = .literal(literal)
            return
        }
        let pattern: Regex<AnyRegexOutput>
        do {
            pattern = try Regex(text).matchingSemantics(.unicodeScalar)
        } catch {
            throw SweepError("--colsep \(text): no regular expression (a separator such as `|` is written `\\|`)")
        }
        guard (try? pattern.wholeMatch(in: "")) ?? nil == nil else {
            throw SweepError(
                "--colsep \(text): it would separate by nothing at all (a separator such as `|` is written `\\|`)")
        }
        self = .pattern(pattern)
    }

    /// The bytes that a regular expression of one meaning stands for; nil for every other one. They are found faster.
    private static func literal(_ text: String) -> [UInt8]? {
        if text == #"\t"# { return [UInt8(ascii: "\t")] }
        let bytes = Array((text.hasPrefix(#"\"#) ? text.dropFirst() : text[...]).utf8)
        let isEscaped = bytes.count < text.utf8.count
        if isEscaped { return bytes.count == 1 && !isLetterOrDigit(bytes[0]) ? bytes : nil }
        return !bytes.isEmpty
            && bytes.allSatisfy({ isLetterOrDigit($0) || #" ,;:=/_-@%&~#"#.utf8.contains($0) || $0 == 9 }) ? bytes : nil
    }

    private static func isLetterOrDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    func split(_ text: ArraySlice<UInt8>) -> [ArraySlice<UInt8>] {
        switch self {
        case .literal(let separator): Self.split(text, at: separator)
        case .pattern(let pattern):
            String(decoding: text, as: UTF8.self).split(separator: pattern, omittingEmptySubsequences: false)
                .map { Array($0.utf8)[...] }
        }
    }

    private static func split(_ text: ArraySlice<UInt8>, at separator: [UInt8]) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var start = text.startIndex
        var index = start
        while index < text.endIndex {
            if text[index...].starts(with: separator) {
                parts.append(text[start..<index])
                index += separator.count
                start = index
            } else {
                index += 1
            }
        }
        return parts + [text[start...]]
    }
}

// How the commands of a sweep were made: its words with marks, and what the values in their places are called and are. With this the
// values can be read back from the commands, and the tasks need not hold them a second time.

import Notation

/// The command of a job as it was typed, with marks where values went.
public struct JobTemplate: Hashable, Sendable {
    /// What the values of one source or column are.
    public struct Column: Hashable, Sendable {
        /// Of the header, or its number, from 1.
        public let name: String
        public let kind: ValueKind

        public init(name: String, kind: ValueKind) { (self.name, self.kind) = (name, kind) }
    }

    public let words: [String]
    public let columns: [Column]

    /// The longest that is kept with a job, as JSON: every node that runs the job's tasks reads it.
    static let bytesMax = 4096

    /// nil for what would be too long.
    public init?(words: [String], columns: [Column]) {
        (self.words, self.columns) = (words, columns)
        if json.count > Self.bytesMax { return nil }
    }

    var json: [UInt8] {
        let kinds = columns.map { Self.quoted($0.name) + ":\"\($0.kind.rawValue)\"" }
        var writer = JSONObjectWriter()
        writer.field("words", words)
        writer.field("columns", json: Array("{\(kinds.joined(separator: ","))}".utf8))
        return writer.bytes
    }

    /// A name that somebody chose, as a string of JSON, in which a first letter is an escape: earlier builds of 1.1 look for settings by their
    /// names in the text of all of them, `"where":"`, and would find a column.
    private static func quoted(_ name: String) -> String {
        guard let first = name.unicodeScalars.first, first.isASCII, first.properties.isAlphabetic else {
            return JSONText.quoted(name)
        }
        return "\"\\u00\(Hexadecimal.text(UInt8(first.value)))" + JSONText.quoted(name).dropFirst(2)
    }

    /// nil for what is no template of this version.
    init?(_ members: [JSONMember]) {
        var words: [String] = []
        var columns: [Column] = []
        for member in members {
            switch (member.name, member.value.content) {
            case ("words", .array(let values)):
                for value in values {
                    guard case .string(let word) = value.content else { return nil }
                    words.append(word)
                }
            case ("columns", .object(let members)):
                for member in members {
                    guard case .string(let word) = member.value.content, let kind = ValueKind(rawValue: word) else {
                        return nil
                    }
                    columns.append(Column(name: member.name, kind: kind))
                }
            default: break
            }
        }
        if words.isEmpty || columns.isEmpty { return nil }
        self.init(words: words, columns: columns)
    }
}

/// What values are to programs that read tables.
public enum ValueKind: String, Comparable, Sendable {
    /// Of at most 18 digits, so that none is lost anywhere.
    case integer
    /// With decimals or an exponent.
    case number
    case text

    /// What a value is, a number being one that is written as in JSON: `007` and `+1` are text.
    public init(of value: String) {
        self = .text
        var rest = value.utf8[...]
        if rest.first == UInt8(ascii: "-") { rest.removeFirst() }
        let beginsWithZero = rest.first == UInt8(ascii: "0")
        let digitCount = Self.takeDigits(&rest)
        guard digitCount > 0, !beginsWithZero || digitCount == 1 else { return }
        if rest.isEmpty {
            if digitCount <= 18, value != "-0" { self = .integer }
            return
        }
        if rest.first == UInt8(ascii: ".") {
            rest.removeFirst()
            guard Self.takeDigits(&rest) > 0 else { return }
        }
        if let letter = rest.first, letter | 0x20 == UInt8(ascii: "e") {
            rest.removeFirst()
            if let sign = rest.first, "+-".utf8.contains(sign) { rest.removeFirst() }
            guard Self.takeDigits(&rest) > 0 else { return }
        }
        if rest.isEmpty, Double(value)?.isFinite ?? false { self = .number }
    }

    private static func takeDigits(_ rest: inout Substring.UTF8View) -> Int {
        let digits = rest.prefix { $0.isDigit }
        rest = rest.dropFirst(digits.count)
        return digits.count
    }

    /// Whether a column of this kind can hold a value of that.
    public func includes(_ other: ValueKind) -> Bool { other <= self }

    public static func < (left: ValueKind, right: ValueKind) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .integer: 0
        case .number: 1
        case .text: 2
        }
    }
}

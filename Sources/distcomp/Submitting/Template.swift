// A command with marks where values go: `convert {} {.}.png`. What marks mean is GNU parallel's, see its manual. The text between
// braces is a mark, a mistake, or the shell's:
//
// - `{}`, `{1}` and `{name}` are values, as are `{.}`, `{1/}`, `{name//}`, ...; `{#}` is the number of the command.
// - What looks like a mark and is none known is a mistake, since a task with a mark left in it does something nobody meant: braces
//   around nothing but digits and signs (`{3}` of two values, `{%}`, `{+/}`, `{..}`, `{-1}`), around a sign and what may follow it in
//   GNU parallel's further marks (`{%.gz}`, `{:2}`, `{= ... =}`), around a word and a part of a value (`{name.}`), and, where
//   values have names, around any word.
// - All else is text: `${HOME}` and `\{`, `{a,b}`, `{1..3}`, `{print $1}`, and, where values have no names, `{word}`.

import TaskModel

/// The words of a command with marks in them.
struct Template {
    /// What is known of the values before any is there.
    struct Columns {
        /// What each value is called; nil where it has no name.
        let names: [String?]
        /// What messages call that of which there is one a value.
        var noun = "source"
        /// Whether values were given names, so that a word between braces is meant to be one.
        var areNamed: Bool { names.contains { $0 != nil } }
    }

    enum Piece {
        case text(String)
        case mark(Mark)
    }

    /// The words as they were typed, and the mark that was appended.
    let typed: [String]
    let words: [[Piece]]
    private let texts: [[Piece]]

    /// Without a mark anywhere the values are appended.
    ///
    /// - Parameters:
    ///   - words: the command as it was typed.
    ///   - texts: what options say beside it, such as its directory.
    init(_ words: [String], texts: [String] = [], _ columns: Columns) throws(SweepError) {
        var pieces: [[Piece]] = []
        for word in words + texts { pieces.append(try Self.pieces(of: word, columns)) }
        let hasMark = pieces.joined().contains { if case .mark = $0 { true } else { false } }
        self.texts = Array(pieces.suffix(texts.count))
        pieces.removeLast(texts.count)
        var typed = words
        if !hasMark && !columns.names.isEmpty {
            let all = Piece.mark(Mark(subject: .all, part: .whole))
            if pieces.count == 1 {
                pieces[0] += [.text(" "), all]
                typed[0] += " {}"
            } else {
                pieces.append([all])
                typed.append("{}")
            }
        }
        self.typed = typed
        self.words = pieces
    }

    /// A command that has no values, whatever its braces hold.
    init(text words: [String], texts: [String] = []) {
        typed = words
        self.words = words.map { [.text($0)] }
        self.texts = texts.map { [.text($0)] }
    }

    /// Whether the words have a mark of what one list of values would give, or of `columns`.
    static func hasMark(_ words: [String], _ columns: Columns = Columns(names: [nil])) -> Bool {
        words.contains { word in
            Braces(word).contains { if case .braces(let body) = $0 { Mark(body, columns) != nil } else { false } }
        }
    }

    /// The command of these values.
    ///
    /// - Parameter number: which command it is, counted from 1.
    func command(_ values: [String], number: Int) -> String {
        // One word is text for a shell, into which values are put as words. Several are the words themselves.
        if words.count == 1 {
            return words[0].map { piece in
                switch piece {
                case .text(let text): text
                case .mark(let mark): mark.values(values, number: number).map(ShellWord.quoted).joined(separator: " ")
                }
            }.joined()
        }
        return words.flatMap { Self.expanded($0, values, number) }.map(ShellWord.quoted).joined(separator: " ")
    }

    /// What options say beside the command of these values: as it is, for no shell reads it.
    func texts(_ values: [String], number: Int) -> [String] {
        texts.map { Self.expanded($0, values, number).joined(separator: " ") }
    }

    /// A word of the template with its values in it: itself, but a mark of all values alone is a word for each.
    private static func expanded(_ pieces: [Piece], _ values: [String], _ number: Int) -> [String] {
        if pieces.count == 1, case .mark(let mark) = pieces[0] { return mark.values(values, number: number) }
        let parts = pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .mark(let mark): mark.values(values, number: number).joined(separator: " ")
            }
        }
        return [parts.joined()]
    }

    private static func pieces(of word: String, _ columns: Columns) throws(SweepError) -> [Piece] {
        var pieces: [Piece] = []
        var text = ""
        for part in Braces(word) {
            switch part {
            case .text(let part): text += part
            case .braces(let body):
                guard let mark = Mark(body, columns) else {
                    if let mistake = Mark.mistake(body, columns) { throw mistake }
                    text += "{\(body)}"
                    continue
                }
                if !text.isEmpty { pieces.append(.text(text)) }
                text = ""
                pieces.append(.mark(mark))
            }
        }
        if !text.isEmpty || pieces.isEmpty { pieces.append(.text(text)) }
        return pieces
    }
}

// MARK: - Marks

/// A place for a value, or for a part of one.
struct Mark: Hashable {
    enum Subject: Hashable {
        case all
        /// Counted from 0.
        case column(Int)
        /// Not a value: the number of the command.
        case commandNumber
    }

    enum Part: String, CaseIterable {
        case whole = ""
        case withoutExtension = "."
        case name = "/"
        case directory = "//"
        case nameWithoutExtension = "/."
    }

    let subject: Subject
    let part: Part

    init(subject: Subject, part: Part) {
        self.subject = subject
        self.part = part
    }

    /// The mark of what stands between braces; nil when that is none.
    init?(_ body: Substring, _ columns: Template.Columns) {
        guard body != "#" else {
            self.init(subject: .commandNumber, part: .whole)
            return
        }
        for part in Part.allCases where body.hasSuffix(part.rawValue) {
            guard let subject = Self.subject(body.dropLast(part.rawValue.count), columns) else { continue }
            self.init(subject: subject, part: part)
            return
        }
        return nil
    }

    private static func subject(_ text: Substring, _ columns: Template.Columns) -> Subject? {
        if text.isEmpty { return .all }
        if let column = columns.names.firstIndex(where: { $0.map { $0 == text } ?? false }) { return .column(column) }
        guard text.utf8.allSatisfy(isDigit), let number = Int(text), (1...max(1, columns.names.count)) ~= number else {
            return nil
        }
        return .column(number - 1)
    }

    func values(_ values: [String], number: Int) -> [String] {
        switch subject {
        case .all: values.map(value)
        case .column(let column): [value(values[column])]
        case .commandNumber: [String(number)]
        }
    }

    /// The part of this value that it stands for.
    func value(_ value: String) -> String {
        switch part {
        case .whole: value
        case .withoutExtension: Self.withoutExtension(value[...])
        case .name: String(Self.name(value))
        case .directory: Self.directory(value)
        case .nameWithoutExtension: Self.withoutExtension(Self.name(value))
        }
    }

    private static func name(_ path: String) -> Substring {
        path.utf8.lastIndex(of: slash).map { path[path.utf8.index(after: $0)...] } ?? path[...]
    }

    /// Without the last dot of the name and what follows it.
    private static func withoutExtension(_ path: Substring) -> String {
        guard let end = path.utf8.lastIndex(where: { $0 == slash || $0 == UInt8(ascii: ".") }), path.utf8[end] != slash
        else { return String(path) }
        return String(path[..<end])
    }

    /// As dirname(1) has it: `.` where the path names none.
    private static func directory(_ path: String) -> String {
        func withoutSlashes(_ path: Substring) -> Substring {
            path.utf8.lastIndex { $0 != slash }.map { path[..<path.utf8.index(after: $0)] } ?? ""
        }
        let path = path[...]
        let whole = withoutSlashes(path)
        guard let end = whole.utf8.lastIndex(of: slash) else { return whole.isEmpty && !path.isEmpty ? "/" : "." }
        let directory = withoutSlashes(whole[..<end])
        return directory.isEmpty ? "/" : String(directory)
    }

    // MARK: Mistakes

    /// What is wrong with what stands between braces, if it looks like a mark; nil when it is text.
    static func mistake(_ body: Substring, _ columns: Template.Columns) -> SweepError? {
        guard looksLikeMark(body, columns) else { return nil }
        let count = columns.names.count
        if body.utf8.allSatisfy(isDigit) {
            let there = count == 1 ? "is only 1 \(columns.noun)" : "are only \(count) \(columns.noun)s"
            return SweepError("`{\(body)}`, but there \(there) of values")
        }
        var known = "{} {.} {/} {//} {/.} {#}, {1} {1.} {1/} {1//} {1/.}" + (count > 1 ? " to {\(count)}" : "")
        let names = columns.names.compactMap(\.self)
        known += names.isEmpty ? "; names need --header :" : ", " + names.map { "{\($0)}" }.joined(separator: " ")
        let nearest = NearestName.find(String(body), among: names).map { "; did you mean {\($0)}?" } ?? ""
        return SweepError("there is no mark `{\(body)}`\(nearest): there are \(known)")
    }

    private static func looksLikeMark(_ body: Substring, _ columns: Template.Columns) -> Bool {
        if body.drop(while: { $0.isNumber || $0 == "-" }).first == "=", body.last == "=" { return true }
        // What only a shell or another language has in braces.
        guard !body.contains(where: { $0.isWhitespace || #",;'"`$\*?()[]<>|&~!"#.contains($0) }) else { return false }
        if isSequence(body) { return false }
        guard body.contains(where: { $0.isLetter || $0 == "_" }) else { return true }
        if let first = body.first, ":#%^+".contains(first) { return true }
        let word = body.prefix { $0.isLetter || $0.isNumber || $0 == "_" || $0 == "-" }
        let part = body[word.endIndex...]
        guard !word.isEmpty, part.allSatisfy({ $0 == "." || $0 == "/" }) else { return false }
        return columns.areNamed || !part.isEmpty
    }

    /// `1..3`, `a..z`, `0..10..2`: a shell counts by them.
    private static func isSequence(_ body: Substring) -> Bool {
        let parts = body.split(separator: "..", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { return false }
        return parts.allSatisfy { part in
            (part.first == "-" ? part.dropFirst() : part).allSatisfy { $0.isLetter || $0.isNumber } && part.last != "-"
                && !part.isEmpty
        }
    }
}

private let slash = UInt8(ascii: "/")

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

/// A word as text and what stands between braces, where a mark might begin: not after `$` or a backslash, which are the shell's.
private struct Braces: Sequence, IteratorProtocol {
    enum Part {
        case text(String)
        case braces(Substring)
    }

    private var rest: Substring
    private var last: Character?

    init(_ word: String) { rest = word[...] }

    mutating func next() -> Part? {
        if rest.first == "{", last != "$", last != "\\",
            let end = rest.dropFirst().firstIndex(where: { $0 == "{" || $0 == "}" }), rest[end] == "}"
        {
            let body = rest[..<end].dropFirst()
            last = "}"
            rest = rest[rest.index(after: end)...]
            return .braces(body)
        }
        var text = ""
        while let character = rest.first, text.isEmpty || character != "{" {
            text.append(character)
            last = character
            rest.removeFirst()
        }
        return text.isEmpty ? nil : .text(text)
    }
}

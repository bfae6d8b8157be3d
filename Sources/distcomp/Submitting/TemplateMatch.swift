// The way back from a command to the values of which a template made it. Values are put in as text, so two different ones may make the
// same command (`{1}-{2}` and `a-b-c`): then nothing is said of them, rather than something that may be wrong.

import TaskModel

extension Template.Columns {
    /// What these columns were called when the template was made.
    init(_ columns: [JobTemplate.Column]) {
        self.init(
            names: columns.enumerated().map { index, column in column.name == "\(index + 1)" ? nil : column.name })
    }
}

extension Template {
    /// The template that a job notes; nil for one of another version.
    init?(_ made: JobTemplate) {
        do {
            try self.init(made.words, Columns(made.columns))
        } catch {
            return nil
        }
    }

    /// The values in a command, of each column one, or nil where the command has only a part of it; nil altogether where the command was
    /// not made of this, or may have been made of other values as well.
    func values(in command: String, _ columns: [JobTemplate.Column]) -> [String?]? {
        let bytes: [UInt8]
        if words.count == 1 {
            bytes = Array(command.utf8)
        } else {
            guard let words = try? WordSplitter.split(command) else { return nil }
            bytes = Array(words.joined(separator: "\0").utf8)
        }
        var match = TemplateMatch(elements(columns.count), bytes, columns)
        return match.onlyValues()
    }

    /// What a command is made of: that of one word as it is, those of several with NUL between them, which no word holds.
    private func elements(_ columnCount: Int) -> [TemplateMatch.Element] {
        func elements(_ pieces: [Piece], between: String) -> [TemplateMatch.Element] {
            pieces.flatMap { piece -> [TemplateMatch.Element] in
                switch piece {
                case .text(let text): return [.text(Array(text.utf8))]
                case .mark(let mark):
                    guard case .all = mark.subject else { return [.mark(mark)] }
                    let all = (0..<columnCount).map { Mark(subject: .column($0), part: mark.part) }
                    return Array(all.map { [.mark($0)] }.joined(separator: [.text(Array(between.utf8))]))
                }
            }
        }
        if words.count == 1 { return [.shellText] + elements(words[0], between: " ") }
        let all = words.map { elements($0, between: $0.count == 1 ? "\0" : " ") }
        return Array(all.joined(separator: [.text([0])]))
    }
}

/// One search for the values.
private struct TemplateMatch {
    enum Element {
        /// From here on values are quoted as words of a shell.
        case shellText
        case text([UInt8])
        /// Of one value, or the number of the command.
        case mark(Mark)
    }

    /// Enough for any command of people; one that a template fits in too many ways has no answer.
    private var stepsLeft = 50_000
    private let elements: [Element]
    private let bytes: [UInt8]
    private let columns: [JobTemplate.Column]
    private let isShellText: Bool
    private var found: [Mark: String] = [:]
    private var solutions: Set<[String?]> = []

    init(_ elements: [Element], _ bytes: [UInt8], _ columns: [JobTemplate.Column]) {
        isShellText = if case .shellText? = elements.first { true } else { false }
        self.elements = elements
        self.bytes = bytes
        self.columns = columns
    }

    mutating func onlyValues() -> [String?]? {
        search(from: 0, at: 0)
        guard stepsLeft > 0, solutions.count == 1, let values = solutions.first else { return nil }
        return values.contains { $0 != nil } ? values : nil
    }

    private mutating func search(from index: Int, at position: Int) {
        stepsLeft -= 1
        guard stepsLeft > 0, solutions.count < 2 else { return }
        guard index < elements.count else {
            if position == bytes.count { take() }
            return
        }
        switch elements[index] {
        case .shellText: search(from: index + 1, at: position)
        case .text(let text):
            if bytes[position...].starts(with: text) { search(from: index + 1, at: position + text.count) }
        case .mark(let mark):
            if let known = known(mark) {
                let text = Array((isShellText ? ShellWord.quoted(known) : known).utf8)
                if bytes[position...].starts(with: text) { search(from: index + 1, at: position + text.count) }
                return
            }
            var candidate = position
            while let (value, end) = isShellText ? nextWord(position, &candidate) : nextText(position, &candidate) {
                guard isPossible(value, for: mark) else { continue }
                found[mark] = value
                search(from: index + 1, at: end)
                found[mark] = nil
            }
        }
    }

    /// What a mark stands for, from what was found before it.
    private func known(_ mark: Mark) -> String? {
        found[mark] ?? found[Mark(subject: mark.subject, part: .whole)].map(mark.value)
    }

    private func isPossible(_ value: String, for mark: Mark) -> Bool {
        switch mark.subject {
        case .all: false  // There is none left: each stands for one column.
        case .commandNumber: ValueKind(of: value) == .integer && value != "0" && !value.hasPrefix("-")
        case .column(let column):
            mark.part != .whole || columns[column].kind.includes(ValueKind(of: value))
        }
    }

    private mutating func take() {
        for (mark, part) in found where mark.part != .whole {
            if let whole = found[Mark(subject: mark.subject, part: .whole)], mark.value(whole) != part { return }
        }
        solutions.insert(columns.indices.map { found[Mark(subject: .column($0), part: .whole)] })
    }

    // MARK: What may stand in the place of a mark

    /// The next longer text from `start` on: each once, beginning with none at all.
    private mutating func nextText(_ start: Int, _ candidate: inout Int) -> (String, Int)? {
        while candidate <= bytes.count {
            stepsLeft -= 1
            let end = candidate
            if end > start, bytes[end - 1] == 0 { return nil }
            candidate += 1
            // Not within a character.
            if end == bytes.count || bytes[end] & 0xC0 != 0x80 {
                return (String(decoding: bytes[start..<end], as: UTF8.self), end)
            }
        }
        return nil
    }

    /// The next longer word from `start` on as ``ShellWord`` writes it.
    private mutating func nextWord(_ start: Int, _ candidate: inout Int) -> (String, Int)? {
        while candidate < bytes.count {
            stepsLeft -= 1
            candidate += 1
            let end = candidate
            let word = bytes[start..<end]
            guard word.first == UInt8(ascii: "'") else {
                guard ShellWord.isPlain(bytes[end - 1]) else { return nil }
                return (String(decoding: word, as: UTF8.self), end)
            }
            guard end - start >= 2, bytes[end - 1] == UInt8(ascii: "'") else { continue }
            let text = String(decoding: word, as: UTF8.self)
            guard let words = try? WordSplitter.split(text), words.count == 1, ShellWord.quoted(words[0]) == text else {
                continue
            }
            return (words[0], end)
        }
        return nil
    }
}

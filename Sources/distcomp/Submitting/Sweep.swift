// A command with values to put into it, as GNU parallel writes it: `./cachesim {1} {2} ::: lru fifo ::: 1G 4G`. The commands
// are made one at a time, so a sweep of ten million needs no more memory than its values.

import TaskModel

/// One command, or one for each combination of the values given after `:::`.
struct Sweep {
    /// Text of the template, or the number of the source whose value stands there; nil stands for all of them.
    private enum Piece {
        case text(String)
        case value(of: Int?)
    }

    private let words: [[Piece]]
    /// Each group is a list of rows, a row being one value of each source that is linked in the group.
    private let groups: [[[String]]]
    /// How many commands there are.
    let count: Int

    /// - Parameter arguments: the words after `--`.
    init(_ arguments: [String]) throws(SweepError) {
        let separators = [":::", ":::+"]
        let template = Array(arguments.prefix { !separators.contains($0) })
        guard template.contains(where: { !$0.allSatisfy(\.isWhitespace) }) else {
            throw SweepError("no command before \(arguments.first.map { "`\($0)`" } ?? "the end")")
        }
        if template.contains("::::") {
            throw SweepError("`::::` is not known here; give the values themselves: ::: $(cat FILE)")
        }
        groups = try Self.groups(arguments.dropFirst(template.count))
        let sourceCount = groups.reduce(0) { $0 + ($1.first?.count ?? 0) }
        words = try Self.words(template, sourceCount: sourceCount)
        var count = 1
        for group in groups {
            let (product, overflow) = count.multipliedReportingOverflow(by: group.count)
            guard !overflow else { throw SweepError("more combinations than there are numbers") }
            count = product
        }
        self.count = count
    }

    /// The command of one combination; the last source changes fastest.
    func command(_ index: Int) -> String {
        var rest = index
        var values: [String] = []
        for group in groups.reversed() {
            values.insert(contentsOf: group[rest % group.count], at: 0)
            rest /= group.count
        }
        // One word is text for a shell, into which values are put as words. Several are the words themselves.
        if words.count == 1 { return Self.shellText(words[0], values) }
        return words.flatMap { Self.expanded($0, values) }.map(ShellWord.quoted).joined(separator: " ")
    }

    private static func shellText(_ pieces: [Piece], _ values: [String]) -> String {
        pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .value(.some(let source)): ShellWord.quoted(values[source])
            case .value(nil): values.map(ShellWord.quoted).joined(separator: " ")
            }
        }.joined()
    }

    /// A word of the template with its values in it: itself, but `{}` alone is a word for each source.
    private static func expanded(_ pieces: [Piece], _ values: [String]) -> [String] {
        if pieces.count == 1, case .value(nil) = pieces[0] { return values }
        let parts = pieces.map { piece in
            switch piece {
            case .text(let text): text
            case .value(.some(let source)): values[source]
            case .value(nil): values.joined(separator: " ")
            }
        }
        return [parts.joined()]
    }

    // MARK: Reading

    private static func groups(_ arguments: ArraySlice<String>) throws(SweepError) -> [[[String]]] {
        var groups: [[[String]]] = []
        var rest = arguments
        while let separator = rest.popFirst() {
            let values = Array(rest.prefix { $0 != ":::" && $0 != ":::+" })
            rest = rest.dropFirst(values.count)
            guard !values.isEmpty else { throw SweepError("no values after `\(separator)`") }
            guard !values.contains("::::") else {
                throw SweepError("`::::` is not known here; give the values themselves: ::: $(cat FILE)")
            }
            if separator == ":::" {
                groups.append(values.map { [$0] })
            } else if let linked = groups.popLast() {
                // Like GNU parallel: the shorter of two that are linked says how many there are.
                groups.append(zip(linked, values).map { $0 + [$1] })
            } else {
                throw SweepError("`:::+` links to the values before it, and there are none")
            }
        }
        return groups
    }

    private static func words(_ template: [String], sourceCount: Int) throws(SweepError) -> [[Piece]] {
        guard sourceCount > 0 else { return template.map { [.text($0)] } }
        var words: [[Piece]] = []
        for word in template { words.append(try pieces(of: word, sourceCount: sourceCount)) }
        let places = words.joined().contains { if case .value = $0 { true } else { false } }
        if places { return words }
        return words.count == 1 ? [words[0] + [.text(" "), .value(of: nil)]] : words + [[.value(of: nil)]]
    }

    private static func pieces(of word: String, sourceCount: Int) throws(SweepError) -> [Piece] {
        var pieces: [Piece] = []
        var text = ""
        var rest = word[...]
        while let character = rest.popFirst() {
            guard character == "{", let end = rest.firstIndex(of: "}"),
                rest[..<end].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
            else {
                text.append(character)
                continue
            }
            let digits = rest[..<end]
            rest = rest[rest.index(after: end)...]
            if !text.isEmpty { pieces.append(.text(text)) }
            text = ""
            guard !digits.isEmpty else {
                pieces.append(.value(of: nil))
                continue
            }
            guard let number = Int(digits), (1...sourceCount).contains(number) else {
                let sources = sourceCount == 1 ? "is only 1 source" : "are only \(sourceCount) sources"
                throw SweepError("`{\(digits)}`, but there \(sources) of values (:::)")
            }
            pieces.append(.value(of: number - 1))
        }
        if !text.isEmpty || pieces.isEmpty { pieces.append(.text(text)) }
        return pieces
    }
}

/// Why words are not a sweep.
struct SweepError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

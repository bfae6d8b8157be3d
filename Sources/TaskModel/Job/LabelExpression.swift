// Which nodes a job is for: `ssd & !spot`. Nodes have labels, which their conf.json names; what a job says of them is looked at by the
// queue's claim (labels.lua reads the same text), and by those who are asked why a task waits.

/// What the labels of a node must be.
public indirect enum LabelExpression: Hashable, Sendable {
    case label(String)
    case not(LabelExpression)
    case all([LabelExpression])
    case any([LabelExpression])

    public static let bytesMax = 256
    public static let expected =
        "labels of nodes (letters, digits, dots, underscores and hyphens) with ! & | and parentheses, such as 'ssd & !spot', "
        + "in at most \(bytesMax) bytes"

    /// Reads it; nil for what is no such expression.
    ///
    /// Not binds closer than `&`, and that closer than `|`. Two signs in a row mean what one does.
    public init?(text: some StringProtocol) {
        guard text.utf8.count <= Self.bytesMax else { return nil }
        var reader = Reader(rest: Array(text.utf8)[...])
        guard let expression = reader.either(), reader.rest.isEmpty else { return nil }
        // Parentheses are written as few as there can be, blanks around each sign.
        guard expression.text.utf8.count <= Self.bytesMax else { return nil }
        self = expression
    }

    /// As it is noted and read back.
    public var text: String {
        switch self {
        case .label(let name): name
        case .not(let part): "!" + part.text(below: 3)
        case .all(let parts): parts.map { $0.text(below: 2) }.joined(separator: " & ")
        case .any(let parts): parts.map { $0.text(below: 1) }.joined(separator: " | ")
        }
    }

    /// In parentheses where it binds no closer than what it stands in.
    private func text(below level: Int) -> String {
        let own =
            switch self {
            case .any: 1
            case .all: 2
            case .not, .label: 4
            }
        return own <= level ? "(\(text))" : text
    }

    /// Whether a node with these labels is meant.
    public func matches(_ labels: Set<String>) -> Bool {
        switch self {
        case .label(let name): labels.contains(name)
        case .not(let part): !part.matches(labels)
        case .all(let parts): parts.allSatisfy { $0.matches(labels) }
        case .any(let parts): parts.contains { $0.matches(labels) }
        }
    }

    private struct Reader {
        var rest: ArraySlice<UInt8>

        mutating func take(_ sign: Character) -> Bool {
            rest = rest.drop { $0.isBlank }
            guard let value = sign.asciiValue, rest.first == value else { return false }
            rest = rest.dropFirst()
            return true
        }

        mutating func either() -> LabelExpression? { series("|", { $0.both() }, LabelExpression.any) }

        private mutating func both() -> LabelExpression? { series("&", { $0.single() }, LabelExpression.all) }

        private mutating func series(
            _ sign: Character, _ part: (inout Reader) -> LabelExpression?,
            _ together: ([LabelExpression]) -> LabelExpression
        ) -> LabelExpression? {
            var parts: [LabelExpression] = []
            repeat {
                guard let next = part(&self) else { return nil }
                parts.append(next)
                guard take(sign) else { break }
                if rest.first == sign.asciiValue { rest = rest.dropFirst() }
            } while true
            rest = rest.drop { $0.isBlank }
            return parts.count == 1 ? parts[0] : together(parts)
        }

        private mutating func single() -> LabelExpression? {
            if take("!") { return single().map { .not($0) } }
            if take("(") {
                guard let inner = either(), take(")") else { return nil }
                return inner
            }
            let name = rest.prefix { Configuration.isNameByte($0) }
            rest = rest.dropFirst(name.count)
            let label = String(decoding: name, as: UTF8.self)
            return Configuration.isLabel(label) ? .label(label) : nil
        }
    }
}

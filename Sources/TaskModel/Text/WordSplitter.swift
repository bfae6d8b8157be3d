// Splits a command into words without a shell, as the commands of python and demo tasks need it: the rules of Python's
// `shlex.split`, which are those of a POSIX shell's quoting and nothing else.

/// Why a command cannot be split into words.
public struct WordSplitError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1 in characters (Unicode scalars) of the command.
    public let column: Int
    public let message: String

    public var description: String { "\(message) at column \(column) of the command" }
}

enum WordSplitter {
    /// The words of `command`: single quotes keep everything, double quotes keep all but a backslash before `"` or `\`,
    /// elsewhere a backslash keeps the next character. Quotes that hold nothing make an empty word.
    static func split(_ command: String) throws(WordSplitError) -> [String] {
        var words: [String] = []
        var word: String.UnicodeScalarView? = nil
        var scalars = NumberedScalars(command)
        while let scalar = scalars.next() {
            switch scalar {
            case " ", "\t", "\r", "\n":
                if let word { words.append(String(word)) }
                word = nil
            case "'", "\"":
                let opening = scalars.column
                guard let quoted = quoted(by: scalar, &scalars) else {
                    let name = scalar == "'" ? "single" : "double"
                    throw WordSplitError(column: opening, message: "a \(name) quote that is never closed")
                }
                word = (word ?? .init()) + quoted
            case "\\":
                guard let next = scalars.next() else {
                    throw WordSplitError(column: scalars.column, message: "a backslash with nothing after it")
                }
                word = (word ?? .init()) + CollectionOfOne(next)
            default: word = (word ?? .init()) + CollectionOfOne(scalar)
            }
        }
        if let word { words.append(String(word)) }
        return words
    }

    /// What stands before the quote that closes; nil when none does.
    private static func quoted(by quote: Unicode.Scalar, _ scalars: inout NumberedScalars) -> String.UnicodeScalarView?
    {
        var result = String.UnicodeScalarView()
        while let scalar = scalars.next() {
            if scalar == quote { return result }
            guard scalar == "\\", quote == "\"" else {
                result.append(scalar)
                continue
            }
            guard let next = scalars.next() else { return nil }
            if next != "\\", next != quote { result.append(scalar) }
            result.append(next)
        }
        return nil
    }
}

/// Scalars of a text that know the column of the last one given out.
private struct NumberedScalars {
    private var iterator: String.UnicodeScalarView.Iterator
    private(set) var column = 0

    init(_ text: String) { iterator = text.unicodeScalars.makeIterator() }

    mutating func next() -> Unicode.Scalar? {
        guard let scalar = iterator.next() else { return nil }
        column += 1
        return scalar
    }
}

// Words: a command split into them, one quoted on its way into a command, and the known one nearest to a misspelt one.

/// Why a command cannot be split into words.
public struct WordSplitError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1 in characters (Unicode scalars) of the command.
    public let column: Int
    public let message: String

    public var description: String { "\(message) at column \(column) of the command" }
}

/// Splits without a shell, as the commands of python and demo tasks need it: the rules of Python's `shlex.split`, which are those of
/// a POSIX shell's quoting and nothing else.
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

// MARK: - Quoting

/// Text on its way into a command: quoted so that a shell, or our own splitting into words, gives it back as one word.
public enum ShellWord {
    /// `word` as a POSIX shell reads it back: as it is where nothing in it means anything to a shell, else in single quotes.
    public static func quoted(_ word: String) -> String {
        if !word.isEmpty, word.utf8.allSatisfy(isPlain) { return word }
        return "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        if byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) { return true }
        switch byte {
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: "/"),
            UInt8(ascii: ":"), UInt8(ascii: "="), UInt8(ascii: "@"), UInt8(ascii: "%"), UInt8(ascii: "+"):
            return true
        default: return false
        }
    }
}

// MARK: - Guessing

/// Guesses what someone meant to type: the known name nearest to an unknown one.
public enum NearestName {
    /// The name among `names` fewest edits away from `typed`, if it is near enough to be worth suggesting: at most a
    /// third of the letters of the longer one. Upper and lower case count as the same.
    public static func find(_ typed: String, among names: [String]) -> String? {
        // Longer than any name we know; also what bounds the work for a hostile one.
        guard typed.utf8.count <= 64 else { return nil }
        let typed = Array(typed.lowercased().utf8)
        let ranked = names.map { (name: $0, distance: distance(typed, Array($0.lowercased().utf8))) }
        guard let nearest = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return nearest.distance <= max(3, typed.count, nearest.name.utf8.count) / 3 ? nearest.name : nil
    }

    /// The least number of insertions, deletions, replacements and swaps of neighbours that make one the other
    /// (Damerau and Levenshtein, restricted to swaps of letters not otherwise touched).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var best = min(last[column + 1], current[column]) + 1
                best = min(best, last[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}

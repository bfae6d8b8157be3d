// Words: a command split into them, one quoted on its way into a command, and the known one nearest to a misspelt one.

/// Why a command cannot be split into words.
public struct WordSplitError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Counted from 1 in characters (Unicode scalars) of the command.
    public let column: Int
    public let message: String

    public var description: String { "\(message) at column \(column) of the command" }
}

/// Splits without a shell, as the commands of python and demo tasks need it: the rules of Python's `shlex.split`, which are those
/// of a POSIX shell's quoting and nothing else.
package enum WordSplitter {
    /// A word of a command.
    struct Word {
        /// What it is, quotes and backslashes taken away.
        var text = String.UnicodeScalarView()
        /// What stands in the command for it.
        var written = String.UnicodeScalarView()
    }

    /// The words of `command`: single quotes keep everything, double quotes keep all but a backslash before `"` or `\`,
    /// elsewhere a backslash keeps the next character. Quotes that hold nothing make an empty word.
    package static func split(_ command: String) throws(WordSplitError) -> [String] {
        let (words, problem) = words(of: command)
        if let problem { throw problem }
        return words.map { String($0.text) }
    }

    /// The words, and what is wrong with the last of them, if anything is: it then goes on to the end of the command.
    static func words(of command: String) -> (words: [Word], problem: WordSplitError?) {
        var words: [Word] = []
        var word: Word?
        var problem: WordSplitError?
        var scalars = NumberedScalars(command)
        while let scalar = scalars.next() {
            if scalar == " " || scalar == "\t" || scalar == "\r" || scalar == "\n" {
                if let word { words.append(word) }
                word = nil
            } else {
                problem = add(scalar, to: &word, &scalars)
            }
        }
        if let word { words.append(word) }
        return (words, problem)
    }

    /// Adds a scalar to the word, with all that it quotes.
    private static func add(
        _ scalar: Unicode.Scalar, to word: inout Word?, _ scalars: inout NumberedScalars
    ) -> WordSplitError? {
        var longer = word ?? Word()
        defer { word = longer }
        longer.written.append(scalar)
        switch scalar {
        case "'", "\"":
            let opening = scalars.column
            if addQuoted(by: scalar, to: &longer, &scalars) { return nil }
            let name = scalar == "'" ? "single" : "double"
            return WordSplitError(column: opening, message: "a \(name) quote that is never closed")
        case "\\":
            guard let next = scalars.next() else {
                return WordSplitError(column: scalars.column, message: "a backslash with nothing after it")
            }
            longer.written.append(next)
            longer.text.append(next)
        default: longer.text.append(scalar)
        }
        return nil
    }

    /// Adds what stands before the quote that closes, and that quote; false when none does.
    private static func addQuoted(
        by quote: Unicode.Scalar, to word: inout Word, _ scalars: inout NumberedScalars
    ) -> Bool {
        while let scalar = scalars.next() {
            word.written.append(scalar)
            if scalar == quote { return true }
            guard scalar == "\\", quote == "\"" else {
                word.text.append(scalar)
                continue
            }
            guard let next = scalars.next() else { return false }
            word.written.append(next)
            if next != "\\", next != quote { word.text.append(scalar) }
            word.text.append(next)
        }
        return false
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

    /// Whether a byte means nothing to a shell.
    package static func isPlain(_ byte: UInt8) -> Bool {
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

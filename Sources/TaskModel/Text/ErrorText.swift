// Which line of what a program wrote to standard error says what went wrong. It is seldom the last one: languages print the way to
// the error before it (Python) or after it (Java, Rust, Go, C++), and shells add what they saw of the end.

public enum ErrorText {
    /// The line of the error: the last one that is neither a step on the way there nor an afterword; nil where nothing was
    /// written.
    ///
    /// Steps are indented in all the languages we know of, or come in a block of their own to the end.
    public static func line(in text: String) -> Substring? {
        let lines = text.split(whereSeparator: \.isNewline)
        let beforeTrace = lines.prefix { !isStartOfTrace($0) }
        for candidates in [beforeTrace, lines[...]] {
            if let line = candidates.last(where: namesTheError) { return trimmed(line) }
        }
        return lines.last { !$0.allSatisfy(\.isWhitespace) }.map(trimmed)
    }

    /// The most of a line that `end(of:bytesMax:)` goes back for.
    private static let lineBytesMax = 512
    private static let gap = "  [...]"

    /// The last `bytesMax` bytes of what was written; if the line of the error stands before them, as it does with a deep stack of
    /// Java's, it comes first.
    public static func end(of bytes: [UInt8], bytesMax: Int) -> String {
        let end = String(decoding: bytes.suffix(bytesMax), as: UTF8.self)
        guard bytes.count > bytesMax, let line = line(in: String(decoding: bytes, as: UTF8.self)),
            line.utf8.count <= lineBytesMax, !end.contains(line)
        else { return end }
        let head = "\(line)\n\(gap)\n"
        let rest = String(decoding: bytes.suffix(max(0, bytesMax - head.utf8.count)), as: UTF8.self)
        // From a whole line on: half of one would look like one that is not indented.
        return head + rest.drop { !$0.isNewline }.dropFirst()
    }

    private static func namesTheError(_ line: Substring) -> Bool {
        // What C++ says of an exception nobody caught is indented, and is the point of the two lines.
        if line.hasPrefix("  what():") { return true }
        guard let first = line.first, !first.isWhitespace else { return false }
        return !isAfterword(line)
    }

    /// What follows is the way to the error, to the end: Go's stacks, Rust's with RUST_BACKTRACE.
    private static func isStartOfTrace(_ line: Substring) -> Bool {
        line.hasPrefix("goroutine ") && line.hasSuffix("]:") || line == "stack backtrace:"
    }

    /// Of Rust, R, Node.js, `go run`, and of shells whose child was ended by a signal.
    private static func isAfterword(_ line: Substring) -> Bool {
        line.hasPrefix("note: ") || line.hasPrefix("Calls: ") || line == "Execution halted"
            || line.hasPrefix("Node.js v")
            || line.hasPrefix("exit status ") || line.hasPrefix("[signal ") || line.hasPrefix("Aborted")
    }

    private static func trimmed(_ line: Substring) -> Substring { line.drop(while: \.isWhitespace) }
}

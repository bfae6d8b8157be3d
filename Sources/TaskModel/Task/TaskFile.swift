// Reads a file of task lines as it comes, in pieces of any size. A file of a million lines is never held as a whole:
// what is kept between two pieces is one unfinished line, and no more of that than a line may be long.

/// A file of task lines, read piece by piece. Lines that begin with `#` and blank lines are skipped, a line that is no
/// task is reported and the rest goes on; CR LF, a byte order mark and a last line without a newline are taken.
public struct TaskFile: Sendable {
    public enum Entry: Sendable {
        case task(TaskLine, lineNumber: Int)
        case problem(TaskFileProblem)
    }

    /// What messages call the file.
    public let name: String
    /// How many lines were read so far, of any kind.
    public private(set) var lineCount = 0
    public private(set) var taskCount = 0
    public private(set) var problemCount = 0

    private var unfinished: [UInt8] = []
    private var isSkippingToNewline = false

    /// What is held of the unfinished line.
    var keptByteCount: Int { unfinished.count }

    /// A line this long is too long whatever follows: the longest line, CR LF, and the byte order mark before it.
    private static let byteCountMax = TaskLine.byteCountMax + 5

    public init(named name: String) { self.name = name }

    /// Reads the next piece of the file; `use` gets what was found in it, in order. When `use` throws, the rest of the
    /// piece is lost.
    public mutating func read<Failure: Error>(
        _ piece: UnsafeRawBufferPointer, _ use: (Entry) throws(Failure) -> Void
    ) throws(Failure) {
        let bytes = piece.bindMemory(to: UInt8.self).span
        var start = 0
        while start < bytes.count {
            let newline = bytes.firstOffset(of: UInt8(ascii: "\n"), from: start)
            let rest = bytes.extracting(start..<(newline ?? bytes.count))
            if newline != nil, unfinished.isEmpty, !isSkippingToNewline {
                try readLine(rest, use)
            } else {
                try keep(rest, use)
                if newline != nil { try finishLine(use) }
            }
            start += rest.count + 1
        }
    }

    /// Reads what is left after the last newline; to be called once, when the file has ended.
    public mutating func finish<Failure: Error>(_ use: (Entry) throws(Failure) -> Void) throws(Failure) {
        if !unfinished.isEmpty { try finishLine(use) }
    }

    private mutating func keep<Failure: Error>(
        _ bytes: Span<UInt8>, _ use: (Entry) throws(Failure) -> Void
    ) throws(Failure) {
        guard !isSkippingToNewline else { return }
        let room = Self.byteCountMax - unfinished.count
        bytes.extracting(first: min(bytes.count, room)).withUnsafeBufferPointer { unfinished += $0 }
        guard bytes.count > room else { return }
        // Too long already: tell it now and let the rest of the line pass by.
        isSkippingToNewline = true
        let line = unfinished
        unfinished = []
        try readLine(line.span, use)
    }

    private mutating func finishLine<Failure: Error>(_ use: (Entry) throws(Failure) -> Void) throws(Failure) {
        let line = unfinished
        unfinished.removeAll(keepingCapacity: true)
        let wasSkipping = isSkippingToNewline
        isSkippingToNewline = false
        if !wasSkipping { try readLine(line.span, use) }
    }

    private mutating func readLine<Failure: Error>(
        _ line: Span<UInt8>, _ use: (Entry) throws(Failure) -> Void
    ) throws(Failure) {
        lineCount += 1
        let start = lineCount == 1 && line.startsWithByteOrderMark ? 3 : 0
        let line = line.extracting(start..<line.count)
        let content = line.rangeWithoutBlanks(0..<line.count)
        guard !content.isEmpty, line[content.lowerBound] != UInt8(ascii: "#") else { return }
        let entry: Entry
        do throws(TaskLineError) {
            entry = .task(try TaskLine(parsing: line), lineNumber: lineCount)
            taskCount += 1
        } catch {
            entry = .problem(TaskFileProblem(file: name, lineNumber: lineCount, error: error))
            problemCount += 1
        }
        try use(entry)
    }
}

/// A line of a file that is not a task.
public struct TaskFileProblem: Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// Counted from 1.
    public let lineNumber: Int
    public let error: TaskLineError

    /// One line for each mistake: `tasks.txt:3:9: memory: found ..., expected ...`.
    public var description: String {
        error.problems.map { "\(TerminalText.escaped(file)):\(lineNumber):\($0.column): \($0)" }.joined(separator: "\n")
    }
}

extension Span<UInt8> {
    fileprivate var startsWithByteOrderMark: Bool {
        count >= 3 && self[0] == 0xEF && self[1] == 0xBB && self[2] == 0xBF
    }
}

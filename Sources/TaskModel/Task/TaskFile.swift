// Reads a file of tasks as it comes, in pieces of any size. A file of a million lines is never held as a whole: what is
// kept between two pieces is one unfinished line, and no more of that than a line may be long.

/// A file of task lines, or of plain commands where these may be too, read piece by piece. Lines that begin with `#` and
/// blank lines are skipped, a line that is no task is reported and the rest goes on; CR LF, a byte order mark and a last
/// line without a newline are taken.
public struct TaskFile: Sendable {
    public enum Entry: Sendable {
        /// What the lines of the file are, told once and before all else, where they could be either.
        case form(Form)
        case task(TaskLine, lineNumber: Int)
        case problem(TaskFileProblem)
    }

    /// What the lines of a file are.
    public enum Form: Sendable {
        case taskLines
        /// Each line is text for a shell, as GNU parallel and xargs have them.
        case commands
    }

    /// What messages call the file.
    public let name: String
    /// How many lines were read so far, of any kind.
    public private(set) var lineCount = 0
    public private(set) var taskCount = 0
    public private(set) var problemCount = 0

    /// Nil until the first line tells.
    private var form: Form?
    /// What plain commands are given besides; nil where there are to be none.
    private let commandParts: TaskLine.Parts?
    private var unfinished: [UInt8] = []
    private var isSkippingToNewline = false

    /// What is held of the unfinished line.
    var keptByteCount: Int { unfinished.count }

    /// A line this long is too long whatever follows: the longest line, CR LF, and the byte order mark before it.
    private static let byteCountMax = TaskLine.byteCountMax + 5

    /// - Parameter commandParts: what plain commands are given besides, if the file may be one of these; its first line
    ///   that is neither blank nor a comment then says whether it is.
    public init(named name: String, orCommandsWith commandParts: TaskLine.Parts? = nil) {
        self.name = name
        self.commandParts = commandParts
        form = commandParts == nil ? .taskLines : nil
    }

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
        let form = form ?? Form(ofFirstLine: line.extracting(content))
        if self.form == nil {
            self.form = form
            try use(.form(form))
        }
        let entry: Entry
        do throws(TaskLineError) {
            let task =
                switch form {
                case .taskLines: try TaskLine(parsing: line, isOfFile: true)
                case .commands: try commandLine(line, content)
                }
            entry = .task(task, lineNumber: lineCount)
            taskCount += 1
        } catch {
            entry = .problem(TaskFileProblem(file: name, lineNumber: lineCount, error: error))
            problemCount += 1
        }
        try use(entry)
    }
}

// MARK: - Plain commands

extension TaskFile {
    /// The task of a line that is a plain command.
    private func commandLine(_ line: Span<UInt8>, _ content: Range<Int>) throws(TaskLineError) -> TaskLine {
        let command = line.extracting(content)
        var fields = TaskFields()
        var parts = commandParts ?? TaskLine.Parts(command: "")
        parts.command = fields.checkedText(of: command)
        if fields.problems.isEmpty, Form(ofFirstLine: command) == .taskLines {
            fields.report(
                "line", at: 0, found: command.shown(0..<command.count) + ", a task line",
                expected: "a command, as the first line is one")
        }
        guard fields.problems.isEmpty else { throw fields.error(in: line, lineStart: content.lowerBound) }
        return try TaskLine(of: parts)
    }
}

extension TaskFile.Form {
    /// What a file is of which this is the first line that is neither blank nor a comment.
    ///
    /// Task lines, if it begins with a type and a colon, or is JSON. Also if it is no good task line but can hardly be meant as
    /// anything else: a word, a colon and a number (`shel:5:1:1:true`), or as many colons as a task line has. It is then an
    /// error with its place, rather than a command that is not found.
    init(ofFirstLine line: Span<UInt8>) {
        self = line.looksLikeJSON || line.looksLikeColonForm ? .taskLines : .commands
    }
}

extension Span<UInt8> {
    /// A brace and a quote, or two braces; a shell's `{ command; }` begins otherwise.
    fileprivate var looksLikeJSON: Bool {
        guard count > 1, self[0] == UInt8(ascii: "{") else { return false }
        let next = extracting(1..<count).firstOffset { !$0.isBlank }.map { self[$0 + 1] }
        return next == UInt8(ascii: "\"") || next == UInt8(ascii: "}")
    }

    fileprivate var looksLikeColonForm: Bool {
        guard let colon = firstOffset(of: UInt8(ascii: ":"), from: 0) else { return false }
        let word = extracting(rangeWithoutBlanks(0..<colon))
        guard !word.isEmpty, word.firstOffset(where: { !$0.isLetter && $0 != UInt8(ascii: "_") }) == nil else {
            return false
        }
        if TaskType(bytes: word) != nil { return true }
        let rest = extracting(rangeWithoutBlanks((colon + 1)..<count))
        let number = rest.firstOffset { $0 != UInt8(ascii: "-") && $0 != UInt8(ascii: "+") }
        if let number, rest[number].isDigit { return true }
        var colonCount = 1
        for index in 0..<rest.count {
            if rest[index].isBlank { break }
            if rest[index] == UInt8(ascii: ":") { colonCount += 1 }
        }
        return colonCount >= 4
    }
}

extension UInt8 {
    fileprivate var isLetter: Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self | 0x20) }
}

// MARK: - Problems

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

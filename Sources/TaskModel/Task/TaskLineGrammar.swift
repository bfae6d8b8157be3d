// Reads a task line. Written with colons it is one of
//
//     type:priority:min_dram:min_cpu:command
//     type:priority:min_dram:min_cpu:timeout_seconds:command
//
// and a line that begins with `{` is JSON (TaskLineJSON.swift). The command is all that is left, so it may hold colons
// itself. The fifth field is a timeout only when it is all digits, or digits and one of s, m, h, d, and a colon
// follows: `shell:1:0:0:10:30` is the command `30` with a timeout of ten seconds, and so it always was. A command that
// must begin like a timeout is written as JSON.
//
// A million lines are read at a time, so this works on bytes and makes two strings a line, no more.

import Notation

extension TaskLine {
    /// Reads a line, in either form; white space around it does not count.
    public init(parsing text: String) throws(TaskLineError) {
        var text = text
        text.makeContiguousUTF8()
        try self.init(parsing: text.utf8.span)
    }

    /// Reads a line as it comes from a file or from Redis, in either form; white space around it does not count.
    public init(parsing bytes: [UInt8]) throws(TaskLineError) {
        try self.init(parsing: bytes.span)
    }

    /// - Parameter isOfFile: whether it may say what only a task of a job can: for which others it waits, and how much memory it may come
    ///   to have.
    init(parsing bytes: Span<UInt8>, isOfFile: Bool = false) throws(TaskLineError) {
        let lineRange = bytes.rangeWithoutBlanks(0..<bytes.count)
        let line = bytes.extracting(lineRange)
        var fields = TaskFields()
        fields.isOfFile = isOfFile
        let text = fields.checkedText(of: line)
        if fields.problems.isEmpty {
            if line[0] == UInt8(ascii: "{") { fields.readJSON(line) } else { fields.readColons(line) }
        }
        guard fields.problems.isEmpty else { throw fields.error(in: bytes, lineStart: lineRange.lowerBound) }
        self.init(text: text, fields: fields, job: nil)
    }

    /// A line of a job: `command` or JSON begins at that byte. What the task may use is the job's.
    init(parsing line: Span<UInt8>, of job: Job, commandAt start: Int) throws(TaskLineError) {
        var fields = TaskFields()
        let text = fields.checkedText(of: line)
        if fields.problems.isEmpty {
            if start < line.count, line[start] == UInt8(ascii: "{") {
                fields.readJSON(line.extracting(start..<line.count))
            } else {
                fields.readCommand(line, start..<line.count)
            }
        }
        guard fields.problems.isEmpty else { throw fields.error(in: line, lineStart: 0) }
        fields.type = job.definition.type
        (fields.priority, fields.timeout) = (job.settings.priority, job.settings.timeout)
        (fields.memoryBytes, fields.millicores) = (job.settings.memoryBytes, job.settings.millicores)
        fields.memoryMaxBytes = job.settings.memoryMaxBytes
        fields.setSurroundings(below: job.definition.surroundings)
        self.init(text: text, fields: fields, job: job)
    }

    private init(text: String, fields: TaskFields, job: Job?) {
        self.text = text
        self.job = job
        self.type = fields.type
        self.priority = fields.priority
        self.memoryBytes = fields.memoryBytes
        self.memoryMaxBytes = fields.memoryMaxBytes
        self.millicores = fields.millicores
        self.timeout = fields.timeout
        self.command = fields.command
        // Those of a job are the same for all its tasks, most of which have none of their own.
        if let job, fields.surroundings == nil {
            kept = job.keptSurroundings
        } else {
            kept = fields.surroundings.map { KeptSurroundings($0) }
        }
    }
}

/// The fields of a line as they are found, and what is wrong with them. Reading goes on after a problem, so that all
/// of a line's mistakes are told at once.
struct TaskFields {
    struct Problem {
        let field: String
        let offset: Int
        let found: String
        let expected: String
    }

    var type = TaskType.shell
    var priority = 0
    var memoryBytes: UInt64 = 0
    var memoryMaxBytes: UInt64 = 0
    var millicores = 0
    var timeout = TimeoutRequest.byDefault
    var command = ""
    /// nil while the line has named none.
    private(set) var surroundings: TaskSurroundings?
    private(set) var problems: [Problem] = []
    /// Whether `after` and `memory_max` may be among them.
    var isOfFile = false

    var own: TaskSurroundings {
        get { surroundings ?? TaskSurroundings() }
        set { surroundings = newValue }
    }

    /// Where the line has some of its own, what it does not say is as in `common`.
    mutating func setSurroundings(below common: TaskSurroundings) {
        guard let own = surroundings, !common.isEmpty else { return }
        var merged = common
        merged.name = own.name ?? common.name
        merged.directory = own.directory ?? common.directory
        merged.environment.merge(own.environment) { $1 }
        merged.standardInput = own.standardInput ?? common.standardInput
        merged.checkpointDirectory = own.checkpointDirectory ?? common.checkpointDirectory
        surroundings = merged
    }

    static let colonForm = "type:priority:min_dram:min_cpu:command"
    static let typesExpected = TaskType.allCases.map(\.rawValue).joined(separator: ", ")
    static let priorityExpected =
        "a whole number from \(TaskLine.priorities.lowerBound) to \(TaskLine.priorities.upperBound)"

    mutating func report(_ field: String, at offset: Int, found: String, expected: String) {
        guard problems.count < 10 else { return }  // The rest is told when these are mended.
        problems.append(Problem(field: field, offset: offset, found: found, expected: expected))
    }

    func error(in bytes: Span<UInt8>, lineStart: Int) -> TaskLineError {
        TaskLineError(
            problems.map { problem in
                TaskLineError.Problem(
                    field: problem.field, column: bytes.column(ofByteAt: lineStart + problem.offset),
                    found: problem.found, expected: problem.expected)
            })
    }

    /// The line as a string, when it is text, on one line, and of bounded length; else a problem is reported.
    mutating func checkedText(of line: Span<UInt8>) -> String {
        if line.isEmpty {
            report("line", at: 0, found: "nothing", expected: Self.colonForm)
        } else if line.count > TaskLine.byteCountMax {
            report("line", at: 0, found: "a longer one", expected: "at most \(TaskLine.byteCountMax) bytes")
        } else if let offset = line.firstOffset(where: { $0 == 0 || $0 == UInt8(ascii: "\n") }) {
            let found = line[offset] == 0 ? "a NUL character" : "a newline"
            report("line", at: offset, found: found, expected: "text on one line")
        } else {
            return validText(of: line)
        }
        return ""
    }

    private mutating func validText(of line: Span<UInt8>) -> String {
        do throws(UTF8.ValidationError) {
            let text = String(copying: try UTF8Span(validating: line))
            if text == TaskLine.closeCommand {
                report("line", at: 0, found: "`\(text)`", expected: "a task; this is the word that stops the nodes")
            }
            return text
        } catch {
            let offset = error.byteOffsets.lowerBound
            report("line", at: offset, found: "the byte 0x\(Hexadecimal.text(line[offset]))", expected: "UTF-8 text")
            return ""
        }
    }

    /// Fills the fields from the form with colons.
    mutating func readColons(_ line: Span<UInt8>) {
        var start = 0
        for name in ["type", "priority", "memory", "cores"] {
            guard let colon = line.firstOffset(of: UInt8(ascii: ":"), from: start) else {
                let found = line.shown(start..<line.count)
                return report(name, at: start, found: found + ", the last field", expected: Self.colonForm)
            }
            readColonField(name, line, start..<colon)
            start = colon + 1
        }
        if let colon = line.firstOffset(of: UInt8(ascii: ":"), from: start), line.isTimeout(start..<colon) {
            readTimeout(line, start..<colon)
            start = colon + 1
        }
        readCommand(line, start..<line.count)
    }

    private mutating func readColonField(_ name: String, _ line: Span<UInt8>, _ field: Range<Int>) {
        let range = line.rangeWithoutBlanks(field)
        let value = line.extracting(range)
        switch name {
        case "type":
            let type = TaskType(bytes: value)
            if let type { self.type = type } else { reportValue(name, line, range, "one of \(Self.typesExpected)") }
        case "priority":
            let priority = Amount.integer(value, in: TaskLine.priorities)
            if let priority { self.priority = priority } else { reportValue(name, line, range, Self.priorityExpected) }
        case "memory":
            let bytes = Amount.memoryBytes(value)
            if let bytes { memoryBytes = bytes } else { reportValue(name, line, range, Amount.memoryExpected) }
        default:
            let count = Amount.millicores(value)
            if let count { millicores = count } else { reportValue(name, line, range, Amount.coresExpected) }
        }
    }

    private mutating func readTimeout(_ line: Span<UInt8>, _ range: Range<Int>) {
        let request = Amount.timeout(line.extracting(range))
        if let request { timeout = request } else { reportValue("timeout", line, range, Amount.timeoutExpected) }
    }

    mutating func readCommand(_ line: Span<UInt8>, _ range: Range<Int>) {
        guard !line.rangeWithoutBlanks(range).isEmpty else {
            return report("command", at: range.lowerBound, found: "nothing", expected: "the command to run")
        }
        guard problems.isEmpty else { return }
        command = line.text(range)
    }

    private mutating func reportValue(_ name: String, _ line: Span<UInt8>, _ range: Range<Int>, _ expected: String) {
        report(name, at: range.lowerBound, found: line.shown(range), expected: expected)
    }
}

extension TaskType {
    init?(bytes: Span<UInt8>) {
        if bytes.equals("shell") {
            self = .shell
        } else if bytes.equals("python") {
            self = .python
        } else if bytes.equals("demo") {
            self = .demo
        } else {
            return nil
        }
    }
}

extension Span<UInt8> {
    /// All digits, or digits and one letter that is a unit of time.
    fileprivate func isTimeout(_ field: Range<Int>) -> Bool {
        guard !field.isEmpty, self[field.lowerBound].isDigit else { return false }
        for index in field.dropLast() where !self[index].isDigit { return false }
        let last = self[field.upperBound - 1]
        return last.isDigit || Amount.secondsPerTimeUnit(last) != nil
    }
}

// MARK: - What is wrong with a line

/// Why a line is not a task: every field that cannot be read, each with its place, what was found and what is expected.
public struct TaskLineError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Problem: Hashable, Sendable, CustomStringConvertible {
        /// A name of a field of JSON, such as `memory`, or `line` for the line as a whole.
        public let field: String
        /// Counted from 1 in characters (Unicode scalars) of the line as it was given, leading white space included.
        public let column: Int
        /// What stands there, safe to print and not longer than a few words.
        public let found: String
        /// What may stand there.
        public let expected: String

        public init(field: String, column: Int, found: String, expected: String) {
            self.field = field
            self.column = column
            self.found = found
            self.expected = expected
        }

        public var description: String { "\(field): found \(found), expected \(expected)" }
    }

    /// Never empty; in the order of the line.
    public let problems: [Problem]

    public init(_ problems: [Problem]) { self.problems = problems }

    /// Where the first problem is, counted from 1.
    public var column: Int { problems.first?.column ?? 1 }

    /// All problems in one line, without their columns.
    public var message: String { problems.map(\.description).joined(separator: "; ") }

    public var description: String { problems.map { "\($0.column): \($0)" }.joined(separator: "; ") }
}

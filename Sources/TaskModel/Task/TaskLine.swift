// What one task is, as a line of text says it. The line is also the task's name in every Redis hash, so the text is
// kept exactly as it was written (surrounding white space aside) and two tasks are the same when their lines are.
// How the text is read: TaskLineGrammar.swift (fields between colons) and TaskLineJSON.swift (named fields).

import Notation

/// How a task's command is to be understood.
public enum TaskType: String, CaseIterable, Hashable, Sendable {
    /// Given to `sh -c`.
    case shell
    /// `python3` with these words.
    case python
    /// `echo demo` with these words.
    case demo
}

/// What a line says about how long its task may run.
public enum TimeoutRequest: Hashable, Sendable {
    /// Nothing: the setting `default_task_timeout_seconds` applies.
    case byDefault
    /// `0`: as long as it likes.
    case none
    /// At most this many seconds.
    case seconds(Double)
}

/// One task, as its line describes it.
public struct TaskLine: Hashable, Sendable {
    /// The task's identity: its line without surrounding white space.
    public let text: String
    public let type: TaskType
    /// Higher runs first; from -1,000,000 to 1,000,000.
    public let priority: Int
    /// The cap on the memory of all its processes together; 0: no cap of its own.
    public internal(set) var memoryBytes: UInt64
    /// Thousandths of a core it asks for.
    public internal(set) var millicores: Int
    public internal(set) var timeout: TimeoutRequest
    /// How much it may come to have if it runs out of memory; 0: it is not given more.
    public internal(set) var memoryMaxBytes: UInt64
    /// What it had first, where it ran out of that and was given more; else 0.
    public internal(set) var grownFromBytes: UInt64 = 0
    /// Never empty, without NUL; without newlines too unless the line is JSON.
    public let command: String
    /// Of which job it is; nil for a line of none.
    public let job: Job?
    let kept: KeptSurroundings?

    /// What it has of its node besides memory and cores: what its job says.
    public var resources: ResourceRequest { job?.settings.resources ?? ResourceRequest() }

    /// What it has of its own beside its command; nil for nothing.
    public var surroundings: TaskSurroundings? { kept?.value }

    /// The longest line taken: a longer command could not be passed to a program in one argument (MAX_ARG_STRLEN in
    /// execve(2)), and Redis keeps every line several times over.
    public static let byteCountMax = 128 * 1024

    /// The priorities a line may have.
    public static let priorities = -1_000_000...1_000_000

    /// The field of `todo_tasks` that tells all nodes, and the workers of the old system, to finish what they run and stop.
    /// It is never a task.
    public static let closeCommand = "WORKER_COMMAND_CLOSE"

    /// How long the task may run, in seconds, where lines that do not say get `fallback` (0: no limit); nil: no limit.
    public func timeoutSeconds(default fallback: Double) -> Double? {
        switch timeout {
        case .byDefault: fallback > 0 ? fallback : nil
        case .none: nil
        case .seconds(let seconds): seconds > 0 ? seconds : nil
        }
    }

    /// Whether a worker of the old system understands the line: five fields between colons, the amounts whole numbers. Of any other one
    /// its main loop ends, while it goes on saying that it is alive.
    public var isOfOldForm: Bool {
        let fields = text.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 5, omittingEmptySubsequences: false)
        return fields.count == 5 && fields[1..<4].allSatisfy { !$0.isEmpty && $0.allSatisfy(\.isDigit) }
    }

    /// A short name for the task, good as a file name: 16 hex digits, the FNV-1a hash of its line.
    public var identifier: String { Self.identifier(of: text) }

    /// The short name of a line, also of one that is no task.
    public static func identifier(of text: String) -> String {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return Hexadecimal.text(hash)
    }

    /// Byte for byte, as Redis compares them. String's own `==` takes a composed letter and its parts for the same, and
    /// one of two tasks would be lost.
    public static func == (left: TaskLine, right: TaskLine) -> Bool {
        left.text.utf8.elementsEqual(right.text.utf8)
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(text) }
}

/// Few lines have surroundings of their own, and a line is copied a dozen times on its way: one reference, most often to nothing.
final class KeptSurroundings: Sendable {
    let value: TaskSurroundings

    init(_ value: TaskSurroundings) { self.value = value }
}

// MARK: - Writing
//
// Writes the line of a task that somebody described by its parts, as `distcomp submit -- COMMAND` does. The form with colons
// where it says the same, since that is what people read; JSON where the command would be taken for something else, or where the
// task has a directory or the like of its own.

extension TaskLine {
    /// What a line is made of, as a person gives it: amounts are text such as `2G`, `0.5`, `10m`.
    public struct Parts: Hashable, Sendable {
        public var priority = 0
        public var memory = "0"
        public var cores = "0"
        /// nil: the default timeout applies.
        public var timeout: String?
        public var surroundings = TaskSurroundings()
        public var command: String

        public init(command: String) { self.command = command }
    }

    /// The line of a shell task of these parts.
    ///
    /// Throws when a part cannot be read: the problems name the fields as lines of JSON do.
    public init(of parts: Parts) throws(TaskLineError) {
        if let line = Self.colonLine(of: parts) {
            self = line
        } else {
            try self.init(parsing: Self.jsonLine(of: parts))
        }
    }

    /// The form with colons; nil where it would be read as something else.
    private static func colonLine(of parts: Parts) -> TaskLine? {
        guard parts.surroundings.isEmpty else { return nil }
        let fields = ["shell", String(parts.priority), parts.memory, parts.cores] + [parts.timeout].compactMap(\.self)
        guard let line = try? TaskLine(parsing: (fields + [parts.command]).joined(separator: ":")),
            // The command is what is left when all fields are taken: where it is the same, so are they.
            line.command.utf8.elementsEqual(parts.command.utf8)
        else { return nil }
        return line
    }

    private static func jsonLine(of parts: Parts) -> String {
        var writer = JSONObjectWriter()
        if parts.priority != 0 { writer.field("priority", parts.priority) }
        if parts.memory != "0" { writer.field("memory", parts.memory) }
        if parts.cores != "0" { writer.field("cores", parts.cores) }
        if let timeout = parts.timeout { writer.field("timeout", timeout) }
        parts.surroundings.write(to: &writer)
        writer.field("command", parts.command)
        return writer.text
    }
}

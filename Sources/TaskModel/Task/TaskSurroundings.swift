// What a task has of its own beside its command: a name, the directory it begins in, variables of its environment, what it reads
// from standard input, where it saves what it has done. Only lines of JSON say these; where a line says nothing, the node's hold.

/// A task's own name, directory, environment and standard input; each may be absent.
public struct TaskSurroundings: Hashable, Sendable {
    public enum StandardInput: Hashable, Sendable {
        /// The absolute path of a file on the node, opened as the task's user.
        case file(String)
        /// The text itself.
        case text(String)
    }

    /// What people call the task.
    public var name: String?
    /// The absolute path of the directory on the node in which it begins.
    public var directory: String?
    /// Values by their names. They hold over what the node gives its tasks, but never over what DistComp tells a task itself.
    public var environment: [String: String] = [:]
    /// nil: nothing, the end of the file at once.
    public var standardInput: StandardInput?
    /// The absolute path of a directory in which each task has one by its identifier, for what it saves; it is there for the next attempt.
    public var checkpointDirectory: String?
    /// The names of the tasks of the same file for which it waits. It is no part of any line in the queue.
    public var after: [String] = []
    /// What it has of its node besides memory and cores, where a line of a file says so: its job does, so this is no part of any line in
    /// the queue either.
    public var resources: ResourceRequest?
    /// Which nodes it is for; as with ``resources``.
    public var nodeLabels: LabelExpression?

    public init() {}

    public var isEmpty: Bool { self == TaskSurroundings() }

    /// What is not the same in `common`.
    public func without(_ common: TaskSurroundings) -> TaskSurroundings {
        var own = self
        if own.name == common.name { own.name = nil }
        if own.directory == common.directory { own.directory = nil }
        own.environment = environment.filter { common.environment[$0.key] != $0.value }
        if own.standardInput == common.standardInput { own.standardInput = nil }
        if own.checkpointDirectory == common.checkpointDirectory { own.checkpointDirectory = nil }
        return own
    }

    /// That of it which is part of the task's line in the queue.
    public var ofLine: TaskSurroundings {
        var own = self
        (own.after, own.resources, own.nodeLabels) = ([], nil, nil)
        return own
    }

    /// Where the task of this identifier saves what it has done.
    public func checkpointPath(of identifier: String) -> String? {
        checkpointDirectory.map { ($0.hasSuffix("/") ? $0 : $0 + "/") + identifier }
    }
}

// MARK: - What each may be

extension TaskSurroundings {
    public static let nameBytesMax = 255
    /// PATH_MAX, without its NUL.
    public static let pathBytesMax = 4095
    public static let variablesMax = 1024

    static let nameExpected = "text of 1 to \(nameBytesMax) bytes without control characters"
    static let directoryExpected = "the absolute path of a directory"
    static let environmentExpected = #"names with their values, such as {"SEED": "7"}, at most \#(variablesMax)"#
    static let standardInputExpected = #"the absolute path of a file, or {"text": "what it reads"}"#
    public static let variableNameExpected =
        "a name of letters, digits and _ that begins with no digit, and not with \(TaskVariables.ownPrefix)"

    static func isName(_ text: String) -> Bool {
        (1...nameBytesMax).contains(text.utf8.count)
            && !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
    }

    static func isPath(_ text: String) -> Bool {
        text.utf8.first == UInt8(ascii: "/") && text.utf8.count <= pathBytesMax && !text.utf8.contains(0)
    }

    /// Whether a task may have a variable of its own by this name: one that POSIX lets every program have, and none by which
    /// DistComp tells a task, or a `distcomp` that the task starts, something itself.
    public static func isVariableName(_ name: String) -> Bool {
        guard let first = name.utf8.first, !first.isDigit, !name.hasPrefix(TaskVariables.ownPrefix) else {
            return false
        }
        return name.utf8.allSatisfy {
            $0.isDigit || $0 == UInt8(ascii: "_") || ($0 | 0x20 >= UInt8(ascii: "a") && $0 | 0x20 <= UInt8(ascii: "z"))
        }
    }
}

// MARK: - Reading and writing

extension TaskFields {
    /// Reads the value of `name`, `cwd`, `env`, `checkpoint_dir` or `stdin`.
    mutating func readSurroundings(_ member: JSONMember, _ line: Span<UInt8>) {
        switch (member.name, member.value.content) {
        case ("name", .string(let text)) where TaskSurroundings.isName(text): own.name = text
        case ("name", _): reportValue(member, line, TaskSurroundings.nameExpected)
        case ("cwd", .string(let path)) where TaskSurroundings.isPath(path): own.directory = path
        case ("cwd", _): reportValue(member, line, TaskSurroundings.directoryExpected)
        case ("checkpoint_dir", .string(let path)) where TaskSurroundings.isPath(path): own.checkpointDirectory = path
        case ("checkpoint_dir", _): reportValue(member, line, TaskSurroundings.directoryExpected)
        case ("env", .object(let variables)) where variables.count <= TaskSurroundings.variablesMax:
            for variable in variables { readVariable(variable, line) }
        case ("env", _): reportValue(member, line, TaskSurroundings.environmentExpected)
        case (_, .string(let path)) where TaskSurroundings.isPath(path): own.standardInput = .file(path)
        case (_, .object(let parts)):
            guard parts.count == 1, parts[0].name == "text", case .string(let text) = parts[0].value.content else {
                return reportValue(member, line, TaskSurroundings.standardInputExpected)
            }
            own.standardInput = .text(text)
        default: reportValue(member, line, TaskSurroundings.standardInputExpected)
        }
    }

    private mutating func readVariable(_ variable: JSONMember, _ line: Span<UInt8>) {
        func report(found: String, expected: String, at offset: Int) {
            self.report("env", at: offset, found: found, expected: expected)
        }
        guard TaskSurroundings.isVariableName(variable.name) else {
            let expected = TaskSurroundings.variableNameExpected
            return report(found: "`\(shownName(variable))`", expected: expected, at: variable.nameOffset)
        }
        let range = variable.value.range
        let value: String
        switch variable.value.content {
        case .string(let text): value = text
        case .integer, .number: value = line.text(range)  // As it is written: 0.10 stays 0.10.
        case .null, .boolean, .array, .object:
            return report(found: line.shown(range), expected: "the text of a variable", at: range.lowerBound)
        }
        guard !value.utf8.contains(0) else {
            return report(found: line.shown(range), expected: "text without NUL", at: range.lowerBound)
        }
        guard own.environment.updateValue(value, forKey: variable.name) == nil else {
            return report(found: "`\(variable.name)` a second time", expected: "each once", at: variable.nameOffset)
        }
    }
}

extension TaskSurroundings {
    /// Writes the fields that are there, always in the same order: the line is the task's identity.
    func write(to writer: inout JSONObjectWriter) {
        if let name { writer.field("name", name) }
        if let directory { writer.field("cwd", directory) }
        if !environment.isEmpty {
            var variables = JSONObjectWriter()
            for (name, value) in environment.sorted(by: { $0.key < $1.key }) { variables.field(name, value) }
            writer.field("env", json: variables.bytes)
        }
        switch standardInput {
        case .file(let path): writer.field("stdin", path)
        case .text(let text):
            var object = JSONObjectWriter()
            object.field("text", text)
            writer.field("stdin", json: object.bytes)
        case nil: break
        }
        if let checkpointDirectory { writer.field("checkpoint_dir", checkpointDirectory) }
    }
}

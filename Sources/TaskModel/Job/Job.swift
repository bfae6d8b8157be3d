// A job: what one `submit` or `run` adds, tasks that have all but their commands in common. What they have in common stands in the queue
// once; a line of a job is the job's identifier and what is done, and what its task may use is no part of it: whoever asks for the same
// again with more memory goes on with what is not finished.
//
//     @t6k2x1 ./cachesim trace.bin lru
//     @t6k2x1 {"command":"{ ./first; ./second; }"}
//
// The second form is for a command that begins with a brace, or holds a newline. Lines of any other form are of no job.

/// What the tasks of a job have in common. A class: every task of the job refers to it.
public final class Job: Sendable {
    /// Lower case letters and digits; it never changes, and no other job of the queue has or had it.
    public let identifier: String
    /// By which people know it. It can be changed.
    public let name: String
    public let settings: Settings
    public let definition: Definition
    let keptSurroundings: KeptSurroundings?

    /// What can be changed, and who asked.
    public struct Settings: Hashable, Sendable {
        /// As of ``TaskLine``.
        public var memoryBytes: UInt64 = 0
        /// As of ``TaskLine``.
        public var millicores = 0
        public var timeout = TimeoutRequest.byDefault
        /// As of ``TaskLine``.
        public var priority = 0
        /// Who asked for it last, and shares the fleet with other such; "" where that is not known.
        public var owner = ""
        /// The machine it was asked for on.
        public var host = ""
        public var submittedAtUnixSeconds = 0.0
        /// The command or file as it was typed, shortened.
        public var command = ""
        /// What tells that the same is asked for again; "" where nothing does.
        public var fingerprint = ""
        /// After how many failures nothing more of it is given out, as `--halt` takes it (`soon,fail=3`); "" for never.
        public var halt = ""
        /// What its tasks are told before their time is up; nil for nothing.
        public var warning: DeadlineWarning?
        /// The exit codes by which its tasks go back to the queue.
        public var requeueCodes = RequeueCodes.byDefault
        /// How much a task may come to have that runs out of memory; 0: it is not given more.
        public var memoryMaxBytes: UInt64 = 0
        /// What such a task is given; nil for ``OomRule/byDefault``.
        public var onOom: OomRule?
        /// What the tasks ask for is what those before them needed: the queue changes ``memoryBytes``.
        public var learnsMemory = false
        /// Which nodes its tasks are for; nil for all.
        public var nodeLabels: LabelExpression?
        /// A task may be run twice at once: it does no harm, and the first to finish counts.
        public var isIdempotent = false
        /// What each task has of its node besides memory and cores.
        public var resources = ResourceRequest()
        /// How the commands were made; nil where they have no values, or nobody can tell.
        public var template: JobTemplate?

        public init() {}
    }

    /// What the tasks are, which no order changes: it is signed with each of them.
    public struct Definition: Hashable, Sendable {
        public var type = TaskType.shell
        /// Where a task has its own, these hold for what it does not say.
        public var surroundings = TaskSurroundings()

        public init() {}
    }

    public init(identifier: String, name: String, settings: Settings, definition: Definition) {
        self.identifier = identifier
        self.name = name
        self.settings = settings
        self.definition = definition
        keptSurroundings = definition.surroundings.isEmpty ? nil : KeptSurroundings(definition.surroundings)
    }

    /// The longest name, in bytes.
    public static let nameBytesMax = 128

    /// What is wrong with a name that somebody chose; nil for nothing. It stands in listings, in URLs and on command lines.
    public static func problem(withName name: String) -> String? {
        let isKnown: (UInt8) -> Bool = { byte in
            byte.isDigit || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
                || byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") || "._-+".utf8.contains(byte)
        }
        if name.isEmpty { return "a job's name cannot be empty" }
        if name.utf8.count > nameBytesMax { return "a job's name has at most \(nameBytesMax) bytes" }
        if name == defaultName { return "`\(defaultName)` is the name of the tasks that are of no job" }
        guard name.utf8.allSatisfy(isKnown), name.first != "-" else {
            return "a job's name has letters, digits and . _ - + only, and does not begin with -"
        }
        return nil
    }

    /// What is wrong with an owner that somebody chose; nil for nothing.
    public static func problem(withOwner owner: String) -> String? {
        if owner == defaultName { return "`\(defaultName)` is what nobody is known to own" }
        let isPlain = owner.utf8.allSatisfy { $0 > UInt8(ascii: " ") && $0 != 0x7F }
        guard !owner.isEmpty, owner.utf8.count <= nameBytesMax, isPlain, owner.first != "-" else {
            return "an owner is a word of at most \(nameBytesMax) bytes that does not begin with -"
        }
        return nil
    }

    /// What a name could be that is made of any text, a path or a command.
    public static func name(from text: String) -> String {
        let base = text.split(separator: "/").last.map(String.init) ?? ""
        let letters = base.unicodeScalars.map { scalar in
            problem(withName: "a" + String(scalar)) == nil ? Character(scalar) : "-"
        }
        let name = String(String(letters).drop { $0 == "-" }.prefix(40))
        return problem(withName: name) == nil ? name : "job"
    }

    /// A name that comes from Redis, where anything may stand: it is shown on terminals.
    public static func harmless(_ name: String) -> String {
        problem(withName: name) == nil ? name : Self.name(from: name)
    }

    /// How the tasks that are of no job are called together.
    public static let defaultName = "default"
}

extension Job: Hashable {
    public static func == (left: Job, right: Job) -> Bool {
        left === right
            || left.identifier == right.identifier && left.name == right.name && left.settings == right.settings
                && left.definition == right.definition
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(identifier) }
}

// MARK: - As the queue notes it

/// Why a text is not the record of a job.
public struct JobRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
}

extension Job {
    /// The name, the settings and the definition, a line each.
    public var record: String { "\(name)\n\(settings.json)\n\(definition.json)" }

    /// Reads a record back; fields that are not known come from other versions. Nothing of the definition may be left out: what it says
    /// decides what is run.
    public convenience init(identifier: String, record: [UInt8]) throws(JobRecordError) {
        let lines = record.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        guard lines.count == 3, let name = String(validating: lines[0], as: UTF8.self) else {
            throw JobRecordError(description: "not the record of a job: it has not three lines")
        }
        self.init(
            identifier: identifier, name: Self.harmless(name), settings: try Settings(json: Array(lines[1])),
            definition: try Definition(json: Array(lines[2])))
    }

    /// Of which job a line is; "" for a line of none.
    public static func identifier(ofLine line: some StringProtocol) -> String {
        var bytes = line.utf8.makeIterator()
        guard bytes.next() == UInt8(ascii: "@") else { return "" }
        var identifier: [UInt8] = []
        while let byte = bytes.next() {
            if byte == UInt8(ascii: " ") { return String(decoding: identifier, as: UTF8.self) }
            guard identifier.count < 32, byte.isDigit || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z") else {
                return ""
            }
            identifier.append(byte)
        }
        return ""
    }
}

extension Job.Settings {
    /// One line.
    public var json: String {
        var writer = JSONObjectWriter()
        writer.field("memory", memoryBytes)
        writer.field("millicores", millicores)
        switch timeout {
        case .byDefault: break
        case .none: writer.field("timeout", 0)
        case .seconds(let seconds): writer.field("timeout", seconds)
        }
        writer.field("priority", priority)
        writer.field("owner", owner)
        writer.field("host", host)
        writer.field("submitted_at", submittedAtUnixSeconds)
        writer.field("command", command)
        writer.field("fingerprint", fingerprint)
        if !halt.isEmpty { writer.field("halt", halt) }
        if let warning { writer.field("signal", warning.text) }
        if requeueCodes != .byDefault { writer.field("requeue_exit_codes", requeueCodes.text) }
        if memoryMaxBytes > 0 { writer.field("memory_max", memoryMaxBytes) }
        if let onOom { writer.field("on_oom", onOom.text) }
        if learnsMemory { writer.field("memory_auto", true) }
        if let nodeLabels { writer.field("where", nodeLabels.text) }
        if isIdempotent { writer.field("idempotent", true) }
        if !resources.isEmpty { writer.field("resources", resources.text) }
        if let template { writer.field("template", json: template.json) }
        return writer.text
    }

    /// What the index knows of the tasks: `memory:millicores`.
    public var size: String { "\(memoryBytes):\(millicores)" }

    init(json: [UInt8]) throws(JobRecordError) {
        for member in try members(json) {
            switch (member.name, member.value.content) {
            case ("memory", .integer(let bytes)): memoryBytes = UInt64(clamping: bytes)
            case ("millicores", .integer(let count)): millicores = Int(clamping: max(0, count))
            case ("timeout", .integer(0)): timeout = .none
            case ("timeout", let content):
                guard let seconds = content.double, seconds > 0, seconds.isFinite else {
                    throw JobRecordError(description: "the timeout of a job is not a number of seconds")
                }
                timeout = .seconds(seconds)
            case ("priority", .integer(let number)):
                priority = min(
                    max(Int(clamping: number), TaskLine.priorities.lowerBound), TaskLine.priorities.upperBound)
            case ("owner", .string(let text)): owner = text
            case ("host", .string(let text)): host = text
            case ("submitted_at", let content): submittedAtUnixSeconds = content.double ?? 0
            case ("command", .string(let text)): command = text
            case ("fingerprint", .string(let text)): fingerprint = text
            case ("halt", .string(let text)): halt = text
            case ("signal", .string(let text)): warning = DeadlineWarning(text: text)
            case ("requeue_exit_codes", .string(let text)): requeueCodes = RequeueCodes(text: text) ?? .byDefault
            case ("memory_max", .integer(let bytes)): memoryMaxBytes = UInt64(clamping: bytes)
            case ("on_oom", .string(let text)): onOom = OomRule(text: text)
            case ("memory_auto", .boolean(let isOn)): learnsMemory = isOn
            case ("where", .string(let text)): nodeLabels = LabelExpression(text: text)
            case ("idempotent", .boolean(let isOn)): isIdempotent = isOn
            case ("resources", .string(let text)):
                // Without them a task would run beside others on what is to be its own.
                guard let request = ResourceRequest(text: text) else {
                    throw JobRecordError(description: "the resources of a job cannot be read: \(text)")
                }
                resources = request
            case ("template", .object(let members)): template = JobTemplate(members)
            default: break
            }
        }
    }
}

extension Job.Definition {
    /// One line, always the same for the same: it is compared, and signed.
    public var json: String {
        var writer = JSONObjectWriter()
        writer.field("type", type.rawValue)
        surroundings.write(to: &writer)
        return writer.text
    }

    init(json: [UInt8]) throws(JobRecordError) {
        _ = try members(json)  // An object it is.
        var fields = TaskFields()
        fields.readJSON(json.span, needsCommand: false)
        // What this version does not know may change what is run.
        if let problem = fields.problems.first {
            throw JobRecordError(
                description:
                    "the definition of a job cannot be read (\(problem.field): found \(problem.found), expected "
                    + "\(problem.expected)); if it is of a later version, update this one")
        }
        type = fields.type
        surroundings = fields.own
    }
}

private func members(_ json: [UInt8]) throws(JobRecordError) -> [JSONMember] {
    let value: JSONValue
    do throws(JSONError) {
        value = try JSONReader.read(json)
    } catch {
        throw JobRecordError(description: "not the record of a job: \(error)")
    }
    guard case .object(let members) = value.content else {
        throw JobRecordError(description: "not the record of a job: no JSON object")
    }
    return members
}

// MARK: - Lines of a job

extension TaskLine {
    /// What a line does, for people: its command, without knowing its job; a line that is no task, as it is.
    public static func command(ofLine line: String) -> String {
        let identifier = Job.identifier(ofLine: line)
        if identifier.isEmpty { return (try? TaskLine(parsing: line))?.command ?? line }
        let job = Job(identifier: identifier, name: "", settings: Job.Settings(), definition: Job.Definition())
        return (try? TaskLine(parsing: line, of: [identifier: job]))?.command ?? line
    }

    /// The task of a job that is this command.
    ///
    /// Throws when the line would be too long, or the command is empty or holds a NUL.
    ///
    /// - Parameter surroundings: what holds for this task; what the job says as well is not written.
    public init(
        command: String, surroundings: TaskSurroundings = TaskSurroundings(), of job: Job
    ) throws(TaskLineError) {
        let own = surroundings.without(job.definition.surroundings).ofLine
        let isPlain =
            own.isEmpty && command.utf8.first != UInt8(ascii: "{") && !command.utf8.contains(UInt8(ascii: "\n"))
            && command.utf8.first.map { !$0.isBlank } ?? true && command.utf8.last.map { !$0.isBlank } ?? true
        var text = command
        if !isPlain {
            var writer = JSONObjectWriter()
            own.write(to: &writer)
            writer.field("command", command)
            text = writer.text
        }
        try self.init(parsing: "@\(job.identifier) \(text)", of: [job.identifier: job])
    }

    /// Reads a line, also one of a job among these.
    public init(parsing text: String, of jobs: [String: Job]) throws(TaskLineError) {
        let identifier = Job.identifier(ofLine: text)
        guard !identifier.isEmpty else {
            try self.init(parsing: text)
            return
        }
        guard let job = jobs[identifier] else {
            throw TaskLineError([
                TaskLineError.Problem(
                    field: "job", column: 2, found: "`\(identifier)`, which is not known",
                    expected: "a job of this queue")
            ])
        }
        var text = text
        text.makeContiguousUTF8()
        try self.init(parsing: text.utf8.span, of: job, commandAt: identifier.utf8.count + 2)
    }

    /// Reads a line as it comes from Redis, also one of a job among these.
    public init(parsing bytes: [UInt8], of jobs: [String: Job]) throws(TaskLineError) {
        if bytes.first == UInt8(ascii: "@"), let text = String(validating: bytes, as: UTF8.self) {
            try self.init(parsing: text, of: jobs)
        } else {
            try self.init(parsing: bytes)
        }
    }
}

// What waits for other jobs and tasks: told to the queue by who submits, and read by who wants to know why something waits.

import RedisClient
import TaskModel

/// How a job, or a task, waits for another.
public enum AfterWay: String, CaseIterable, Sendable {
    /// All of it has finished.
    case ok
    /// All of it has ended, well or not.
    case any
    /// Each task waits for its like, which has to finish.
    case each

    /// `JOB:ok JOB:any`, as the scripts read it.
    static func text(of parents: [(identifier: String, way: AfterWay)]) -> String {
        parents.map { "\($0.identifier):\($0.way.rawValue)" }.joined(separator: " ")
    }
}

/// What becomes of a job that waits for others.
public enum JobGate: Equatable, Sendable {
    /// It waits for nothing, or no more.
    case open
    case waits
    /// The job of this identifier has ended otherwise than was wanted.
    case broken(String)

    /// As the queue notes it; "" for nothing.
    init(_ text: String) {
        let words = text.split(separator: " ")
        self = words.isEmpty ? .open : words.count == 2 && words[0] == "broken" ? .broken(String(words[1])) : .waits
    }
}

/// When a job may begin.
public enum NotBefore: Equatable, Sendable {
    case atOnce
    /// So long from when the queue is told, as its own clock goes.
    case after(milliseconds: Int)
    /// When Redis's clock says so, in milliseconds since 1970.
    case at(unixMilliseconds: Int)

    fileprivate var text: String {
        switch self {
        case .atOnce: "none"
        case .after(let milliseconds): "in \(max(0, milliseconds))"
        case .at(let milliseconds): "at \(max(0, milliseconds))"
        }
    }
}

/// Says for which jobs a job waits and when it may begin, in place of what was said before. Harmless when repeated, but that a delay begins
/// anew. What cannot be is refused, and nothing done.
public struct GateJob: QueueOperation {
    public enum Reply: Equatable, Sendable {
        case gated(JobGate)
        /// There is no such job.
        case unknown(String)
        /// It would wait for itself, over these: the first is the last as well.
        case circle([String])
    }

    /// A job waits for so many at most: all of them are looked at whenever one ends.
    public static let parentsMax = 100

    private let keys: QueueKeys
    private let identifier: String
    private let parents: [(identifier: String, way: AfterWay)]?
    private let notBefore: NotBefore?

    /// - Parameters:
    ///   - parents: at most ``parentsMax``; nil: as before.
    ///   - notBefore: nil: as before.
    public init(
        _ identifier: String, after parents: [(identifier: String, way: AfterWay)]?, notBefore: NotBefore? = nil,
        keys: QueueKeys
    ) {
        (self.keys, self.identifier, self.notBefore) = (keys, identifier, notBefore)
        self.parents = parents.map { Array($0.prefix(Self.parentsMax)) }
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.gateJob, keys)
        call.append(identifier)
        call.append(parents.map { AfterWay.text(of: $0) } ?? "-")
        call.append(notBefore?.text ?? "")
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let words = try elements(value)?.map({ $0.string ?? "" }), words.count >= 2 else {
            throw .unexpectedReply("gate-job")
        }
        switch words[0] {
        case "changed": return .gated(JobGate(words[1]))
        case "unknown": return .unknown(words[1])
        case "circle": return .circle(Array(words.dropFirst()))
        default: throw .unexpectedReply("gate-job")
        }
    }
}

/// Says that all has been added to a job: until then it is not complete for others. Harmless when repeated.
public struct LoadedJob: QueueOperation {
    private let keys: QueueKeys
    private let identifier: String
    private let load: String
    private let isRefused: Bool

    /// - Parameters:
    ///   - load: as ``OpenJob`` was told it.
    ///   - isRefused: nothing more will be added, for it was refused: the job is as complete as it was before ``OpenJob``.
    public init(_ identifier: String, load: String, isRefused: Bool = false, keys: QueueKeys) {
        (self.keys, self.identifier, self.load, self.isRefused) = (keys, identifier, load, isRefused)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.loadedJob, keys)
        call.append(identifier)
        call.append(load)
        if isRefused { call.append(1) }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> JobOrderReply { try .parse(value, "loaded-job") }
}

/// A task that waits for others, or has another size than its job.
public struct DependentTask: Sendable {
    /// Of a job.
    public let line: TaskLine
    /// Where it is not that of the job.
    public let priority: Int?
    /// The lines of the tasks for which it waits. They are in the queue already, or have been forgotten, which counts as finished.
    public let parents: [String]

    public init(_ line: TaskLine, priority: Int? = nil, after parents: [String]) {
        (self.line, self.priority, self.parents) = (line, priority, parents)
    }
}

/// Submits tasks of one job that wait for others. Harmless when repeated: what waits already waits for what is said now. Refused when Redis
/// is out of memory.
public struct SubmitDependent: QueueOperation {
    /// A script that did more would hold up every node.
    public static let unitsMax = 300

    private let keys: QueueKeys
    private let parts: [Part]
    private let taskKey: TaskKey?
    private let queueCandidate: QueueIdentity

    private struct Part {
        let task: DependentTask
        let parents: ArraySlice<String>
    }

    private init(_ parts: [Part], _ taskKey: TaskKey?, _ queueCandidate: QueueIdentity, _ keys: QueueKeys) {
        (self.keys, self.parts, self.taskKey, self.queueCandidate) = (keys, parts, taskKey, queueCandidate)
    }

    /// What is to be asked, in this order; the replies are to be added.
    ///
    /// - Parameter tasks: all of one job, each behind those of them for which it waits.
    public static func operations(
        _ tasks: [DependentTask], keys: QueueKeys, taskKey: TaskKey? = nil,
        queueCandidate: QueueIdentity = QueueIdentity()
    ) -> [SubmitDependent] {
        var operations: [SubmitDependent] = []
        var parts: [Part] = []
        var units = 0
        func send() {
            if !parts.isEmpty { operations.append(SubmitDependent(parts, taskKey, queueCandidate, keys)) }
            (parts, units) = ([], 0)
        }
        for task in tasks {
            var rest = task.parents[...]
            repeat {
                if units >= unitsMax { send() }
                let some = rest.prefix(unitsMax - units)
                parts.append(Part(task: task, parents: some))
                rest = rest.dropFirst(some.count)
                units += 1 + some.count
            } while !rest.isEmpty
        }
        send()
        return operations
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.submitAfter, keys)
        call.append(queueCandidate.text)
        for part in parts {
            let (line, parents) = (part.task.line, part.task.parents)
            call.append(line.text)
            call.append(line.memoryBytes)
            call.append(line.millicores)
            call.append(part.task.priority ?? line.priority)
            call.append(bytes: taskKey?.signature(of: line) ?? [])
            call.append(line.own?.text ?? "")
            let isFirst = part.parents.startIndex == parents.startIndex
            let isLast = part.parents.endIndex == parents.endIndex
            call.append((isFirst ? "f" : "") + (isLast ? "l" : ""))
            call.append(part.parents.count)
            for parent in part.parents { call.append(parent) }
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> SubmitReply { try SubmitTasks.parse(value) }
}

/// What a job waits for, and a task of it.
public struct ReadAwaited: QueueOperation {
    /// A job that another waits for.
    public struct Parent: Equatable, Sendable {
        public let identifier: String
        public let way: AfterWay
        /// nil: it has been forgotten.
        public let name: String?
        public let todo: Int
        public let inProgress: Int
        public let finished: Int
        public let failed: Int
        /// Somebody adds tasks to it, or was interrupted.
        public let isLoading: Bool
        /// By hand, or because so many of its tasks have failed.
        public let isPaused: Bool

        public init(
            identifier: String, way: AfterWay, name: String?, todo: Int, inProgress: Int, finished: Int, failed: Int,
            isLoading: Bool, isPaused: Bool = false
        ) {
            (self.identifier, self.way, self.name) = (identifier, way, name)
            (self.todo, self.inProgress, self.finished, self.failed) = (todo, inProgress, finished, failed)
            (self.isLoading, self.isPaused) = (isLoading, isPaused)
        }

        public var total: Int { todo + inProgress + finished + failed }
        public var ended: Int { finished + failed }
    }

    public struct Reply: Equatable, Sendable {
        public let gate: JobGate
        public let parents: [Parent]
        /// For how many tasks the one waits.
        public let taskCount: Int
        /// Some of them, and where they are: `waits`, `runs`, `failed`, ...
        public let tasks: [Task]
        /// How long the job may not begin still, and until when that is, in milliseconds since 1970; 0 where it may.
        public let leftMilliseconds: Int
        public let beginsAtMilliseconds: Int

        public init(
            gate: JobGate, parents: [Parent], taskCount: Int, tasks: [Task], leftMilliseconds: Int = 0,
            beginsAtMilliseconds: Int = 0
        ) {
            (self.gate, self.parents, self.taskCount, self.tasks) = (gate, parents, taskCount, tasks)
            (self.leftMilliseconds, self.beginsAtMilliseconds) = (leftMilliseconds, beginsAtMilliseconds)
        }
    }

    public struct Task: Equatable, Sendable {
        public let line: String
        public let state: String

        public init(line: String, state: String) { (self.line, self.state) = (line, state) }
    }

    private let keys: QueueKeys
    private let identifier: String
    private let line: String?

    public init(_ identifier: String, line: String? = nil, keys: QueueKeys) {
        (self.keys, self.identifier, self.line) = (keys, identifier, line)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.awaited, keys)
        call.append(identifier)
        call.append(line ?? "")
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 6, let gate = parts[0].string,
            let jobs = parts[1].elements, jobs.count % 9 == 0, let taskCount = parts[2].int,
            let lines = parts[3].elements, lines.count % 2 == 0
        else { throw .unexpectedReply("awaited") }
        var parents: [Parent] = []
        for index in stride(from: 0, to: jobs.count, by: 9) {
            let numbers = try integers(.array(Array(jobs[(index + 3)..<(index + 9)])), count: 6)
            guard let identifier = jobs[index].string, let way = jobs[index + 1].string.flatMap(AfterWay.init),
                let name = jobs[index + 2].string
            else { throw .unexpectedReply("awaited") }
            parents.append(
                Parent(
                    identifier: identifier, way: way, name: name.isEmpty ? nil : Job.harmless(name), todo: numbers[0],
                    inProgress: numbers[1], finished: numbers[2], failed: max(0, numbers[3]),
                    isLoading: numbers[4] == 1,
                    isPaused: numbers[5] == 1))
        }
        let tasks = stride(from: 0, to: lines.count, by: 2).map {
            Task(line: lines[$0].string ?? "", state: lines[$0 + 1].string ?? "")
        }
        return Reply(
            gate: JobGate(gate), parents: parents, taskCount: taskCount, tasks: tasks,
            leftMilliseconds: parts[4].int ?? 0, beginsAtMilliseconds: parts[5].int ?? 0)
    }
}

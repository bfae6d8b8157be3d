// Jobs in the queue: opened by who submits, looked at by all, changed, paused and forgotten as one.

import RedisClient
import TaskModel

/// Opens a job: the one that is meant, or a new one. Harmless when repeated. Refused when Redis is out of memory.
public struct OpenJob: QueueOperation {
    public enum Reply: Equatable, Sendable {
        /// It is there now, with the settings that were given.
        case opened(identifier: String, name: String, isNew: Bool)
        /// The job of that name has tasks of another kind.
        case different(identifier: String, definition: String)
        /// It had ended, and the records of its tasks have left: what finished would run again.
        case left(JobDeparture, name: String)
        /// It is to wait for a job that there is not. As with all that refuses it, nothing was changed.
        case unknown(String)
        /// It would wait for itself, over these: the first is the last as well.
        case circle([String])
        /// Some of what single tasks have of their own has been seen to: the same is to be asked for again, from there.
        case going(cursor: String)
    }

    private let keys: QueueKeys
    private let name: String
    private let isNameChosen: Bool
    private let settings: Job.Settings
    private let definition: Job.Definition
    private let load: String
    private let insistsOnOwner: Bool
    private let parents: [(identifier: String, way: AfterWay)]
    /// Where it is to go on, as ``Reply/going(cursor:)`` said; "0" at first.
    public var cursor = "0"

    /// - Parameters:
    ///   - parents: for which jobs ``GateJob`` will have it wait: where it could not, nothing is opened and nothing changed.
    ///   - insistsOnOwner: whether to be refused where this Redis user may not submit as the owner of the settings; else the job is
    ///     nobody's there.
    ///   - name: of a new job, with a number behind it where another has it.
    ///   - isNameChosen: the job of that name is meant, whatever is asked for; else one with the fingerprint of the settings.
    ///   - load: a word by which ``LoadedJob`` will say that all has been added; "": there will be no such.
    public init(
        name: String, isNameChosen: Bool, settings: Job.Settings, definition: Job.Definition, load: String = "",
        insistsOnOwner: Bool = false, after parents: [(identifier: String, way: AfterWay)] = [], keys: QueueKeys
    ) {
        self.parents = parents
        self.load = load
        self.insistsOnOwner = insistsOnOwner
        self.keys = keys
        self.name = name
        self.isNameChosen = isNameChosen
        self.settings = settings
        self.definition = definition
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.openJob, keys)
        call.append(name)
        call.append(isNameChosen ? 1 : 0)
        call.append(settings.fingerprint)
        call.append(settings.size)
        call.append(settings.json)
        call.append(definition.json)
        call.append(load)
        call.append(settings.owner)
        call.append(insistsOnOwner ? 1 : 0)
        call.append(AfterWay.text(of: parents))
        call.append(cursor)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 4, let identifier = parts[0].string,
            let name = parts[1].string, let word = parts[2].string, let definition = parts[3].string
        else { throw .unexpectedReply("open-job") }
        switch word {
        case "new", "known":
            return .opened(identifier: identifier, name: Job.harmless(name), isNew: word == "new")
        case "other": return .different(identifier: identifier, definition: definition)
        case "left":
            guard let departure = JobDeparture(parsing: definition) else { throw .unexpectedReply("open-job") }
            return .left(departure, name: Job.harmless(name))
        case "unknown": return .unknown(identifier)
        case "circle": return .circle(definition.split(separator: " ").map(String.init))
        case "going": return .going(cursor: definition)
        default: throw .unexpectedReply("open-job")
        }
    }
}

/// What became of an order that concerns one job.
public enum JobOrderReply: String, Equatable, Sendable {
    case changed
    /// There is no such job any more.
    case unknown
    /// Another job has that name.
    case taken
    /// Some of its tasks wait or run.
    case busy
    /// What waits for it is being told how it ended: to be asked again.
    case telling

    static func parse(_ value: RESPValue, _ operation: String) throws(QueueError) -> JobOrderReply {
        if let error = value.error { throw QueueError(error) }
        guard let reply = value.string.flatMap({ JobOrderReply(rawValue: $0) }) else {
            throw .unexpectedReply(operation)
        }
        return reply
    }
}

/// Gives a job another name, or other settings, which all that waits takes but for what single tasks have of their own, or both. Harmless when
/// repeated.
public struct ChangeJob: QueueOperation {
    public enum Reply: Equatable, Sendable {
        case changed
        /// There is no such job any more: itself, or one for which it is to wait. As with all that refuses it, nothing was changed.
        case unknown(String)
        /// Another job has that name.
        case taken
        /// It would wait for itself, over these: the first is the last as well.
        case circle([String])
        /// Some of what single tasks have of their own has been seen to: the same is to be asked for again, from there.
        case going(cursor: String)
    }

    /// What single tasks may have of their own.
    public enum Part: String, CaseIterable, Sendable {
        case memory, cores, timeout
        case memoryMax = "max"
    }

    private let keys: QueueKeys
    private let identifier: String
    private let name: String
    private let settings: Job.Settings?
    private let parts: Set<Part>
    private let parents: [(identifier: String, way: AfterWay)]
    /// Where it is to go on, as ``Reply/going(cursor:)`` said; "0" at first.
    public var cursor = "0"

    /// - Parameters:
    ///   - parts: what all tasks are to have as the settings say, whatever they had of their own.
    ///   - parents: for which jobs ``GateJob`` will have it wait then: where it could not, nothing is changed.
    public init(
        _ identifier: String, name: String? = nil, settings: Job.Settings? = nil, forAll parts: Set<Part> = [],
        after parents: [(identifier: String, way: AfterWay)] = [], keys: QueueKeys
    ) {
        self.parts = parts
        self.parents = parents
        self.keys = keys
        self.identifier = identifier
        self.name = name ?? ""
        self.settings = settings
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.changeJob, keys)
        call.append(identifier)
        call.append(name)
        call.append(settings?.size ?? "")
        call.append(settings?.json ?? "")
        call.append(Part.allCases.filter { parts.contains($0) }.map(\.rawValue).joined(separator: " "))
        call.append(cursor)
        call.append(AfterWay.text(of: parents))
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let words = try elements(value)?.map({ $0.string ?? "" }), words.count >= 2 else {
            throw .unexpectedReply("change-job")
        }
        switch words[0] {
        case "changed": return .changed
        case "unknown": return .unknown(words[1])
        case "taken": return .taken
        case "circle": return .circle(Array(words.dropFirst()))
        case "going": return .going(cursor: words[1])
        default: throw .unexpectedReply("change-job")
        }
    }
}

/// Has nothing more of a job given out, or lets it go on. Harmless when repeated.
public struct PauseJob: QueueOperation {
    private let keys: QueueKeys
    private let identifier: String
    private let isPaused: Bool

    public init(_ identifier: String, isPaused: Bool, keys: QueueKeys) {
        self.keys = keys
        self.identifier = identifier
        self.isPaused = isPaused
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.pauseJob, keys)
        call.append(identifier)
        call.append(isPaused ? 1 : 0)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> JobOrderReply { try .parse(value, "pause-job") }
}

/// Removes a job of which nothing waits or runs, and all that is known of its tasks. Harmless when repeated.
public struct ForgetJob: QueueOperation {
    private let keys: QueueKeys
    private let job: Job

    public init(_ job: Job, keys: QueueKeys) {
        self.keys = keys
        self.job = job
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.forgetJob, keys)
        call.append(job.identifier)
        call.append(job.settings.fingerprint)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> JobOrderReply { try .parse(value, "forget-job") }
}

/// The identifier of the job of a name; nil where there is none.
public struct ReadJobIdentifier: QueueOperation {
    private let keys: QueueKeys
    private let name: String

    public init(name: String, keys: QueueKeys) {
        self.keys = keys
        self.name = name
    }

    public var request: RedisRequest { .command(RedisCommand("HGET", keys[.jobNames], name)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> String? {
        if let error = value.error { throw QueueError(error) }
        return value.string
    }
}

/// The record of one job, for `Job(identifier:record:)`; nil where there is none.
public struct ReadJob: QueueOperation {
    private let keys: QueueKeys
    private let identifier: String

    public init(_ identifier: String, keys: QueueKeys) {
        self.keys = keys
        self.identifier = identifier
    }

    public var request: RedisRequest { .command(RedisCommand("HGET", keys[.jobs], identifier)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [UInt8]? {
        if let error = value.error { throw QueueError(error) }
        return value.bytes
    }
}

/// Whether so many tasks of a job have failed that nothing more of it is given out.
public struct ReadJobHalted: QueueOperation {
    private let keys: QueueKeys
    private let identifier: String

    public init(_ identifier: String, keys: QueueKeys) {
        self.keys = keys
        self.identifier = identifier
    }

    public var request: RedisRequest { .command(RedisCommand("HEXISTS", keys[.jobsHalted], identifier)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Bool {
        if let error = value.error { throw QueueError(error) }
        return value.int == 1
    }
}

/// A page of the jobs there are, from `cursor`, which begins and ends at "0". A job that is added meanwhile may be missing.
public struct ReadJobs: QueueOperation {
    /// A job and how it stands.
    public struct Row: Sendable {
        public let job: Job
        public let isPaused: Bool
        /// It is paused because so many have failed.
        public let isHalted: Bool
        public let todo: Int
        public let inProgress: Int
        public let finished: Int
        /// For good.
        public let failed: Int
        /// How many of todo wait until other tasks have ended, where the job as a whole does not.
        public let dependent: Int
        public let gate: JobGate
        /// When it may begin, in seconds since 1970; nil: at once.
        public let beginsAtUnixSeconds: Double?
        /// When the records of its tasks left Redis, in seconds since 1970; nil: they are there.
        public let leftAtUnixSeconds: Int?
    }

    public struct Page: Sendable {
        /// "0" after the last page.
        public let cursor: String
        public let rows: [Row]
        /// Why the records of others, by their identifiers, cannot be read.
        public let unreadable: [String: JobRecordError]
    }

    private let keys: QueueKeys
    private let cursor: String

    public init(keys: QueueKeys, cursor: String = "0") {
        self.keys = keys
        self.cursor = cursor
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.jobs, keys)
        call.append(cursor)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Page {
        guard let parts = try elements(value), parts.count % 12 == 1, let cursor = parts[0].string else {
            throw .unexpectedReply("jobs")
        }
        var rows: [Row] = []
        var unreadable: [String: JobRecordError] = [:]
        for index in stride(from: 1, to: parts.count, by: 12) {
            guard let identifier = parts[index].string, let record = parts[index + 1].bytes else {
                throw .unexpectedReply("jobs")
            }
            let numbers = try integers(.array(Array(parts[(index + 2)..<(index + 10)])), count: 8)
            let job: Job
            do throws(JobRecordError) {
                job = try Job(identifier: identifier, record: record)
            } catch {
                unreadable[identifier] = error
                continue
            }
            rows.append(
                Row(
                    job: job, isPaused: numbers[0] > 0, isHalted: numbers[0] > 1, todo: numbers[1],
                    inProgress: numbers[2],
                    finished: numbers[3], failed: max(0, numbers[4] - numbers[5]), dependent: numbers[7],
                    gate: JobGate(parts[index + 10].string ?? ""),
                    beginsAtUnixSeconds: parts[index + 11].int.flatMap { $0 > 0 ? Double($0) / 1000 : nil },
                    leftAtUnixSeconds: numbers[6] > 0 ? numbers[6] : nil))
        }
        return Page(cursor: cursor, rows: rows, unreadable: unreadable)
    }
}

/// Has only one job's tasks given out, or, with nil, everything: for a queue that serves one `distcomp run` at a time.
public enum OnlyJob {
    /// What is the identifier of no job.
    public static let none = "-"

    /// To be asked in this order.
    ///
    /// - Parameters:
    ///   - only: the identifier of the job, "" for what is of none; nil: everything.
    ///   - others: all jobs there are.
    public static func requests(_ only: String?, others: [String], keys: QueueKeys) -> [RedisRequest] {
        let key = keys[.jobsPaused]
        let paused = only == nil ? [] : ([""] + others).filter { $0 != only }
        return [.command(RedisCommand("DEL", key))]
            + (paused.isEmpty ? [] : [.command(RedisCommand("SADD", [key] + paused))])
    }
}

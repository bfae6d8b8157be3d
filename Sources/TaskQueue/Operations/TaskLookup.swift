// Everything the queue knows about one task, and what its waiting depends on: read without changing anything, and without
// going through more than the task's own entries and the heads of the index.

import RedisClient
import TaskModel

/// What the queue knows of one line.
public struct TaskStanding: Sendable {
    public var isWaiting = false
    /// Who runs it.
    public var worker: String?
    /// Which node runs a second copy of it.
    public var copyingWorker: String?
    /// Its value in finished_tasks.
    public var finishedValue: [UInt8]?
    /// Its value in failed_tasks: the workers it failed on, each followed by a comma.
    public var failedValue: [UInt8]?
    public var reason: [UInt8]?
    /// `token {record}` of its last attempt.
    public var outcome: [UInt8]?
    /// It failed and has another try to come.
    public var isRetrying = false
    /// Its job is paused.
    public var isJobPaused = false
    /// It is so because as many of its tasks have failed as were allowed to.
    public var isJobHalted = false
    /// How often it was tried, where it is not done with.
    public var attempts = 0
    /// How often it went back to the queue as it asked.
    public var requeueCount = 0
    /// When its next try is due, by the server's clock in milliseconds, as far as that keeps step with the queue's.
    public var dueMilliseconds: Int?
    /// How many waiting tasks of its owner go before it; nil where the index does not know it.
    public var aheadCount: Int?
    /// Its place in the order of all that wait, where it waits for its first try in a job.
    public var place: Double?
    /// It waits for other tasks.
    public var isDependent = false
    /// Its job waits for others as a whole.
    public var gate = JobGate.open
    /// What it may use, where that is not what its job says.
    public var own: OwnSettings?
    /// Where several owners share the fleet: who they are, and whose it is.
    public var owners: ReadOwners.Reply?
    /// The server's clock when this was read, in milliseconds since 1970.
    public var serverMilliseconds = 0

    public init() {}

    /// ``place``, as its value in todo says it.
    public static func place(ofTodo value: [UInt8]) -> Double? {
        let digits = String(decoding: value, as: UTF8.self).split(separator: " ").last ?? ""
        return UInt64(digits, radix: 16).map { Double($0) }
    }

    /// Whether a value in todo says that the task waits for others.
    public static func isDependent(todo value: [UInt8]) -> Bool { value.first == UInt8(ascii: "~") }

    /// The workers it failed on.
    public var failedOn: [String] {
        failedValue.map { String(decoding: $0, as: UTF8.self).split(separator: ",").map(String.init) } ?? []
    }
}

/// Reads what the queue knows of one line: ask `requests` in one pipeline and give the answers to `parse`.
public struct ReadStanding: Sendable {
    private let keys: QueueKeys
    private let line: [UInt8]
    private let task: TaskLine?

    /// - Parameter jobs: of which the line may be.
    public init(_ line: String, keys: QueueKeys, jobs: [String: Job] = [:]) {
        self.keys = keys.of(line: line)
        self.line = Array(line.utf8)
        task = try? TaskLine(parsing: line, of: jobs)
    }

    public var requests: [RedisRequest] {
        let fields: [(String, String)] = [
            ("HGET", keys.todo), ("HGET", keys.inProgress), ("HGET", keys.finished), ("HGET", keys.failed),
            ("HGET", keys.failReason), ("HGET", keys.outcomes), ("SMISMEMBER", keys.retrying),
            ("HGET", keys[.attempts]),
        ]
        return fields.map { .command(RedisCommand(bytes: [Array($0.utf8), Array($1.utf8), line])) } + [
            .command(
                RedisCommand(bytes: [Array("ZSCORE".utf8), Array(keys[.delayed].utf8), delayed])),
            .command(RedisCommand("TIME")), .command(RedisCommand("GET", keys[.clock])),
            .command(RedisCommand(bytes: [Array("HGET".utf8), Array(keys[.failedOn].utf8), line])),
            .command(RedisCommand("SISMEMBER", keys[.jobsPaused], keys.job)),
            .command(RedisCommand("HEXISTS", keys[.jobsHalted], keys.job)),
            .command(RedisCommand(bytes: [Array("HGET".utf8), Array(keys[.own].utf8), line])),
            .command(RedisCommand("HGET", keys[.jobsGated], keys.job)),
            .command(RedisCommand(bytes: [Array("HGET".utf8), Array(keys[.requeues].utf8), line])),
            .command(RedisCommand(bytes: [Array("HGET".utf8), Array(keys[.copies].utf8), line])),
        ]
    }

    /// How a line that waits for its retry is noted.
    private var delayed: [UInt8] {
        guard let task else { return line }
        if task.job != nil { return Array("0 0 0\n".utf8) + line }
        // The band of its priority, as the scripts reckon it.
        let band = QueueOrder.band(ofPriority: task.priority)
        return Array("\(task.memoryBytes) \(task.millicores) \(band)\n".utf8) + line
    }

    public static func parse(_ values: [RESPValue]) throws(QueueError) -> TaskStanding {
        guard values.count == 18, let time = try elements(values[9]), time.count == 2, let seconds = time[0].int,
            let microseconds = time[1].int
        else { throw .unexpectedReply("a look at one task") }
        for value in values { if let error = value.error { throw QueueError(error) } }
        var standing = TaskStanding()
        standing.isWaiting = values[0].string != nil
        standing.place = values[0].bytes.flatMap { TaskStanding.place(ofTodo: $0) }
        standing.isDependent = values[0].bytes.map { TaskStanding.isDependent(todo: $0) } ?? false
        standing.gate = JobGate(values[15].string ?? "")
        standing.own = values[14].string.flatMap { OwnSettings(text: $0) }
        standing.worker = values[1].string
        standing.copyingWorker = values[17].string.map { String($0.prefix { $0 != "/" }) }
        standing.finishedValue = values[2].bytes
        standing.failedValue = values[3].bytes
        standing.reason = values[4].bytes
        standing.outcome = values[5].bytes
        // An old worker that ended the try says so in the six hashes alone.
        let isWaiting = standing.isWaiting || standing.worker != nil
        standing.isRetrying =
            values[6].elements?.first?.int == 1 && standing.failedValue != nil
            && (isWaiting || standing.finishedValue == nil && standing.failedValue == values[11].bytes)
        standing.attempts = min(max(0, values[7].int ?? 0), 1 << 32)  // One more is reckoned with.
        standing.requeueCount = values[16].string?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        standing.isJobPaused = values[12].int == 1
        standing.isJobHalted = values[13].int == 1
        standing.serverMilliseconds = seconds &* 1000 &+ microseconds / 1000
        let clock = QueueClock(parsing: values[10].string ?? "")
        standing.dueMilliseconds = milliseconds(values[8]).map { due in
            due &- (clock?.now(server: standing.serverMilliseconds) ?? standing.serverMilliseconds)
                &+ standing.serverMilliseconds
        }
        return standing
    }
}

/// The classes of the index with how many wait in each: what nobody is large enough for is known from these few names.
public struct ReadClasses: QueueOperation {
    /// More than this many classes of memory and cores are not looked at.
    public static let classesMax = 5000

    /// Lines that ask for the same.
    public struct Class: Equatable, Sendable {
        public let memoryBytes: UInt64
        public let millicores: Int
        /// The workers its lines failed on, each followed by a comma.
        public let exclusion: String
        /// The job its lines are of; "" for none.
        public let job: String
        let name: String
    }

    private let keys: QueueKeys
    private let owner: String

    /// - Parameter owner: whose they are; "" for the first, who is all there is where there are not several.
    public init(keys: QueueKeys, ofOwner owner: String = "") { (self.keys, self.owner) = (keys, owner) }

    public var request: RedisRequest {
        let key = owner.isEmpty ? keys[.classes] : keys[.owner, owner]
        return .command(RedisCommand("ZRANGE", key, "0", String(Self.classesMax - 1)))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [Class] {
        guard let names = try elements(value) else { throw .unexpectedReply("ZRANGE") }
        return names.compactMap { name in
            guard let name = name.string, let size = size(ofClass: name) else { return nil }
            return Class(
                memoryBytes: size.memoryBytes, millicores: size.millicores, exclusion: size.exclusion,
                job: Job.identifier(ofLine: name), name: name)
        }
    }

    /// What the name of a class says; nil for what is none.
    static func size(ofClass name: String) -> (memoryBytes: UInt64, millicores: Int, exclusion: String)? {
        let job = Job.identifier(ofLine: name)
        let size = job.isEmpty ? name[...] : name.dropFirst(job.count + 2)
        let fields = size.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard fields.count == 3, let memory = UInt64(fields[0]), let millicores = Int(fields[1]) else { return nil }
        return (memory, millicores, String(fields[2]))
    }

    /// The place of a waiting line in the order of all; its answer is nil where the index does not know it.
    public func place(of line: TaskLine, failedOn: String) -> RedisRequest {
        let job = line.job.map { "@\($0.identifier) " } ?? ""
        let key = keys[.waiting, "\(job)\(line.memoryBytes):\(line.millicores):\(failedOn)"]
        return .command(RedisCommand("ZSCORE", key, line.text))
    }
}

/// How many lines of some classes wait. Ask all `requests`, and add their answers.
public struct CountWaiting: QueueOperation {
    /// A script that looked at more would hold up every node.
    private static let classesMax = 100

    private let keys: QueueKeys
    private let classes: ArraySlice<ReadClasses.Class>
    private let score: Double?

    private init(_ classes: ArraySlice<ReadClasses.Class>, before score: Double?, keys: QueueKeys) {
        (self.classes, self.score, self.keys) = (classes, score, keys)
    }

    /// - Parameter score: only lines before this place are counted; nil: all.
    public static func requests(
        _ classes: [ReadClasses.Class], before score: Double? = nil, keys: QueueKeys
    ) -> [RedisRequest] {
        stride(from: 0, to: classes.count, by: classesMax).map { first in
            CountWaiting(classes[first..<min(first + classesMax, classes.count)], before: score, keys: keys).request
        }
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.waiting, keys)
        call.append(score.map { String(Int($0)) } ?? "")
        for members in classes { call.append(members.name) }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("waiting") }
        return count
    }
}

/// A score that is a time; nil where there is none.
private func milliseconds(_ value: RESPValue) -> Int? {
    if case .double(let number) = value { return Int(exactly: number.rounded()) }
    return value.int ?? value.string.flatMap { Double($0) }.flatMap { Int(exactly: $0.rounded()) }
}

/// The queue's clock as `distcomp:clock` holds it; see Scripts/Shared/clock.lua.
struct QueueClock {
    private let server: Int
    private let queue: Int
    private let gap: Int

    /// Nil for what is none.
    init?(parsing text: String) {
        let numbers = text.split(separator: " ", omittingEmptySubsequences: false).map { Int($0) }
        guard numbers.count == 5, let server = numbers[0], let queue = numbers[1], let gap = numbers[4] else {
            return nil
        }
        self.server = server
        self.queue = queue
        self.gap = gap
    }

    /// The queue's time when the server's clock says `milliseconds`.
    func now(server milliseconds: Int) -> Int {
        let passed = milliseconds &- server
        return passed >= 0 && passed <= gap ? queue &+ passed : queue
    }
}

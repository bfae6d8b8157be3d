// What the scripts of the queue do, said plainly: no Redis, no index, no Lua. Lines are looked through one by one, as nobody would
// who had a million of them. It answers the very requests that nodes and people send, so a simulation can stand on it, and a test
// drives it beside a real redis-server, see RandomOperationsTests.
//
// It knows nothing of old workers: no line is dropped, and none is failed by a stranger.

import RedisClient
import TaskModel
import TaskQueue

/// A queue in memory. A copy of it is a snapshot.
public struct QueueModel: Sendable {
    /// A line that may be taken.
    public struct Place: Equatable, Sendable {
        public let memory: UInt64
        public let millicores: Int
        /// Priority first, then arrival; the lowest is next.
        public let score: Int
    }

    public struct Delayed: Equatable, Sendable {
        public let memory: UInt64
        public let millicores: Int
        public let band: Int
        public let due: Int
    }

    public struct Held: Equatable, Sendable {
        public let token: Int
        public let memory: UInt64
        public let millicores: Int
        public let score: Int
        public let attempt: Int
    }

    public struct Node: Equatable, Sendable {
        public let memory: UInt64
        public let millicores: Int
        public let version: String
        public let address: String
    }

    /// The queue's own clock, see Scripts/Shared/clock.lua.
    public struct Clock: Equatable, Sendable {
        public var server: Int
        public var queue: Int
        public var quiet: Int
        public var silence: Int
        public var gap: Int
    }

    // The old system's hashes.
    public internal(set) var todo: Set<String> = []
    public internal(set) var doing: [String: String] = [:]
    public internal(set) var done: [String: [UInt8]] = [:]
    public internal(set) var failed: [String: String] = [:]
    public internal(set) var reasons: [String: String] = [:]
    public internal(set) var status: [String: String] = [:]

    // What is known of a line beside them.
    public internal(set) var waiting: [String: Place] = [:]
    public internal(set) var delayed: [String: Delayed] = [:]
    public internal(set) var retrying: Set<String> = []
    /// line -> `token {record}`.
    public internal(set) var outcomes: [String: String] = [:]
    public internal(set) var attempts: [String: Int] = [:]
    public internal(set) var lost: [String: Int] = [:]
    /// How often lines went back as they asked, and their places while they wait for the time to be begun again.
    public internal(set) var requeues: [String: (count: Int, place: Int?)] = [:]
    public internal(set) var signatures: [String: [UInt8]] = [:]
    /// line -> `memory:millicores timeout`, where that is not what its job says.
    public internal(set) var owns: [String: String] = [:]

    // Who waits for whom: see QueueModel+After.swift.
    /// Lines that wait for other tasks, and their places for when they do not any more.
    public internal(set) var aside: [String: Int] = [:]
    /// job -> lines that wait for others or are waited for, each by its number less one.
    var numbers: [String: [String]] = [:]
    var needs: [Numbered: Set<Numbered>] = [:]
    /// Of these, those that failed.
    var broken: [Numbered: Set<Numbered>] = [:]
    /// job -> `waits`, or `broken` and the job that is to blame.
    public internal(set) var gates: [String: String] = [:]
    var after: [String: [After]] = [:]
    /// job -> when it may begin: `queue TIME` or `server TIME`.
    public internal(set) var times: [String: String] = [:]
    var awaitedTasks: Set<String> = []
    var awaitedJobs: Set<String> = []
    /// Of these, those of which failed tasks were forgotten, and nothing was added since.
    var jobsWithForgottenFailures: Set<String> = []
    /// What has not been told.
    var changes: Set<String> = []
    /// What is known of jobs: for where their lines go when they are let in.
    public var jobSizes: [String: (memory: UInt64, millicores: Int)] = [:]
    /// Those that learn what memory their tasks need, and how much these may have at most; 0: whatever there is.
    public var jobsLearning: [String: UInt64] = [:]
    public internal(set) var peaks: [String: MemoryPeaks] = [:]
    public var jobPriorities: [String: Int] = [:]
    public var jobTimeouts: [String: TimeoutRequest] = [:]
    public var jobNodeLabels: [String: LabelExpression] = [:]
    public internal(set) var jobsPaused: Set<String> = []

    // Second copies: see QueueModel+Copies.swift.
    public var jobsIdempotent: Set<String> = []
    /// How long tasks of these took that finished, in milliseconds.
    public var durations: [String: MemoryPeaks] = [:]
    /// Who runs a second copy of a line.
    public internal(set) var copies: [String: Copy] = [:]
    /// Until when a life does not look for more of them.
    public internal(set) var copiedUntil: [String: Int] = [:]
    /// By when, by the server's clock, which tokens had been given, while these are beyond the time.
    public internal(set) var tokenTimes: [Int: Int] = [:]

    /// What they ask for besides memory and cores, of those that do.
    public var jobNeeds: [String: ResourceRequest] = [:]
    /// What nodes are told of them.
    public var jobRecords: [String: String] = [:]

    // Whose jobs they are: see QueueModel+Owners.swift.
    /// Of the jobs that are not the first owner's, who is "".
    public var jobOwners: [String: String] = [:]
    public internal(set) var shares: [String: Double] = [:]
    /// Incarnations that have said what they hold since there were several owners.
    public internal(set) var counted: Set<String> = []
    /// The token of what was last given to an owner.
    public internal(set) var lastGiven: [String: Int] = [:]
    /// What the nodes have, when it was looked at last, and until when that is taken to be so.
    public internal(set) var fleet: (memory: UInt64, millicores: Int, resources: [String: Int])?
    public internal(set) var measuredUntil = 0
    public internal(set) var recountedUntil: Int?

    struct After: Equatable, Sendable {
        let job: String
        let way: String
    }

    // Nodes.
    public internal(set) var leases: [String: Int] = [:]
    public internal(set) var nodes: [String: Node] = [:]
    public internal(set) var troubles: [String: String] = [:]
    public internal(set) var labels: [String: [String]] = [:]
    public internal(set) var resources: [String: ResourceTotals] = [:]
    public internal(set) var deviceUse: [String: String] = [:]
    public internal(set) var held: [String: [String: Held]] = [:]
    public internal(set) var cancelled: [String: [String: Int]] = [:]
    public internal(set) var revoked: [String: [String: Int]] = [:]
    public internal(set) var drained: Set<String> = []
    /// Nodes that are reserved, see QueueModel+Reserving.swift.
    public internal(set) var reservations: [String: Reservation] = [:]
    /// The timeout of tasks that have none, and how long one may go on after it, of nodes that keep to reservations.
    public internal(set) var timeouts: [String: (timeout: Int, grace: Int)] = [:]

    // Results that leave.
    /// identifier of a job -> `finished failed unix`, when its records left.
    public internal(set) var jobsLeft: [String: String] = [:]
    var retention: RetentionPass?

    // The queue as a whole.
    public internal(set) var sequence = 0
    public internal(set) var token = 0
    public internal(set) var clock: Clock?
    public internal(set) var identity: String?
    public internal(set) var restoredCount = 0
    /// The process of the server that nodes told of last.
    public internal(set) var serverRun: String?
    public internal(set) var isPaused = false
    public internal(set) var fedUntil = 0
    public internal(set) var sweptUntil = 0
    public internal(set) var sweeperUntil = 0

    /// Of the server's clock, which may step: since 1970.
    public var serverMicroseconds: Int64
    /// Names the server's process.
    public var runID: String
    public let keys: QueueKeys

    /// What was published, to be taken by whoever looks.
    public var published: [String] = []
    /// What came to pass, for a judge.
    public var journal: [Happening] = []
    /// Whether ``journal`` is kept.
    public var keepsJournal = false

    public init(keys: QueueKeys = QueueKeys(), serverMicroseconds: Int64 = 1_700_000_000_000_000, runID: String = "1") {
        self.keys = keys
        self.serverMicroseconds = serverMicroseconds
        self.runID = runID
    }

    /// The same server without its data.
    public mutating func flush() {
        var empty = QueueModel(keys: keys, serverMicroseconds: serverMicroseconds, runID: runID)
        empty.keepsJournal = keepsJournal
        (empty.jobSizes, empty.jobPriorities, empty.jobRecords) = (jobSizes, jobPriorities, jobRecords)
        empty.jobTimeouts = jobTimeouts
        (empty.jobsLearning, empty.jobOwners, empty.jobNodeLabels) = (jobsLearning, jobOwners, jobNodeLabels)
        empty.jobsIdempotent = jobsIdempotent
        empty.jobNeeds = jobNeeds
        empty.journal = journal
        self = empty
    }

    /// The state of `snapshot` under the present clock and process.
    public mutating func roll(back snapshot: QueueModel) {
        let (microseconds, run, journal) = (serverMicroseconds, runID, journal)
        self = snapshot
        (serverMicroseconds, runID, self.journal) = (microseconds, run, journal)
        published = []
    }

    // MARK: - What came to pass

    public enum Happening: Equatable, Sendable {
        case gave(line: String, token: Int, to: String)
        /// It is another's to take now.
        case putBack(line: String, token: Int, from: String, Why)
        case restored(line: String, token: Int, to: String)
        case finished(line: String, token: Int, by: String, wasFinished: Bool)
        case failedForGood(line: String, token: Int)
        case delayed(line: String, milliseconds: Int)
        case promoted(line: String)
        case silence

        public enum Why: Sendable { case reaped, registered, left, requeued, returned, failed }
    }

    mutating func note(_ happening: Happening) { if keepsJournal { journal.append(happening) } }

    // MARK: - Requests

    /// What the real server would answer.
    public mutating func execute(_ request: RedisRequest) -> RESPValue {
        switch request {
        case .command(let command): return execute(command)
        case .script(let call):
            let arguments = Arguments(call.arguments)
            switch call.script.name {
            case "register": return register(arguments)
            case "heartbeat": return heartbeat(arguments)
            case "claim": return claim(arguments)
            case "report": return report(arguments)
            case "held": return heldTasks(arguments)
            case "restore": return restore(arguments)
            case "leave": return leave(arguments)
            case "cancellations": return cancellations(arguments)
            case "submit": return submit(arguments)
            case "cancel": return cancel(arguments)
            case "requeue": return requeue(arguments)
            case "retry": return retry(arguments)
            case "forget": return forget(arguments)
            case "pause": return pause(arguments)
            case "retain": return retain(arguments)
            case "drain": return drain(arguments)
            case "adopt": return adopt(arguments)
            case "reject": return reject(arguments)
            case "submit-after": return submitAfter(arguments)
            case "gate-job": return gateJob(arguments)
            case "set-share": return setShare(arguments)
            case "change-job": return changeJob(arguments)
            case "open-job": return openJob(arguments)
            case "pause-job": return pauseJob(arguments)
            default: return .error(RedisError(text: "ERR the model knows no script \(call.script.name)"))
            }
        }
    }

    private mutating func execute(_ command: RedisCommand) -> RESPValue {
        let words = command.arguments.map { String(decoding: $0, as: UTF8.self) }
        switch command.name {
        case "INFO":
            return .bulkString(
                Array("# Server\r\nrun_id:\(runID)\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n".utf8))
        case "HSCAN":
            let fields = todo.sorted().flatMap { [RESPValue.bulkString(Array($0.utf8)), .bulkString([])] }
            return .array([.bulkString(Array("0".utf8)), .array(fields)])
        case "HSET" where words.count > 2 && words[1] == keys.todo:
            // What an old manager does.
            let isNew = todo.insert(words[2]).inserted
            return .integer(isNew ? 1 : 0)
        default: return .error(RedisError(text: "ERR the model knows no command \(command.name)"))
        }
    }

    /// The words of a script call; the first is the prefix, and they count from 1 as in Lua.
    struct Arguments {
        let words: [[UInt8]]

        init(_ words: [[UInt8]]) { self.words = words }

        var count: Int { words.count }
        func bytes(_ position: Int) -> [UInt8] { position <= words.count ? words[position - 1] : [] }
        func text(_ position: Int) -> String { String(decoding: bytes(position), as: UTF8.self) }
        func int(_ position: Int) -> Int { Int(text(position)) ?? 0 }
        func unsigned(_ position: Int) -> UInt64 { UInt64(text(position)) ?? 0 }
    }

    // MARK: - Time

    public var serverMilliseconds: Int { Int(serverMicroseconds / 1000) }

    /// The time by which leases and delays go, for who keeps a lease of so long.
    mutating func observe(lease: Int) -> Int {
        let (time, half) = (serverMilliseconds, lease / 2)
        guard let known = clock else {
            clock = Clock(server: time, queue: time, quiet: time + lease, silence: 1, gap: half)
            return time
        }
        let passed = time - known.server
        if passed < 0 || passed > half || passed > known.gap {
            clock?.server = time
            beSilent(lease: lease)
            return known.queue
        }
        if passed >= 50 || passed * 32 >= half || half < known.gap {
            // An outage, perhaps: whoever is alive finds the time to be heard.
            if passed * 3 > min(half, known.gap) {
                clock?.quiet = max(known.quiet, known.queue + passed + lease * 2 / 5)
            }
            clock?.server = time
            clock?.queue = known.queue + passed
            clock?.gap = min(half, known.gap + passed / 4)
        }
        return known.queue + passed
    }

    /// Something stood still for long, and nobody is to be taken for dead by what came before.
    mutating func beSilent(lease: Int) {
        guard let known = clock else { return }
        clock?.quiet = max(known.quiet, known.queue + lease)
        clock?.silence += 1
        clock?.gap = lease / 2
        note(.silence)
    }

    /// The same time, for who only looks.
    var now: Int {
        guard let clock else { return serverMilliseconds }
        let delta = serverMilliseconds - clock.server
        return delta >= 0 && delta <= clock.gap ? clock.queue + delta : clock.queue
    }

    // MARK: - Waking

    mutating func wake() {
        guard now >= fedUntil else { return }
        fedUntil = now + 1000
        published.append("todo")
    }

    // MARK: - Names and numbers

    static let arrivalsOfBand = 1 << 40
    static func band(ofPriority priority: Int) -> Int {
        max(0, min(8191, 4096 - max(-100_000, min(100_000, priority))))
    }

    mutating func score(band: Int) -> Int {
        sequence += 1
        return band * Self.arrivalsOfBand + sequence % Self.arrivalsOfBand
    }

    static func nodeName(_ incarnation: String) -> String { String(incarnation.prefix { $0 != "/" }) }
    static func machine(_ incarnation: String) -> String {
        incarnation.split(separator: "/", omittingEmptySubsequences: false).dropFirst().first.map(String.init) ?? ""
    }
    func isLive(_ incarnation: String, at now: Int) -> Bool { leases[incarnation].map { $0 >= now } ?? false }

    static func lists(_ exclusion: String, _ name: String) -> Bool {
        exclusion.split(separator: ",").contains { $0 == name }
    }

    // MARK: - Into and out of todo

    mutating func putBack(_ line: String, _ memory: UInt64, _ millicores: Int, score: Int) {
        todo.insert(line)
        waiting[line] = place(of: line, memory: memory, millicores: millicores, score: score)
    }

    /// By what the queue knows of the line, or else by what is said of it.
    func place(of line: String, memory: UInt64, millicores: Int, score: Int) -> Place {
        let (memory, millicores) = jobSizes[Self.job(of: line)] ?? (memory, millicores)
        let size = owns[line]?.split(separator: " ").first?.split(separator: ":") ?? []
        return Place(
            memory: size.first.flatMap { UInt64($0) } ?? memory,
            millicores: size.last.flatMap { Int($0) } ?? millicores, score: score)
    }

    mutating func promoteDelayed(_ now: Int) {
        guard !delayed.isEmpty else { return }
        let due = delayed.filter { $0.value.due <= now }
            .sorted { one, other in
                // Those of no job have a sorted set of their own.
                if one.key.hasPrefix("@") != other.key.hasPrefix("@") { return other.key.hasPrefix("@") }
                if one.value.due != other.value.due { return one.value.due < other.value.due }
                return Self.entry(one.key, one.value).utf8.lexicographicallyPrecedes(
                    Self.entry(other.key, other.value).utf8)
            }
        for (line, entry) in due.prefix(100) {
            if line == Self.delayedJob(Self.job(of: line)) { changes.insert("gate \(Self.job(of: line))") }
            if todo.contains(line) {
                waiting[line] = place(
                    of: line, memory: entry.memory, millicores: entry.millicores,
                    score: requeues[line]?.place ?? score(band: entry.band))
                requeues[line]?.place = nil
                note(.promoted(line: line))
            }
            delayed[line] = nil
        }
        if !due.isEmpty { wake() }
    }

    static func entry(_ line: String, _ entry: Delayed) -> String {
        "\(entry.memory) \(entry.millicores) \(entry.band)\n\(line)"
    }

    /// The line leaves todo for good.
    mutating func failForGood(_ line: String, token: Int, reason: String, record: String) {
        noteChange(of: line)
        reasons[line] = reason
        outcomes[line] = "\(token) \(record)"
        if failed[line] == nil { failed[line] = "" }
        retrying.remove(line)
        attempts[line] = nil
        lost[line] = nil
        requeues[line] = nil
        todo.remove(line)
        waiting[line] = nil
        note(.failedForGood(line: line, token: token))
    }

    static func cancelledRecord(worker: String, attempt: Int) -> String {
        "{\"state\":\"failed\",\"cause\":\"cancelled\",\"worker\":\"\(worker)\",\"attempts\":\(attempt),"
            + "\"reason\":\"cancelled\"}"
    }

    // MARK: - Replies

    static func text(_ text: String) -> RESPValue { .bulkString(Array(text.utf8)) }
    static func numbers(_ numbers: Int...) -> RESPValue { .array(numbers.map { .integer(Int64($0)) }) }
}

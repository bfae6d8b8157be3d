// How the queue stands at one moment, for whoever watches it: read by a few requests that each take Redis about a millisecond, however many
// tasks there are. How many they are grows with the jobs and the nodes, some hundred of which come with each.

import RedisClient
import TaskModel
import TaskQueue

/// Asks Redis for several things in one round trip, and returns the answers in their order.
public typealias MetricsAsking = ([RedisRequest]) throws -> [RESPValue]

/// What a task may be doing.
public enum MetricsTaskState: String, CaseIterable, Sendable {
    /// It could be given out.
    case waiting
    /// It failed, and waits for its next attempt.
    case delayed
    /// It waits for others.
    case dependent
    /// Its job may not begin yet.
    case timed
    case running
    case finished
    /// For good.
    case failed
}

/// What a node may be in.
public enum MetricsNodeState: String, CaseIterable, Sendable {
    case ready
    /// It is given nothing new, as somebody has ordered.
    case drained
    /// It takes nothing, or nothing large, since something is wrong there.
    case trouble
    /// It was not heard of for a lease.
    case lost
}

/// The nodes together.
public struct MetricsNodes: Equatable, Sendable {
    public var counts = Dictionary(uniqueKeysWithValues: MetricsNodeState.allCases.map { ($0, 0) })
    /// What those have for tasks that are not lost.
    public var capacityMemoryBytes = 0.0
    public var capacityCores = 0.0
    /// What runs has asked for. A task of a job counts as its job says, though it may have been given more since.
    public var askedMemoryBytes = 0.0
    public var askedCores = 0.0
    /// What of the machines is in use, whoever uses it, as the nodes told last.
    public var usedMemoryBytes = 0.0
    public var usedCores = 0.0
}

/// What Redis says of its memory.
public struct MetricsRedis: Equatable, Sendable {
    public var usedBytes: UInt64
    /// `maxmemory`; 0: there is none.
    public var maxBytes: UInt64

    public init(usedBytes: UInt64, maxBytes: UInt64) {
        self.usedBytes = usedBytes
        self.maxBytes = maxBytes
    }
}

/// The tasks of one job.
public struct MetricsJob: Equatable, Sendable {
    public let identifier: String
    public let name: String
    public let tasks: [MetricsTaskState: Int]

    public init(identifier: String, name: String, tasks: [MetricsTaskState: Int]) {
        self.identifier = identifier
        self.name = name
        self.tasks = tasks
    }
}

/// How a queue stands.
public struct MetricsSnapshot: Equatable, Sendable {
    /// When it was read, by Redis's clock.
    public var unixSeconds = 0.0
    public var tasks = Dictionary(uniqueKeysWithValues: MetricsTaskState.allCases.map { ($0, 0) })
    /// For how long the first of those has waited that could be given out; nil where nothing waits, or nobody knows.
    public var oldestWaitingSeconds: Double?
    /// Nothing is given out.
    public var isPaused = false
    public var jobCount = 0
    public var jobsPausedCount = 0
    /// Of these, those that were paused since too many of their tasks had failed.
    public var jobsHaltedCount = 0
    /// Since ever. It never goes back, but with the queue itself.
    public var totals = MetricsTally()
    public var nodes = MetricsNodes()
    /// Nil where this user may not ask.
    public var redis: MetricsRedis?
    /// Those of which the most waits and runs.
    public var jobs: [MetricsJob] = []
    /// How long the reading took, where whoever read it says so.
    public var readSeconds: Double?

    public init() {}
}

// MARK: - Reading

func answer<Operation: QueueOperation>(_ operation: Operation, _ ask: MetricsAsking) throws -> Operation.Reply {
    try Operation.parse(try ask([operation.request]).first ?? .null)
}

extension MetricsSnapshot {
    /// Reads it.
    ///
    /// - Parameters:
    ///   - jobsMax: so many jobs are told of one by one.
    ///   - ask: asks Redis.
    public static func read(keys: QueueKeys, jobsMax: Int = 0, ask: MetricsAsking) throws -> MetricsSnapshot {
        var snapshot = MetricsSnapshot()
        let answers = try ask([ReadMetrics(keys: keys).request, .command(RedisCommand("INFO", "memory"))])
        guard answers.count == 2 else { throw QueueError.unexpectedReply("metrics") }
        let metrics = try ReadMetrics.parse(answers[0])
        snapshot.redis = MetricsRedis(info: answers[1])
        snapshot.unixSeconds = Double(metrics.milliseconds) / 1000
        snapshot.oldestWaitingSeconds = metrics.oldestMilliseconds.map { Double($0) / 1000 }
        snapshot.isPaused = metrics.isPaused
        (snapshot.jobCount, snapshot.jobsPausedCount) = (metrics.jobCount, metrics.jobsPausedCount)
        snapshot.jobsHaltedCount = metrics.jobsHaltedCount
        snapshot.totals = MetricsTally(metrics.totals)
        try snapshot.readJobs(keys, jobsMax, delayedCount: metrics.delayedCount, ask)
        try snapshot.readNodes(keys, ask)
        return snapshot
    }

    private mutating func readJobs(
        _ keys: QueueKeys, _ jobsMax: Int, delayedCount: Int, _ ask: MetricsAsking
    ) throws {
        var (seen, rows, cursor): (Set<String>, [ReadJobFigures.Figures], String) = ([], [], "0")
        var timedJobs = 0
        repeat {
            let page = try answer(ReadJobFigures(keys: keys, cursor: cursor), ask)
            cursor = page.cursor
            for job in page.jobs where seen.insert(job.job).inserted {
                for (state, count) in job.states { tasks[state, default: 0] += count }
                nodes.askedMemoryBytes += Double(job.memoryBytes) * Double(job.inProgress)
                nodes.askedCores += Double(job.millicores) * Double(job.inProgress) / 1000
                if job.timed > 0 { timedJobs += 1 }
                if jobsMax > 0, !job.job.isEmpty { rows.append(job) }
            }
            if rows.count > 4 * jobsMax + 100 { rows = Self.largest(rows, jobsMax) }
        } while cursor != "0"
        // A job that waits for its time stands there too. What was cancelled while it was delayed does until its time.
        let delayed = min(max(0, delayedCount - timedJobs), tasks[.waiting] ?? 0)
        tasks[.waiting, default: 0] -= delayed
        tasks[.delayed, default: 0] += delayed
        jobs = Self.largest(rows, jobsMax).map {
            MetricsJob(identifier: $0.job, name: $0.name, tasks: $0.states)
        }
        try readAskedByLines(keys, ask)
    }

    private static func largest(_ jobs: [ReadJobFigures.Figures], _ count: Int) -> [ReadJobFigures.Figures] {
        let sorted = jobs.sorted { ($1.todo + $1.inProgress, $0.job) < ($0.todo + $0.inProgress, $1.job) }
        return Array(sorted.prefix(count))
    }

    /// Lines that are of no job say themselves what they ask for. Of many some thousand are looked at, and the rest is taken to be alike.
    private mutating func readAskedByLines(_ keys: QueueKeys, _ ask: MetricsAsking) throws {
        // Sums of what anybody may have written there: as Double they have no end to run into.
        var (cursor, seen, memory, millicores, pages) = ("0", 0, 0.0, 0.0, 0)
        repeat {
            let page = try answer(ScanHash(keys.inProgress, cursor: cursor), ask)
            cursor = page.cursor
            pages += 1
            for (field, _) in page.entries {
                seen += 1
                // What is no task line asks for nothing.
                guard let line = try? TaskLine(parsing: String(decoding: field, as: UTF8.self)) else { continue }
                memory += Double(line.memoryBytes)
                millicores += Double(line.millicores)
            }
        } while cursor != "0" && pages < Self.linePagesMax
        guard seen > 0 else { return }
        let all = cursor == "0" ? seen : max(seen, try answer(HashLength(keys.inProgress), ask))
        nodes.askedMemoryBytes += memory * Double(all) / Double(seen)
        nodes.askedCores += millicores / 1000 * Double(all) / Double(seen)
    }

    private static let linePagesMax = 4

    private mutating func readNodes(_ keys: QueueKeys, _ ask: MetricsAsking) throws {
        var offset = 0
        while true {
            let page = try answer(ReadNodes(keys: keys, offset: offset), ask)
            for node in page {
                let state = node.metricsState
                nodes.counts[state, default: 0] += 1
                if state == .lost { continue }
                nodes.capacityMemoryBytes += Double(node.memoryBytes)
                nodes.capacityCores += Double(node.millicores) / 1000
            }
            offset += page.count
            if page.count < ReadNodes.pageSize { break }
        }
        var cursor = "0"
        repeat {
            let page = try answer(ScanHash(keys.workerStatus, cursor: cursor), ask)
            cursor = page.cursor
            for (_, value) in page.entries {
                guard let report = NodeReport(parsing: String(decoding: value, as: UTF8.self)) else { continue }
                nodes.usedCores += report.usedCores
                nodes.usedMemoryBytes += report.usedMemoryGB * Double(1 << 30)
            }
        } while cursor != "0"
    }
}

/// How many entries a hash has.
private struct HashLength: QueueOperation {
    let key: String

    init(_ key: String) { self.key = key }

    var request: RedisRequest { .command(RedisCommand("HLEN", key)) }

    static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        guard let count = value.int else { throw .unexpectedReply("HLEN") }
        return count
    }
}

extension ReadJobFigures.Figures {
    /// What is delayed counts as waiting: that is known of all together.
    fileprivate var states: [MetricsTaskState: Int] {
        [
            .waiting: max(0, todo - dependent - timed), .dependent: dependent, .timed: timed, .running: inProgress,
            .finished: finished, .failed: failed,
        ]
    }
}

extension ReadNodes.Node {
    fileprivate var metricsState: MetricsNodeState {
        if leaseMilliseconds < 0 { return .lost }
        if !trouble.isEmpty { return .trouble }
        return isDrained ? .drained : .ready
    }
}

extension MetricsRedis {
    /// Of an answer to INFO; nil where it is none.
    init?(info: RESPValue) {
        guard let text = info.string else { return nil }
        var numbers: [Substring: UInt64] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            let parts = line.split(separator: ":", maxSplits: 1)
            if parts.count == 2 { numbers[parts[0]] = UInt64(parts[1]) }
        }
        guard let used = numbers["used_memory"] else { return nil }
        self.init(usedBytes: used, maxBytes: numbers["maxmemory"] ?? 0)
    }
}

// What the scripts count for monitoring, and how it is asked for. What is counted and where it stands is told in Scripts/Metrics/tallying.lua;
// what it means to whoever looks at it is the room Monitoring's matter.

import RedisClient
import TaskModel

/// What is known of the counts on both sides, scripts and Swift.
public enum QueueMetrics {
    /// How long the counts of one slot of the ring are collected.
    public static let slotSeconds = 300
    /// How many slots there are: a day.
    public static let slotCount = 288

    /// The upper bounds of the buckets of times, in milliseconds. Above the last there is one more bucket.
    public static let millisecondBounds = [
        100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000,
        100_000_000,
    ]
    /// The same of memory, in bytes: 16 MiB, and four times as much up to 1 TiB.
    public static let byteBounds = (0...8).map { 16 << (20 + 2 * $0) }

    /// What a launch that failed did last, by the first word of the step that its record names. Any other is `other`.
    public static let launchSteps = [
        "access", "capbset_drop", "capset", "chdir", "chown", "clone", "close_range", "execve", "memfd_create", "mkdir",
        "open", "openat", "prctl", "read", "run", "sched_setaffinity", "setgroups", "setpriority", "setresgid",
        "setresuid", "setrlimit", "setsid", "sigprocmask", "split", "wait", "write",
    ]
    /// What is not known by name.
    public static let otherName = "other"

    static func luaList(_ numbers: [Int]) -> String { "{" + numbers.map(String.init).joined(separator: ",") + "}" }

    static func luaSet(_ words: [String]) -> String { "{" + words.map { "['\($0)']=1" }.joined(separator: ",") + "}" }
}

/// Reads what was counted, and what of the queue is told by few keys: takes as long whatever the queue holds.
public struct ReadMetrics: QueueOperation {
    /// What was counted of what, see Scripts/Metrics/summing.lua.
    public typealias Fields = [String: Int]

    public struct Reply: Equatable, Sendable {
        /// By Redis's clock.
        public var milliseconds = 0
        /// Since ever, what goes on included.
        public var totals: Fields = [:]
        /// Of the slot that is open; 0 before there is one.
        public var slot = 0
        public var open: Fields = [:]
        /// For how long the first of what could be given out has waited; nil where nothing does, or nobody knows.
        public var oldestMilliseconds: Int?
        public var jobCount = 0
        public var jobsPausedCount = 0
        public var jobsHaltedCount = 0
        public var isPaused = false
        /// How many wait for their retry, and how many jobs for their time.
        public var delayedCount = 0
        public var closeRequested = false
    }

    private let keys: QueueKeys

    public init(keys: QueueKeys) { self.keys = keys }

    public var request: RedisRequest { .script(RedisScriptCall(QueueScripts.metrics, keys)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 10,
            let milliseconds = parts[0].string.flatMap({ Int($0) }), let totals = parts[1].elements,
            let open = parts[2].elements
        else { throw .unexpectedReply("metrics") }
        let numbers = try integers(.array(Array(parts[4...])), count: 6)
        var reply = Reply()
        reply.milliseconds = milliseconds
        (reply.totals, reply.open) = (fields(totals), fields(open))
        reply.slot = reply.totals.removeValue(forKey: slotField) ?? 0
        for (field, number) in reply.open { reply.totals[field, default: 0] += number }
        reply.oldestMilliseconds = (parts[3].string.flatMap { Int($0) } ?? parts[3].int).flatMap { $0 >= 0 ? $0 : nil }
        (reply.jobCount, reply.jobsPausedCount, reply.jobsHaltedCount) = (numbers[0], numbers[1], numbers[2])
        (reply.isPaused, reply.delayedCount, reply.closeRequested) = (numbers[3] == 1, numbers[4], numbers[5] == 1)
        return reply
    }

    static let slotField = "slot"

    /// Far more than any counter comes to, and thousands of such numbers can be added.
    private static let numberMax = 1 << 50

    /// Field, number, field, number, ...; what is no number is left out.
    static func fields(_ list: [RESPValue]) -> Fields {
        var fields: Fields = [:]
        for index in stride(from: 0, to: list.count - 1, by: 2) {
            guard let field = list[index].string, let number = list[index + 1].string.flatMap({ Int($0) }), number >= 0
            else { continue }
            fields[field] = min(number, numberMax)
        }
        return fields
    }
}

/// Reads some slots of the ring.
public struct ReadMetricsRing: QueueOperation {
    /// The most one request asks for.
    public static let slotsMax = 48

    /// What was counted in one slot.
    public struct Slot: Equatable, Sendable {
        /// How many slots there were since 1970 before it.
        public let number: Int
        public let fields: ReadMetrics.Fields
    }

    private let keys: QueueKeys
    private let places: [Int]

    /// - Parameter numbers: of the slots; the first ``slotsMax`` are looked at.
    public init(_ numbers: some Sequence<Int>, keys: QueueKeys) {
        self.keys = keys
        places = numbers.prefix(Self.slotsMax).map { max(0, $0) % QueueMetrics.slotCount }
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.metricsRing, keys)
        for place in places { call.append(place) }
        return .script(call)
    }

    /// What stands at the places of these slots: it may be of a slot of an earlier day.
    public static func parse(_ value: RESPValue) throws(QueueError) -> [Slot] {
        guard let rows = try elements(value) else { throw .unexpectedReply("metrics-ring") }
        return rows.compactMap { row in
            var fields = ReadMetrics.fields(row.elements ?? [])
            return fields.removeValue(forKey: ReadMetrics.slotField).map { Slot(number: $0, fields: fields) }
        }
    }
}

/// Reads a page of jobs, some hundred, and how many of their tasks are in which state.
public struct ReadJobFigures: QueueOperation {
    public struct Figures: Equatable, Sendable {
        /// The identifier; "" for what is of none, which comes with the first page.
        public let job: String
        public let name: String
        /// What waits for others and for its time included.
        public let todo: Int
        public let inProgress: Int
        public let finished: Int
        public let failed: Int
        public let dependent: Int
        public let timed: Int
        /// What one of its tasks asks for.
        public let memoryBytes: UInt64
        public let millicores: Int
    }

    public struct Page: Equatable, Sendable {
        /// "0" after the last.
        public let cursor: String
        /// A job may come on two pages while others are added.
        public let jobs: [Figures]
    }

    private let keys: QueueKeys
    private let cursor: String

    /// - Parameter cursor: of the page before; "0" for the first.
    public init(keys: QueueKeys, cursor: String = "0") {
        self.keys = keys
        self.cursor = cursor
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.metricsJobs, keys)
        call.append(cursor)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Page {
        guard let parts = try elements(value), parts.count == 2, let cursor = parts[0].string,
            let rows = parts[1].elements
        else { throw .unexpectedReply("metrics-jobs") }
        var jobs: [Figures] = []
        for row in rows {
            guard let parts = row.elements, parts.count == 9, let job = parts[0].string, let name = parts[8].string
            else { throw .unexpectedReply("metrics-jobs") }
            let numbers = try integers(.array(Array(parts[1..<7])), count: 6)
            let size = (parts[7].string ?? "").split(separator: ":")
            jobs.append(
                Figures(
                    job: job, name: name, todo: numbers[0], inProgress: numbers[1], finished: numbers[2],
                    failed: numbers[3], dependent: numbers[4], timed: numbers[5],
                    memoryBytes: size.first.flatMap { UInt64($0) } ?? 0,
                    millicores: size.count > 1 ? Int(size[1]) ?? 0 : 0))
        }
        return Page(cursor: cursor, jobs: jobs)
    }
}

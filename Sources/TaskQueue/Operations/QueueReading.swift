// Looking at the queue without changing it: how many of each, and pages of what there is. Never all at once: a queue may hold
// ten million lines.

import RedisClient
import TaskModel

/// How many tasks are in each state.
public struct QueueCounts: Equatable, Sendable {
    public var todo = 0
    public var inProgress = 0
    public var finished = 0
    /// Failed for good; what waits for another try counts as todo.
    public var failed = 0
    public var workers = 0
    public var closeRequested = false
    public var isPaused = false
    /// How many of todo wait for their retry; one that was cancelled since counts until its time. Of all jobs also how many jobs wait for theirs.
    public var delayed = 0
    /// How many of todo wait until others have ended.
    public var dependent = 0
    /// How many of todo are of jobs that may not begin yet.
    public var timed = 0
    /// When the first of these may, in milliseconds since 1970; 0 where there is none.
    public var beginsAtMilliseconds = 0
    /// What the queue is called; nil while nobody has submitted to it or registered.
    public var identity: QueueIdentity?
    /// How many running tasks the queue had lost, and was told of again by their nodes.
    public var restored = 0

    public init() {}
}

/// Reads the counts: of one job in constant time, of all in a time that grows with how many jobs there are.
public struct ReadCounts: QueueOperation {
    private let keys: QueueKeys
    private let ofAll: Bool

    /// - Parameter ofAll: of all jobs together, and what is of none; else of the job whose keys these are.
    public init(keys: QueueKeys, ofAll: Bool = false) {
        self.keys = keys
        self.ofAll = ofAll
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.counts, keys)
        call.append(ofAll ? "*" : keys.job)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> QueueCounts {
        guard let parts = try elements(value), parts.count == 13 else { throw .unexpectedReply("counts") }
        let numbers = try integers(.array(Array(parts[..<8])), count: 8)
        var counts = QueueCounts()
        counts.todo = numbers[0]
        counts.inProgress = numbers[1]
        counts.finished = numbers[2]
        counts.failed = numbers[3]
        counts.workers = numbers[4]
        counts.closeRequested = numbers[5] == 1
        counts.isPaused = numbers[6] == 1
        counts.delayed = numbers[7]
        counts.identity = parts[8].string.flatMap { QueueIdentity(text: $0) }
        counts.restored = parts[9].int ?? 0
        counts.dependent = parts[10].int ?? 0
        counts.timed = parts[11].int ?? 0
        counts.beginsAtMilliseconds = parts[12].int ?? 0
        return counts
    }
}

/// One page of a hash: HSCAN from `cursor`, which begins and ends at "0".
public struct ScanHash: QueueOperation {
    private let key: String
    private let cursor: String
    private let countHint: Int
    private let pattern: String?

    /// - Parameters:
    ///   - countHint: how many entries Redis looks at for a page, about.
    ///   - pattern: only fields that match it, as KEYS matches names: `*`, `?`, `[a-z]`, and a backslash before these.
    public init(_ key: String, cursor: String, countHint: Int = 1000, pattern: String? = nil) {
        self.key = key
        self.cursor = cursor
        self.countHint = countHint
        self.pattern = pattern
    }

    public struct Page: Sendable {
        /// "0" after the last page.
        public let cursor: String
        public let entries: [(field: [UInt8], value: [UInt8])]
    }

    public var request: RedisRequest {
        let filter = pattern.map { ["MATCH", $0] } ?? []
        return .command(RedisCommand("HSCAN", [key, cursor, "COUNT", String(countHint)] + filter))
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Page {
        guard let parts = try elements(value), parts.count == 2, let cursor = parts[0].string,
            let rows = parts[1].elements
        else { throw .unexpectedReply("HSCAN") }
        var entries: [(field: [UInt8], value: [UInt8])] = []
        for index in stride(from: 0, to: rows.count - 1, by: 2) {
            guard let field = rows[index].bytes, let value = rows[index + 1].bytes else {
                throw .unexpectedReply("HSCAN")
            }
            entries.append((field, value))
        }
        return Page(cursor: cursor, entries: entries)
    }
}

/// The values of some fields of a hash, in their order.
public struct ReadFields: QueueOperation {
    private let key: String
    private let fields: [[UInt8]]

    public init(_ key: String, fields: [[UInt8]]) {
        self.key = key
        self.fields = fields
    }

    public var request: RedisRequest { .command(RedisCommand(bytes: [Array("HMGET".utf8), Array(key.utf8)] + fields)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [[UInt8]?] {
        guard let parts = try elements(value) else { throw .unexpectedReply("HMGET") }
        return parts.map(\.bytes)
    }
}

/// A value of `outcomes`: the token of the attempt that ended, and its record.
public struct OutcomeEntry: Equatable, Sendable {
    /// "0" for an ending that no node reported: cancelled while it waited, or its nodes were lost.
    public let token: String
    /// One line of JSON, for `TaskOutcome(record:)`.
    public let record: [UInt8]

    /// Nil when there is no token.
    public init?(parsing value: [UInt8]) {
        guard let space = value.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        token = String(decoding: value[..<space], as: UTF8.self)
        record = Array(value[(space + 1)...])
    }
}

/// What it means for some lines to be in failed_tasks.
public struct ReadRetrying: QueueOperation {
    private let keys: QueueKeys
    public enum State: Int, Sendable {
        case failedForGood
        /// It waits for another try, or is having it.
        case retrying
        /// An old worker had that other try, and finished it.
        case finished
    }

    private let lines: ArraySlice<[UInt8]>

    /// - Parameter lines: only the first ``linesMax`` are looked at.
    public init(_ lines: ArraySlice<[UInt8]>, keys: QueueKeys) {
        self.keys = keys
        self.lines = lines.prefix(Self.linesMax)
    }

    /// The most lines one request asks for.
    public static let linesMax = 1000

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.retryStates, keys)
        for line in lines { call.append(bytes: line) }
        return .script(call)
    }

    /// In the order of the lines.
    public static func parse(_ value: RESPValue) throws(QueueError) -> [State] {
        guard let parts = try elements(value) else { throw .unexpectedReply("retry-states") }
        return parts.map { $0.int.flatMap { State(rawValue: $0) } ?? .failedForGood }
    }
}

/// One page of the nodes that have a lease, or had one and are not yet reaped.
public struct ReadNodes: QueueOperation {
    public struct Node: Equatable, Sendable {
        public let incarnation: Incarnation
        /// Until its lease is over; negative when it is.
        public let leaseMilliseconds: Int
        public let heldCount: Int
        public let memoryBytes: UInt64
        public let millicores: Int
        /// Of its distcompd; "" when it has not said so.
        public let version: String
        /// Whether it takes nothing new, by `DrainNodes`.
        public let isDrained: Bool
        /// Why it takes no tasks at present; "" when nothing ails it.
        public let trouble: String
        public let labels: [String]
        /// What it has besides memory and cores.
        public let resources: ResourceTotals
        /// What is used of its devices.
        public let devices: [DeviceReading]
        /// Its end of the connection; "" where it is not known.
        public let address: String
        /// For what it is reserved; nil: for nothing.
        public let reservation: Reservation?
    }

    /// A node is kept for the first task of a job and a size that has room there.
    public struct Reservation: Equatable, Sendable {
        /// The identifier of the job; "": of none.
        public let job: String
        public let memoryBytes: UInt64
        public let millicores: Int
        /// In how long it has room there at the latest; nil where nobody knows, for something runs there that has no timeout.
        public let latestMilliseconds: Int?

        public init(job: String, memoryBytes: UInt64, millicores: Int, latestMilliseconds: Int?) {
            self.job = job
            self.memoryBytes = memoryBytes
            self.millicores = millicores
            self.latestMilliseconds = latestMilliseconds
        }

        /// As the queue names it: `@JOB MEMORY:MILLICORES:...`, or without a job; nil for "".
        init?(class name: String, latestMilliseconds: Int) {
            let words = name.split(separator: " ", maxSplits: 1)
            let ofJob = name.hasPrefix("@") && words.count == 2
            let sizes = (ofJob ? words[1] : name[...]).split(separator: ":")
            guard sizes.count >= 2, let memory = UInt64(sizes[0]), let cores = Int(sizes[1]) else { return nil }
            self.init(
                job: ofJob ? String(words[0].dropFirst()) : "", memoryBytes: memory, millicores: cores,
                latestMilliseconds: latestMilliseconds > 0 ? latestMilliseconds : nil)
        }
    }

    /// The most nodes one page has. A page with fewer is the last.
    public static let pageSize = 200

    private let keys: QueueKeys
    private let offset: Int

    /// - Parameter offset: how many nodes are on the pages before.
    public init(keys: QueueKeys, offset: Int = 0) {
        self.keys = keys
        self.offset = offset
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.nodes, keys)
        call.append(offset)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [Node] {
        guard let rows = try elements(value) else { throw .unexpectedReply("nodes") }
        var nodes: [Node] = []
        for row in rows {
            guard let parts = row.elements, parts.count == 14, let text = parts[0].string, let lease = parts[1].int,
                let held = parts[2].int, let memory = parts[3].string.flatMap({ UInt64($0) }),
                let millicores = parts[4].string.flatMap({ Int($0) }), let version = parts[5].string,
                let trouble = parts[7].string, let address = parts[8].string, let labels = parts[9].string,
                let resources = parts[10].string, let reservedFor = parts[11].string,
                let left = parts[12].string.flatMap({ Int($0) }), let devices = parts[13].string
            else { throw .unexpectedReply("nodes") }
            nodes.append(
                Node(
                    incarnation: Incarnation(resuming: text), leaseMilliseconds: lease, heldCount: held,
                    memoryBytes: memory, millicores: millicores, version: version, isDrained: parts[6].int == 1,
                    trouble: trouble, labels: labels.split(separator: " ").map(String.init),
                    resources: ResourceTotals(text: resources), devices: DeviceReading.readings(in: devices),
                    address: address == "-" ? "" : address,
                    reservation: Reservation(class: reservedFor, latestMilliseconds: left)))
        }
        return nodes
    }
}

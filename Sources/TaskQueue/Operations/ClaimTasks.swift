// Taking tasks: the one script every running task has gone through.

import RedisClient
import TaskModel

/// Takes up to `count` tasks that fit, highest priority first and first come first served within it, and renews the lease.
///
/// Each line is noted as held by this incarnation, then as in progress, and leaves todo last. A reply that is lost loses
/// nothing: `HeldTasks` tells what was taken.
public struct ClaimTasks: QueueOperation {
    /// The most tasks one call gives.
    public static let countMax = 1000

    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let count: Int
    private let freeMemoryBytes: UInt64
    private let freeMillicores: Int
    private let freeResources: String
    private let withSignatures: Bool
    private let silence: Int
    private let known: KnownJobs
    private let leavesIfIdle: Bool

    /// - Parameters:
    ///   - freeResources: what is free of the node's other resources, see needing.lua.
    ///   - withSignatures: whether the signatures of the lines are wanted.
    ///   - silence: the number this node was last told. With another than the present one it gets nothing.
    ///   - known: the jobs whose records need not be told again.
    ///   - leavesIfIdle: this incarnation holds nothing, and leaves the queue in the same step if it is given nothing.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, count: Int, freeMemoryBytes: UInt64,
        freeMillicores: Int, freeResources: String = "", withSignatures: Bool = false, silence: Int,
        known: KnownJobs = KnownJobs(), leavesIfIdle: Bool = false
    ) {
        self.leavesIfIdle = leavesIfIdle
        self.known = known
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.count = min(max(0, count), Self.countMax)
        self.freeMemoryBytes = freeMemoryBytes
        self.freeMillicores = freeMillicores
        self.freeResources = freeResources
        self.withSignatures = withSignatures
        self.silence = silence
    }

    /// A task taken.
    public struct Claimed: Equatable, Sendable {
        public let line: String
        public let token: String
        /// 1 for the first.
        public let attempt: Int
        /// As it stands in Redis; nil when there is none, or none was asked for.
        public let signature: [UInt8]?
        /// The record of its job, where it is told with each line.
        public let jobRecord: [UInt8]?
        /// ``OwnSettings`` as text; nil where it has what its job has.
        public let own: String?

        public init(
            line: String, token: String, attempt: Int, signature: [UInt8]? = nil, jobRecord: [UInt8]? = nil,
            own: String? = nil
        ) {
            self.own = own
            self.jobRecord = jobRecord
            self.line = line
            self.token = token
            self.attempt = attempt
            self.signature = signature
        }
    }

    public struct Reply: Equatable, Sendable {
        public let tasks: [Claimed]
        /// WORKER_COMMAND_CLOSE is set: finish what runs, and stop.
        public let closeRequested: Bool
        /// Lines may be waiting that the index does not know, for an old manager added them, and this node has the right to look for
        /// them: see `TodoSweep`.
        public let needsSweep: Bool
        /// When to ask again, in milliseconds from now: the next retry is due then, or (0) there was more than one call may
        /// look at. Nil when nothing waits for its time.
        public let dueMilliseconds: Int?
        /// The queue is paused: nothing is given.
        public let isPaused: Bool
        /// `TakeCancellations` has something to say, as it also says to whom is subscribed and in the answer to a heartbeat.
        public let hasCancellations: Bool
        /// A task was taken away from this node by hand: it gets nothing until it has asked `TakeCancellations`.
        public let isHeldBack: Bool
        /// The number of the silence the queue is in. When it is not the one that was asked with, nothing was given, and the node asks
        /// again with this.
        public let silence: Int
        /// The number of changes of jobs there have been; "" where no line of a job was given.
        public let jobRevision: String
        /// The records of jobs that were not known as they are now.
        public let jobRecords: [String: [UInt8]]
        /// It was to leave if there was nothing for it, and there was nothing: the queue knows this incarnation no more.
        public let hasLeft: Bool
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.claim, keys, incarnation)
        call.append(leaseMilliseconds)
        call.append(count)
        call.append(freeMemoryBytes)
        call.append(freeMillicores)
        call.append(withSignatures ? 1 : 0)
        call.append(silence)
        call.append(freeResources)
        call.append(known.revision)
        call.append(known.text)
        call.append(leavesIfIdle ? 1 : 0)
        return .script(call)
    }

    /// - Throws: `QueueError.fenced` when the lease is over: what this incarnation held belongs to others now.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 10, let rows = parts[0].elements, let due = parts[3].int,
            let silence = parts[7].int, let jobs = parts[9].elements
        else {
            throw .unexpectedReply("claim")
        }
        var tasks: [Claimed] = []
        for index in stride(from: 0, to: rows.count - 4, by: 5) {
            guard let line = rows[index].string, let token = rows[index + 1].string, let attempt = rows[index + 2].int
            else {
                throw .unexpectedReply("claim")
            }
            tasks.append(
                Claimed(
                    line: line, token: token, attempt: attempt, signature: rows[index + 3].bytes,
                    own: rows[index + 4].string))
        }
        return Reply(
            tasks: tasks, closeRequested: parts[1].int == 1, needsSweep: parts[2].int == 1,
            dueMilliseconds: due < 0 ? nil : due, isPaused: parts[4].int == 1, hasCancellations: parts[5].int == 1,
            isHeldBack: parts[6].int == 1, silence: silence, jobRevision: jobs.first?.string ?? "",
            jobRecords: records(jobs.dropFirst()), hasLeft: parts[8].int == 1)
    }

    private static func records(_ parts: ArraySlice<RESPValue>) -> [String: [UInt8]] {
        var records: [String: [UInt8]] = [:]
        var rest = parts
        while let identifier = rest.popFirst()?.string, let record = rest.popFirst()?.bytes {
            records[identifier] = record
        }
        return records
    }
}

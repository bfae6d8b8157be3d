// What people order besides submitting and cancelling: try again, take away from a node, forget, pause.

import RedisClient
import TaskModel

/// Queues lines again that have failed for good, with a clean slate, and hastens those that wait for their retry. At most
/// `SubmitTasks.linesMax`; harmless when repeated. Refused when Redis is out of memory.
public struct RetryTasks: QueueOperation {
    public struct Reply: Equatable, Sendable {
        /// How many had failed for good, and are in todo now.
        public var queued = 0
        /// How many waited for their time, and wait no longer.
        public var hastened = 0

        public init() {}
    }

    private let keys: QueueKeys
    private let lines: ArraySlice<TaskLine>
    private let own: OwnSettings?

    /// - Parameters:
    ///   - lines: all of one job; only the first `SubmitTasks.linesMax` are looked at.
    ///   - own: what they may use from now on, where they are of a job; nil: what they could before.
    public init(_ lines: ArraySlice<TaskLine>, own: OwnSettings? = nil, keys: QueueKeys) {
        self.keys = keys
        self.own = own
        self.lines = lines.prefix(SubmitTasks.linesMax)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.retry, keys)
        call.append(own?.text ?? "")
        for line in lines { call.append(line) }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        let counts = try integers(value, count: 2)
        var reply = Reply()
        (reply.queued, reply.hastened) = (counts[0], counts[1])
        return reply
    }
}

/// Puts lines that are in progress back into todo, whoever runs them: a node of ours is told to stop and its report will be stale;
/// an old worker cannot be told. At most `SubmitTasks.linesMax`; harmless when repeated.
public struct RequeueTasks: QueueOperation {
    private let keys: QueueKeys
    private let lines: ArraySlice<TaskLine>

    /// - Parameter lines: only the first `SubmitTasks.linesMax` are looked at.
    public init(_ lines: ArraySlice<TaskLine>, keys: QueueKeys) {
        self.keys = keys
        self.lines = lines.prefix(SubmitTasks.linesMax)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.requeue, keys)
        for line in lines { call.append(line) }
        return .script(call)
    }

    /// How many were in progress.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("requeue") }
        return count
    }
}

/// Forgets how lines ended, as if they had never been submitted. At most `SubmitTasks.linesMax`; harmless when repeated.
public struct ForgetTasks: QueueOperation {
    /// Stands for the token of a result without a record, as old workers leave them.
    public static let noRecord = "-"

    public enum State: String, Sendable {
        case finished
        /// For good; what waits for another try is left alone.
        case failed
    }

    private let keys: QueueKeys
    private let state: State
    private let lines: ArraySlice<[UInt8]>
    private let jobs: [String: Job]
    private let tokens: [String]

    /// - Parameters:
    ///   - lines: as they are in the hash; only the first `SubmitTasks.linesMax` are looked at.
    ///   - keys: of the job whose hash it is.
    ///   - jobs: of which they may be.
    ///   - tokens: of the attempts that ended so, one for each line, ``noRecord`` where the queue has no record; none: however they ended.
    public init(
        _ state: State, _ lines: ArraySlice<[UInt8]>, keys: QueueKeys, jobs: [String: Job] = [:], tokens: [String] = []
    ) {
        self.tokens = tokens
        self.keys = keys
        self.jobs = jobs
        self.state = state
        self.lines = lines.prefix(SubmitTasks.linesMax)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.forget, keys)
        call.append(state.rawValue)
        call.append(keys.job)
        for (index, line) in lines.enumerated() {
            call.append(bytes: line)
            let task = try? TaskLine(parsing: line, of: jobs)
            call.append(task.map { String($0.memoryBytes) } ?? "")
            call.append(task.map { String($0.millicores) } ?? "")
            call.append(index < tokens.count ? tokens[index] : "")
        }
        return .script(call)
    }

    /// How many there were.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("forget") }
        return count
    }
}

/// Stops the giving of tasks, or lets it go on. What runs is not touched; old workers do not know of it.
public struct PauseQueue: QueueOperation {
    private let keys: QueueKeys
    private let isPaused: Bool

    public init(_ isPaused: Bool, keys: QueueKeys) {
        self.keys = keys
        self.isPaused = isPaused
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.pause, keys)
        call.append(isPaused ? 1 : 0)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) {
        if let error = value.error { throw QueueError(error) }
    }
}

/// Has nodes take nothing new, whatever waits, until they are resumed; what they run goes on. It outlasts restarts of the nodes.
/// Harmless when repeated.
public struct DrainNodes: QueueOperation {
    public enum Answer: Equatable, Sendable {
        /// How many tasks it holds.
        case done(heldCount: Int)
        case unknownNode
        /// It knows of no such order.
        case oldWorker
    }

    /// The most nodes one request names.
    public static let namesMax = 1000

    private let keys: QueueKeys
    private let names: ArraySlice<String>
    private let isDraining: Bool

    /// - Parameters:
    ///   - names: only the first ``namesMax`` are looked at.
    ///   - isDraining: false to let them take tasks again.
    public init(_ names: ArraySlice<String>, isDraining: Bool, keys: QueueKeys) {
        self.keys = keys
        self.names = names.prefix(Self.namesMax)
        self.isDraining = isDraining
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.drain, keys)
        call.append(isDraining ? 1 : 0)
        for name in names { call.append(name) }
        return .script(call)
    }

    /// An answer a name, in their order.
    public static func parse(_ value: RESPValue) throws(QueueError) -> [Answer] {
        if let error = value.error { throw QueueError(error) }
        guard let counts = value.elements?.map(\.int), counts.allSatisfy({ $0 != nil }) else {
            throw .unexpectedReply("drain")
        }
        return counts.compactMap(\.self).map { count in
            switch count {
            case -1: .unknownNode
            case -2: .oldWorker
            default: .done(heldCount: count)
            }
        }
    }
}

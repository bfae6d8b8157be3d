// Adding tasks. A line that is waiting, running or finished is left alone, so loading a file again adds only what is missing,
// and what had finally failed is tried anew.

import RedisClient
import TaskModel

/// What came of submitting lines.
public struct SubmitReply: Equatable, Sendable {
    public var added = 0
    public var inTodo = 0
    public var inProgress = 0
    public var finished = 0

    public init() {}

    public mutating func add(_ other: SubmitReply) {
        added += other.added
        inTodo += other.inTodo
        inProgress += other.inProgress
        finished += other.finished
    }
}

/// Submits up to `linesMax` lines at once. Harmless when repeated: what was added is then already in todo. Refused when Redis
/// is out of memory.
public struct SubmitTasks: QueueOperation {
    /// A script that ran longer would hold up every node; `unpack` has its limit at 8,000 as well.
    public static let linesMax = 1000

    private let keys: QueueKeys
    private let lines: ArraySlice<TaskLine>
    private let taskKey: TaskKey?
    private let queueCandidate: QueueIdentity

    /// - Parameters:
    ///   - lines: all of one job, or of none; only the first `linesMax` are submitted.
    ///   - taskKey: what they are signed with; nil: nothing.
    ///   - queueCandidate: what the queue is called from now on, where it has no name.
    public init(
        _ lines: ArraySlice<TaskLine>, keys: QueueKeys, taskKey: TaskKey? = nil,
        queueCandidate: QueueIdentity = QueueIdentity()
    ) {
        self.keys = keys
        self.lines = lines.prefix(Self.linesMax)
        self.taskKey = taskKey
        self.queueCandidate = queueCandidate
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.submit, keys)
        call.arguments.reserveCapacity(2 + lines.count * 5)
        call.append(queueCandidate.text)
        for line in lines {
            call.append(line)
            call.append(bytes: taskKey?.signature(of: line) ?? [])
        }
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> SubmitReply {
        let counts = try integers(value, count: 4)
        var reply = SubmitReply()
        (reply.added, reply.inTodo, reply.inProgress, reply.finished) = (counts[0], counts[1], counts[2], counts[3])
        return reply
    }
}

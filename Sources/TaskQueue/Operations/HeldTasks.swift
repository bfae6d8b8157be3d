// What a node and the queue think of what the node holds: the queue tells it, for a reply that was lost; or the node tells it, to a
// queue that may have lost it.

import RedisClient
import TaskModel

/// What the queue thinks an incarnation holds: the answer to a claim may have been lost on its way.
public struct HeldTasks: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let withSignatures: Bool

    /// - Parameter withSignatures: whether the signatures of the lines are wanted.
    public init(keys: QueueKeys, incarnation: Incarnation, withSignatures: Bool = false) {
        self.keys = keys
        self.incarnation = incarnation
        self.withSignatures = withSignatures
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.held, keys, incarnation)
        call.append(withSignatures ? 1 : 0)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> [ClaimTasks.Claimed] {
        guard let rows = try elements(value) else { throw .unexpectedReply("held") }
        var tasks: [ClaimTasks.Claimed] = []
        for index in stride(from: 0, to: rows.count - 4, by: 5) {
            guard let line = rows[index].string, let fields = rows[index + 1].string?.split(separator: " "),
                fields.count == 5,
                let attempt = Int(fields[4])
            else { throw .unexpectedReply("held") }
            tasks.append(
                ClaimTasks.Claimed(
                    line: line, token: String(fields[0]), attempt: attempt, signature: rows[index + 2].bytes,
                    jobRecord: rows[index + 3].bytes, own: rows[index + 4].string))
        }
        return tasks
    }
}

/// Tells the queue of tasks that this incarnation runs, after it has registered or has come to another Redis: what the queue does not
/// know of, or has waiting again, becomes this incarnation's. At most ``countMax``; harmless when repeated.
public struct RestoreTasks: QueueOperation {
    /// The most tasks one call tells of.
    public static let countMax = 1000

    /// A task that runs.
    public struct Running: Equatable, Sendable {
        public let line: TaskLine
        public let token: String
        /// 1 for the first.
        public let attempt: Int

        public init(line: TaskLine, token: String, attempt: Int) {
            self.line = line
            self.token = token
            self.attempt = attempt
        }
    }

    public enum Answer: String, Equatable, Sendable {
        /// The queue knew.
        case held
        /// It did not, and does now.
        case restored
        /// Somebody else has it, or it has ended: it is to be stopped.
        case taken
    }

    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let tasks: ArraySlice<Running>
    private let earlier: [Incarnation]
    private let isLast: Bool

    /// - Parameters:
    ///   - tasks: only the first ``countMax`` are told.
    ///   - earlier: lives of this node that have ended, whatever the queue knows of them: what they hold of these becomes this one's.
    ///   - isLast: whether what they hold besides goes back to todo.
    public init(
        _ tasks: ArraySlice<Running>, keys: QueueKeys, incarnation: Incarnation, earlier: [Incarnation] = [],
        isLast: Bool = false
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.tasks = tasks.prefix(Self.countMax)
        self.earlier = earlier.suffix(RegisterNode.earlierMax)
        self.isLast = isLast
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.restore, keys, incarnation)
        call.append(isLast ? 1 : 0)
        call.append(earlier.count)
        for life in earlier { call.append(life.text) }
        for task in tasks {
            call.append(task.line.text)
            call.append(task.token)
            call.append(task.line.memoryBytes)
            call.append(task.line.millicores)
            call.append(task.line.priority)
            call.append(task.attempt)
            call.append(task.line.job?.record ?? "")
            call.append(task.line.own?.text ?? "")
        }
        return .script(call)
    }

    /// An answer a task, in their order.
    ///
    /// - Throws: `QueueError.fenced` when this incarnation has no lease.
    public static func parse(_ value: RESPValue) throws(QueueError) -> [Answer] {
        guard let words = try elements(value) else { throw .unexpectedReply("restore") }
        var answers: [Answer] = []
        for word in words {
            guard let answer = word.string.flatMap({ Answer(rawValue: $0) }) else { throw .unexpectedReply("restore") }
            answers.append(answer)
        }
        return answers
    }
}

// A node's place in the queue: it registers, keeps its lease alive, and leaves. A node that is heard of no more loses its
// lease, and any other node puts its tasks back.

import Notation
import RedisClient
import TaskModel

/// One life of a node. What it holds is noted under this name, and a new life never mistakes the old one's tasks for its own.
public struct Incarnation: Hashable, Sendable {
    /// `name/machine/life`.
    public let text: String

    /// The node's name, as worker_status and the hashes of tasks have it.
    public var nodeName: String { String(text.prefix { $0 != "/" }) }

    /// - Parameters:
    ///   - name: the node's name, without a slash.
    ///   - machine: tells two machines apart that were given one name.
    ///   - life: grows from one life to the next on the same machine, reboots included, so that a registration that was long on
    ///     its way cannot end the life that came after it. The wall clock: one set back costs a node the rest of its old lease.
    public init(name: String, machine: String, life: Int64) {
        text = "\(name)/\(machine)/\(Hexadecimal.text(UInt64(bitPattern: life)))"
    }

    /// The same life, as another program of it knows it.
    public init(resuming text: String) { self.text = text }

    /// Reads back ``text``; nil when it is none.
    init?(text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3, Configuration.isNodeName(String(parts[0])), !parts[1].isEmpty, parts[2].count == 16,
            UInt64(parts[2], radix: 16) != nil
        else { return nil }
        self.text = text
    }
}

/// What a node tells of itself.
public struct NodeDescription: Equatable, Sendable {
    /// What it has for tasks altogether.
    public let memoryBytes: UInt64
    public let millicores: Int
    /// Of its distcompd, without white space.
    public let version: String

    public init(memoryBytes: UInt64, millicores: Int, version: String = "") {
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.version = version
    }
}

extension RedisScriptCall {
    fileprivate mutating func append(_ node: NodeDescription) {
        append(node.memoryBytes)
        append(node.millicores)
        append(node.version)
    }
}

/// Announces a new life of a node. Tasks of its earlier lives on the same machine go back to todo at once: it has ended them.
public struct RegisterNode: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let status: String
    private let node: NodeDescription

    /// - Parameter status: the value of `worker_status`.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, node: NodeDescription
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.status = status
        self.node = node
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.register, keys, incarnation)
        call.append(leaseMilliseconds)
        call.append(status)
        call.append(node)
        return .script(call)
    }

}

/// Renews the lease, writes `worker_status`, and looks after what belongs to nobody: tasks of dead nodes, retries that are due.
public struct Heartbeat: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let status: String
    private let mayReap: Bool
    private let graceMilliseconds: Int
    private let node: NodeDescription

    /// - Parameters:
    ///   - status: the value of `worker_status`.
    ///   - mayReap: false while this node has been connected for less than a lease: after an outage every lease looks over.
    ///   - graceMilliseconds: how long a line that an old worker seems to have dropped is waited for.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, mayReap: Bool,
        graceMilliseconds: Int = 60_000, node: NodeDescription
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.status = status
        self.mayReap = mayReap
        self.graceMilliseconds = graceMilliseconds
        self.node = node
    }

    public struct Reply: Equatable, Sendable {
        public let closeRequested: Bool
        /// How many tasks of dead nodes were put back.
        public let reapedCount: Int
        /// How many lines that old workers dropped were put back.
        public let recoveredCount: Int
        public let isPaused: Bool
        /// `TakeCancellations` has something to say.
        public let hasCancellations: Bool
        /// Nothing is given to this node, by `DrainNodes`.
        public let isDrained: Bool
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.heartbeat, keys, incarnation)
        call.append(leaseMilliseconds)
        call.append(status)
        call.append(mayReap ? 1 : 0)
        call.append(graceMilliseconds)
        call.append(node)
        return .script(call)
    }

    /// - Throws: `QueueError.fenced` when others have begun to take over what this incarnation held.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        let counts = try integers(value, count: 6)
        return Reply(
            closeRequested: counts[0] == 1, reapedCount: counts[1], recoveredCount: counts[2], isPaused: counts[3] == 1,
            hasCancellations: counts[4] == 1, isDrained: counts[5] == 1)
    }
}

/// Takes this life of the node out of the queue; what it still held goes back to todo without a mark.
public struct LeaveQueue: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation

    public init(keys: QueueKeys, incarnation: Incarnation) {
        self.keys = keys
        self.incarnation = incarnation
    }

    public var request: RedisRequest {
        .script(RedisScriptCall(QueueScripts.leave, keys, incarnation))
    }

    /// How many tasks it still holds: a call puts back a thousand, and what remains is reaped as of a dead node.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("leave") }
        return count
    }
}

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
        for index in stride(from: 0, to: rows.count - 2, by: 3) {
            guard let line = rows[index].string, let fields = rows[index + 1].string?.split(separator: " "),
                fields.count == 5,
                let attempt = Int(fields[4])
            else { throw .unexpectedReply("held") }
            tasks.append(
                ClaimTasks.Claimed(
                    line: line, token: String(fields[0]), attempt: attempt, signature: rows[index + 2].bytes))
        }
        return tasks
    }
}

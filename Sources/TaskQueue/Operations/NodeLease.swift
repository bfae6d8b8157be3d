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
    /// Where it is: the host and port of its end of the connection, without white space; "" where that is not known.
    public let address: String
    /// Why it takes no tasks at present; "" when nothing ails it.
    public let trouble: String
    /// Of `Configuration.labels`.
    public let labels: [String]
    /// What it has besides memory and cores.
    public let resources: ResourceTotals
    /// What is used of its devices; of those of which something is known.
    public let devices: [DeviceReading]

    public init(
        memoryBytes: UInt64, millicores: Int, version: String = "", address: String = "", trouble: String = "",
        labels: [String] = [], resources: ResourceTotals = ResourceTotals(), devices: [DeviceReading] = []
    ) {
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.version = version
        self.address = address
        self.trouble = trouble
        self.labels = labels
        self.resources = resources
        self.devices = devices
    }

    static let devicesMax = NodeResources.devicesMax
    static let addressBytesMax = 256
    static let troubleBytesMax = 1024
}

extension RedisScriptCall {
    fileprivate mutating func append(_ node: NodeDescription) {
        append(node.memoryBytes)
        append(node.millicores)
        append(word(node.version, bytesMax: NodeDescription.addressBytesMax))
        append(node.address.isEmpty ? "-" : word(node.address, bytesMax: NodeDescription.addressBytesMax))
        append(String(decoding: node.trouble.utf8.prefix(NodeDescription.troubleBytesMax), as: UTF8.self))
        append(node.labels.joined(separator: " "))
        append(node.resources.text)
        append(DeviceReading.text(of: Array(node.devices.prefix(NodeDescription.devicesMax))))
    }

    /// As it can stand between spaces.
    private func word(_ text: String, bytesMax: Int) -> String {
        String(decoding: text.utf8.filter { $0 > 0x20 && $0 < 0x7F }.prefix(bytesMax), as: UTF8.self)
    }
}

/// Announces a new life of a node. Tasks of its earlier lives go back to todo at once, unless it still runs some of them.
public struct RegisterNode: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let status: String
    private let node: NodeDescription
    private let queueCandidate: QueueIdentity
    private let serverRun: String
    private let runsSomething: Bool
    private let earlier: [Incarnation]

    /// - Parameters:
    ///   - status: the value of `worker_status`.
    ///   - queueCandidate: what the queue is called from now on, where it has no name.
    ///   - serverRun: names the process of the server, "" where it is not known.
    ///   - runsSomething: whether earlier lives keep what they hold until this one has told by ``RestoreTasks`` what of it still runs.
    ///   - earlier: lives of this node that were its own, for all it knows; another one that is alive is a twin. At most
    ///     ``earlierMax``, the latest.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, node: NodeDescription,
        queueCandidate: QueueIdentity = QueueIdentity(), serverRun: String = "", runsSomething: Bool = false,
        earlier: [Incarnation] = []
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.status = status
        self.node = node
        self.queueCandidate = queueCandidate
        self.serverRun = serverRun
        self.runsSomething = runsSomething
        self.earlier = earlier.suffix(Self.earlierMax)
    }

    public static let earlierMax = 1000

    public struct Reply: Equatable, Sendable {
        /// The number of the silence the queue is in: claims and heartbeats say it.
        public let silence: Int
        public let queue: QueueIdentity
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.register, keys, incarnation)
        call.append(leaseMilliseconds)
        call.append(status)
        call.append(queueCandidate.text)
        call.append(node)
        call.append(serverRun)
        call.append(runsSomething ? 1 : 0)
        for life in earlier { call.append(life.text) }
        return .script(call)
    }

    /// - Throws: `QueueError.twin` when a life that is not its own is alive, `.nameTaken` when another machine is alive under the
    ///   name, `.wrongType`. Whoever waits for such a lease to end asks again several times within it: with nobody who asks, the
    ///   queue's clock stands still.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 3, let silence = parts[1].int,
            let queue = parts[2].string.flatMap({ QueueIdentity(text: $0) })
        else { throw .unexpectedReply("register") }
        return Reply(silence: silence, queue: queue)
    }
}

/// When a node is reserved for a big task, and by when what runs on this node must have ended.
public struct ReservingSettings: Equatable, Sendable {
    /// So long a task waits before that; 0: no node is reserved for any, nor this one by others.
    public var afterMilliseconds: Int
    /// Of tasks for which none is said; 0: they have no limit.
    public var timeoutMilliseconds: Int
    /// A task has ended so long after its timeout.
    public var graceMilliseconds: Int

    public static let never = ReservingSettings(afterMilliseconds: 0, timeoutMilliseconds: 0, graceMilliseconds: 0)

    public init(afterMilliseconds: Int, timeoutMilliseconds: Int, graceMilliseconds: Int) {
        self.afterMilliseconds = max(0, afterMilliseconds)
        self.timeoutMilliseconds = max(0, timeoutMilliseconds)
        self.graceMilliseconds = max(0, graceMilliseconds)
    }
}

/// Renews the lease, writes `worker_status`, and looks after what belongs to nobody: tasks of dead nodes, retries that are due.
public struct Heartbeat: QueueOperation {
    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let leaseMilliseconds: Int
    private let status: String
    private let silence: Int?
    private let elapsedMilliseconds: Int
    private let graceMilliseconds: Int
    private let node: NodeDescription
    private let queueCandidate: QueueIdentity
    private let serverRun: String
    private let reserving: ReservingSettings

    /// - Parameters:
    ///   - status: the value of `worker_status`.
    ///   - silence: the number this node was last told. With another than the present one, or nil, nothing is taken over from dead
    ///     nodes.
    ///   - elapsedMilliseconds: by the node's own clock, since it sent the last request that renews the lease (register, heartbeat or
    ///     claim) and was answered. Where clearly more time has passed for the queue, its clock is ahead or this was long under way.
    ///   - graceMilliseconds: how long a line that an old worker seems to have dropped is waited for.
    ///   - queueCandidate: what the queue is called from now on, where it has no name.
    ///   - serverRun: names the process of the server, "" where it is not known.
    ///   - reserving: when nodes are reserved, and what has to be known for it.
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, silence: Int?,
        elapsedMilliseconds: Int, graceMilliseconds: Int = 60_000, node: NodeDescription,
        queueCandidate: QueueIdentity = QueueIdentity(), serverRun: String = "", reserving: ReservingSettings = .never
    ) {
        self.reserving = reserving
        self.keys = keys
        self.incarnation = incarnation
        self.leaseMilliseconds = leaseMilliseconds
        self.status = status
        self.silence = silence
        self.elapsedMilliseconds = elapsedMilliseconds
        self.graceMilliseconds = graceMilliseconds
        self.node = node
        self.queueCandidate = queueCandidate
        self.serverRun = serverRun
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
        /// The number of the silence the queue is in.
        public let silence: Int
        public let queue: QueueIdentity
        /// Another node has not been heard of for a while, or something else is about to be put back. The next heartbeat shall come
        /// within a twelfth of a lease: only where the clock is looked at so often is it known that all could have been heard.
        public let beatsSoon: Bool
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.heartbeat, keys, incarnation)
        call.append(leaseMilliseconds)
        call.append(status)
        call.append(silence ?? 0)
        call.append(max(0, elapsedMilliseconds))
        call.append(graceMilliseconds)
        call.append(queueCandidate.text)
        call.append(node)
        call.append(serverRun)
        call.append(reserving.afterMilliseconds)
        call.append(reserving.timeoutMilliseconds)
        call.append(reserving.graceMilliseconds)
        return .script(call)
    }

    /// - Throws: `QueueError.fenced` when others have begun to take over what this incarnation held, or the queue is another.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 9,
            let queue = parts[7].string.flatMap({ QueueIdentity(text: $0) })
        else { throw .unexpectedReply("heartbeat") }
        let counts = try integers(.array(Array(parts[..<7])), count: 7)
        return Reply(
            closeRequested: counts[0] == 1, reapedCount: counts[1], recoveredCount: counts[2], isPaused: counts[3] == 1,
            hasCancellations: counts[4] == 1, isDrained: counts[5] == 1, silence: counts[6], queue: queue,
            beatsSoon: parts[8].int == 1)
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

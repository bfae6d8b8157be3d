import RedisClient
import TaskModel

extension NodeDescription {
    public init(memoryBytes: UInt64, millicores: Int, version: String, address: String, trouble: String?) {
        self.init(memoryBytes: memoryBytes, millicores: millicores, version: version)
    }
}
extension RegisterNode {
    public struct Reply {
        public let silence: Int
        public let queueIdentity: String
    }
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, node: NodeDescription,
        queueCandidate: String, earlierIncarnations: [String]
    ) {
        self.init(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: status, node: node)
    }
    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        if let error = value.error { throw QueueError(error) }
        return Reply(silence: 0, queueIdentity: "")
    }
}
extension Heartbeat {
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, status: String, node: NodeDescription,
        silence: Int, elapsedMilliseconds: Int, queueCandidate: String
    ) {
        self.init(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: status, mayReap: true,
            node: node)
    }
}
extension Heartbeat.Reply {
    public var silence: Int { 0 }
    public var queueIdentity: String { "" }
}
extension ClaimTasks.Reply { public var silence: Int { 0 } }
extension ClaimTasks {
    public init(
        keys: QueueKeys, incarnation: Incarnation, leaseMilliseconds: Int, count: Int, freeMemoryBytes: UInt64,
        freeMillicores: Int, withSignatures: Bool, silence: Int
    ) {
        self.init(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: count,
            freeMemoryBytes: freeMemoryBytes, freeMillicores: freeMillicores, withSignatures: withSignatures)
    }
}
public struct RestoreTasks {
    public struct Task {
        public init(line: TaskLine, token: String, attempt: Int) {}
    }
    public enum Answer { case held, restored, taken }
    public init(keys: QueueKeys, incarnation: Incarnation, tasks: [Task]) {}
    public var request: RedisRequest { .command(RedisCommand("PING")) }
    public static func parse(_ value: RESPValue) throws(QueueError) -> [Answer] { [] }
}

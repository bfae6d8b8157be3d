// Every key name of the queue. Nothing outside this room knows one.

/// The Redis keys of one queue. Several queues share a Redis by different prefixes.
///
/// Scripts are given the prefix alone and make the other names of it, those of classes and incarnations among them, so they
/// need a Redis that keeps all of a queue in one place: standalone, under Sentinel, or a cluster with a `{tag}` in the
/// prefix.
public struct QueueKeys: Hashable, Sendable {
    /// What stands before every key, `key_prefix` of the settings.
    public let prefix: String

    public init(prefix: String = "") { self.prefix = prefix }

    // The six hashes of the old system. They are the truth; all else can be made again from them.
    public var todo: String { prefix + "todo_tasks" }
    public var inProgress: String { prefix + "in_progress_tasks" }
    public var finished: String { prefix + "finished_tasks" }
    public var failed: String { prefix + "failed_tasks" }
    public var failReason: String { prefix + "task_fail_reason" }
    public var workerStatus: String { prefix + "worker_status" }

    /// line -> `token {record}`: how the last attempt ended.
    public var outcomes: String { own("outcomes") }
    /// line -> its signature, while it has not finished.
    public var signatures: String { own("signatures") }
    /// Lines in `failed` that wait for another try, or are having it.
    public var retrying: String { own("retrying") }
    /// incarnation -> when its lease is over, in server milliseconds.
    public var leases: String { own("leases") }
    /// Who looks through todo for lines without an index, for as long as the key lives.
    public var sweeper: String { own("sweeper") }
    /// The channel that wakes idle nodes.
    public var wakeChannel: String { own("wake") }

    /// What SCAN matches the keys with that the old system does not have.
    public var ownPattern: String { RedisPattern.escaped(own("")) + "*" }

    /// A key, or the beginning of some, that the old system does not have.
    func own(_ name: String) -> String { prefix + "distcomp:" + name }
}

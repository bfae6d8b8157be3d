// What each kind of user may do in Redis, and nothing else. Whoever may write todo_tasks runs commands on every node, so those who
// only look should not be able to.

/// A user of the queue, for Redis's ACL.
public enum QueueAccess: String, CaseIterable, Sendable {
    /// A node: takes tasks and reports them.
    case node
    /// Somebody who adds tasks and gives orders.
    case submitter
    /// Somebody who only looks.
    case watcher

    /// The rules for `ACL SETUSER name reset on >password`, in its words.
    ///
    /// - Parameter owner: as whom such a user submits, most often the name of the user; nil: as nobody who is known.
    public func rules(keys: QueueKeys, owner: String? = nil) -> [String] {
        let pattern = RedisPattern.escaped(keys.prefix)
        // A watcher too asks nodes there for what tasks write: see OutputRequest.
        let channels = ["&\(pattern)distcomp:wake"]
        let oldKeys = [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason, keys.workerStatus]
        // A script is not told which user it runs for, but can ask whether that user may read this key, at which nothing ever is.
        let right = self == .submitter ? owner.map { ["~" + RedisPattern.escaped(keys[.ownerRight, $0])] } ?? [] : []
        return ["resetchannels"] + channels + oldKeys.map { "~" + RedisPattern.escaped($0) } + [
            "~\(pattern)distcomp:*"
        ] + right + ["-@all"]
            + commands.map { "+" + $0 }
    }

    /// In lower case, as Redis names them. What scripts call is checked against their caller too.
    var commands: [String] {
        let handshake = ["hello", "select", "ping", "eval", "evalsha", "script|load"]
        let looking = [
            "exists", "get", "hexists", "hget", "hlen", "hmget", "hscan", "lindex", "llen", "scard", "sismember",
            "smembers", "smismember", "time", "zcard", "zcount", "zrange", "zscore",
        ]
        // Those that wait for others are told by whoever brings a change about.
        let telling = ["sscan", "unlink", "zcount", "zrank"]
        let changing = [
            "append", "decrby", "del", "hdel", "hincrby", "hset", "hsetnx", "incr", "incrby", "publish", "sadd", "set",
            "srem", "zadd", "zrangebyscore", "zrem",
        ]
        // For a job that is given another size, by its owner or by what its tasks turn out to need.
        let resizing = ["rename", "zunionstore"]
        let adding = ["rpush", "zremrangebyscore"]
        // For `distcomp reset`. SCAN tells the names of all keys there are, whosever they are; not what they hold.
        let resetting = ["scan"]
        // INFO tells a node whether Redis may throw tasks away, and monitoring how full it is.
        let measuring = ["info"]
        // What only a claim, a heartbeat or a sweep does.
        let working = [
            "hstrlen", "lrange", "ltrim", "subscribe", "type", "unsubscribe", "zmscore",
            "zremrangebyrank",
            "zrevrange", "zrevrangebyscore",
        ]
        switch self {
        case .node:
            return (handshake + looking.filter { $0 != "zcount" } + telling + changing + resizing + measuring + working)
                .filter {
                    !["llen", "smembers", "smismember"].contains($0)
                }
        case .submitter:
            return handshake + looking.filter { $0 != "zcount" } + telling + changing + adding + resizing + resetting
                + measuring
        case .watcher: return handshake + looking + measuring + ["publish"]
        }
    }
}

/// Patterns as Redis matches names with them.
enum RedisPattern {
    /// A pattern that means `text` and nothing more.
    static func escaped(_ text: String) -> String {
        text.reduce(into: "") { pattern, character in
            if "*?[]\\".contains(character) { pattern.append("\\") }
            pattern.append(character)
        }
    }
}

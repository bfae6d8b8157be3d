// Results that have been in Redis for long enough leave it: outputs first, and the records of a job when all of it is that old. Asked by
// nodes, a small step a call; see Scripts/Retention/retain.lua.

import RedisClient
import TaskModel

/// How much of results stays in Redis: `results_keep_days`, `results_keep_count` and `results_redis_bytes_max` of the settings; 0: all.
public struct Retention: Hashable, Sendable {
    public var keepSeconds: Double
    public var keepCount: Int
    public var bytesMax: Int

    public init(keepSeconds: Double = 0, keepCount: Int = 0, bytesMax: Int = 0) {
        self.keepSeconds = keepSeconds
        self.keepCount = keepCount
        self.bytesMax = bytesMax
    }

    /// Whether anything ever leaves.
    public var isOn: Bool { self != Retention() }
}

/// Does the next step of a pass through all results. However many nodes ask, one at a time does it.
public struct RetainResults: QueueOperation {
    /// How many results a step looks at.
    public static let resultsPerStep = 100

    private let keys: QueueKeys
    private let incarnation: Incarnation
    private let retention: Retention
    private let pauseMilliseconds: Int
    private let resultsPerStep: Int

    /// - Parameter pauseMilliseconds: between two steps, told in the reply.
    public init(
        _ retention: Retention, keys: QueueKeys, incarnation: Incarnation, pauseMilliseconds: Int = 15,
        resultsPerStep: Int = Self.resultsPerStep
    ) {
        self.keys = keys
        self.incarnation = incarnation
        self.retention = retention
        self.pauseMilliseconds = pauseMilliseconds
        self.resultsPerStep = resultsPerStep
    }

    public struct Reply: Equatable, Sendable {
        /// After so long the next step may be asked for.
        public let pauseMilliseconds: Int
        /// That was the last step of a pass.
        public let isPassOver: Bool
        /// In this pass so far.
        public let outputsLeft: Int
        /// Jobs whose records left, in this pass so far.
        public let jobsLeft: Int
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.retain, keys, incarnation)
        call.append(String(Int(retention.keepSeconds.rounded(.up))))
        call.append(retention.keepCount)
        call.append(retention.bytesMax)
        call.append(pauseMilliseconds)
        call.append(resultsPerStep)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        let numbers = try integers(value, count: 4)
        return Reply(
            pauseMilliseconds: max(1, numbers[0]), isPassOver: numbers[1] == 1, outputsLeft: numbers[2],
            jobsLeft: numbers[3])
    }
}

/// How a job stood when the records of its tasks left Redis.
public struct JobDeparture: Equatable, Sendable {
    public let finished: Int
    /// For good.
    public let failed: Int
    public let atUnixSeconds: Int

    /// Nil for what is none.
    init?(parsing text: String) {
        let numbers = text.split(separator: " ").map { Int($0) }
        guard numbers.count == 3, let finished = numbers[0], let failed = numbers[1], let at = numbers[2] else {
            return nil
        }
        self.finished = finished
        self.failed = failed
        atUnixSeconds = at
    }
}

/// How the job of these keys stood when its records left; nil while they are there.
public struct ReadJobDeparture: QueueOperation {
    private let keys: QueueKeys

    public init(keys: QueueKeys) { self.keys = keys }

    public var request: RedisRequest { .command(RedisCommand("HGET", keys[.jobsLeft], keys.job)) }

    public static func parse(_ value: RESPValue) throws(QueueError) -> JobDeparture? {
        if let error = value.error { throw QueueError(error) }
        return value.string.flatMap { JobDeparture(parsing: $0) }
    }
}

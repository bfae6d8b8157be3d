// The one place where the pages ask Redis. However many look at a page, what it shows is asked for once and shown to all of them, and not
// again until fifty times as long has passed as Redis worked for it: 20 ms of a second at most. Where different pages would come to more
// than that together, each is shown as it was for longer, up to a minute. Where nobody looks, nothing is asked.

import LinuxSystem
import Monitoring
import Notation
import TaskModel
import TaskQueue
import WebServer

/// What a look at the whole queue found.
struct QueueLook: Sendable {
    let overview: QueueOverview
    let jobs: [ListedJob]
    let failures: FailureGroups
    /// How long the oldest of those that wait has waited; nil where nothing does, or nobody knows.
    let oldestWaitingSeconds: Double?
    /// What ended in the last hours; none where this user of Redis may not look at it.
    let slots: [MetricsSlot]
}

/// A value that passes from one place to another, which does not keep it.
struct Handed<Value>: @unchecked Sendable {
    let value: Value
}

/// Asks Redis on behalf of the pages, one question after the other.
actor QueueDesk {
    private let executor: WorkQueue
    private let queue: QueueClient
    private var isConnected = true
    private var kept = KeptAnswers()

    nonisolated var unownedExecutor: UnownedSerialExecutor { executor.asUnownedSerialExecutor() }

    init(_ queue: Handed<QueueClient>, label: String) {
        self.queue = queue.value
        executor = WorkQueue(label: label)
    }

    /// The answer to a question that others may ask too: it is asked once, and then again when some time has passed.
    ///
    /// - Parameter name: what tells this question from others.
    func shared<Answer: Sendable>(
        _ name: String, _ question: @Sendable (QueueClient) throws(CommandError) -> Answer
    ) throws(CommandError) -> Answer {
        if let answer = kept.answer(to: name, atSeconds: bootSeconds()) as? Answer { return answer }
        let workBefore = queue.workSeconds
        let answer = try ask(question)
        kept.keep(answer, to: name, workSeconds: queue.workSeconds - workBefore, atSeconds: bootSeconds())
        return answer
    }

    /// How the queue stands as a whole, a moment ago at most.
    func lookAtAll() throws(CommandError) -> QueueLook {
        try shared("all") { queue throws(CommandError) in
            let (overview, jobs, failures) = (try queue.overview(), try queue.listedJobs(), try queue.failureGroups())
            let metrics = try Self.unlessRefused { try queue.perform(ReadMetrics(keys: queue.keys)) }
            let slots = try Self.unlessRefused {
                try MetricsSlot.read(keys: queue.keys, count: Charts.slotCount) { try queue.pipeline($0) }
            }
            return QueueLook(
                overview: overview, jobs: jobs, failures: failures,
                oldestWaitingSeconds: metrics?.oldestMilliseconds.map { Double($0) / 1000 }, slots: slots ?? [])
        }
    }

    /// Users of Redis that were made before there were metrics may look at all but these, which are left out then. A Redis that is away is
    /// away for all.
    private static func unlessRefused<Value>(_ question: () throws -> Value) throws(CommandError) -> Value? {
        do {
            return try question()
        } catch let error as CommandError {
            if case .unreachable = error { throw error }
            return nil
        } catch {
            return nil
        }
    }

    /// Every node with what runs there, a moment ago at most.
    func nodes() throws(CommandError) -> Fleet {
        try shared("nodes") { queue throws(CommandError) in try queue.fleet() }
    }

    /// After an order what was seen before it is of no use.
    func forget() { kept = KeptAnswers() }

    /// Asks something. What a job is called is looked up anew each time, and the connection is made anew where the last question broke it.
    func ask<Answer: Sendable>(
        _ question: @Sendable (QueueClient) throws(CommandError) -> Answer
    ) throws(CommandError) -> Answer {
        if !isConnected {
            try queue.reconnect()
            isConnected = true
        }
        queue.directory.forget()
        queue.selection = .all
        do throws(CommandError) {
            return try question(queue)
        } catch {
            if case .unreachable = error { isConnected = false }
            throw error
        }
    }
}

/// Tasks that failed in the same way: of one job, by one cause, with commands of one shape.
struct FailureGroup: Sendable {
    let job: String
    let jobName: String
    let cause: String
    var shape: CommandShape
    var count = 0
    /// The line of one of them, and how it ended.
    let example: String
    let explanation: String
}

/// Failures by what they have in common.
struct FailureGroups: Sendable {
    /// The largest first.
    var groups: [FailureGroup] = []
    /// Whether more failed than were looked at.
    var isSampled = false

    /// So many failures are looked at, and so many groups told apart.
    static let failuresMax = 2000
    static let groupsMax = 50
}

extension QueueClient {
    /// What failed for good, by job, cause and shape of the command; from a bounded number of failures.
    func failureGroups() throws(CommandError) -> FailureGroups {
        struct Key: Hashable {
            let job: String
            let cause: String
            let shape: CommandShape.Key
        }
        var byKey: [Key: FailureGroup] = [:]
        var seen = 0
        var result = FailureGroups()
        try forEachFailure { failure in
            seen += 1
            guard seen <= FailureGroups.failuresMax else {
                result.isSampled = true
                return false
            }
            guard let task = failure.task else { return true }
            let shape = CommandShape(task)
            let job = task.job?.identifier ?? ""
            let key = Key(job: job, cause: failure.causeWord, shape: shape.key)
            var group =
                byKey[key]
                ?? FailureGroup(
                    job: job, jobName: task.job?.name ?? Job.defaultName, cause: failure.causeWord, shape: shape,
                    example: failure.line, explanation: failure.explanation)
            group.count += 1
            group.shape.add(shape)
            byKey[key] = group
            return true
        }
        result.groups = byKey.values.sorted { ($1.count, $0.example) < ($0.count, $1.example) }
        if result.groups.count > FailureGroups.groupsMax {
            result.groups.removeLast(result.groups.count - FailureGroups.groupsMax)
        }
        return result
    }
}

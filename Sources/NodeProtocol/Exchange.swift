// All that goes into the protocol and comes out of it.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    /// Tells the reply to a request from the reply to another.
    public struct RequestNumber: Hashable, Sendable {
        public let rawValue: UInt64

        public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    }

    /// What the requests say of this node.
    public struct Facts: Sendable {
        public var name: String
        /// Tells two machines apart that were given one name.
        public var machine: String
        public var keyPrefix: String
        public var leaseSeconds: Double
        public var memoryBytes: UInt64
        public var millicores: Int
        /// `labels`.
        public var labels: [String] = []
        /// What it has besides memory and cores.
        public var resources = ResourceTotals()
        /// What is used of its devices, as measured last.
        public var devices: [DeviceReading] = []
        public var version: String
        /// The value of `worker_status`, as measured last.
        public var statusText = ""
        /// Why no task is started here; nil while all is well.
        public var trouble: String?
        /// The clock on the wall, which numbers the lives of a node, in nanoseconds since 1970.
        public var wallNanoseconds: Int64 = 0
        /// The name of the queue, should it have none yet: another each time, so that one that was emptied never gets its old name.
        public var queueCandidate: QueueIdentity
        /// Whether tasks are killed when the lease is over (`when_cut_off`).
        public var killsWhenCutOff = false
        /// `max_retry_per_task`.
        public var attemptsMax = 3
        /// `retry_delay_seconds`.
        public var retryDelaySeconds = 0.0
        /// When nodes are reserved for big tasks.
        public var reserving = ReservingSettings.never
        /// How much of results stays in Redis.
        public var retention = Retention()
        /// What lines must be signed with; nil: nothing.
        public var taskKey: TaskKey?
        /// How long a node whose work is over waits for the queue to accept its last reports.
        public var leaveWithinSeconds = 10.0

        public init(
            name: String, machine: String, keyPrefix: String = "", leaseSeconds: Double, memoryBytes: UInt64,
            millicores: Int, version: String, queueCandidate: QueueIdentity
        ) {
            self.name = name
            self.machine = machine
            self.keyPrefix = keyPrefix
            self.leaseSeconds = leaseSeconds
            self.memoryBytes = memoryBytes
            self.millicores = millicores
            self.version = version
            self.queueCandidate = queueCandidate
        }
    }

    /// A report that an earlier life of this node could not deliver.
    public struct EarlierReport: Equatable, Sendable {
        /// Of its file.
        public let name: String
        public let report: ReportTask

        public init(name: String, report: ReportTask) {
            self.name = name
            self.report = report
        }
    }

    /// One thing that happened. An event may come late or twice without harm.
    public enum Event: Sendable {
        // MARK: The connection

        /// There is a connection, its handshake done. `localAddress`: our end of it, for whoever looks for this node.
        case connected(localAddress: String)
        /// It is gone, and with it the replies still awaited.
        case disconnected
        case reply(RequestNumber, RESPValue)
        /// Published on the channel nodes listen on.
        case message([UInt8])

        // MARK: What the supervisor asks, see the actions of the same names there

        case register
        case heartbeat
        case reconcile(NodeSupervisor.RequestNumber)
        case claim(NodeSupervisor.Claim)
        case report(NodeSupervisor.Report)
        /// The task of this attempt ended, and no report will be made of it.
        case forget(token: String)
        /// Others run what this node held; it kills it, and nothing of it is to be taken up again.
        case leaseLost
        /// The work is over.
        case leave

        // MARK: What was asked of the daemon

        /// The answer to ``Action/encode(_:_:)``.
        case encoded(token: String, ReportTask.Result)
        /// The answer to ``Action/store(token:_:)``. False: the disk refused, which was logged.
        case stored(token: String, isStored: Bool)
        /// The answer to ``Action/readEarlierReports``: none when there are no more.
        case earlierReports([EarlierReport])
        /// The answer to ``Action/readOutput(_:)``.
        case outputRead(OutputRequest, OutputAnswer)
        /// The answer to ``Action/rememberLives(_:)``. False: the disk refused, which was logged; it is asked again with each heartbeat, and before
        /// the node leaves.
        case livesRemembered(Bool)
        case tick
    }

    /// One thing to do now.
    public enum Action: Sendable {
        /// Send it over the present connection. What is not urgent may wait for company for some milliseconds.
        case send(RequestNumber, RedisRequest, isUrgent: Bool)
        /// Close the present connection; another follows after a pause. Answered by ``Event/disconnected``.
        case closeConnection
        /// For the supervisor, in the order of these actions.
        case tell(NodeSupervisor.Event)

        // MARK: Reports

        /// Put the report into the form the queue keeps, a little at a time. One is asked for at a time.
        case encode(token: String, NodeSupervisor.Report)
        /// Write it to a file of its own, for a later life to deliver should this one not.
        case store(token: String, ReportTask)
        /// It was answered, or is wanted no more: let go of its file and, where it has a number, of the task's output.
        case release(token: String, NodeSupervisor.TaskNumber?)
        case readEarlierReports
        /// Remove the file of an earlier life's report.
        case releaseEarlierReport(name: String)
        /// The queue could not answer it: its file stays for the next life.
        case leaveEarlierReport(name: String)

        // MARK: Outputs

        /// Read a piece of what a task wrote here, for somebody elsewhere. One is asked for at a time.
        case readOutput(OutputRequest)

        // MARK: This node

        /// Note on the disk which incarnations this node has had and may still have, before what follows is performed.
        case rememberLives([String])
        /// There is no point in going on: stop at once, and end with this message.
        case giveUp(String)
        /// Everything is said. Nothing follows.
        case left
        case log(LogEvent)
    }

    /// What an unanswered request was for.
    enum Purpose: Sendable {
        case inspection
        case register(sentAt: Instant)
        case heartbeat(sentAt: Instant)
        case reconcile(NodeSupervisor.RequestNumber, knownTokens: Set<String>)
        case claim(NodeSupervisor.Claim, sentAt: Instant, isRepeated: Bool)
        case report(token: String)
        case earlierReport(EarlierReport)
        case restore(tokens: [String], isLast: Bool)
        /// Whether a report that was refused is of a task the queue has forgotten.
        case doubt(token: String)
        /// `thenClaim`: the claim before it was refused until we had asked.
        case cancellations(thenClaim: Bool)
        case sweepPage
        case retention
        case leave
        /// Asked for its effect alone.
        case nothing

        /// Whether it is to leave at once.
        var isUrgent: Bool { if case .report = self { false } else { true } }

        /// Whether its answer may bring tasks.
        var gives: Bool {
            switch self {
            case .claim, .reconcile, .restore, .doubt: true
            case .inspection, .register, .heartbeat, .report, .earlierReport, .cancellations, .sweepPage, .retention,
                .leave, .nothing:
                false
            }
        }
    }
}

// What the supervisor must know of the node and of the user's wishes. The daemon derives it from Configuration and from
// the machine, so that the supervisor itself asks neither.

import TaskModel

extension NodeSupervisor {
    /// The limits and periods the supervisor decides by. A reload sends a new value with ``Event/settingsChanged(_:)``;
    /// it holds for every later decision, while deadlines already set stay as they are. Periods are above 0:
    /// Configuration sees to that.
    public struct Settings: Equatable, Sendable {
        /// The node's name, as it stands in every outcome.
        public var worker: String
        /// The most tasks held at once (`max_task_per_worker`).
        public var taskCountMax: Int
        /// What the requests of all held tasks may add up to.
        public var memoryBytes: UInt64
        /// What the cores of all held tasks may add up to, in thousandths of a core.
        public var millicores: Int
        /// Whether a task of whole cores has processors of its own (`cpu_limit`: "pin").
        public var pinsProcessors: Bool
        /// No task is taken while less memory than this is available (`min_dram_gb_accept_new_task`).
        public var memoryBytesMinToAccept: UInt64
        /// The newest task is returned while less memory than this is available (`min_dram_gb_trigger_return`).
        public var memoryBytesMinToKeep: UInt64
        /// What the node has besides.
        public var resources: NodeResources
        /// The most tasks asked for in one claim.
        public var claimCountMax: Int
        /// How long an idle node waits for a wake-up before it looks by itself (`sleep_sec_between_accepting_task`).
        public var idlePollSeconds: Double
        /// The timeout of a task that names none; 0 is no limit (`default_task_timeout_seconds`).
        public var defaultTimeoutSeconds: Double
        /// The period at which every task's deadline is checked anew (`task_timeout_check_interval`).
        public var sweepSeconds: Double
        /// The period of the heartbeat (`health_report_interval`); it beats at least three times a lease.
        public var heartbeatSeconds: Double
        /// How long the queue believes in this node without hearing from it (`lease_seconds`).
        public var leaseSeconds: Double
        /// Whether tasks are killed when the lease is over and the queue does not answer (`when_cut_off`). Otherwise they go
        /// on until it says that they are others' now.
        public var killsWhenCutOff: Bool
        /// From TERM to kill (`kill_grace_seconds`).
        public var killGraceSeconds: Double
        /// How long running tasks may go on after a stop was asked for, before TERM (`stop_grace_seconds`); 0 for a
        /// `distcomp run` that ends with its terminal.
        public var stopGraceSeconds: Double
        /// A node that has had no task for so long leaves (`idle_exit_seconds`); 0: never.
        public var idleExitSeconds: Double
        /// How long a node whose work is over waits for the queue to accept its last reports, and for groups that will
        /// not empty, before it leaves without.
        public var leaveWithinSeconds: Double

        public init(
            worker: String, taskCountMax: Int, memoryBytes: UInt64, millicores: Int,
            pinsProcessors: Bool = false, memoryBytesMinToAccept: UInt64 = 0, memoryBytesMinToKeep: UInt64 = 0,
            claimCountMax: Int = 128,
            idlePollSeconds: Double = 5, defaultTimeoutSeconds: Double = 3600, sweepSeconds: Double = 30,
            heartbeatSeconds: Double = 10, leaseSeconds: Double = 30, killsWhenCutOff: Bool = false,
            killGraceSeconds: Double = 5, stopGraceSeconds: Double = 30, leaveWithinSeconds: Double = 10,
            resources: NodeResources = NodeResources(), idleExitSeconds: Double = 0
        ) {
            self.idleExitSeconds = idleExitSeconds
            self.resources = resources
            self.worker = worker
            self.taskCountMax = taskCountMax
            self.memoryBytes = memoryBytes
            self.millicores = millicores
            self.pinsProcessors = pinsProcessors
            self.memoryBytesMinToAccept = memoryBytesMinToAccept
            self.memoryBytesMinToKeep = memoryBytesMinToKeep
            self.claimCountMax = claimCountMax
            self.idlePollSeconds = idlePollSeconds
            self.defaultTimeoutSeconds = defaultTimeoutSeconds
            self.sweepSeconds = sweepSeconds
            self.heartbeatSeconds = heartbeatSeconds
            self.leaseSeconds = leaseSeconds
            self.killsWhenCutOff = killsWhenCutOff
            self.killGraceSeconds = killGraceSeconds
            self.stopGraceSeconds = stopGraceSeconds
            self.leaveWithinSeconds = leaveWithinSeconds
        }
    }
}

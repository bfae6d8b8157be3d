// Everything the supervisor ever asks for. The daemon performs the actions in their order and decides nothing.

import TaskModel

extension NodeSupervisor {
    /// One thing to do now.
    public enum Action: Equatable, Sendable {
        // MARK: A task

        /// Make the group, set its limits, start the launcher. Answered by `launched` or `launchFailed`.
        case launch(TaskNumber, ClaimedTask)
        /// TERM to every process of the group.
        case terminate(TaskNumber)
        /// This signal to every process of the group: the task goes on.
        case signal(TaskNumber, Int32)
        /// KILL to every process of the group; again when asked again. A group that is empty or gone is no error.
        case kill(TaskNumber)
        /// Read what the group used, then try to remove it. Answered by `collected`. A group that was never made counts
        /// as removed.
        case collect(TaskNumber)
        /// No report of this task will follow: what is kept of it, such as its output, and of the attempt is of no use any more.
        case forget(TaskNumber, token: String)
        /// Start a trial, by all the steps a task goes through, without waiting for it. Answered by `trialEnded`. One that is still
        /// under way is given up for it.
        case tryLaunch

        // MARK: The queue

        /// Announce this node as a new incarnation, in place of any earlier one. Answered by `registered`. It needs an
        /// epoch that grows with each, of which the queue refuses a lower one: a registration may arrive late.
        case register
        /// Renew the lease and write `worker_status`. Answered by `leaseRenewed` or `fenced`.
        case heartbeat
        /// Ask which tasks the queue thinks this incarnation holds: a claim's answer may have been lost. Answered by
        /// `held`.
        case reconcile(RequestNumber)
        /// Ask for tasks. Answered by `claimed` or `fenced`. It is the last action of its batch, so that it can share a
        /// round trip with the reports before it.
        case claim(Claim)
        /// Say how a task ended, once; that it is heard is NodeProtocol's business.
        case report(Report)
        /// The lease is lost, and what was held under it is killed: none of it is to be taken up again.
        case leaseLost
        /// All is done: have the last reports answered, take the node's name from the queue, and exit. Nothing follows.
        case leave

        // MARK: The machine

        /// Read the available memory. Answered by `memory`. A reading that fails has no answer: no task is taken, and
        /// it is asked for again.
        case measureMemory
        /// Have the kernel take back what ended tasks left, without waiting for it. Answered by `memory` when that is done; if there
        /// is nothing to take back, not at all.
        case takeBackMemory
        /// Tell whoever reads the log.
        case log(LogEvent)
    }

    /// A request for tasks: at most so many, together within so much. That is what is free, and while tasks end in milliseconds
    /// also what those are about to give up, see Prefetch.swift.
    public struct Claim: Hashable, Sendable {
        public let number: RequestNumber
        public let count: Int
        public let freeMemoryBytes: UInt64
        public let freeMillicores: Int
        /// What no task has of the node's other resources, see ``ResourcePool/freeText``.
        public let freeResources: String
        /// Where there is nothing to be given, the queue is to give this node nothing from then on. Answered, after `claimed`, by
        /// `letGo`, if that is so. Such a claim may be of no task at all.
        public let leavesIfIdle: Bool

        public init(
            number: RequestNumber, count: Int, freeMemoryBytes: UInt64, freeMillicores: Int, freeResources: String = "",
            leavesIfIdle: Bool = false
        ) {
            self.leavesIfIdle = leavesIfIdle
            self.freeResources = freeResources
            self.number = number
            self.count = count
            self.freeMemoryBytes = freeMemoryBytes
            self.freeMillicores = freeMillicores
        }
    }

    /// What the queue is told of a task this node held.
    public struct Report: Hashable, Sendable {
        /// Indirect: an outcome is made of many strings, and a report is passed on a dozen times.
        public indirect enum Result: Hashable, Sendable {
            /// It ran, or could not be started: finished or failed, by the outcome.
            case ended(TaskOutcome)
            /// It goes back to todo without a mark against it or this node.
            case returned(ReturnReason)
        }

        public let number: TaskNumber
        public let task: ClaimedTask
        public let result: Result

        public init(number: TaskNumber, task: ClaimedTask, result: Result) {
            self.number = number
            self.task = task
            self.result = result
        }
    }

    /// Why a task goes back as if it had not been taken.
    public enum ReturnReason: Hashable, Sendable {
        /// Memory ran short here while others ran as well.
        case memoryPressure
        /// This node is stopping.
        case nodeStopping
        /// The node itself could not start it.
        case launch(LaunchFailure)
        /// It was started, and failed as any would have: its output could not be written.
        case nodeTrouble(LaunchFailure)
        /// It came when there was no room for it, or nothing was to be taken any more.
        case noRoom
        /// An earlier attempt at the same line has not quite gone from this node.
        case earlierAttemptRemains
    }
}

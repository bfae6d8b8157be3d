// Everything the supervisor is ever told. The daemon translates what the kernel and the queue say into these, in the
// order it heard them, and nothing else reaches a decision.

import TaskModel

extension NodeSupervisor {
    /// One thing that happened. An event may come late, twice, or after what it is about has gone: none of that does
    /// harm.
    public enum Event: Equatable, Sendable {
        // MARK: The connection and the lease

        /// The connection to the queue is open and its handshake done. Comes in a later batch than the `disconnected`
        /// of the connection before, so that no request decided on for that one goes out over this one.
        case connected
        /// The connection is gone, and with it every request not yet answered. Tasks go on.
        case disconnected
        /// The queue knows this node as a new incarnation. `sentAt`: the `now` of the event that led to
        /// ``Action/register``.
        case registered(sentAt: Instant)
        /// A heartbeat was accepted. `sentAt`: the `now` of the event that led to ``Action/heartbeat``.
        case leaseRenewed(sentAt: Instant)
        /// Behind it: the queue is about to take another node for dead, and wants to be looked at more often until that is settled.
        case beatSoon(sentAt: Instant)
        /// The queue refused a request because it holds this incarnation for dead: its tasks belong to others now.
        case fenced
        /// The queue does not know this incarnation, and perhaps nobody has begun what it holds: a new one takes it up again. Tasks
        /// go on; ``takenAway(tokens:)`` names those that others have.
        case outside
        /// Others have the tasks of these attempts, or nobody wants them any more.
        case takenAway(tokens: Set<String>)
        /// The queue answered a request with an error other than those named here. It is sent again after a pause.
        case requestFailed(Request)

        // MARK: The queue

        /// Something was submitted, or another reason to look at the queue came by.
        case wake
        /// The answer to ``Action/claim(_:)``. `refusedCount`: how many more it brought that may not be run here, and were dealt
        /// with. `dueSeconds`: when a delayed task falls due, if the queue knows of one.
        case claimed(RequestNumber, [ClaimedTask], refusedCount: Int, dueSeconds: Double?)
        /// Behind the answer to a claim that was to be the last if it brought nothing: it brought nothing, and the queue refuses this
        /// node every other.
        case letGo
        /// The answer to ``Action/reconcile(_:)``: all the queue thinks this incarnation holds.
        case held(RequestNumber, [ClaimedTask])
        /// So many reports wait for their answer that no more tasks are to be taken; or no longer.
        case reportsPileUp(Bool)
        /// Somebody no longer wants the task with this line.
        case cancelRequested(line: String)

        // MARK: A running task

        /// The launcher process of the task exists. `begunAt`: just before it was started, or told to begin; nil is now.
        case launched(TaskNumber, begunAt: Instant? = nil)
        /// The task was not started: told by posix_spawn, or later through the launcher's status pipe. Then it takes
        /// the place of ``exited(_:_:)``, for which the launcher's own exit status would be no use.
        case launchFailed(TaskNumber, LaunchFailure)
        /// The main process was reaped.
        case exited(TaskNumber, ExitStatus)
        /// What ended tasks left in memory, when that has changed.
        case leftovers(Leftovers)
        /// The kernel killed a part of the task for memory, and the rest of it goes on.
        case partKilledForMemory(TaskNumber)
        /// The answer to ``Action/collect(_:)``.
        case collected(TaskNumber, Collected)
        /// The answer to ``Action/tryLaunch``: what keeps tasks from being started, or nil when nothing does. It may come unasked,
        /// from a trial at the start.
        case trialEnded(LaunchFailure?)

        // MARK: The machine

        /// A deadline may have passed: ``nextDeadline``, or one the daemon thinks was missed. Only this
        /// event fires deadlines, so in a batch of events the one the daemon read first wins.
        case tick
        /// Available memory, measured now: the answer to ``Action/measureMemory``, or because of a pressure trigger.
        case memory(availableBytes: UInt64)

        // MARK: Orders

        /// `distcomp drain`: the queue gives this node nothing more. What runs goes on, and may be told.
        case drained
        /// SIGTERM or Ctrl-C: let tasks go on for `stopGraceSeconds`, return those left, leave. The second one hastens.
        case stopRequested
        /// WORKER_COMMAND_CLOSE: finish what runs, take nothing new, leave.
        case closeRequested
        /// Take nothing new until ``resume``.
        case drain
        /// Undoes ``drain``, and nothing stronger.
        case resume
        /// The configuration was read anew.
        case settingsChanged(Settings)
    }

    /// A running task, as the daemon and the supervisor call it: a small number, local to this process, never reused.
    public struct TaskNumber: Hashable, Comparable, Sendable {
        public let rawValue: UInt64

        public init(_ rawValue: UInt64) { self.rawValue = rawValue }

        public static func < (left: TaskNumber, right: TaskNumber) -> Bool { left.rawValue < right.rawValue }
    }

    /// Tells the answer to a request from the answer to an earlier one.
    public struct RequestNumber: Hashable, Sendable {
        public let rawValue: UInt64

        public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    }

    /// A task the queue has given to this node.
    public struct ClaimedTask: Hashable, Sendable {
        public let line: TaskLine
        /// What proves, to the queue, that this attempt is ours.
        public let token: String
        /// 1 for the first.
        public let attempt: Int
        /// What it has of the node's other resources, from its launch on.
        public var share = ResourceShare()

        public init(line: TaskLine, token: String, attempt: Int) {
            self.line = line
            self.token = token
            self.attempt = attempt
        }
    }

    /// How the main process ended, as waitid tells it.
    public enum ExitStatus: Hashable, Sendable {
        case code(Int32)
        case signal(Int32)
    }

    /// Why a task was not started.
    public struct LaunchFailure: Hashable, Sendable {
        /// Whose failure it is: a program that is not there, or cannot be executed, is the task's; all else is the node's.
        public enum Fault: Hashable, Sendable { case task, node }

        /// The step that failed, as `execve ./x`.
        public let step: String
        public let errno: Int32
        /// The errno in words.
        public let message: String
        public let fault: Fault

        public init(step: String, errno: Int32, message: String, fault: Fault) {
            self.step = step
            self.errno = errno
            self.message = message
            self.fault = fault
        }

        /// Of a launch that waited for its turn. What the task was stopped for is what is told of it.
        static let stoppedBeforeItBegan = LaunchFailure(
            step: "wait for its turn", errno: 0, message: "it was stopped before it began", fault: .task)
    }

    /// A place for output that takes no more.
    public struct OutputShortage: Hashable, Sendable {
        public let failure: LaunchFailure
        /// What the task itself takes of what is missing.
        public let ownBytes: UInt64

        public init(_ failure: LaunchFailure, ownBytes: UInt64) {
            self.failure = failure
            self.ownBytes = ownBytes
        }
    }

    /// What was found when a task's group was read after its main process had gone.
    public struct Collected: Hashable, Sendable {
        /// `wallSeconds` is filled in by the supervisor, which knows when the task began and ended.
        public let usage: Usage
        /// Whether the group is gone. False: processes remain in it, or are still dying.
        public let removed: Bool
        /// The end of what the task wrote to stderr.
        public let stderrTail: String
        public let stdoutPath: String
        public let stderrPath: String
        /// Where its output stands if it was little.
        public let packedOutput: PackedOutput?
        /// When the main process was reaped, by the clock on the wall, which the supervisor does not know.
        public let endedAtUnixSeconds: Double?
        /// Why output cannot be written here now, if that is so and the task ended badly.
        public let shortage: OutputShortage?
        /// What else there is to know of a kill for memory, a phrase each: whose limit it was.
        public let notes: [String]

        public init(
            usage: Usage, removed: Bool, stderrTail: String = "", stdoutPath: String = "", stderrPath: String = "",
            packedOutput: PackedOutput? = nil,
            endedAtUnixSeconds: Double? = nil, shortage: OutputShortage? = nil, notes: [String] = []
        ) {
            self.notes = notes
            self.endedAtUnixSeconds = endedAtUnixSeconds
            self.shortage = shortage
            self.usage = usage
            self.removed = removed
            self.stderrTail = stderrTail
            self.stdoutPath = stdoutPath
            self.stderrPath = stderrPath
            self.packedOutput = packedOutput
        }
    }

    /// What of ours the queue could not answer.
    public enum Request: Hashable, Sendable {
        case register
        case heartbeat
        case reconcile(RequestNumber)
        case claim(RequestNumber)
    }
}

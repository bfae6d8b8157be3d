// One machine of the simulation: the processes, the connection, and the daemon's part, which performs what the
// supervisor asks for. It holds the supervisor to its promises about everything that happens on one machine.

import NodeSupervisor
import TaskModel

typealias Settings = NodeSupervisor.Settings
typealias TaskNumber = NodeSupervisor.TaskNumber

/// One task's processes, as the kernel knows them.
struct SimulatedTask {
    /// What will happen to it, decided when it starts.
    struct Plan {
        enum Start { case works, failsAtSpawn, failsLater }

        var start = Start.works
        var fault = NodeSupervisor.LaunchFailure.Fault.task
        var durationNanoseconds: Int64 = 0
        var status = NodeSupervisor.ExitStatus.code(0)
        var oomKills: UInt64? = 0
        var ignoresTerm = false
        /// Processes that outlive the main one, until killed.
        var leavesChildren = false
        /// A group that is not killed as one may need more than one kill.
        var killsNeeded = 1
        /// How long a killed process takes to die: long when it sleeps in a driver.
        var dyingNanoseconds: Int64 = 0
    }

    let plan: Plan
    let lineIndex: Int
    let token: String
    let memoryBytes: UInt64
    let millicores: Int
    let timeoutSeconds: Double?
    var deadline: Instant?
    var isMainAlive = false
    /// Which of the scheduled ends of the main process counts: a signal brings an earlier one.
    var endNumber = 0
    var status: NodeSupervisor.ExitStatus?
    var failure: NodeSupervisor.LaunchFailure?
    var groupEmptyAt = Instant.distantFuture
    var killCount = 0
    var isRemoved = false

    // What passed between supervisor and task.
    var isEndHeard: Bool { endHeardAt != nil }
    var endHeardAt: Instant?
    var terminatedAt: Instant?
    var killedAt: Instant?
    var lastKillAt: Instant?
    var hasSignalBeforeEnd = false
    var report: NodeSupervisor.Report.Result?
    /// Nobody can expect that it was killed in time: its node slept, or somebody gave the line away.
    var isExcused = false
    /// The supervisor was told of its process.
    var isStartHeard = false
    /// The disk was full when its group was last read, and it had ended badly.
    var metShortage = false
    /// In whose name it was claimed.
    let incarnation: Int?

    var signalledAt: Instant? {
        guard let terminatedAt else { return killedAt }
        guard let killedAt else { return terminatedAt }
        return min(terminatedAt, killedAt)
    }
}

final class SimulatedNode {
    /// The longest a process that survived a kill may be left alone.
    private static let killAgainSeconds = 1.0

    let settings: Settings
    var supervisor: NodeSupervisor
    /// Counts the daemon's restarts; what was meant for an earlier life is lost.
    var life = 0
    var tasks: [TaskNumber: SimulatedTask] = [:]
    /// Those whose end the supervisor has not heard of.
    var unended: Set<TaskNumber> = []
    /// The requests of the tasks not removed, as the judge adds them up.
    var taskCount = 0
    var memoryBytes: UInt64 = 0
    var millicores = 0
    var lastNumber: UInt64 = 0

    var inbox: [NodeSupervisor.Event] = []
    var isWakeScheduled = false
    var tickAt: Instant?
    var stalledUntil = Instant(nanoseconds: 0)

    /// Counts the connections; nil while there is none.
    var connection: Int?
    /// An earlier batch told the supervisor that the last connection is gone.
    var hasHeardOfLoss = true
    var connectionCount = 0
    /// Requests and answers keep their order on the wire.
    var lastRequestAt = Instant(nanoseconds: 0)
    var lastReplyAt = Instant(nanoseconds: 0)
    /// On the disk: the reports of this life that could not be delivered, and those of earlier ones.
    var kept: [TaskNumber: NodeSupervisor.Report] = [:]
    var keptByEarlierLives: [NodeSupervisor.Report] = []
    /// As the daemon knows it, from the last answer to `register`.
    var incarnation: Int?

    var availableBytes: UInt64 = 8_000_000_000
    var isMemoryLow = false
    var cannotLaunchUntil = Instant(nanoseconds: 0)

    // Why tasks may have been stopped in this life.
    var wasLow = false
    var isStopping = false
    /// When it was told to stop or to close.
    var leavesSince: Instant?
    var hasLeft = false
    var cancelledLines: Set<Int> = []

    init(settings: Settings) {
        self.settings = settings
        supervisor = NodeSupervisor(settings: settings)
    }

    /// The daemon starts anew, on a machine cleared of what the earlier one left.
    func restart() {
        supervisor = NodeSupervisor(settings: settings)
        life += 1
        keptByEarlierLives += kept.keys.sorted().compactMap { kept[$0] }
        kept = [:]
        tasks = [:]
        unended = []
        (taskCount, memoryBytes, millicores, lastNumber) = (0, 0, 0, 0)
        inbox = []
        isWakeScheduled = false
        tickAt = nil
        connection = nil
        hasHeardOfLoss = true
        incarnation = nil
        isMemoryLow = false
        (wasLow, isStopping, leavesSince, hasLeft) = (false, false, nil, false)
        cancelledLines = []
    }

    // MARK: - The judge of one machine

    /// What still runs although the lease was given up: nothing may.
    func runsWithoutLease() -> TaskNumber? {
        unended.first { number in
            guard let task = tasks[number] else { return false }
            return task.isStartHeard && task.killedAt == nil
        }
    }

    /// Every deadline and every grace that is over was acted upon. `latenessNanoseconds`: how late a timer may have
    /// fired.
    func overdue(at now: Instant, latenessNanoseconds: Int64) -> String? {
        let limit = now.advanced(byNanoseconds: -latenessNanoseconds)
        for number in unended {
            guard let task = tasks[number] else { continue }
            if let deadline = task.deadline, deadline <= limit, task.signalledAt == nil {
                return "\(number) runs past its deadline"
            }
            if let last = task.lastKillAt, task.isMainAlive, last.advanced(bySeconds: Self.killAgainSeconds) <= limit {
                return "\(number) survived a kill and was not killed again"
            }
            // A TERM of this very batch came after its tick.
            guard let terminatedAt = task.terminatedAt, terminatedAt < now, task.killedAt == nil else { continue }
            if terminatedAt.advanced(bySeconds: settings.killGraceSeconds) <= limit {
                return "\(number) was not killed after its grace"
            }
        }
        return nil
    }

    /// Whether the report tells what happened to the task; nil when it does.
    func contradiction(_ result: NodeSupervisor.Report.Result, _ task: SimulatedTask) -> String? {
        if !task.isEndHeard { return "reported before its end" }
        guard case .ended(let outcome) = result else { return task.contradictsReturn(result, on: self) }
        switch outcome.cause {
        case .timeout:
            guard let deadline = task.deadline, let at = task.signalledAt, deadline <= at else {
                return "timeout though not stopped for one"
            }
        case .cancelled:
            if !cancelledLines.contains(task.lineIndex) { return "cancelled though nobody asked" }
        case .memoryPressure:
            if !wasLow { return "memory pressure though there was none" }
        case .nodeLost: return "node lost, said by the node"
        case .exit, .signal, .oom, .launch:
            if task.hasSignalBeforeEnd { return "ended \(outcome.cause) though we stopped it" }
            if outcome.cause != task.ownCause {
                return "\(outcome.cause) instead of \(String(describing: task.ownCause))"
            }
        }
        return nil
    }
}

extension SimulatedTask {
    /// How it ended, when nobody stopped it.
    var ownCause: Cause? {
        if let failure { return .launch(step: failure.step, errno: failure.errno, message: failure.message) }
        switch status {
        case .code(0): return .exit(code: 0)
        case .code(let code): return (plan.oomKills ?? 0) > 0 ? .oom : .exit(code: code)
        case .signal(let signal): return (plan.oomKills ?? 0) > 0 ? .oom : .signal(signal)
        case nil: return nil
        }
    }

    fileprivate func contradictsReturn(_ result: NodeSupervisor.Report.Result, on node: SimulatedNode) -> String? {
        guard case .returned(let reason) = result else { return nil }
        switch reason {
        case .memoryPressure: return node.wasLow ? nil : "returned for memory though there was enough"
        case .nodeStopping: return node.isStopping ? nil : "returned for a stop nobody asked for"
        case .launch: return failure?.fault == .node ? nil : "returned for a launch the node did not fail"
        case .nodeTrouble:
            if hasSignalBeforeEnd { return "returned for a full disk though we stopped it" }
            return metShortage ? nil : "returned for a full disk, which it was not"
        case .noRoom, .earlierAttemptRemains: return "given back after it had run"
        }
    }
}

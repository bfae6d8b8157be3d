// One task's processes, as the kernel knows them, and what passed between them and the supervisor.

import NodeSupervisor
import TaskModel

typealias TaskNumber = NodeSupervisor.TaskNumber

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
        /// Processes that outlive the main one, until told to end, or until killed.
        var leavesChildren = false
        var childrenIgnoreTerm = false
        /// A group that is not killed as one may need more than one kill.
        var killsNeeded = 1
        /// How long a killed process takes to die: long when it sleeps in a driver.
        var dyingNanoseconds: Int64 = 0
        var outputBytes = 0

        static let nodeFailure = NodeSupervisor.LaunchFailure(
            step: "posix_spawn", errno: 11, message: "Resource temporarily unavailable", fault: .node)
        static let taskFailure = NodeSupervisor.LaunchFailure(
            step: "execve ./x", errno: 2, message: "No such file or directory", fault: .task)

        var failure: NodeSupervisor.LaunchFailure {
            switch fault {
            case .task: Self.taskFailure
            case .node: Self.nodeFailure
            }
        }
    }

    let line: String
    let task: NodeSupervisor.ClaimedTask
    let token: Int
    let timeoutSeconds: Double?
    var plan = Plan()
    /// By the clock of its node.
    var deadline: Instant?
    /// It was launched, rather than waits for its turn.
    var isBegun = false
    var isMainAlive = false
    /// When the main process ends, by the world's clock, unless it is stopped before.
    var endsAt: Int64 = 0
    /// Which of the scheduled ends of the main process counts: a signal brings an earlier one.
    var endNumber = 0
    var status: NodeSupervisor.ExitStatus?
    var failure: NodeSupervisor.LaunchFailure?
    /// By the world's clock.
    var groupEmptyAt = Int64.max
    var killCount = 0
    var isRemoved = false

    // What passed between supervisor and task, by the clock of the node.
    var endHeardAt: Instant?
    /// Whether anybody has looked since what is left of it. Before, the next one may have its slot and its cores, though not its memory.
    var isLookedAt = false
    var isClosing: Bool { endHeardAt != nil && !isLookedAt }
    var terminatedAt: Instant?
    var killedAt: Instant?
    var lastKillAt: Instant?
    var hasSignalBeforeEnd = false
    var report: NodeSupervisor.Report.Result?

    // For the judge of double runs.

    /// Its node was cut off, or the queue lost it: another may run the line until the queue knows of it again.
    var isExcusedUntilRestored = false

    /// Whether it does the work of its line, as far as anybody can help it.
    var isWorking: Bool { isMainAlive && killedAt == nil && terminatedAt == nil }

    var signalledAt: Instant? {
        guard let terminatedAt else { return killedAt }
        guard let killedAt else { return terminatedAt }
        return min(terminatedAt, killedAt)
    }

    /// How it ended, when nobody stopped it.
    var ownCause: Cause? {
        if let failure { return .launch(step: failure.step, errno: failure.errno, message: failure.message) }
        switch status {
        case .code(let code): return (plan.oomKills ?? 0) > 0 ? .oom : .exit(code: code)
        case .signal(let signal): return (plan.oomKills ?? 0) > 0 ? .oom : .signal(signal)
        case nil: return nil
        }
    }
}

extension SimulatedTask.Plan {
    /// Of a task whose scenario does not say how long it takes.
    static let longestSeconds = 120.0

    /// What chance has for this attempt.
    init(_ numbers: inout Numbers, of scenario: Scenario) {
        durationNanoseconds = numbers.nanoseconds(0.0005, 5)
        dyingNanoseconds = numbers.nanoseconds(0.00001, 0.003)
        if let seconds = scenario.taskSeconds {
            durationNanoseconds = Int64(seconds * 1e9)
            outputBytes = scenario.outputBytes
            return
        }
        // Some run for longer than a lease, so that there is something to take over.
        if numbers.oneIn(4) { durationNanoseconds = Int64(scenario.leaseSeconds * numbers.seconds(0.5, 3) * 1e9) }
        outputBytes = numbers.oneIn(40) ? 1 << 20 : numbers.oneIn(10) ? 40_000 : 0
        let longest = Int64(Self.longestSeconds * 1e9)
        switch numbers.below(24) {
        case 0: status = .code([1, 2, 85][numbers.below(3)])  // By the last one those of jobs go back to the queue.
        case 1: status = .signal(numbers.oneIn(2) ? 9 : 11)
        case 2: (status, oomKills) = (.signal(9), 1)
        case 3: oomKills = 1
        case 4: (status, oomKills) = (.signal(9), nil)
        case 5: durationNanoseconds = longest
        case 6: (ignoresTerm, durationNanoseconds) = (true, longest)
        case 7: leavesChildren = true
        case 8: (leavesChildren, childrenIgnoreTerm) = (true, true)
        case 9: start = .failsAtSpawn
        case 10: start = .failsLater
        default: break
        }
        if numbers.oneIn(50) { killsNeeded = 2 + numbers.below(3) }
        if numbers.oneIn(150) { dyingNanoseconds = 1_000_000_000 + Int64(numbers.below(16)) * 1_000_000_000 }
    }
}

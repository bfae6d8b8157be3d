// One machine of the simulation: its daemon, put together as distcompd puts it together, its tasks, its disk and its clocks.

import DequeModule
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

@testable import NodeProtocol

final class SimulatedNode {
    /// What outlives a daemon.
    struct Disk {
        var lives: [String]?
        /// Reports of this life, by token, and of earlier ones, by name, oldest first.
        var files: [(name: String, token: String, report: ReportTask)] = []
        var nextName = 1
        /// What an earlier life left and this one has not dealt with.
        var earlier: [String] = []
        var refusesUntil: Int64 = 0
    }

    /// What the daemon reads when it next looks.
    enum Input {
        case supervisor(NodeSupervisor.Event)
        case reply(Connection, NodeProtocol.RequestNumber, RESPValue)
        case message(Connection, String)
        case ready(Connection)
        case broken(Connection)
    }

    enum Link {
        case waiting(until: Instant)
        case connecting(Connection, deadline: Instant)
        case ready(Connection, since: Instant)
    }

    let index: Int
    let name: String
    let machine: String
    let settings: NodeSupervisor.Settings
    var numbers: Numbers

    // The daemon.
    var isUp = false
    /// Counts starts of the daemon; what was meant for an earlier life is lost.
    var life = 0
    var supervisor: NodeSupervisor
    var dialogue: NodeProtocol
    var launches: Deque<(number: TaskNumber, task: NodeSupervisor.ClaimedTask)> = []
    var ended: Deque<TaskNumber> = []
    var inbox: [Input] = []
    var isRoundScheduled = false
    /// The timer, by the world's clock.
    var timerAt: Int64?
    var timerIsDue = false
    var link = Link.waiting(until: Instant(nanoseconds: 0))
    var delay: ReconnectDelay
    var encoding: (token: String, result: ReportTask.Result, roundsLeft: Int)?
    var unwritten: Deque<(token: String, report: ReportTask)> = []
    var settlesUntil: Instant?
    var hasLeft = false
    var gaveUp: String?
    var immediateTimers = 0

    // The machine.
    var tasks: [TaskNumber: SimulatedTask] = [:]
    var disk = Disk()
    /// What the node's clock of the boot is ahead of the world's.
    var clockOffset: Int64
    var wallOffset: Int64 = 0
    var pausedUntil: Int64 = 0
    /// Since when the machine stands still, by the world's clock.
    var machineStoppedAt: Int64?
    var availableBytes: UInt64 = 8_000_000_000
    var memoryShortUntil: Int64 = 0
    var cannotLaunchUntil: Int64 = 0

    // The network.
    var refusesUntil: Int64 = 0
    var silentUntil: Int64 = 0
    var slowUntil: Int64 = 0
    var latency = 0.0
    /// Until when Redis refuses what this node asks.
    var isRefusedUntil: Int64 = 0

    // For the judge.
    var lastNumber: UInt64 = 0
    var taskCount = 0
    var memoryBytes: UInt64 = 0
    var millicores = 0
    /// What tasks have of each device, in thousandths.
    var devices: [String: Int] = [:]
    var wasLow = false
    var isStopping = false
    var leavesSince: Instant?
    /// Its supervisor has said ``NodeSupervisor/Action/leave``, after which nothing follows: what is left is the business of the queue.
    var isDone = false
    var diedAt: Int64?
    var cancelledLines: Set<String> = []
    /// When this node had trouble of its own, by the world's clock.
    var ownTroubles: [(from: Int64, to: Int64)] = []
    /// Which of its incarnations the queue renewed when, by the world's clock.
    var renewedAt: Int64 = 0
    var launchCount = 0

    init(index: Int, scenario: Scenario) {
        self.index = index
        // Copies of the first.
        let identity = index > 0 && index <= scenario.cloneCount ? 0 : index
        name = "node\(identity)"
        machine = "machine\(identity)"
        numbers = Numbers(seed: scenario.seed, of: "node", index)
        var settings = NodeSupervisor.Settings(
            worker: name, taskCountMax: 1 + numbers.below(24), memoryBytes: UInt64(4) << 30, millicores: 4000,
            memoryBytesMinToAccept: 2_000_000_000, memoryBytesMinToKeep: 1_000_000_000,
            claimCountMax: 1 + numbers.below(16),
            idlePollSeconds: scenario.nodeCount > 20 ? 5 : [0.2, 1, 5][numbers.below(3)],
            defaultTimeoutSeconds: 20, sweepSeconds: [1.0, 30][numbers.below(2)],
            heartbeatSeconds: [1.0, 5, 60][numbers.below(3)], leaseSeconds: scenario.leaseSeconds,
            killsWhenCutOff: numbers.oneIn(3), killGraceSeconds: [0, 0.2, 5][numbers.below(3)],
            stopGraceSeconds: [0, 1, 10][numbers.below(3)], leaveWithinSeconds: 5)
        if let kills = scenario.killsWhenCutOff { settings.killsWhenCutOff = kills }
        if let count = scenario.taskCountMax { (settings.taskCountMax, settings.millicores) = (count, count * 1000) }
        settings.idleExitSeconds = scenario.idleExitSeconds ?? 0
        if scenario.taskSeconds != nil { settings.defaultTimeoutSeconds = 0 }
        settings.resources = NodeResources([ResourceRequest.gpu: .devices(["GPU-a", "GPU-b", "GPU-c"])])
        self.settings = settings
        delay = ReconnectDelay(longestSeconds: min(5, scenario.leaseSeconds / 6))
        clockOffset = Int64(numbers.below(1_000_000)) * 1_000_000
        supervisor = NodeSupervisor(settings: settings)
        dialogue = NodeProtocol(facts: Self.facts(name, machine, settings, scenario))
    }

    static func facts(
        _ name: String, _ machine: String, _ settings: NodeSupervisor.Settings, _ scenario: Scenario
    ) -> NodeProtocol.Facts {
        var facts = NodeProtocol.Facts(
            name: name, machine: machine, leaseSeconds: settings.leaseSeconds, memoryBytes: settings.memoryBytes,
            millicores: settings.millicores, version: "1", queueCandidate: QueueIdentity())
        facts.killsWhenCutOff = settings.killsWhenCutOff
        facts.resources = settings.resources.totals
        facts.leaveWithinSeconds = settings.leaveWithinSeconds
        facts.attemptsMax = 3
        facts.retryDelaySeconds = scenario.retryDelaySeconds ?? [0, 0.5, 5][Int(scenario.seed % 3)]
        return facts
    }

    var address: String { "10.0.0.\(index)" }

    /// How long Redis may take over a request, as QueueConnection has it.
    var replyTimeoutSeconds: Double { max(1, min(30, settings.leaseSeconds / 3)) }

    var connection: Connection? { if case .ready(let connection, _) = link { connection } else { nil } }

    /// The clock of the node, which stands still with the machine.
    func clock(at world: Int64) -> Instant { Instant(nanoseconds: (machineStoppedAt ?? world) + clockOffset) }

    /// When it is so late here, should nothing stand still meanwhile.
    func world(at clock: Instant) -> Int64 { clock.nanoseconds == .max ? .max : clock.nanoseconds - clockOffset }

    /// How much of the time between these moments it had trouble of its own.
    func troubledNanoseconds(from: Int64, to: Int64) -> Int64 {
        var (sum, last) = (Int64(0), from)
        for trouble in ownTroubles.sorted(by: { $0.from < $1.from }) where trouble.to > last && trouble.from < to {
            let begin = max(trouble.from, last)
            let end = min(trouble.to, to)
            if end > begin { (sum, last) = (sum + end - begin, end) }
        }
        return sum
    }
}

/// One TCP connection. Bytes come in their order or not at all.
final class Connection {
    let number: Int
    let node: SimulatedNode
    var isOpenAtClient = true
    var isOpenAtServer = true
    var isSubscribed = false
    /// By the world's clock, so that nothing overtakes.
    var lastUp: Int64 = 0
    var lastDown: Int64 = 0
    /// Unanswered requests, by the clock of the node.
    var outstanding: Deque<(number: NodeProtocol.RequestNumber, sentAt: Instant)> = []
    /// What is on its way to the server; what is beyond the count is lost.
    var upCount = 0
    var upCountMax = Int.max

    init(number: Int, node: SimulatedNode) {
        self.number = number
        self.node = node
    }
}

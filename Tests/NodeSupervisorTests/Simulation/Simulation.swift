// Nodes, processes and a queue in a world of bad luck, all of it drawn from one seed. The supervisors are the real
// ones. Whatever happens, the promises of the design must hold; the first one broken ends the run and is told with its
// seed.

import NodeSupervisor
import TaskModel

final class Simulation {
    /// What waits in the future.
    enum Happening {
        case wakeUp(node: Int, life: Int)
        case tick(node: Int, life: Int)
        // Indirect, because a large value is moved about more often than a small one is allocated.
        indirect case event(node: Int, life: Int, NodeSupervisor.Event)
        indirect case reply(node: Int, life: Int, connection: Int, NodeSupervisor.Event)
        indirect case request(node: Int, life: Int, connection: Int, sentAt: Instant, Request)
        case mainEnds(node: Int, life: Int, TaskNumber, endNumber: Int)
        case connects(node: Int, life: Int)
        case memoryRecovers(node: Int, life: Int)
        case restarts(node: Int, life: Int)
        case trouble
    }

    enum Request {
        case register
        case heartbeat
        case reconcile(NodeSupervisor.RequestNumber)
        case claim(NodeSupervisor.Claim)
        case report(NodeSupervisor.Report)
    }

    let seed: UInt64
    var random: SplitMix64
    var now = Instant(nanoseconds: 1_000_000_000)
    var queue: SimulatedQueue
    var nodes: [SimulatedNode]
    var eventCount = 0
    /// How often each kind of thing came to pass: a simulation that never meets trouble proves nothing.
    var tally: [String: Int] = [:]
    private(set) var failure: String?
    /// Trouble is over: what was begun is brought to its end.
    private(set) var isQuiet = false
    /// All work is done: who leaves stays away.
    private(set) var isEnding = false
    private let troublePauseNanoseconds: Int64

    private var agenda = Agenda()

    static let timerLatenessNanoseconds: Int64 = 5_000_000

    init(seed: UInt64) {
        self.seed = seed
        var random = SplitMix64(seed: seed)
        let leaseSeconds = [3.0, 10, 30][random.below(3)]
        let capacity = (memoryBytes: UInt64(4) << 30, millicores: 4000)
        let lines = (0..<(4 + random.below(60))).map { Simulation.line($0, &random) }
        queue = SimulatedQueue(lines: lines, leaseSeconds: leaseSeconds)
        nodes = (0..<(1 + random.below(3))).map { index in
            SimulatedNode(
                settings: Settings(
                    worker: "node\(index)", taskCountMax: 1 + random.below(24), memoryBytes: capacity.memoryBytes,
                    millicores: capacity.millicores, memoryBytesMinToAccept: 2_000_000_000,
                    memoryBytesMinToKeep: 1_000_000_000, claimCountMax: 1 + random.below(16),
                    idlePollSeconds: [0.05, 1, 5][random.below(3)], defaultTimeoutSeconds: 20,
                    sweepSeconds: [1.0, 30][random.below(2)], heartbeatSeconds: [1.0, 5, 60][random.below(3)],
                    leaseSeconds: leaseSeconds, killsWhenCutOff: random.oneIn(2),
                    killGraceSeconds: [0, 0.2, 5][random.below(3)],
                    stopGraceSeconds: [0, 1, 10][random.below(3)], leaveWithinSeconds: 5))
        }
        troublePauseNanoseconds = [20_000_000, 200_000_000, 2_000_000_000][random.below(3)]
        self.random = random
    }

    private static func line(_ index: Int, _ random: inout SplitMix64) -> TaskLine {
        let memory = ["0", "200M", "1G", "4G"][random.below(10) / 3]
        let cores = ["0", "1", "1", "4"][random.below(10) / 3]
        let timeout = ["", "0:", "1:", "10:"][random.below(4)]
        do {
            return try TaskLine(parsing: "shell:1:\(memory):\(cores):\(timeout)true \(index)")
        } catch {
            preconditionFailure("\(error)")
        }
    }

    // MARK: - The run

    /// Runs until so many events were handled, then lets the world calm down and sees that everything comes to its end.
    /// Returns the promise that was broken, if one was.
    func run(eventCount limit: Int) -> String? {
        for index in nodes.indices { schedule(.connects(node: index, life: 0), in: random.nanoseconds(1, 1_000_000)) }
        schedule(.trouble, in: troublePauseNanoseconds)
        while eventCount < limit, failure == nil { step() }
        if failure == nil { calmDown() }
        return failure.map { "seed \(seed), event \(eventCount), at \(now.nanoseconds) ns: \($0)" }
    }

    private func step() {
        guard let next = agenda.popFirst() else { return fail("nothing waits for anything: the world stands still") }
        now = next.at
        perform(next.happening)
    }

    /// No more trouble and no new work: all that was submitted must end, and every node must leave with nothing left.
    private func calmDown() {
        isQuiet = true
        queue.isResubmitting = false
        for index in nodes.indices where !nodes[index].hasLeft { deliver(.resume, to: index) }
        let bound = now.advanced(bySeconds: 3600)
        while failure == nil, queue.lines.contains(where: { $0.state != .done }) {
            if now > bound { return fail("lines never end: \(unfinished)") }
            step()
        }
        isEnding = true
        for index in nodes.indices where !nodes[index].hasLeft { deliver(.stopRequested, to: index) }
        while failure == nil, nodes.contains(where: { !$0.hasLeft }) {
            if now > bound.advanced(bySeconds: 3600) { return fail("a node never leaves") }
            step()
        }
    }

    private var unfinished: String {
        queue.lines.indices.filter { queue.lines[$0].state != .done }.map { "\($0) \(queue.lines[$0].state)" }
            .joined(separator: ", ")
    }

    func fail(_ message: String) { if failure == nil { failure = message } }

    func count(_ what: String) { tally[what, default: 0] += 1 }

    // MARK: - The agenda

    func schedule(_ happening: Happening, in nanoseconds: Int64) {
        agenda.add(happening, at: now.advanced(byNanoseconds: nanoseconds))
    }

    private func schedule(_ happening: Happening, at instant: Instant) { agenda.add(happening, at: instant) }

    private func perform(_ happening: Happening) {
        switch happening {
        case .wakeUp(let node, let life):
            if nodes[node].life == life { wakeUp(node) }
        case .tick(let node, let life):
            guard nodes[node].life == life, nodes[node].tickAt == now else { return }
            nodes[node].tickAt = nil
            deliver(.tick, to: node)
        case .event(let node, let life, let event):
            if nodes[node].life == life { deliver(event, to: node) }
        case .reply(let node, let life, let connection, let event):
            if nodes[node].life == life, nodes[node].connection == connection { deliver(event, to: node) }
        case .request(let node, let life, let connection, let sentAt, let request):
            // What is on the wire when a connection breaks may arrive, or not.
            let isBroken = nodes[node].life != life || nodes[node].connection != connection
            if queue.awayUntil <= now, !isBroken || random.oneIn(2) {
                answer(request, node: node, life: life, connection: connection, sentAt: sentAt)
            }
        case .mainEnds(let node, let life, let number, let endNumber):
            if nodes[node].life == life { mainEnds(node, number, endNumber: endNumber) }
        case .connects(let node, let life):
            if nodes[node].life == life { connect(node) }
        case .memoryRecovers(let node, let life):
            if nodes[node].life == life { nodes[node].isMemoryLow = false }
        case .restarts(let node, let life):
            if nodes[node].life == life, !isEnding { restart(node) }
        case .trouble:
            if isQuiet { return }
            makeTrouble()
            schedule(.trouble, in: random.nanoseconds(troublePauseNanoseconds / 4, troublePauseNanoseconds * 2))
        }
    }

    // MARK: - A node's loop

    /// Puts an event into the node's next batch.
    func deliver(_ event: NodeSupervisor.Event, to node: Int) {
        nodes[node].inbox.append(event)
        if nodes[node].isWakeScheduled { return }
        nodes[node].isWakeScheduled = true
        let wakesAt = max(now.advanced(byNanoseconds: random.nanoseconds(0, 300_000)), nodes[node].stalledUntil)
        schedule(.wakeUp(node: node, life: nodes[node].life), at: wakesAt)
    }

    private func wakeUp(_ node: Int) {
        nodes[node].isWakeScheduled = false
        if nodes[node].hasLeft { return }
        var batch = nodes[node].inbox
        nodes[node].inbox.removeAll(keepingCapacity: true)
        disorder(&batch)
        eventCount += batch.count
        var ticked = false
        if random.oneIn(64) { repeatLater(batch[random.below(batch.count)], node: node) }
        for event in batch { ticked = hear(event, node: node) || ticked }

        let actions = nodes[node].supervisor.handle(batch, at: now)
        for action in actions {
            if nodes[node].hasLeft { return fail("node \(node): \(action) after leave") }
            act(action, node: node)
        }
        if actions.contains(where: { if case .log(.leaseLost) = $0 { true } else { false } }) {
            judgeLossOfLease(node: node, wasFenced: batch.contains(.fenced))
        }
        if batch.contains(.disconnected) { nodes[node].hasHeardOfLoss = true }
        if nodes[node].hasLeft { return }
        let lateness = ticked ? 0 : Self.timerLatenessNanoseconds
        if ticked || random.oneIn(8), let overdue = nodes[node].overdue(at: now, latenessNanoseconds: lateness) {
            fail("node \(node): \(overdue)")
        }
        armTimer(of: node)
    }

    /// A lease that is given up is given up for a reason, and at once.
    private func judgeLossOfLease(node: Int, wasFenced: Bool) {
        if !wasFenced && !nodes[node].settings.killsWhenCutOff {
            fail("node \(node) gives up tasks that, for all it knows, nobody else runs")
        }
        if let number = nodes[node].runsWithoutLease() { fail("node \(node): \(number) runs without a lease") }
    }

    private func armTimer(of node: Int) {
        guard let deadline = nodes[node].supervisor.nextDeadline else { return }
        let late = random.oneIn(4) ? Int64(random.below(Int(Self.timerLatenessNanoseconds - 300_000))) : 0
        let at = max(deadline, now).advanced(byNanoseconds: late)
        if let tickAt = nodes[node].tickAt, tickAt <= at { return }
        nodes[node].tickAt = at
        schedule(.tick(node: node, life: nodes[node].life), at: at)
    }

    /// Some events come twice, some change places with their neighbour.
    private func disorder(_ batch: inout [NodeSupervisor.Event]) {
        if random.oneIn(32) {
            let index = random.below(batch.count)
            batch.insert(batch[index], at: batch[index].keepsItsPlace ? index : batch.count)
        }
        guard batch.count > 1, random.oneIn(4) else { return }
        let index = random.below(batch.count - 1)
        if batch[index].keepsItsPlace || batch[index + 1].keepsItsPlace { return }
        batch.swapAt(index, index + 1)
    }

    /// Some events come a second time much later. Not the answer to `collect`: the daemon gives it at once, and only
    /// once.
    private func repeatLater(_ event: NodeSupervisor.Event, node: Int) {
        if event.keepsItsPlace { return }
        if case .collected = event { return }
        schedule(.event(node: node, life: nodes[node].life, event), in: random.nanoseconds(1_000_000, 2_000_000_000))
    }

    /// Notes what the supervisor is told, for the judge. Says whether it was told the time.
    private func hear(_ event: NodeSupervisor.Event, node: Int) -> Bool {
        switch event {
        case .reportAccepted(let number), .reportRefused(let number, _): nodes[node].kept[number] = nil
        case .launched(let number, _):
            nodes[node].tasks[number]?.isStartHeard = true
            guard nodes[node].tasks[number]?.isEndHeard == false, nodes[node].tasks[number]?.deadline == nil else {
                break
            }
            guard let timeout = nodes[node].tasks[number]?.timeoutSeconds else { break }
            nodes[node].tasks[number]?.deadline = now.advanced(bySeconds: timeout)
        case .launchFailed(let number, _), .exited(let number, _):
            if nodes[node].unended.remove(number) != nil { nodes[node].tasks[number]?.endHeardAt = now }
        case .stopRequested, .closeRequested:
            if event == .stopRequested { nodes[node].isStopping = true }
            nodes[node].leavesSince = nodes[node].leavesSince ?? now
        case .tick: return true
        default: break
        }
        return false
    }
}

extension NodeSupervisor.Event {
    /// The connection's own events come in order, and a second `connected` belongs to a second connection.
    fileprivate var keepsItsPlace: Bool {
        switch self {
        case .connected, .disconnected, .registered: true
        default: false
        }
    }
}

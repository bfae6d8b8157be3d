// Nodes, a network and a queue in a world of bad luck, all of it drawn from one scenario. Supervisors and protocols are the real
// ones, put together as the daemon puts them; the queue is a model that agrees with the real scripts. Whatever happens, what the
// design promises must hold; the first promise broken ends the run.

import Foundation
import NodeProtocol
import NodeSupervisor
import QueueModel
import RedisClient
import TaskModel
import TaskQueue

final class World {
    /// What waits in the future.
    enum Coming {
        case round(SimulatedNode, life: Int)
        case timer(SimulatedNode, life: Int)
        case supervisor(SimulatedNode, life: Int, NodeSupervisor.Event)
        case mainEnds(SimulatedNode, life: Int, TaskNumber, endNumber: Int)
        case up(Connection, Message, order: Int)
        case down(Connection, Input)
        case start(SimulatedNode, life: Int)
        case memoryRecovers(SimulatedNode, life: Int)
        case machineResumes(SimulatedNode)
        case thaw
        case serverStarts(Trouble.Kept, clockStep: Double)
        case snapshot
        case trouble(Int)
    }

    /// What goes to the server.
    enum Message {
        case handshake
        case request(NodeProtocol.RequestNumber, RedisRequest, sentAt: Int64)
    }

    typealias Input = SimulatedNode.Input

    let scenario: Scenario
    var now: Int64 = 1_000_000_000
    var nodes: [SimulatedNode] = []
    var chance: Numbers
    var queue: QueueModel
    private var agenda = Agenda<Coming>()
    var eventCount = 0
    /// How often each kind of thing came to pass: a simulation that never meets trouble proves nothing.
    var tally: [String: Int] = [:]
    private(set) var failure: String?
    /// Trouble is over: what was begun is brought to its end.
    private(set) var isQuiet = false
    /// All work is done: who leaves stays away.
    private(set) var isEnding = false

    // The server.
    /// What Redis's clock is ahead of the world's, in nanoseconds.
    var serverClockOffset: Int64 = 1_700_000_000_000_000_000
    var isServerUp = true
    var frozenUntil: Int64 = 0
    var frozenSince: Int64 = 0
    var backlog: [(connection: Connection, messages: [Message])] = []
    var snapshots: [(at: Int64, queue: QueueModel)] = []
    var connections: [Int: Connection] = [:]
    var nextConnection = 1
    var runCount = 1

    private var paceSince: Int64 = 0
    private var paceCount = 0

    // People.
    var lines: [TaskLine] = []
    /// Of which tasks are that wait for others. Each has a part of a device.
    static let job = {
        var settings = Job.Settings()
        guard settings.resources.add(ResourceRequest.gpu, thousandths: 300) else { preconditionFailure("gpu") }
        return Job(identifier: "sim", name: "sim", settings: settings, definition: Job.Definition())
    }()

    // The judge.
    var judge: Judge
    var isTraced = false

    init(_ scenario: Scenario) {
        self.scenario = scenario
        chance = Numbers(seed: scenario.seed, of: "chance")
        judge = Judge(scenario)
        queue = QueueModel()
        queue.keepsJournal = true
        queue.jobSizes[Self.job.identifier] = (0, 0)
        queue.jobPriorities[Self.job.identifier] = 0
        queue.jobRecords[Self.job.identifier] = Self.job.record
        queue.jobNeeds[Self.job.identifier] = Self.job.settings.resources
        for index in 0..<(scenario.nodeCount + scenario.cloneCount) {
            nodes.append(SimulatedNode(index: index, scenario: scenario))
        }
    }

    // MARK: - The run

    /// Runs the scenario, then lets the world calm down and sees that everything comes to its end. Returns the promise that was
    /// broken, if one was.
    func run() -> String? {
        submit(scenario.lineCount)
        for node in nodes { schedule(.start(node, life: node.life), in: chance.nanoseconds(0.001, 0.1)) }
        for (index, happening) in scenario.happenings.enumerated() {
            agenda.add(.trouble(index), at: 1_000_000_000 + Int64(happening.at * 1e9))
        }
        if scenario.happenings.contains(where: { if case .restart(_, .allBut, _) = $0.trouble { true } else { false } })
        {
            schedule(.snapshot, in: 0)
        }
        let end = now + Int64(scenario.seconds * 1e9)
        while failure == nil, step(until: end) {}
        now = max(now, min(end, now + 1))
        if failure == nil { calmDown() }
        return failure.map { "at \(Double(now - 1_000_000_000) / 1e9) s: \($0)" }
    }

    /// Says whether there was something before the end.
    private func step(until end: Int64) -> Bool {
        guard let next = agenda.popFirst() else {
            for node in nodes {
                trace(
                    "\(node.name): \(node.isUp) \(node.isRoundScheduled) timer \(node.timerAt ?? 0), now \(now) \(node.link)"
                )
            }
            fail("nothing waits for anything: the world stands still")
            return false
        }
        now = max(now, next.at)
        judgePace()
        perform(next.item)
        return now < end
    }

    /// Nobody may be busy with nothing: so many events in a second are a loop that time does not end.
    private func judgePace() {
        if now - paceSince > 1_000_000_000 { (paceSince, paceCount) = (now, eventCount) }
        let bound = 20_000 * nodes.count
        if eventCount - paceCount > bound { fail("somebody spins: more than \(bound) events in a second") }
    }

    /// No more trouble and no new work: all that was submitted must end, and every node must leave with nothing left.
    private func calmDown() {
        isQuiet = true
        resumeAll()
        // What is still to be done takes its time where there is one place for all of it.
        let attemptSeconds = max(scenario.taskSeconds ?? 0, SimulatedTask.Plan.longestSeconds) + 10
        let attemptCount = Double(queue.todo.union(queue.doing.keys).count * 3) / Double(scenario.nodeCount)
        let bound = now + Int64((600 + scenario.leaseSeconds * 20 + attemptCount * attemptSeconds) * 1e9)
        while failure == nil, let open = judge.unfinished(queue) {
            if now > bound { return fail("it never ends: \(open)") }
            _ = step(until: .max)
        }
        // Reports that were not accepted wait for nothing any more.
        let settled = now + Int64((scenario.leaseSeconds * 2 + 30) * 1e9)
        while failure == nil, now < settled { _ = step(until: .max) }
        guard failure == nil else { return }
        for node in nodes where node.isUp && node.dialogue.unansweredReportCount > 0 {
            return fail("\(node.name) has \(node.dialogue.unansweredReportCount) reports that nobody answers")
        }
        for line in queue.done.keys where queue.attempts[line] != nil || queue.lost[line] != nil {
            return fail("\(line) has finished, and something is held against it still")
        }
        isEnding = true
        for node in nodes where node.isUp { deliver(.supervisor(.stopRequested), to: node) }
        while failure == nil, nodes.contains(where: \.isUp) {
            if now > settled + 600_000_000_000 { return fail("a node never leaves") }
            _ = step(until: .max)
        }
    }

    /// Tells what happens, where somebody looks into one world.
    func trace(_ text: @autoclosure () -> String) {
        if isTraced { print(String(format: "%12.6f ", Double(now - 1_000_000_000) / 1e9) + text()) }
    }

    func fail(_ message: String) { if failure == nil { failure = message } }

    /// A name for the queue that nobody has had.
    func queueCandidate() -> QueueIdentity {
        let digits = String(chance.next(), radix: 16)
        return QueueIdentity(text: String(repeating: "0", count: 32 - digits.count) + digits) ?? QueueIdentity()
    }

    func count(_ what: String) { tally[what, default: 0] += 1 }

    // MARK: - The agenda

    func schedule(_ coming: Coming, in nanoseconds: Int64) { agenda.add(coming, at: now + nanoseconds) }
    func schedule(_ coming: Coming, at world: Int64) { agenda.add(coming, at: max(now, world)) }

    private func perform(_ coming: Coming) {
        switch coming {
        case .round(let node, let life): if node.life == life { round(node) }
        case .timer(let node, let life):
            guard node.life == life, node.timerAt == now else { return }
            node.timerAt = nil
            node.timerIsDue = true
            wake(node)
        case .supervisor(let node, let life, let event):
            if node.life == life { deliver(.supervisor(event), to: node) }
        case .mainEnds(let node, let life, let number, let endNumber):
            if node.life == life { mainEnds(node, number, endNumber: endNumber) }
        case .up(let connection, let message, let order): arrives(connection, message, order: order)
        case .down(let connection, let input): comesBack(connection, input)
        case .start(let node, let life): if node.life == life, !isEnding { start(node) }
        case .memoryRecovers(let node, let life): if node.life == life { wake(node) }
        case .machineResumes(let node): resumeMachine(node)
        case .thaw: thaw()
        case .serverStarts(let kept, let clockStep): startServer(keeping: kept, clockStep: clockStep)
        case .snapshot:
            if isServerUp { snapshots.append((now, queue)) }
            if snapshots.count > 200 { snapshots.removeFirst(100) }
            if !isQuiet { schedule(.snapshot, in: 250_000_000) }
        case .trouble(let index): if !isQuiet { make(scenario.happenings[index].trouble) }
        }
    }

    // MARK: - The daemon's loop

    /// Something is ready for the node to read.
    func deliver(_ input: Input, to node: SimulatedNode) {
        guard node.isUp else { return }
        node.inbox.append(input)
        wake(node)
    }

    func wake(_ node: SimulatedNode) {
        guard node.isUp, !node.isRoundScheduled else { return }
        node.isRoundScheduled = true
        schedule(.round(node, life: node.life), at: max(now + node.numbers.nanoseconds(0, 0.0003), node.pausedUntil))
    }
}

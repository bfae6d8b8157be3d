// What a node says to the queue and hears from it, and nothing else: replies, the loss of the connection and the time go in;
// requests, events for the supervisor and orders to the disk come out. No socket, file or clock is here, so a simulation can
// have a network lose, delay and repeat all of it, and every run can be repeated.
//
// This file holds what is known and the way of an event through it. Each subject has its own file: the connection and what is
// settled before it is used (Connecting), requests and their replies (Requests, Replies), the lease of one life (Registering),
// taking up again what the queue has forgotten (Restoring), reports from their making to their answer (Reports, ReportRecord),
// orders and lines of others (Orders), results that leave Redis (Retaining), what readers elsewhere see of outputs (Outputs), the last word (Leaving).

import DequeModule
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

/// One node's side of the conversation with the queue.
///
/// It begins without a connection. Whatever it asks of the connection, the disk or the supervisor is an ``Action``, to be
/// performed in order; what comes of it is an ``Event``.
public struct NodeProtocol: Sendable {
    /// What the requests say of the node. The daemon keeps it up to date.
    public var facts: Facts

    let keys: QueueKeys
    /// The present life of the node, as the queue knows it or is about to.
    public internal(set) var incarnation: Incarnation
    /// Those of this node whose lease may not be over: they are ours to end.
    var lives: [String]

    var connection = Connection()
    var registering = Registering()
    var restoration: Restoration?
    var reports = Reports()
    var orders = Orders()
    var outputs = Outputs()
    var retaining = Retaining()
    var departure = Departure.none
    var refusals = RefusalLog()
    /// Those of the tasks it was given of late.
    var knownJobs = KnownJobs()

    /// What each unanswered request was for.
    var outstanding: [RequestNumber: Purpose] = [:]
    private var nextRequestNumber: UInt64 = 1

    /// - Parameters:
    ///   - incarnation: of the program before this one, whose tasks go on; nil for a new life.
    ///   - earlierLives: the incarnations this node has had and may still have, as far as they are known.
    ///   - running: the tasks of that incarnation.
    public init(
        facts: Facts, incarnation: Incarnation? = nil, earlierLives: [String] = [],
        running: [NodeSupervisor.ClaimedTask] = []
    ) {
        self.facts = facts
        keys = QueueKeys(prefix: facts.keyPrefix)
        self.incarnation = incarnation ?? Incarnation(name: facts.name, machine: facts.machine, life: 0)
        lives = Array((earlierLives + (incarnation.map { [$0.text] } ?? [])).suffix(Registering.livesMax))
        registering.hasIncarnation = incarnation != nil
        registering.hasSucceeded = incarnation != nil
        for task in running { reports.given(task) }
    }

    /// Says what follows from one event.
    public mutating func handle(_ event: Event, at now: Instant) -> [Action] {
        var actions: [Action] = []
        reports.dropOldAnswered(at: now)
        take(event, at: now, into: &actions)
        sendReports(into: &actions)
        registerIfReportsAreOut(at: now, into: &actions)
        leaveIfDone(at: now, into: &actions)
        return actions
    }

    /// When ``Event/tick`` is next needed; nil while nothing waits for time.
    public var nextDeadline: Instant? {
        [reports.retryAt, departure.deadline, outputs.deadline, retaining.deadline].compactMap { $0 }.min()
    }

    /// Whether nothing is under way that a program executed in our place could not know of.
    public var isAtRest: Bool {
        reports.unansweredCount == 0 && restoration == nil && !registering.isUnderWay
            && outstanding.values.allSatisfy { !$0.gives }
    }

    /// Whether somebody ordered, by `distcomp drain`, that this node is given nothing. The queue sees to it.
    public var isDrained: Bool { orders.isDrained }

    /// How many reports the queue has not answered.
    public var unansweredReportCount: Int { reports.unansweredCount }

    // MARK: - The way of an event

    private mutating func take(_ event: Event, at now: Instant, into actions: inout [Action]) {
        if departure == .left { return }  // The daemon is on its way out.
        switch event {
        case .connected(let localAddress): connected(localAddress, at: now, into: &actions)
        case .disconnected: disconnected(into: &actions)
        case .reply(let number, let value):
            // One of a connection that is gone has no purpose any more.
            guard let purpose = outstanding.removeValue(forKey: number) else { return }
            understand(value, purpose, at: now, into: &actions)
        case .message(let payload): heard(payload, at: now, into: &actions)

        case .register: registering.isWanted = true
        case .heartbeat: heartbeat(at: now, into: &actions)
        case .reconcile(let number): reconcile(number, into: &actions)
        case .claim(let claim):
            // Nothing is taken of another server than before whose answer to the heartbeat was a refusal.
            guard connection.serverIsTold else { return actions.append(.tell(.requestFailed(.claim(claim.number)))) }
            send(claimTasks(claim), for: .claim(claim, sentAt: now, isRepeated: false), into: &actions)
        case .report(let report): reports.ended(report)
        case .forget(let token): reports.remove(token)
        case .leaseLost: reports.forgetRunning()
        case .leave:
            rememberLivesIfRefused(into: &actions)
            departure = .waiting(until: now.advanced(bySeconds: facts.leaveWithinSeconds))

        case .encoded(let token, let result): reports.encoded(token, result)
        case .stored(let token, let isStored): reports.stored(token, isStored: isStored)
        case .earlierReports(let earlier): deliver(earlier, into: &actions)
        case .outputRead(let request, let answer): outputRead(request, answer, at: now, into: &actions)
        case .livesRemembered(let areOnDisk): registering.areLivesOnDisk = areOnDisk

        case .tick:
            readOutputs(at: now, into: &actions)
            goOnRetaining(at: now, into: &actions)
            if let at = reports.retryAt, at <= now { reports.retryAt = nil }
            leaveAnywayIfDue(at: now)
        }
    }

    // MARK: - Sending

    /// Sends a request. Without a connection nothing is sent: who wants something asks again once there is one.
    mutating func send(_ request: RedisRequest, for purpose: Purpose, into actions: inout [Action]) {
        guard connection.phase != .none else { return }
        let number = RequestNumber(nextRequestNumber)
        nextRequestNumber += 1
        outstanding[number] = purpose
        actions.append(.send(number, request, isUrgent: purpose.isUrgent))
    }
}

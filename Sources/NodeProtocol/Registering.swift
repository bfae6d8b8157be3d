// A node's place in the queue: it registers as a new incarnation, in place of its earlier ones, and keeps its lease alive.
//
// Three stories look alike to a queue: a node that was restarted, its twin (a copy of the same machine under the same name), and
// a node that comes back after others have given it up. A node therefore says which incarnations were its own. A living one that
// is not among them is a twin's, and one of the two must go, before they end each other's tasks in turn.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Registering: Sendable {
        /// The supervisor wants it; it waits until every report of the life before is on its way.
        var isWanted = false
        /// It was sent, or what the queue has forgotten is being taken up again.
        var isUnderWay = false
        /// The queue knew this incarnation, and has not said otherwise.
        var hasIncarnation = false
        /// When it was sent, while its success is not told to the supervisor yet.
        var registered: Instant?
        /// What we hold is to be compared with what the queue remembers.
        var mustRestore = true
        /// The queue has left to earlier lives what they hold until it is told what of it runs.
        var keepsEarlier = false
        /// Has the queue ever had us? Then what it refuses now may be allowed again later.
        var hasSucceeded = false
        /// The number of the silence the queue was in last: see ``ClaimTasks``.
        var silence = 0
        /// When the last request was sent that renewed the lease. One that was not answered may have been lost.
        var renewedAt: Instant?
        /// Another incarnation under this name, alive to the queue; `growths`: how often its remaining time was more than before.
        var inTheWay: (since: Instant, remainingMilliseconds: Int, growths: Int)?

        /// ``NodeProtocol/lives`` stand where the next start reads them.
        var areLivesOnDisk = true

        /// Lives of one process are told apart by a number that grows, whatever the clock on the wall does.
        var lastLife: Int64 = 0

        /// Incarnations remembered. Each start that never reached the queue adds one.
        static let livesMax = 16
    }

    /// Those of ``lives`` that have ended.
    var earlierLives: [Incarnation] {
        lives.filter { $0 != incarnation.text }.map { Incarnation(resuming: $0) }
    }

    var leaseMilliseconds: Int { max(1, Int(min(facts.leaseSeconds, 1e9) * 1000)) }

    private var description: NodeDescription {
        NodeDescription(
            memoryBytes: facts.memoryBytes, millicores: facts.millicores, version: facts.version,
            address: connection.localAddress, trouble: facts.trouble ?? "", labels: facts.labels,
            resources: facts.resources, devices: facts.devices)
    }

    /// Registers once no report of the life before waits to be sent: the queue hears them first, and knows them for ours. A life
    /// that the queue does not know has nothing to say: its reports wait for the next one, which takes them up again.
    mutating func registerIfReportsAreOut(at now: Instant, into actions: inout [Action]) {
        let hearsReportsFirst = registering.hasIncarnation && !reports.areAllSent && reports.retryAt == nil
        guard registering.isWanted, connection.phase == .open, !hearsReportsFirst else { return }
        registering.isWanted = false
        // Done before the connection was lost, and not told. Another life would put back what this one has taken up again, and
        // others might be given it before that life asks.
        if registering.hasIncarnation, registering.registered != nil { return tellRegistered(into: &actions) }
        registering.isUnderWay = true
        let life = max(facts.wallNanoseconds, registering.lastLife &+ 1)
        registering.lastLife = life
        incarnation = Incarnation(name: facts.name, machine: facts.machine, life: life)
        lives = Array((lives + [incarnation.text]).suffix(Registering.livesMax))
        actions.append(.rememberLives(lives))
        registering.keepsEarlier = !reports.tokensToRestore.isEmpty
        let register = RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: facts.statusText,
            node: description, queueCandidate: facts.queueCandidate,
            serverRun: connection.serverRun ?? "", runsSomething: registering.keepsEarlier, earlier: earlierLives)
        send(register.request, for: .register(sentAt: now), into: &actions)
    }

    mutating func registered(
        _ reply: RegisterNode.Reply, sentAt: Instant, into actions: inout [Action]
    ) {
        registering.hasIncarnation = true
        registering.hasSucceeded = true
        registering.inTheWay = nil
        registering.renewedAt = sentAt
        registering.silence = reply.silence
        registering.registered = sentAt
        connection.serverIsTold = true
        note(reply.queue, into: &actions)
        // Earlier ones are kept: a server that was rolled back may know one of them for alive.
        restore(into: &actions)
    }

    mutating func tellRegistered(into actions: inout [Action]) {
        registering.isUnderWay = false
        guard let sentAt = registering.registered else { return }
        registering.registered = nil
        actions.append(.tell(.registered(sentAt: sentAt)))
    }

    /// The queue is told by name, and whoever reads the log is told when it is another.
    mutating func note(_ queue: QueueIdentity, into actions: inout [Action]) {
        if let known = connection.queue, known != queue {
            actions.append(.log(.queueIsAnother(taskCount: reports.runningCount)))
            reports.forgetAnswered()  // Told to a queue that is gone; this one has no part in them.
        }
        connection.queue = queue
    }

    func rememberLivesIfRefused(into actions: inout [Action]) {
        if !registering.areLivesOnDisk { actions.append(.rememberLives(lives)) }
    }

    mutating func heartbeat(at now: Instant, into actions: inout [Action]) {
        rememberLivesIfRefused(into: &actions)
        let since = registering.renewedAt ?? now
        // Only over a connection that has stood for a while is it known that the server was there for everybody.
        let mayTakeOver = now.seconds(since: connection.since) >= facts.leaseSeconds * 0.4
        let elapsed = Int(clamping: max(0, now.nanoseconds(since: since)) / 1_000_000)
        let heartbeat = Heartbeat(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: facts.statusText,
            silence: mayTakeOver ? registering.silence : nil, elapsedMilliseconds: elapsed,
            node: description, queueCandidate: facts.queueCandidate, serverRun: connection.serverRun ?? "",
            reserving: facts.reserving)
        send(heartbeat.request, for: .heartbeat(sentAt: now), into: &actions)
    }

    /// The queue holds this incarnation for dead, or does not know it: others took it for dead, or the queue is not the one that
    /// knew it. In both cases a new incarnation takes up again what nobody else has begun. A node that kills when it is cut off
    /// has promised that nothing of it runs by now.
    mutating func fenced(by queue: QueueIdentity?, into actions: inout [Action]) {
        guard registering.hasIncarnation else { return }  // Every request under way is refused when one is.
        let isOurQueue = queue != nil && queue == connection.queue
        registering.hasIncarnation = false
        registering.registered = nil
        registering.mustRestore = true
        restoration = nil
        open(into: &actions)
        actions.append(.tell(facts.killsWhenCutOff && isOurQueue ? .fenced : .outside))
    }

    // MARK: - Others under this name

    /// Another incarnation of this machine is alive to the queue, and none of those that were ours.
    mutating func twin(
        at address: String?, remainingMilliseconds: Int, at now: Instant, into actions: inout [Action]
    ) {
        // Perhaps it is our own life before, of which no file tells any more. Then its lease ends.
        let isElsewhere = address.map { $0 != "-" && $0 != connection.localAddress } ?? false
        if isElsewhere || isRenewed(remainingMilliseconds, at: now) {
            return actions.append(.giveUp(LogEvent.twin(name: facts.name, address: address)))
        }
        waitForLease(of: address, remainingMilliseconds, at: now, into: &actions)
    }

    /// Another machine is alive to the queue under this name. While all nodes were away, nobody's lease ended.
    mutating func nameTaken(
        _ error: QueueError, at address: String?, remainingMilliseconds: Int, at now: Instant,
        into actions: inout [Action]
    ) {
        if isRenewed(remainingMilliseconds, at: now) { return actions.append(.giveUp("\(error)")) }
        waitForLease(of: address, remainingMilliseconds, at: now, into: &actions)
    }

    /// Whether who stands in the way has been heard of since we first asked: a lease that nobody renews becomes shorter.
    private mutating func isRenewed(_ remainingMilliseconds: Int, at now: Instant) -> Bool {
        let before = registering.inTheWay
        let hasGrown = before.map { remainingMilliseconds > $0.remainingMilliseconds } ?? false
        // What a short outage adds to it is less than half a lease.
        let isRenewal = hasGrown && Double(remainingMilliseconds) > facts.leaseSeconds * 500
        let growths = (before?.growths ?? 0) + (isRenewal ? 1 : 0)
        let since = hasGrown ? now : before?.since ?? now
        registering.inTheWay = (since, remainingMilliseconds, growths)
        // A silence of the queue prolongs every lease once; who is alive does so three times in a lease.
        return growths >= 5 || now.seconds(since: since) > facts.leaseSeconds * 4
    }

    private mutating func waitForLease(
        of address: String?, _ remainingMilliseconds: Int, at now: Instant, into actions: inout [Action]
    ) {
        if refusals.isNews("waiting for a lease", at: now) {
            let seconds = Double(max(0, remainingMilliseconds)) / 1000
            actions.append(.log(.waitingForLease(address: address, seconds: seconds)))
        }
        actions.append(.tell(.requestFailed(.register)))
    }
}

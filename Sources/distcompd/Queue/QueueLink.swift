// The daemon's side of the queue: it sends what NodeSupervisor asks for, and turns replies, wake-ups and lost connections into
// the events NodeSupervisor knows. How there comes to be a connection is in QueueConnection.swift.

import DequeModule
import LinuxSystem
import Logging
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

final class QueueLink {
    /// What an outstanding request was for.
    enum Purpose {
        case register(at: Instant)
        case heartbeat(at: Instant)
        case reconcile(NodeSupervisor.RequestNumber)
        case claim(NodeSupervisor.RequestNumber)
        case report(TaskNumber)
        case earlierReport(ReportStore.Earlier)
        /// `thenClaim`: the claim before it was refused until we had asked.
        case cancellations(thenClaim: Bool)
        case policy
        case sweep
        case sweepPage
        /// Asked for its effect alone.
        case nothing
    }

    /// What requests go out over and replies come in by.
    let redis: QueueConnection

    private var node: NodeIdentity
    private let runner: TaskRunner
    let keys: QueueKeys
    private let machine: String
    private(set) var incarnation: Incarnation
    private(set) var purposes: [RequestIdentifier: Purpose] = [:]
    /// Made once for each ended task and kept until they are answered: the files they were made from may change.
    var reports: [TaskNumber: ReportTask] = [:]
    let store: ReportStore
    /// Reports that wait until more of those before them have gone out, oldest first.
    var withheld: Deque<TaskNumber> = []

    /// When reports that wait for company are sent at the latest; nil while none do.
    private(set) var flushDueNanoseconds: Int64?
    private var unsentReports = 0
    /// Something else waits to be sent, which is not to wait.
    private var hasUrgent = false
    private static let reportDelayNanoseconds: Int64 = 5_000_000
    private static let unsentReportsMax = 32

    /// What was refused lately: the same trouble is told once, not with each request.
    private var refusals = RefusalLog()
    /// Whether somebody ordered, by `distcomp drain`, that this node is given nothing. Redis sees to it.
    private(set) var isDrained = false
    private var hasRegistered = false
    /// As the queue told it last.
    private var silence = 0
    /// When the request was sent whose answer renewed the lease last.
    private var renewedNanoseconds: Int64 = 0
    /// Set when there is no point in going on.
    private(set) var fatalFailure: StartFailure?

    /// - Parameter inherited: the incarnation of the program before this one, whose tasks go on.
    init(_ node: NodeIdentity, _ runner: TaskRunner, incarnation inherited: String? = nil) {
        self.node = node
        self.runner = runner
        keys = QueueKeys(prefix: node.configuration.keyPrefix)
        redis = QueueConnection(node)
        store = ReportStore(path: node.stateDirectory + "/reports", log: node.log)
        machine = Host.machineIdentifier + "-" + node.groupName
        incarnation =
            inherited.map { Incarnation(resuming: $0) }
            ?? Incarnation(name: node.name, machine: machine, life: SystemClock.wallNanoseconds())
    }

    var incarnationText: String { incarnation.text }

    /// The node with new settings, for what is sent from now on.
    func take(_ node: NodeIdentity) { self.node = node }

    var log: Logger { node.log }
    var encoder: ReportEncoder { ReportEncoder(node: node, runner: runner, keys: keys) }

    // MARK: For the loop

    func handle(_ ready: EventLoop.Ready) -> [Event] { translate(redis.handle(ready)) }

    /// Sends what this round of the loop asked for, in one write.
    ///
    /// - Parameter mayWait: nothing is lost by telling of endings a moment later, with others and the next claim.
    func flush(mayWait: Bool) -> [Event] {
        let events = deliverWithheld()
        if mayWait, unsentReports > 0, unsentReports < Self.unsentReportsMax, !hasUrgent, redis.current != nil {
            let now = SystemClock.bootNanoseconds()
            let due = flushDueNanoseconds ?? now + Self.reportDelayNanoseconds
            if now < due {
                flushDueNanoseconds = due
                return events
            }
        }
        (flushDueNanoseconds, unsentReports) = (nil, 0)
        let all = events + translate(redis.flush())
        hasUrgent = redis.wantsWrite  // The socket did not take all.
        return all
    }

    func handleDeadline() -> [Event] { translate(redis.handleDeadline()) }

    // MARK: Asking

    /// Sends the request of `action`. Without a connection nothing is sent: NodeSupervisor asks again once there is one.
    ///
    /// - Parameter now: the time of the decision; leases count from it.
    func send(_ action: Action, at now: Instant) -> [Event] {
        switch action {
        case .register:
            incarnation = Incarnation(name: node.name, machine: machine, life: SystemClock.wallNanoseconds())
            return send(register.request, for: .register(at: now))
        case .heartbeat: return send(heartbeat(now).request, for: .heartbeat(at: now))
        case .reconcile(let number):
            let held = HeldTasks(keys: keys, incarnation: incarnation, withSignatures: node.taskKey != nil)
            return send(held.request, for: .reconcile(number))
        case .claim(let claim): return send(claimRequest(claim), for: .claim(claim.number))
        case .report(let report): return deliver(report)
        case .keep(let report):
            store.keep(report.number, encoded(report))
            return []
        case .launch, .terminate, .kill, .collect, .leave, .measureMemory, .log:
            return []  // Not the queue's.
        }
    }

    /// Tells the queue that this node leaves, and waits for it to hear, but not for long.
    func leave() {
        store.writeAll()
        // What was not answered is delivered by the next life, within the lease of this one: leaving would end it.
        guard reports.isEmpty, let connection = redis.current else { return }
        _ = send(LeaveQueue(keys: keys, incarnation: incarnation).request, for: .nothing)
        let deadline = SystemClock.bootNanoseconds() + 2_000_000_000
        while connection.outstandingCount > 0, connection.failure == nil, SystemClock.bootNanoseconds() < deadline {
            _ = connection.handleWritable(now: SystemClock.bootNanoseconds())
            _ = try? DescriptorWait.until(
                connection.descriptor, readable: true, writable: connection.wantsWrite, atMostMilliseconds: 100)
            _ = connection.handleReadable(now: SystemClock.bootNanoseconds())
        }
        _ = connection.close()
    }

    private func askForCancellations(thenClaim: Bool = false) -> [Event] {
        let request = TakeCancellations(keys: keys, incarnation: incarnation).request
        return send(request, for: .cancellations(thenClaim: thenClaim))
    }

    func send(_ request: RedisRequest, for purpose: Purpose) -> [Event] {
        guard let connection = redis.current else { return [] }
        do {
            purposes[try connection.send(request, now: SystemClock.bootNanoseconds())] = purpose
            if case .report = purpose { unsentReports += 1 } else { hasUrgent = true }
            return []
        } catch {
            return translate(redis.close())
        }
    }

    private var register: RegisterNode {
        RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds,
            status: node.statusText(), node: description, earlier: [Incarnation(resuming: "*")])
    }

    private var description: NodeDescription {
        NodeDescription(
            memoryBytes: node.memoryBytesForTasks, millicores: node.coreCount * 1000, version: version)
    }

    private func heartbeat(_ now: Instant) -> Heartbeat {
        Heartbeat(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: node.statusText(),
            silence: silence, elapsedMilliseconds: Int((now.nanoseconds - renewedNanoseconds) / 1_000_000),
            node: description)
    }

    private func claimRequest(_ claim: NodeSupervisor.Claim) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: claim.count,
            freeMemoryBytes: claim.freeMemoryBytes, freeMillicores: claim.freeMillicores,
            withSignatures: node.taskKey != nil, silence: silence
        ).request
    }

    private var leaseMilliseconds: Int { Int(node.configuration.leaseSeconds * 1000) }

    // MARK: Understanding

    private func translate(_ events: [RedisConnection.Event]) -> [Event] { events.flatMap { translate($0) } }

    private func translate(_ event: RedisConnection.Event) -> [Event] {
        switch event {
        case .ready: return becameReady()
        case .message(_, let payload):
            return payload == Array("cancel".utf8) ? askForCancellations() : [.wake]
        case .lost(let identifier):
            purposes[identifier] = nil
            return []
        case .failed:
            purposes.removeAll()
            withheld.removeAll()
            return [.disconnected]
        case .reply(let identifier, let value):
            guard let purpose = purposes.removeValue(forKey: identifier) else { return [] }
            return understand(value, purpose)
        }
    }

    private func note(isDrained: Bool) {
        if isDrained != self.isDrained {
            log.notice(
                isDrained
                    ? "drained by order: what runs goes on, and nothing new is taken until `distcomp resume \(node.name)`"
                    : "resumed by order: tasks are taken again")
        }
        self.isDrained = isDrained
    }

    private func becameReady() -> [Event] {
        send(.command(RedisCommand("INFO", "memory")), for: .policy) + deliverEarlier()
    }

    private func understand(_ value: RESPValue, _ purpose: Purpose) -> [Event] {
        do throws(QueueError) {
            switch purpose {
            case .register(let sentAt):
                silence = try RegisterNode.parse(value).silence
                renewedNanoseconds = sentAt.nanoseconds
                hasRegistered = true
                return [.registered(sentAt: sentAt)]
            case .heartbeat(let sentAt):
                let reply = try Heartbeat.parse(value)
                if reply.reapedCount > 0 { log.warning("put back \(reply.reapedCount) tasks of nodes that are gone") }
                if reply.recoveredCount > 0 {
                    log.warning("put back \(reply.recoveredCount) tasks that old workers dropped")
                }
                silence = reply.silence
                renewedNanoseconds = sentAt.nanoseconds
                note(isDrained: reply.isDrained)
                return [.leaseRenewed(sentAt: sentAt)] + (reply.closeRequested ? [.closeRequested] : [])
                    + (reply.hasCancellations ? askForCancellations() : [])
            case .claim(let number): return try claimed(value, number)
            case .reconcile(let number):
                return [.held(number, try HeldTasks.parse(value).compactMap { claimedTask($0) })]
            case .report(let number): return [reported(try ReportTask.parse(value), number)]
            case .earlierReport(let earlier): return delivered(earlier, try ReportTask.parse(value))
            case .cancellations(let thenClaim):
                return try TakeCancellations.parse(value).map { .cancelRequested(line: $0) }
                    + (thenClaim ? [.wake] : [])
            case .policy:
                guard let failure = evictionFailure(value, at: address) else { return [] }
                return giveUp(because: "\(failure)")
            case .sweep: return try TodoSweep.parseBegin(value) ? sweep(from: "0") : []
            case .sweepPage: return adopt(try ScanHash.parse(value))
            case .nothing: return []
            }
        } catch {
            return refused(error, purpose)
        }
    }

    private func refused(_ error: QueueError, _ purpose: Purpose) -> [Event] {
        if case .fenced = error { return [.fenced] }
        if case .refused(let reply) = error, reply.remedy == .reconnect { return translate(redis.close()) }
        if case .register = purpose, isFinal(error) { return giveUp(because: "Redis at \(address): \(error)") }
        if refusals.isNews("\(error)", at: SystemClock.bootNanoseconds()) {
            log.warning("Redis at \(address): \(error); asking again, tasks go on")
        }
        switch purpose {
        case .register: return [.requestFailed(.register)]
        case .heartbeat: return [.requestFailed(.heartbeat)]
        case .claim(let number): return [.requestFailed(.claim(number))]
        case .reconcile(let number): return [.requestFailed(.reconcile(number))]
        case .report(let number): return [.requestFailed(.report(number))]
        case .earlierReport(let earlier): return notDelivered(earlier)
        case .cancellations, .policy, .sweep, .sweepPage, .nothing: return []  // The next round asks again by itself.
        }
    }

    /// Whether a refusal to have this node is a mistake in the settings: told at the start, it ends the daemon. One that has been
    /// a member goes on asking, since what changed may be changed back.
    private func isFinal(_ error: QueueError) -> Bool {
        switch error {
        case .nameTaken, .twin, .wrongType: !hasRegistered
        case .refused(let reply): reply.remedy == .giveUp && !hasRegistered
        case .fenced, .unexpectedReply: false
        }
    }

    private func giveUp(because reason: String) -> [Event] {
        fatalFailure = .redis(reason)
        return [.stopRequested, .stopRequested]
    }

    private var address: String { redis.current?.address ?? "\(node.redis)" }

    private func claimed(_ value: RESPValue, _ number: NodeSupervisor.RequestNumber) throws(QueueError) -> [Event] {
        let reply = try ClaimTasks.parse(value)
        let wasRefused = reply.silence != silence
        silence = reply.silence
        if reply.needsSweep { beginSweep() }
        let orders = reply.isHeldBack ? askForCancellations(thenClaim: true) : []
        let due = reply.dueMilliseconds.map { Double($0) / 1000 }
        let tasks = reply.tasks.compactMap { claimedTask($0) }
        return [.claimed(number, tasks, dueSeconds: due)] + (reply.closeRequested ? [.closeRequested] : []) + orders
            + (wasRefused ? [.wake] : [])
    }

    /// What may not be run here fails, with the reason, and goes to NodeSupervisor at no time.
    private func claimedTask(_ claimed: ClaimTasks.Claimed) -> NodeSupervisor.ClaimedTask? {
        switch LineInspection(node).result(of: claimed) {
        case .task(let task): return task
        case .refused(let refusal):
            log.warning("not run: \(refusal.reason)", metadata: ["task": "\(claimed.line)"])
            let report = ReportTask(
                keys: keys, incarnation: incarnation, line: claimed.line, token: claimed.token, result: refusal.result)
            _ = send(report.request, for: .nothing)
            return nil
        }
    }
}

// The daemon's side of the queue: it sends what NodeSupervisor asks for, and turns replies, wake-ups and lost connections into
// the events NodeSupervisor knows. A connection that fails is replaced, after a pause, for as long as the daemon lives.

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
        case cancellations
        case policy
        case sweep
        case sweepPage
        /// Asked for its effect alone.
        case nothing
    }

    private enum State {
        case connecting(RedisConnection)
        case ready(RedisConnection, sinceNanoseconds: Int64)
        case waiting(untilNanoseconds: Int64)
    }

    private let node: NodeIdentity
    let log: Logger
    let encoder: ReportEncoder
    private let keys: QueueKeys
    private let options: RedisConnectionOptions
    private let machine: String
    private(set) var incarnation: Incarnation
    private var state = State.waiting(untilNanoseconds: 0)
    private var delay = ReconnectDelay()
    private(set) var purposes: [RequestIdentifier: Purpose] = [:]
    /// Made once for each ended task and kept until they are answered: the files they were made from may change.
    var reports: [TaskNumber: ReportTask] = [:]
    let store: ReportStore
    /// Reports that wait until more of those before them have gone out, oldest first.
    var withheld: Deque<TaskNumber> = []

    /// Counts connections, so that the loop can tell a new one from the one before that had the same descriptor.
    private(set) var generation = 0
    /// Set when there is no point in going on.
    private(set) var fatalFailure: StartFailure?

    init(_ node: NodeIdentity, _ runner: TaskRunner) {
        self.node = node
        log = node.log
        keys = QueueKeys(prefix: node.configuration.keyPrefix)
        encoder = ReportEncoder(node: node, runner: runner, keys: keys)
        var options = RedisConnectionOptions(node.endpoint)
        options.session.clientName = "distcompd-" + node.name
        options.session.scripts = QueueScripts.forNodes
        options.session.channels = [keys.wakeChannel]
        self.options = options
        store = ReportStore(path: node.stateDirectory + "/reports", log: node.log)
        machine = Host.machineIdentifier + "-" + node.groupName
        incarnation = Incarnation(name: node.name, machine: machine, life: SystemClock.bootNanoseconds())
    }

    // MARK: For the loop

    var descriptor: Int32? { connection?.descriptor }
    var wantsWrite: Bool { connection?.wantsWrite ?? false }

    var nextDeadlineNanoseconds: Int64? {
        switch state {
        case .connecting(let connection), .ready(let connection, _): connection.nextDeadlineNanoseconds
        case .waiting(let until): until
        }
    }

    func handle(_ ready: EventLoop.Ready) -> [Event] {
        guard let connection else { return [] }
        let now = SystemClock.bootNanoseconds()
        let written = ready.isWritable ? connection.handleWritable(now: now) : []
        return translate(written + connection.handleReadable(now: now))
    }

    /// Sends what this round of the loop asked for, in one write.
    func flush() -> [Event] {
        let events = deliverWithheld()
        guard let connection, connection.wantsWrite else { return events }
        return events + translate(connection.handleWritable(now: SystemClock.bootNanoseconds()))
    }

    func handleDeadline() -> [Event] {
        let now = SystemClock.bootNanoseconds()
        switch state {
        case .connecting(let connection), .ready(let connection, _):
            return translate(connection.handleDeadline(now: now))
        case .waiting(let until):
            if now >= until { beginConnecting(now) }
            return []
        }
    }

    // MARK: Connecting

    /// The first connection, waited for: what is wrong with the settings shows now.
    func connectFirst() throws(StartFailure) {
        do {
            // A blocking client tries every address, and tells refusals from silence. The loop's own connection follows.
            let client = try BlockingRedisClient(node.endpoint, options: options)
            let reply = try client.call(.command(RedisCommand("INFO", "memory")))
            if let problem = evictionProblem(reply, at: node.endpoint) { throw StartFailure.redis(problem) }
        } catch let failure as RedisFailure {
            throw .redis("\(failure)")
        } catch let failure as StartFailure {
            throw failure
        } catch {
            throw .redis("\(error)")
        }
        beginConnecting(SystemClock.bootNanoseconds())
    }

    var connection: RedisConnection? {
        switch state {
        case .connecting(let connection), .ready(let connection, _): connection
        case .waiting: nil
        }
    }

    private func beginConnecting(_ now: Int64) {
        do throws(RedisFailure) {
            let addresses = try node.endpoint.addresses()
            // One that does not answer is followed by another at the next try.
            let address = addresses[generation % addresses.count]
            generation += 1
            state = .connecting(
                try RedisConnection(connectingTo: address, named: "\(node.endpoint)", options: options, now: now))
        } catch {
            pause(after: error, now)
        }
    }

    private func pause(after failure: RedisFailure, _ now: Int64) {
        let nanoseconds = delay.next(random: randomUInt64())
        state = .waiting(untilNanoseconds: now + nanoseconds)
        log.warning("\(failure); retrying in \(nanoseconds / 1_000_000) ms, tasks go on")
    }

    // MARK: Asking

    /// Sends the request of `action`. Without a connection nothing is sent: NodeSupervisor asks again once there is one.
    ///
    /// - Parameter now: the time of the decision; leases count from it.
    func send(_ action: Action, at now: Instant) -> [Event] {
        switch action {
        case .register:
            incarnation = Incarnation(name: node.name, machine: machine, life: SystemClock.bootNanoseconds())
            return send(register.request, for: .register(at: now))
        case .heartbeat: return send(heartbeat(now).request, for: .heartbeat(at: now)) + askForCancellations()
        case .reconcile(let number):
            return send(HeldTasks(keys: keys, incarnation: incarnation).request, for: .reconcile(number))
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
        guard reports.isEmpty, case .ready(let connection, _) = state else { return }
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

    private func askForCancellations() -> [Event] {
        send(TakeCancellations(keys: keys, incarnation: incarnation).request, for: .cancellations)
    }

    func send(_ request: RedisRequest, for purpose: Purpose) -> [Event] {
        guard case .ready(let connection, _) = state else { return [] }
        do {
            purposes[try connection.send(request, now: SystemClock.bootNanoseconds())] = purpose
            return []
        } catch {
            return translate(connection.close())
        }
    }

    private var register: RegisterNode {
        RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds,
            memoryBytes: node.memoryBytesForTasks, millicores: node.coreCount * 1000, status: node.statusText())
    }

    private func heartbeat(_ now: Instant) -> Heartbeat {
        var mayReap = false
        // After an outage every lease looks over: others get the time of one to come back.
        if case .ready(_, let since) = state {
            mayReap = now.nanoseconds - since > Int64(leaseMilliseconds) * 1_000_000
        }
        return Heartbeat(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, status: node.statusText(),
            mayReap: mayReap)
    }

    private func claimRequest(_ claim: NodeSupervisor.Claim) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: claim.count,
            freeMemoryBytes: claim.freeMemoryBytes, freeMillicores: claim.freeMillicores
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
        case .failed(let failure):
            purposes.removeAll()
            withheld.removeAll()
            let wasReady = if case .ready = state { true } else { false }
            pause(after: failure, SystemClock.bootNanoseconds())
            return wasReady ? [.disconnected] : []
        case .reply(let identifier, let value):
            guard let purpose = purposes.removeValue(forKey: identifier) else { return [] }
            return understand(value, purpose)
        }
    }

    private func becameReady() -> [Event] {
        guard case .connecting(let connection) = state else { return [] }
        state = .ready(connection, sinceNanoseconds: SystemClock.bootNanoseconds())
        delay.reset()
        log.info(
            "connected", metadata: ["redis": "\(node.endpoint)", "version": "\(connection.server?.version ?? "?")"])
        return send(.command(RedisCommand("INFO", "memory")), for: .policy) + deliverEarlier()
    }

    private func understand(_ value: RESPValue, _ purpose: Purpose) -> [Event] {
        do throws(QueueError) {
            switch purpose {
            case .register(let sentAt):
                try RegisterNode.parse(value)
                return [.registered(sentAt: sentAt)]
            case .heartbeat(let sentAt):
                let reply = try Heartbeat.parse(value)
                if reply.reapedCount > 0 { log.warning("put back \(reply.reapedCount) tasks of nodes that are gone") }
                return [.leaseRenewed(sentAt: sentAt)] + (reply.closeRequested ? [.closeRequested] : [])
            case .claim(let number): return try claimed(value, number)
            case .reconcile(let number):
                return [.held(number, try HeldTasks.parse(value).compactMap { claimedTask($0) })]
            case .report(let number): return [reported(try ReportTask.parse(value), number)]
            case .earlierReport(let earlier): return delivered(earlier, try ReportTask.parse(value))
            case .cancellations: return try TakeCancellations.parse(value).map { .cancelRequested(line: $0) }
            case .policy:
                guard let problem = evictionProblem(value, at: node.endpoint) else { return [] }
                fatalFailure = .redis(problem)
                return [.stopRequested, .stopRequested]
            case .sweep: return value.isNull ? [] : sweep(from: "0")
            case .sweepPage: return try adopt(value)
            case .nothing: return []
            }
        } catch {
            return refused(error, purpose)
        }
    }

    private func refused(_ error: QueueError, _ purpose: Purpose) -> [Event] {
        if error == .fenced { return [.fenced] }
        if case .refused(let reply) = error, reply.remedy == .reconnect, let connection {
            return translate(connection.close())
        }
        log.warning("\(error); asking again")
        switch purpose {
        case .register:
            if case .nameTaken = error {
                fatalFailure = .redis("\(error)")
                return [.stopRequested, .stopRequested]
            }
            return [.requestFailed(.register)]
        case .heartbeat: return [.requestFailed(.heartbeat)]
        case .claim(let number): return [.requestFailed(.claim(number))]
        case .reconcile(let number): return [.requestFailed(.reconcile(number))]
        case .report(let number): return [.requestFailed(.report(number))]
        case .earlierReport(let earlier): return notDelivered(earlier)
        case .cancellations, .policy, .sweep, .sweepPage, .nothing: return []  // The next round asks again by itself.
        }
    }

    private func claimed(_ value: RESPValue, _ number: NodeSupervisor.RequestNumber) throws(QueueError) -> [Event] {
        let reply = try ClaimTasks.parse(value)
        if reply.needsSweep { beginSweep() }
        let due = reply.dueMilliseconds.map { Double($0) / 1000 }
        let tasks = reply.tasks.compactMap { claimedTask($0) }
        return [.claimed(number, tasks, dueSeconds: due)] + (reply.closeRequested ? [.closeRequested] : [])
    }

    /// A line that cannot be read got into the index by no hand of ours. It fails, with the reason, and goes to no one.
    private func claimedTask(_ claimed: ClaimTasks.Claimed) -> NodeSupervisor.ClaimedTask? {
        do {
            let line = try TaskLine(parsing: claimed.line)
            return NodeSupervisor.ClaimedTask(line: line, token: claimed.token, attempt: claimed.attempt)
        } catch {
            let report = ReportTask(
                keys: keys, incarnation: incarnation, line: claimed.line, token: claimed.token,
                result: .failed(reason: "not a task line: \(error)", record: "{}", attemptsMax: 0, retryMilliseconds: 0)
            )
            _ = send(report.request, for: .nothing)
            return nil
        }
    }

    // MARK: Lines without an index

    /// One node at a time looks through todo for lines that an old manager put there.
    private func beginSweep() {
        let lock = RedisCommand("SET", keys.sweeper, incarnation.text, "NX", "PX", "5000")
        _ = send(.command(lock), for: .sweep)
    }

    private func sweep(from cursor: String) -> [Event] {
        send(ScanHash(keys.todo, cursor: cursor).request, for: .sweepPage)
    }

    private func adopt(_ value: RESPValue) throws(QueueError) -> [Event] {
        let page = try ScanHash.parse(value)
        var lines: [TaskLine] = []
        for (field, _) in page.entries where field != Array(TaskLine.closeCommand.utf8) {
            do throws(TaskLineError) {
                let line = try TaskLine(parsing: field)
                // The field is the task's name everywhere; one that is not exactly the line could not be found again.
                if Array(line.text.utf8) == field {
                    lines.append(line)
                } else {
                    reject(field, "there is white space around it")
                }
            } catch {
                reject(field, "\(error)")
            }
        }
        while !lines.isEmpty {
            _ = send(AdoptLines(Array(lines.prefix(SubmitTasks.linesMax)), keys: keys).request, for: .nothing)
            lines.removeFirst(min(lines.count, SubmitTasks.linesMax))
        }
        return page.cursor == "0" ? [.wake] : sweep(from: page.cursor)
    }

    private func reject(_ field: [UInt8], _ reason: String) {
        log.warning("a line in todo is no task: \(reason)")
        _ = send(RejectLine(field, reason: "not a task line: \(reason)", keys: keys).request, for: .nothing)
    }
}

/// Why this Redis must not hold a queue, from its reply to INFO memory; nil when it may.
func evictionProblem(_ information: RESPValue, at endpoint: RedisEndpoint) -> String? {
    let name = "maxmemory_policy:"
    let lines = (information.string ?? "").split(whereSeparator: \.isNewline)
    guard let policy = lines.first(where: { $0.hasPrefix(name) })?.dropFirst(name.count), policy != "noeviction" else {
        return nil
    }
    return "Redis at \(endpoint) may throw tasks away (maxmemory-policy \(policy)): set it to noeviction"
}

// Sockets and files for what NodeProtocol says: it sends what the protocol asks, brings it what comes back, and keeps reports on
// the disk. Nothing is decided here. How there comes to be a connection is in QueueConnection.swift.

import DequeModule
import LinuxSystem
import Logging
import NodeProtocol
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

final class QueueLink {
    /// What requests go out over and replies come in by.
    let redis: QueueConnection

    private var node: NodeIdentity
    private let runner: TaskRunner
    private var dialogue: NodeProtocol
    private var numbers: [RequestIdentifier: NodeProtocol.RequestNumber] = [:]
    private var encoder: ReportEncoder
    private let store: ReportStore
    /// The tokens of what the encoder was given, by the number of the task.
    private var encodingTokens: [TaskNumber: String] = [:]

    /// When reports that wait for company are sent at the latest; nil while none do.
    private(set) var flushDueNanoseconds: Int64?
    private var unsentReports = 0
    /// Something else waits to be sent, which is not to wait.
    private var hasUrgent = false
    /// That the lives of this node cannot be written down has been said, and is so still.
    private var hasToldOfLives = false
    private static let reportDelayNanoseconds: Int64 = 5_000_000
    private static let unsentReportsMax = 32

    /// Set when there is no point in going on.
    private(set) var fatalFailure: StartFailure?
    /// Everything is said.
    private(set) var hasLeft = false

    /// - Parameter incarnation: of the program before this one, whose tasks go on.
    /// - Parameter running: the tasks it handed over.
    init(
        _ node: NodeIdentity, _ runner: TaskRunner, incarnation: String? = nil,
        running: [NodeSupervisor.ClaimedTask] = []
    ) {
        self.node = node
        self.runner = runner
        redis = QueueConnection(node)
        encoder = ReportEncoder(settings: ReportEncoder.Settings(node)) { runner.output(of: $0) }
        store = ReportStore(path: node.stateDirectory + "/reports", log: node.log)
        encoder = ReportEncoder(settings: ReportEncoder.Settings(node)) { runner.output(of: $0) }
        dialogue = NodeProtocol(
            facts: NodeProtocol.Facts(node), incarnation: incarnation.map { Incarnation(resuming: $0) },
            earlierLives: readLives(of: node), running: running)
    }

    var incarnationText: String { dialogue.incarnation.text }
    var isDrained: Bool { dialogue.isDrained }
    /// How many reports Redis has not answered.
    var unansweredReportCount: Int { dialogue.unansweredReportCount }
    /// How many connections failed or were given up.
    private(set) var connectionsLost = 0
    /// Whether nothing is under way that a program executed in our place could not know of.
    var isAtRest: Bool { dialogue.isAtRest && !store.hasWork }
    private var log: Logger { node.log }

    /// The node with new settings, for what is sent from now on.
    func take(_ node: NodeIdentity) {
        self.node = node
        encoder.settings = ReportEncoder.Settings(node)
        dialogue.facts.take(node)
    }

    // MARK: For the loop

    func handle(_ ready: EventLoop.Ready) -> [Event] { translate(redis.handle(ready)) }

    /// The loop cannot wait for the connection: it is lost.
    func abandonConnection(for reason: SystemError) -> [Event] { translate(redis.abandon(for: reason)) }

    func handleDeadline() -> [Event] { translate(redis.handleDeadline()) + hear(.tick) }

    var nextDeadlineNanoseconds: Int64? {
        [redis.nextDeadlineNanoseconds, dialogue.nextDeadline?.nanoseconds, flushDueNanoseconds].compactMap { $0 }.min()
    }

    /// What is done a little of in every round.
    var hasWork: Bool { encoder.hasWork || store.hasWork }

    /// Does a little of it.
    func work() -> [Event] {
        var events: [Event] = []
        if encoder.hasWork, let done = encoder.step() { events += encoded(done) }
        if let done = store.step() { events += hear(.stored(token: done.token, isStored: done.isStored)) }
        return events
    }

    /// Sends what this round of the loop asked for, in one write.
    ///
    /// - Parameter mayWait: nothing is lost by telling of endings a moment later, with others and the next claim.
    func flush(mayWait: Bool) -> [Event] {
        if mayWait, unsentReports > 0, unsentReports < Self.unsentReportsMax, !hasUrgent, redis.current != nil {
            let now = SystemClock.bootNanoseconds()
            let due = flushDueNanoseconds ?? now + Self.reportDelayNanoseconds
            if now < due {
                flushDueNanoseconds = due
                return []
            }
        }
        (flushDueNanoseconds, unsentReports) = (nil, 0)
        let events = translate(redis.flush())
        hasUrgent = redis.wantsWrite  // The socket did not take all.
        return events
    }

    // MARK: The supervisor's side

    /// Passes on what the supervisor asks of the queue.
    ///
    /// - Parameter trouble: why no task is started here; nil while all is well.
    func ask(_ action: Action, at now: Instant, trouble: String?) -> [Event] {
        switch action {
        case .register:
            measure(trouble)
            return hear(.register, at: now)
        case .heartbeat:
            measure(trouble)
            return hear(.heartbeat, at: now)
        case .reconcile(let number): return hear(.reconcile(number), at: now)
        case .claim(let claim): return hear(.claim(claim), at: now)
        case .report(let report): return hear(.report(report), at: now)
        case .forget(_, let token): return hear(.forget(token: token), at: now)
        case .leaseLost: return hear(.leaseLost, at: now)
        case .leave: return hear(.leave, at: now)
        case .launch, .terminate, .signal, .kill, .collect, .tryLaunch, .measureMemory, .takeBackMemory, .log:
            return []  // Not the queue's.
        }
    }

    private func measure(_ trouble: String?) {
        dialogue.facts.statusText = node.statusText()
        dialogue.facts.wallNanoseconds = SystemClock.wallNanoseconds()
        dialogue.facts.trouble = trouble
        dialogue.facts.devices = runner.deviceReadings(of: node.resources)
        dialogue.facts.queueCandidate = QueueIdentity()
    }

    // MARK: The protocol's side

    /// Tells the protocol, and does what it asks for, and tells it what came of that, until there is nothing more.
    ///
    /// - Returns: what the supervisor is to hear.
    private func hear(_ event: NodeProtocol.Event, at now: Instant? = nil) -> [Event] {
        let now = now ?? Instant(nanoseconds: SystemClock.bootNanoseconds())
        var pending: Deque<NodeProtocol.Event> = []
        var told: [Event] = []
        var next: NodeProtocol.Event? = event
        while let current = next {
            for action in dialogue.handle(current, at: now) { perform(action, &pending, &told) }
            next = pending.popFirst()
        }
        return told
    }

    private func perform(
        _ action: NodeProtocol.Action, _ pending: inout Deque<NodeProtocol.Event>, _ told: inout [Event]
    ) {
        switch action {
        case .send(let number, let request, let isUrgent):
            guard let connection = redis.current,
                let identifier = try? connection.send(request, now: SystemClock.bootNanoseconds())
            else { return close(&pending) }
            numbers[identifier] = number
            if isUrgent { hasUrgent = true } else { unsentReports += 1 }
        case .closeConnection: close(&pending)
        case .tell(let event): told.append(event)

        case .encode(let token, let report):
            encodingTokens[report.number] = token
            encoder.add(report.number, report)
            // Most are small and done at once; the others a little in every round.
            if let done = encoder.step() { pending.append(contentsOf: encodedEvents(done)) }
        case .store(let token, let report): store.add(token, report)
        case .release(let token, let number):
            store.remove(token)
            if let number {
                encoder.drop(number)
                runner.forget(number)
            }
        case .readEarlierReports: pending.append(.earlierReports(store.nextEarlier()))
        case .releaseEarlierReport(let name): store.removeEarlier(name)
        case .leaveEarlierReport(let name): store.leaveEarlier(name)

        case .readOutput(let request): pending.append(.outputRead(request, runner.output(askedFor: request)))

        case .rememberLives(let lives): pending.append(.livesRemembered(remember(lives)))
        case .giveUp(let reason):
            fatalFailure = .redis("Redis at \(address): \(reason)")
            told += [.stopRequested, .stopRequested]
        case .left: hasLeft = true
        case .log(let event):
            let level: Logger.Level =
                switch event.level {
                case .info: .info
                case .notice: .notice
                case .warning: .warning
                }
            let prefix = event.isAboutServer ? "Redis at \(address): " : ""
            log.log(level: level, "\(prefix)\(event)", metadata: event.line.map { ["task": "\($0)"] } ?? [:])
        }
    }

    private func close(_ pending: inout Deque<NodeProtocol.Event>) {
        _ = redis.close()
        connectionsLost += 1
        numbers.removeAll()
        pending.append(.disconnected)
    }

    private func encoded(_ done: (TaskNumber, ReportTask.Result)) -> [Event] {
        encodedEvents(done).flatMap { hear($0) }
    }

    private func encodedEvents(_ done: (TaskNumber, ReportTask.Result)) -> [NodeProtocol.Event] {
        encodingTokens.removeValue(forKey: done.0).map { [.encoded(token: $0, done.1)] } ?? []
    }

    private var address: String { redis.current?.address ?? "\(node.redis)" }

    // MARK: The connection's side

    private func translate(_ events: [RedisConnection.Event]) -> [Event] { events.flatMap { translate($0) } }

    private func translate(_ event: RedisConnection.Event) -> [Event] {
        switch event {
        case .ready: return hear(.connected(localAddress: redis.current?.localHost ?? ""))
        case .message(_, let payload): return hear(.message(payload))
        case .lost(let identifier):
            numbers[identifier] = nil
            return []
        case .failed:
            connectionsLost += 1
            numbers.removeAll()
            return hear(.disconnected)
        case .reply(let identifier, let value):
            guard let number = numbers.removeValue(forKey: identifier) else { return [] }
            return hear(.reply(number, value))
        }
    }

    // MARK: The end

    /// Writes to the disk what is still to be written, and closes the connection: for a daemon that is about to end.
    func finish() {
        while store.hasWork { _ = store.step() }
        _ = redis.current?.close()
    }
}

extension NodeProtocol.Facts {
    init(_ node: NodeIdentity) {
        self.init(
            name: node.name, machine: Host.machineIdentifier + "-" + node.groupName,
            keyPrefix: node.configuration.keyPrefix, leaseSeconds: node.configuration.leaseSeconds,
            memoryBytes: node.memoryBytesForTasks, millicores: node.allowance.millicores, version: distcompd.version,
            queueCandidate: QueueIdentity())
        taskKey = node.taskKey
        leaveWithinSeconds = NodeSupervisor.Settings(node).leaveWithinSeconds
        wallNanoseconds = SystemClock.wallNanoseconds()
        take(node)
    }

    /// What can change while the daemon runs: of the settings, and of what the node has.
    mutating func take(_ node: NodeIdentity) {
        memoryBytes = node.memoryBytesForTasks
        millicores = node.allowance.millicores
        labels = node.configuration.labels
        resources = node.resources.totals
        leaseSeconds = node.configuration.leaseSeconds
        killsWhenCutOff = node.configuration.whenCutOff == .kill
        attemptsMax = node.configuration.maxRetryPerTask
        retryDelaySeconds = node.configuration.retryDelaySeconds
        reserving = ReservingSettings(
            afterMilliseconds: Int(node.configuration.reserveAfterSeconds * 1000),
            timeoutMilliseconds: Int(node.configuration.defaultTaskTimeoutSeconds * 1000),
            graceMilliseconds: Int(node.configuration.killGraceSeconds * 1000))
        retention = Retention(
            keepSeconds: node.configuration.resultsKeepDays * 86_400, keepCount: node.configuration.resultsKeepCount,
            bytesMax: node.configuration.resultsRedisBytesMax)
    }
}

// MARK: - The lives of this node

/// The file that says which incarnations were this node's: a line each.
private let livesFile = "lives"

/// None when no file tells: a first start, or a state directory that was emptied.
private func readLives(of node: NodeIdentity) -> [String] {
    guard let bytes = try? node.stateFiles.contents(of: livesFile) else { return [] }
    return String(decoding: bytes.prefix(8192), as: UTF8.self).split(separator: "\n").map(String.init)
}

extension QueueLink {
    /// Without the file nothing is lost but that a restart within a lease waits for that to end.
    ///
    /// - Returns: whether it was written.
    private func remember(_ lives: [String]) -> Bool {
        do throws(SystemError) {
            let bytes = Array((lives.joined(separator: "\n") + "\n").utf8)
            try node.stateFiles.replace(livesFile, with: bytes, mode: 0o600)
            hasToldOfLives = false
            return true
        } catch {
            if !hasToldOfLives {
                node.log.warning("\(error); should this daemon be restarted soon, it waits for its lease to end first")
            }
            hasToldOfLives = true
            return false
        }
    }
}

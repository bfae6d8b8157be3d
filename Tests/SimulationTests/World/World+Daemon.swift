// The daemon's part: what is ready becomes events, and actions are performed, as distcompd's Daemon and QueueLink do it.

import DequeModule
import NodeSupervisor
import QueueModel
import RedisClient
import TaskModel
import TaskQueue

@testable import NodeProtocol

extension World {
    // MARK: - Lives

    func start(_ node: SimulatedNode) {
        guard !node.isUp else { return }
        count("start")
        node.life += 1
        node.isUp = true
        (node.hasLeft, node.isDone) = (false, false)
        node.diedAt = nil
        node.tasks = [:]
        (node.taskCount, node.memoryBytes, node.millicores, node.lastNumber) = (0, 0, 0, 0)
        node.devices = [:]
        (node.isStopping, node.leavesSince, node.wasLow) = (false, nil, node.memoryShortUntil > now)
        node.cancelledLines = []
        node.disk.earlier = node.disk.files.map(\.name)
        node.supervisor = NodeSupervisor(settings: node.settings)
        begin(node, incarnation: nil, running: [])
    }

    /// A program begins: the first of a life, or one that another has executed in its place.
    private func begin(_ node: SimulatedNode, incarnation: String?, running: [NodeSupervisor.ClaimedTask]) {
        var facts = SimulatedNode.facts(node.name, node.machine, node.settings, scenario)
        facts.wallNanoseconds = wall(node)
        node.dialogue = NodeProtocol(
            facts: facts, incarnation: incarnation.map { Incarnation(resuming: $0) },
            earlierLives: node.disk.lives ?? [],
            running: running)
        node.launches = []
        node.ended = []
        node.inbox = []
        node.isRoundScheduled = false
        node.timerAt = nil
        node.timerIsDue = false
        node.delay.reset()
        node.link = .waiting(until: node.clock(at: now))
        node.encoding = nil
        node.unwritten = []
        node.settlesUntil = nil
        wake(node)
    }

    private func wall(_ node: SimulatedNode) -> Int64 {
        max(1, node.clock(at: now).nanoseconds - node.clockOffset + 1_700_000_000_000_000_000 + node.wallOffset)
    }

    /// The daemon is gone, and with it what it ran.
    func end(_ node: SimulatedNode, isKilled: Bool) {
        guard node.isUp else { return }
        node.isUp = false
        node.life += 1
        node.diedAt = now
        if let connection = node.connection ?? connecting(node) { closeAtClient(connection) }
        for token in node.tasks.values where token.isMainAlive { judge.runs[token.token] = nil }
        judge.lifeEnds(node, queue)
        if isKilled {
            count("kill")
            // What was being written is on the disk, or not.
            if let next = node.unwritten.first, chance.oneIn(2) { write(next, node) }
        } else {
            while let next = node.unwritten.popFirst() { write(next, node) }
        }
        node.tasks = [:]
        node.inbox = []
        node.machineStoppedAt = nil
        node.pausedUntil = 0
    }

    private func connecting(_ node: SimulatedNode) -> Connection? {
        if case .connecting(let connection, _) = node.link { connection } else { nil }
    }

    // MARK: - A round of the loop

    func round(_ node: SimulatedNode) {
        node.isRoundScheduled = false
        guard node.isUp, !node.hasLeft else { return }
        if node.pausedUntil > now { return wake(node) }
        var inputs = node.inbox
        node.inbox.removeAll(keepingCapacity: true)
        let isTimerDue = node.timerIsDue
        node.timerIsDue = false
        trace("\(node.name) round: \(inputs.count) inputs\(isTimerDue ? ", timer" : "")")
        // What comes from different descriptors comes in any order.
        var timerFirst = isTimerDue && node.numbers.oneIn(2)
        while !inputs.isEmpty || timerFirst {
            if timerFirst {
                timerFirst = false
                decide(handleDeadline(node) + [.tick], node)
                continue
            }
            var events: [NodeSupervisor.Event] = []
            if case .supervisor(let first) = inputs[0] {
                events.append(first)
                inputs.removeFirst()
                while case .supervisor(let next)? = inputs.first {
                    events.append(next)
                    inputs.removeFirst()
                }
            } else {
                var isLoss = false
                while !isLoss, let next = inputs.first {
                    if case .supervisor = next { break }
                    if case .broken = next { isLoss = true }
                    inputs.removeFirst()
                    events += translate(next, node)
                }
            }
            decide(events, node)
            if failed || !node.isUp || node.hasLeft { return settle(node, ticked: false) }
        }
        if isTimerDue { decide(handleDeadline(node) + [.tick], node) }
        launchSome(node)
        while !failed, let number = node.ended.popFirst() { decide([collect(number, node)], node) }
        decide(work(node), node)
        decide(reExecIfSettled(node), node)
        settle(node, ticked: isTimerDue)
    }

    private var failed: Bool { failure != nil }

    /// What is seen to after each round.
    private func settle(_ node: SimulatedNode, ticked: Bool) {
        if failed { return }
        if node.hasLeft {
            count("leave")
            end(node, isKilled: false)
            if node.gaveUp == nil {
                schedule(
                    .start(node, life: node.life), in: judge.restarts.removeValue(forKey: node.index) ?? 1_000_000_000)
            }
            return
        }
        guard node.isUp else { return }
        judgeMachine(node, ticked: ticked)
        arm(node)
        if hasWorkLeft(node) { wake(node) }
    }

    private func hasWorkLeft(_ node: SimulatedNode) -> Bool {
        if node.encoding != nil || !node.unwritten.isEmpty || !node.ended.isEmpty { return true }
        guard let next = node.launches.first else { return false }
        return node.supervisor.launchTurn(of: next.number, at: node.clock(at: now)) != .later
    }

    private func arm(_ node: SimulatedNode) {
        var deadlines = [node.supervisor.nextDeadline, node.dialogue.nextDeadline, node.settlesUntil].compactMap { $0 }
        switch node.link {
        case .waiting(let until): deadlines.append(until)
        case .connecting(_, let deadline): deadlines.append(deadline)
        case .ready(let connection, _):
            if let oldest = connection.outstanding.first {
                deadlines.append(oldest.sentAt.advanced(bySeconds: node.replyTimeoutSeconds))
            }
        }
        guard let earliest = deadlines.min() else { return }
        let local = node.clock(at: now)
        if earliest <= local { node.immediateTimers += 1 } else { node.immediateTimers = 0 }
        if node.immediateTimers > 200 { return fail("\(node.name) is never done: its next deadline is always over") }
        // Timers are a little late.
        let late = node.numbers.oneIn(4) ? node.numbers.nanoseconds(0, 0.004) : 0
        let at = max(now, node.world(at: earliest)) + late + 1
        if let timerAt = node.timerAt, timerAt <= at, timerAt > now { return }
        node.timerAt = at
        schedule(.timer(node, life: node.life), at: at)
    }

    // MARK: - Deadlines and inputs

    private func handleDeadline(_ node: SimulatedNode) -> [NodeSupervisor.Event] {
        let local = node.clock(at: now)
        var events: [NodeSupervisor.Event] = []
        switch node.link {
        case .waiting(let until): if until <= local { connect(node) }
        case .connecting(let connection, let deadline):
            if deadline <= local {
                count("no handshake in time")
                closeAtClient(connection)
                pause(node)
            }
        case .ready(let connection, _):
            let limit = local.advanced(bySeconds: -node.replyTimeoutSeconds)
            // Perhaps it is we who slept, and the reply has been there all along.
            if let oldest = connection.outstanding.first, oldest.sentAt <= limit,
                !node.inbox.contains(where: { if case .reply = $0 { true } else { false } })
            {
                count("no reply in time")
                closeAtClient(connection)
                pause(node)
                events += hear(.disconnected, node)
            }
        }
        return events + hear(.tick, node)
    }

    private func translate(_ input: Input, _ node: SimulatedNode) -> [NodeSupervisor.Event] {
        switch input {
        case .supervisor(let event): return [event]
        case .ready(let connection):
            guard case .connecting(let current, _) = node.link, current === connection else { return [] }
            node.link = .ready(connection, since: node.clock(at: now))
            return hear(.connected(localAddress: node.address), node)
        case .broken(let connection):
            switch node.link {
            case .connecting(let current, _) where current === connection:
                pause(node)
                return []
            case .ready(let current, _) where current === connection:
                pause(node)
                connection.outstanding.removeAll()
                return hear(.disconnected, node)
            case .waiting, .connecting, .ready: return []
            }
        case .message(let connection, let payload):
            guard node.connection === connection else { return [] }
            return hear(.message(Array(payload.utf8)), node)
        case .reply(let connection, let number, let value):
            guard node.connection === connection else { return [] }
            if let index = connection.outstanding.firstIndex(where: { $0.number == number }) {
                connection.outstanding.remove(at: index)
            }
            return hear(.reply(number, value), node)
        }
    }

    // MARK: - The supervisor

    private func decide(_ events: [NodeSupervisor.Event], _ node: SimulatedNode) {
        var pending = events
        while !pending.isEmpty, !failed {
            eventCount += pending.count
            let local = node.clock(at: now)
            for event in pending { noteHeard(event, node) }
            let actions = node.supervisor.handle(pending, at: local)
            pending = actions.flatMap { perform($0, node, at: local) }
        }
    }

    private func perform(
        _ action: NodeSupervisor.Action, _ node: SimulatedNode, at local: Instant
    ) -> [NodeSupervisor.Event] {
        switch action {
        case .launch(let number, let task):
            admit(number, task, node)
            node.launches.append((number, task))
            return []
        case .terminate(let number):
            terminate(number, node)
            return []
        case .signal(let number, _):
            _ = known(number, node, "a signal")
            return []
        case .kill(let number):
            kill(number, node)
            return []
        case .collect(let number):
            node.ended.append(number)
            return []
        case .register, .heartbeat:
            node.dialogue.facts.statusText = "1:0:1:0:1"
            node.dialogue.facts.wallNanoseconds = wall(node)
            node.dialogue.facts.trouble = node.supervisor.trouble.map { "\($0)" }
            node.dialogue.facts.queueCandidate = queueCandidate()
            let events = hear(action == .register ? .register : .heartbeat, node, at: local)
            return action == .register ? events : events + [.memory(availableBytes: available(node))]
        case .reconcile(let number): return hear(.reconcile(number), node, at: local)
        case .claim(let claim):
            if node.leavesSince != nil { fail("\(node.name) claims while it leaves") }
            if claim.count < 1, !claim.leavesIfIdle { fail("\(node.name) claims nothing") }
            return hear(.claim(claim), node, at: local)
        case .report(let report):
            check(report, node)
            return hear(.report(report), node, at: local)
        case .forget(_, let token): return hear(.forget(token: token), node, at: local)
        case .leaseLost:
            judge.leaseLost(node)
            return hear(.leaseLost, node, at: local)
        case .leave:
            if node.leavesSince == nil { fail("\(node.name) leaves unasked") }
            node.isDone = true
            return hear(.leave, node, at: local)
        case .measureMemory: return [.memory(availableBytes: available(node))]
        case .takeBackMemory: return []  // There is nothing of ended tasks in these nodes.
        case .tryLaunch:
            count("trial")
            let failure = now < node.cannotLaunchUntil ? SimulatedTask.Plan.nodeFailure : nil
            if node.numbers.oneIn(2) { return [.trialEnded(failure)] }
            schedule(.supervisor(node, life: node.life, .trialEnded(failure)), in: node.numbers.nanoseconds(0.001, 1))
            return []
        case .log(let event):
            tally(event, node)
            return []
        }
    }

    private func available(_ node: SimulatedNode) -> UInt64 {
        guard node.memoryShortUntil > now else { return node.availableBytes }
        node.wasLow = true
        return 500_000_000
    }

    private func launchSome(_ node: SimulatedNode) {
        for _ in 0..<4 {
            guard let next = node.launches.first, !failed else { return }
            switch node.supervisor.launchTurn(of: next.number, at: node.clock(at: now)) {
            case .later: return
            case .never(let failure):
                node.launches.removeFirst()
                node.tasks[next.number]?.failure = failure
                node.tasks[next.number]?.groupEmptyAt = now
                decide([.launchFailed(next.number, failure)], node)
            case .now:
                node.launches.removeFirst()
                decide([launch(next.number, next.task, node)], node)
            }
        }
    }

    // MARK: - The protocol

    private func hear(
        _ event: NodeProtocol.Event, _ node: SimulatedNode, at local: Instant? = nil
    ) -> [NodeSupervisor.Event] {
        let local = local ?? node.clock(at: now)
        var pending: Deque<NodeProtocol.Event> = [event]
        var told: [NodeSupervisor.Event] = []
        while let next = pending.popFirst() {
            eventCount += 1
            for action in node.dialogue.handle(next, at: local) { perform(action, node, local, &pending, &told) }
        }
        return told
    }

    private func perform(
        _ action: NodeProtocol.Action, _ node: SimulatedNode, _ local: Instant,
        _ pending: inout Deque<NodeProtocol.Event>, _ told: inout [NodeSupervisor.Event]
    ) {
        switch action {
        case .send(let number, let request, _):
            guard let connection = node.connection else {
                fail("\(node.name) sends without a connection")
                return
            }
            connection.outstanding.append((number, local))
            send(.request(number, request, sentAt: now), over: connection)
        case .closeConnection:
            if let connection = node.connection { closeAtClient(connection) }
            count("closed by the node")
            pause(node)
            pending.append(.disconnected)
        case .tell(let event): told.append(event)
        case .encode(let token, let report):
            if node.encoding != nil { fail("\(node.name) has two reports encoded at once") }
            let result = result(of: report, node)
            if result.bytes <= 16 << 10 {
                pending.append(.encoded(token: token, result))
            } else {
                node.encoding = (token, result, 1 + result.bytes / 100_000)
            }
        case .store(let token, let report):
            count("report stored")
            node.unwritten.append((token, report))
        case .release(let token, _):
            node.unwritten.removeAll { $0.token == token }
            node.disk.files.removeAll { $0.token == token && !node.disk.earlier.contains($0.name) }
        case .readEarlierReports:
            let reports = node.disk.earlier.prefix(8).compactMap { name in
                node.disk.files.first { $0.name == name }.map {
                    NodeProtocol.EarlierReport(name: name, report: $0.report)
                }
            }
            pending.append(.earlierReports(reports))
        case .releaseEarlierReport(let name):
            node.disk.earlier.removeAll { $0 == name }
            node.disk.files.removeAll { $0.name == name }
        case .leaveEarlierReport(let name): node.disk.earlier.removeAll { $0 == name }

        case .readOutput: break  // Nobody reads in these worlds.
        case .rememberLives(let lives):
            let isWritten = node.disk.refusesUntil <= now
            if isWritten { node.disk.lives = lives }
            pending.append(.livesRemembered(isWritten))
        case .giveUp(let reason):
            node.gaveUp = reason
            count("gave up")
            if scenario.cloneCount == 0 { fail("\(node.name) gives up: \(reason)") }
            node.isStopping = true
            node.leavesSince = node.leavesSince ?? local
            told += [.stopRequested, .stopRequested]
        case .left: node.hasLeft = true
        case .log(let event): tally(event, node)
        }
    }

    private func result(of report: NodeSupervisor.Report, _ node: SimulatedNode) -> ReportTask.Result {
        guard case .ended(let outcome) = report.result else { return .returned }
        if outcome.succeeded {
            let bytes = node.tasks[report.number]?.plan.outputBytes ?? 0
            let value = Array("\(node.name): \"".utf8) + [UInt8](repeating: 0x78, count: bytes) + [0x22]
            return .finished(value: value, record: outcome.record)
        }
        return .failed(
            outcome, of: report.task.line, attemptsMax: node.dialogue.facts.attemptsMax,
            retryMilliseconds: Int(node.dialogue.facts.retryDelaySeconds * 1000))
    }

    /// A little of what takes its time.
    private func work(_ node: SimulatedNode) -> [NodeSupervisor.Event] {
        var events: [NodeSupervisor.Event] = []
        if var encoding = node.encoding {
            encoding.roundsLeft -= 1
            node.encoding = encoding.roundsLeft > 0 ? encoding : nil
            if encoding.roundsLeft <= 0 { events += hear(.encoded(token: encoding.token, encoding.result), node) }
        }
        if let next = node.unwritten.popFirst() {
            events += hear(.stored(token: next.token, isStored: write(next, node)), node)
        }
        return events
    }

    @discardableResult
    private func write(_ next: (token: String, report: ReportTask), _ node: SimulatedNode) -> Bool {
        if node.disk.refusesUntil > now {
            count("disk refuses")
            return false
        }
        node.disk.files.append(("\(node.disk.nextName)", next.token, next.report))
        node.disk.nextName += 1
        return true
    }

    // MARK: - Re-exec

    func beginReExec(_ node: SimulatedNode) {
        guard node.isUp, node.settlesUntil == nil, !node.supervisor.isLeaving else { return }
        node.settlesUntil = node.clock(at: now).advanced(bySeconds: node.settings.killGraceSeconds + 10)
        deliver(.supervisor(.drain), to: node)
    }

    private func reExecIfSettled(_ node: SimulatedNode) -> [NodeSupervisor.Event] {
        guard let until = node.settlesUntil else { return [] }
        if node.supervisor.isLeaving {
            node.settlesUntil = nil
            return []
        }
        guard node.launches.isEmpty, node.encoding == nil, node.unwritten.isEmpty, node.dialogue.isAtRest,
            let state = node.supervisor.reExecState
        else {
            if node.clock(at: now) < until { return [] }
            count("re-exec abandoned")
            node.settlesUntil = nil
            return [.resume]
        }
        count("re-exec")
        if let connection = node.connection ?? connecting(node) { closeAtClient(connection) }
        // Endings that were not read yet are found out by whoever comes next.
        let endings = node.inbox.filter { if case .supervisor = $0 { true } else { false } }
        node.supervisor = NodeSupervisor(settings: node.settings, resuming: state)
        for number in node.tasks.keys where !state.tasks.contains(where: { $0.number == number }) {
            if node.tasks[number]?.isRemoved == false { fail("\(node.name) forgets \(number) at its re-exec") }
        }
        begin(node, incarnation: node.dialogue.incarnation.text, running: state.tasks.map(\.task))
        node.inbox = endings
        return []
    }

    // MARK: - What came to pass

    private func noteHeard(_ event: NodeSupervisor.Event, _ node: SimulatedNode) {
        let local = node.clock(at: now)
        switch event {
        case .launched(let number, _):
            guard node.tasks[number]?.endHeardAt == nil, node.tasks[number]?.deadline == nil else { break }
            guard let timeout = node.tasks[number]?.timeoutSeconds else { break }
            node.tasks[number]?.deadline = local.advanced(bySeconds: timeout)
        case .launchFailed(let number, _), .exited(let number, _):
            if node.tasks[number]?.endHeardAt == nil { node.tasks[number]?.endHeardAt = local }
        case .stopRequested, .closeRequested:
            if event == .stopRequested { node.isStopping = true }
            node.leavesSince = node.leavesSince ?? local
        case .letGo:
            count("let go")
            if node.taskCount > 0 || !node.launches.isEmpty { fail("\(node.name) is let go with tasks") }
            node.leavesSince = node.leavesSince ?? local
        case .cancelRequested(let line): node.cancelledLines.insert(line)
        default: break
        }
    }

    private func tally(_ event: NodeSupervisor.LogEvent, _ node: SimulatedNode) {
        trace("\(node.name) log: \(event)")
        switch event {
        case .groupNotEmpty: count("group not empty")
        case .groupEmptiedLate: count("group emptied late")
        case .willNotDie: count("will not die")
        case .leaseLost:
            count("lease lost")
            if !node.settings.killsWhenCutOff {
                fail("\(node.name) gives up tasks that, for all it knows, nobody else runs")
            }
        case .outside: count("outside")
        case .outOfTouch: count("out of touch")
        case .dropped: count("dropped")
        case .noLongerHeld(let number, let line):
            count("no longer held")
            judgeKill(number, line, node)
        case .memoryShort(_, _, let isAlone): count(isAlone ? "memory short, alone" : "memory short")
        case .nodeCannotLaunch: count("node cannot launch")
        case .nodeLaunchesAgain: count("node launches again")
        case .leftWithout: count("left without")
        case .leavesIdle: count("leaves idle")
        case .leftInMemory: count("left in memory")
        case .leftoversGone: count("leftovers gone")
        case .givenBack: count("given back")
        }
    }

    private func tally(_ event: NodeProtocol.LogEvent, _ node: SimulatedNode) {
        trace("\(node.name) log: \(event)")
        switch event {
        case .refused: count("refusal told")
        case .resultsLeft: count("results left")
        case .drained: count("drained")
        case .resumed: count("resumed")
        case .reaped: count("reaped")
        case .recovered: count("recovered")
        case .notRun: count("not run")
        case .noTaskLine: count("no task line")
        case .reportRefused(_, .stale): count("report stale")
        case .reportRefused: count("report duplicate")
        case .earlierReport(_, let reply): count("earlier report \(reply)")
        case .queueIsAnother: count("queue is another")
        case .restored: count("restored")
        case .waitingForLease: count("waiting for lease")
        case .leftWithout: count("left without reports accepted")
        }
    }
}

// The network between the nodes and the queue, and everything that goes wrong in the simulation's world.

import NodeSupervisor
import TaskModel

extension Simulation {
    // MARK: - Requests and answers

    func send(_ request: Request, node: Int) {
        guard let connection = nodes[node].connection else {
            if nodes[node].hasHeardOfLoss { fail("node \(node) sends without a connection") }
            return  // It is gone, and the supervisor had not heard of it when it decided.
        }
        let arrival = max(
            now.advanced(byNanoseconds: random.nanoseconds(50_000, 20_000_000)), nodes[node].lastRequestAt)
        nodes[node].lastRequestAt = arrival
        schedule(
            .request(node: node, life: nodes[node].life, connection: connection, sentAt: now, request),
            in: arrival.nanoseconds(since: now))
    }

    /// The queue takes a request, and its answer goes back over the same connection.
    func answer(_ request: Request, node: Int, life: Int, connection: Int, sentAt: Instant) {
        let isCurrent = nodes[node].life == life && nodes[node].connection == connection
        if random.oneIn(4) { queue.reapExpired(at: now) }  // A node we do not see was first.
        if !isQuiet, random.oneIn(300) {
            // The script failed, before or after it had done its work.
            if random.oneIn(2) { _ = reply(to: request, node: node, sentAt: sentAt, isCurrent: isCurrent) }
            count("request failed")
            return reply(.requestFailed(request.name), node: node, life: life, connection: connection)
        }
        if let event = reply(to: request, node: node, sentAt: sentAt, isCurrent: isCurrent) {
            reply(event, node: node, life: life, connection: connection)
        }
    }

    private func reply(_ event: NodeSupervisor.Event, node: Int, life: Int, connection: Int) {
        let arrival = max(
            now.advanced(byNanoseconds: random.nanoseconds(50_000, 20_000_000)), nodes[node].lastReplyAt)
        nodes[node].lastReplyAt = arrival
        schedule(
            .reply(node: node, life: life, connection: connection, event), in: arrival.nanoseconds(since: now))
    }

    private func reply(
        to request: Request, node: Int, sentAt: Instant, isCurrent: Bool
    ) -> NodeSupervisor.Event? {
        switch request {
        case .register:
            guard let incarnation = queue.register(node: node, epoch: sentAt.nanoseconds, at: now) else { return nil }
            if isCurrent { nodes[node].incarnation = incarnation }
            return .registered(sentAt: sentAt)
        case .report(let report):
            return take(report)
        case .heartbeat:
            guard let incarnation = nodes[node].incarnation else { return nil }
            return queue.renew(incarnation, at: now) ? .leaseRenewed(sentAt: sentAt) : .fenced
        case .reconcile(let number):
            guard let incarnation = nodes[node].incarnation else { return nil }
            guard case .given(let held) = queue.held(by: incarnation, at: now) else { return .fenced }
            return .held(number, held)
        case .claim(let claim):
            guard let incarnation = nodes[node].incarnation else { return nil }
            guard case .given(let tasks) = queue.claim(claim, by: incarnation, at: now, random: &random) else {
                return .fenced
            }
            if tasks.count < claim.count { count("claim answered short") }
            return .claimed(claim.number, tasks, dueSeconds: random.oneIn(8) ? 0.01 : nil)
        }
    }

    private func take(_ report: NodeSupervisor.Report) -> NodeSupervisor.Event {
        let refusal = queue.report(report, line: SimulatedQueue.line(of: report.task.token))
        if let refusal { return .reportRefused(report.number, refusal) }
        if random.oneIn(4) { wakeAll() }
        return .reportAccepted(report.number)
    }

    private func wakeAll() {
        for node in nodes.indices {
            guard let connection = nodes[node].connection else { continue }
            reply(.wake, node: node, life: nodes[node].life, connection: connection)
        }
    }

    // MARK: - Connections and lives

    func connect(_ node: Int) {
        if nodes[node].connection != nil || nodes[node].hasLeft { return }
        if !nodes[node].hasHeardOfLoss {
            // The daemon connects again after it has dealt with the loss.
            return schedule(.connects(node: node, life: nodes[node].life), in: 1_000_000)
        }
        if now < queue.awayUntil {
            return schedule(
                .connects(node: node, life: nodes[node].life), in: random.nanoseconds(1_000_000, 500_000_000))
        }
        deliverKept(node)
        nodes[node].connectionCount += 1
        nodes[node].connection = nodes[node].connectionCount
        nodes[node].lastRequestAt = now
        nodes[node].lastReplyAt = now
        deliver(.connected, to: node)
    }

    /// Before a new life registers, the daemon delivers what earlier ones could not.
    private func deliverKept(_ node: Int) {
        for report in nodes[node].keptByEarlierLives {
            let refusal = queue.report(report, line: SimulatedQueue.line(of: report.task.token))
            count("earlier report " + (refusal.map { "\($0)" } ?? "accepted"))
        }
        nodes[node].keptByEarlierLives = []
    }

    private func disconnect(_ node: Int) {
        guard nodes[node].connection != nil, !nodes[node].hasLeft else { return }
        count("disconnect")
        nodes[node].connection = nil
        nodes[node].hasHeardOfLoss = false
        // What came before the end of the connection is read before it; the rest is lost.
        deliver(.disconnected, to: node)
        let pauseNanoseconds = random.nanoseconds(1_000_000, Int64(nodes[node].settings.leaseSeconds * 2e9))
        schedule(.connects(node: node, life: nodes[node].life), in: max(pauseNanoseconds, 1_000_000))
    }

    func scheduleRestart(of node: Int) {
        if isEnding { return }
        schedule(.restarts(node: node, life: nodes[node].life), in: random.nanoseconds(1_000_000, 5_000_000_000))
    }

    func restart(_ node: Int) {
        count("restart")
        nodes[node].restart()
        schedule(.connects(node: node, life: nodes[node].life), in: random.nanoseconds(1_000_000, 100_000_000))
    }

    // MARK: - Trouble

    func makeTrouble() {
        let node = random.below(nodes.count)
        let hasLeft = nodes[node].hasLeft
        switch random.below(28) {
        case 0...7: disconnect(node)
        case 8: if !hasLeft { deliver(.wake, to: node) }
        case 9: if !hasLeft { deliver(.drain, to: node) }
        case 10...12: if !hasLeft { deliver(.resume, to: node) }
        case 13, 14: cancelALine()
        case 15, 16: runShortOfMemory(node)
        case 17, 18: requeueALine()
        case 19:
            nodes[node].cannotLaunchUntil = now.advanced(byNanoseconds: random.nanoseconds(1_000_000, 3_000_000_000))
        case 20: stall(node)
        case 21: if !hasLeft { deliver(.closeRequested, to: node) }
        case 22, 23: if !hasLeft { deliver(.stopRequested, to: node) }
        case 24: if random.oneIn(3) { crash(node) }
        case 26: if random.oneIn(4) { takeQueueAway() }
        case 25: if !hasLeft { deliver(.tick, to: node) }
        default: if !hasLeft { deliver(.settingsChanged(nodes[node].settings), to: node) }
        }
    }

    /// Redis is killed, and is back after a while, perhaps a long one.
    private func takeQueueAway() {
        count("queue away")
        let nanoseconds = random.nanoseconds(1_000_000, Int64(nodes[0].settings.leaseSeconds * 3e9))
        queue.goAway(until: now.advanced(byNanoseconds: nanoseconds))
        for node in nodes.indices { disconnect(node) }
    }

    private func cancelALine() {
        let index = random.below(queue.lines.count)
        for node in nodes.indices where !nodes[node].hasLeft {
            nodes[node].cancelledLines.insert(index)
            deliver(.cancelRequested(line: queue.lines[index].line.text), to: node)
        }
    }

    private func requeueALine() {
        let index = random.below(queue.lines.count)
        guard case .held = queue.lines[index].state else { return }
        count("requeued by hand")
        if let last = queue.lines[index].lastRun, nodes[last.node].life == last.life {
            nodes[last.node].tasks[last.number]?.isExcused = true
        }
        queue.requeueByHand(index)
    }

    private func runShortOfMemory(_ node: Int) {
        if nodes[node].hasLeft { return }
        nodes[node].isMemoryLow = true
        nodes[node].wasLow = true
        deliver(.memory(availableBytes: available(on: node)), to: node)
        schedule(
            .memoryRecovers(node: node, life: nodes[node].life), in: random.nanoseconds(1_000_000, 2_000_000_000))
    }

    /// The daemon gets no time, perhaps for longer than its lease.
    private func stall(_ node: Int) {
        count("stall")
        let nanoseconds = random.nanoseconds(10_000_000, Int64(nodes[node].settings.leaseSeconds * 2e9))
        nodes[node].stalledUntil = now.advanced(byNanoseconds: nanoseconds)
        for number in nodes[node].tasks.keys { nodes[node].tasks[number]?.isExcused = true }
    }

    /// kill -9 of the daemon. systemd kills what it left, and starts it again.
    private func crash(_ node: Int) {
        if nodes[node].hasLeft { return }
        count("crash")
        restart(node)
    }
}

extension Simulation.Request {
    var name: NodeSupervisor.Request {
        switch self {
        case .register: .register
        case .heartbeat: .heartbeat
        case .reconcile(let number): .reconcile(number)
        case .claim(let claim): .claim(claim.number)
        case .report(let report): .report(report.number)
        }
    }
}

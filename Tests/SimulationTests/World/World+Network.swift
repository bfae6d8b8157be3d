// The network between the nodes and the queue, and the server at its end.

import NodeProtocol
import QueueModel
import RedisClient
import TaskModel
import TaskQueue

extension World {
    // MARK: - Connecting

    /// Begins to connect; the daemon hears of its success, or gives it up after a while.
    func connect(_ node: SimulatedNode) {
        let local = node.clock(at: now)
        guard isServerUp, node.refusesUntil <= now else {
            count("connection refused")
            return pause(node)
        }
        let connection = Connection(number: nextConnection, node: node)
        nextConnection += 1
        connections[connection.number] = connection
        connection.lastUp = now
        connection.lastDown = now
        node.link = .connecting(connection, deadline: local.advanced(bySeconds: min(5, node.replyTimeoutSeconds)))
        send(.handshake, over: connection)
    }

    /// Another try follows after a pause that grows.
    func pause(_ node: SimulatedNode) {
        let local = node.clock(at: now)
        if case .ready(_, let since) = node.link, local.nanoseconds(since: since) >= node.delay.longestNanoseconds {
            node.delay.reset()
        }
        node.link = .waiting(until: local.advanced(byNanoseconds: node.delay.next(random: node.numbers.next())))
    }

    /// The node closes the connection. What it has sent still goes its way.
    func closeAtClient(_ connection: Connection) {
        connection.isOpenAtClient = false
        connection.outstanding.removeAll()
    }

    /// The connection breaks, and with it what is on its way, from some point on.
    func breakOff(_ connection: Connection) {
        guard connection.isOpenAtClient || connection.isOpenAtServer else { return }
        connection.isOpenAtServer = false
        connections[connection.number] = nil
        if connection.upCount < Int.max { connection.upCountMax = chance.below(connection.upCount + 1) }
        if connection.isOpenAtClient {
            connection.isOpenAtClient = false
            count("disconnect")
            deliver(.broken(connection), to: connection.node)
        }
    }

    // MARK: - Bytes on their way

    private func latency(_ node: SimulatedNode) -> Int64 {
        if node.slowUntil > now { return Int64(node.latency * 1e9) + node.numbers.nanoseconds(0, node.latency + 1e-4) }
        return node.numbers.nanoseconds(0.00005, 0.02)
    }

    func send(_ message: Message, over connection: Connection) {
        let at = max(connection.lastUp, now + latency(connection.node))
        connection.lastUp = at
        connection.upCount += 1
        schedule(.up(connection, message, order: connection.upCount), at: at)
    }

    func arrives(_ connection: Connection, _ message: Message, order: Int) {
        let node = connection.node
        if node.silentUntil > now { return schedule(.up(connection, message, order: order), at: node.silentUntil) }
        if order > connection.upCountMax { return count("request lost") }
        guard isServerUp else { return breakOff(connection) }
        if frozenUntil > now {
            count("request in a freeze")
            if let index = backlog.firstIndex(where: { $0.connection === connection }) {
                backlog[index].messages.append(message)
            } else {
                backlog.append((connection, [message]))
            }
            return
        }
        serve(connection, message)
    }

    func reply(_ input: Input, over connection: Connection) {
        guard connection.isOpenAtClient else { return }
        let at = max(connection.lastDown, now + latency(connection.node))
        connection.lastDown = at
        schedule(.down(connection, input), at: at)
    }

    func comesBack(_ connection: Connection, _ input: Input) {
        let node = connection.node
        if node.silentUntil > now { return schedule(.down(connection, input), at: node.silentUntil) }
        if node.machineStoppedAt != nil { return schedule(.down(connection, input), at: node.pausedUntil) }
        guard connection.isOpenAtClient else { return count("reply lost") }
        deliver(input, to: node)
    }

    // MARK: - The server

    private func serve(_ connection: Connection, _ message: Message) {
        switch message {
        case .handshake:
            connection.isSubscribed = true
            reply(.ready(connection), over: connection)
        case .request(let number, let request, let sentAt):
            let value: RESPValue
            if connection.node.isRefusedUntil > now, case .script = request, chance.oneIn(2) {
                count("refused by Redis")
                // Or done, and then refused: a script that fails half-way is not undone.
                if chance.oneIn(2) { _ = execute(request, from: connection.node, sentAt: sentAt) }
                value = .error(RedisError(text: "BUSY Redis is busy running a script"))
            } else {
                value = execute(request, from: connection.node, sentAt: sentAt)
            }
            reply(.reply(connection, number, value), over: connection)
        }
    }

    /// Has the queue do what is asked, and the judge look at what came of it.
    @discardableResult
    func execute(_ request: RedisRequest, from node: SimulatedNode?, sentAt: Int64) -> RESPValue {
        queue.serverMicroseconds = (now + serverClockOffset) / 1000
        let value = queue.execute(request)
        eventCount += 1
        trace("\(node?.name ?? "people"): \(request.brief) -> \(value.brief)")
        judge(request, value, from: node, sentAt: sentAt)
        for payload in queue.published {
            for connection in connections.values.sorted(by: { $0.number < $1.number })
            where connection.isSubscribed && connection.isOpenAtClient {
                reply(.message(connection, payload), over: connection)
            }
        }
        queue.published.removeAll()
        return value
    }

    func freeze(_ seconds: Double) {
        guard isServerUp else { return }
        if frozenUntil <= now { frozenSince = now }
        frozenUntil = max(frozenUntil, now + Int64(seconds * 1e9))
        schedule(.thaw, at: frozenUntil)
    }

    func thaw() {
        guard isServerUp, frozenUntil <= now else { return }
        if frozenSince < now { judge.freezes.append((frozenSince, now)) }
        frozenSince = now
        // A connection is read to its end before the next one is; which comes first is chance.
        let waiting = backlog
        backlog.removeAll()
        var order = Array(waiting.indices)
        for index in order.indices.reversed() { order.swapAt(index, chance.below(index + 1)) }
        for index in order {
            for message in waiting[index].messages { serve(waiting[index].connection, message) }
        }
    }

    func stopServer(_ downSeconds: Double, keeping kept: Trouble.Kept, clockStep: Double) {
        guard isServerUp else { return }
        if frozenUntil > now { judge.freezes.append((frozenSince, now)) }
        frozenUntil = 0
        isServerUp = false
        backlog.removeAll()
        schedule(.serverStarts(kept, clockStep: clockStep), in: Int64(downSeconds * 1e9))
        judge.downSince = now
        for connection in connections.values.sorted(by: { $0.number < $1.number }) { breakOff(connection) }
    }

    func startServer(keeping kept: Trouble.Kept, clockStep: Double) {
        guard !isServerUp else { return }
        isServerUp = true
        if let since = judge.downSince { judge.freezes.append((since, now)) }
        judge.downSince = nil
        runCount += 1
        stepClock(clockStep)
        switch kept {
        case .all: break
        case .allBut(let seconds):
            let latest = (judge.freezes.last?.from ?? now) - Int64(seconds * 1e9)
            if let snapshot = snapshots.last(where: { $0.at <= latest }) ?? snapshots.first {
                count("rolled back")
                queue.roll(back: snapshot.queue)
                snapshots.removeAll { $0.at > snapshot.at }
                judgeLossOfData()
            }
        case .nothing: flush()
        }
        queue.runID = "\(runCount)"
    }

    func stepClock(_ seconds: Double) { serverClockOffset += Int64(seconds * 1e9) }

    func flush() {
        count("flushed")
        queue.flush()
        snapshots.removeAll()
        judgeLossOfData()
    }
}

extension RedisRequest {
    fileprivate var brief: String {
        switch self {
        case .command(let command): command.name
        case .script(let call):
            call.script.name + " "
                + call.arguments.dropFirst().map { String(decoding: $0.prefix(60), as: UTF8.self) }.joined(
                    separator: "|")
        }
    }
}

extension RESPValue {
    fileprivate var brief: String {
        switch self {
        case .array(let values): "[" + values.map(\.brief).joined(separator: ", ") + "]"
        case .integer(let number): "\(number)"
        case .error(let error): "\(error)"
        case .null: "-"
        default: string ?? "?"
        }
    }
}

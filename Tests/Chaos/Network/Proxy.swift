// A bad network of our own between the nodes and Redis: one thread, one epoll loop, any number of connections.

import Glibc
import LinuxSystem
import Synchronization

/// The proxy's thread, and what the rest of the run knows of it.
final class Proxy {
    private struct Shared {
        var isCalm = false
        var isEnding = false
        var counts = ProxyCounts()
        var faults: [Proxy.Fault] = []
        var failure: SystemError?
    }

    /// A connection that was cut or silenced.
    struct Fault: Sendable {
        /// Whose: the position of the port that it came in by.
        let way: Int
        /// On the clock of /proc/uptime.
        let seconds: Double
    }

    /// What both threads see.
    fileprivate final class Board: Sendable {
        private let shared = Mutex(Shared())

        var isCalm: Bool { shared.withLock { $0.isCalm } }
        var isEnding: Bool { shared.withLock { $0.isEnding } }
        var counts: ProxyCounts { shared.withLock { $0.counts } }
        var faults: [Proxy.Fault] { shared.withLock { $0.faults } }
        var failure: SystemError? { shared.withLock { $0.failure } }
        func calm() { shared.withLock { $0.isCalm = true } }
        func end() { shared.withLock { $0.isEnding = true } }
        func publish(_ counts: ProxyCounts) { shared.withLock { $0.counts = counts } }
        func note(_ fault: Proxy.Fault) { shared.withLock { $0.faults.append(fault) } }
        func publish(_ failure: SystemError) { shared.withLock { $0.failure = failure } }
    }

    /// One for each who is to be told apart.
    let ports: [UInt16]
    private let board = Board()
    private var thread = pthread_t()
    private var isRunning = false

    init(to redis: SocketAddress, ways: Int, seed: UInt64) throws(SystemError) {
        let loop = try ProxyLoop(ways: ways, redis: redis, seed: seed, board)
        ports = loop.ports
        let code = pthread_create(
            &thread, nil,
            { pointer in
                if let pointer { Unmanaged<ProxyLoop>.fromOpaque(pointer).takeRetainedValue().run() }
                return nil
            }, Unmanaged.passRetained(loop).toOpaque())
        guard code == 0 else { throw SystemError(call: "pthread_create", subject: "the proxy", code: code) }
        isRunning = true
    }

    var counts: ProxyCounts { board.counts }
    var faults: [Fault] { board.faults }
    /// Why it passes nothing on any more; nil while it does.
    var failure: SystemError? { board.failure }

    /// From now on it passes on what comes as it comes.
    func calm() { board.calm() }

    /// Ends it once requests that are still on their way have arrived.
    func stop() {
        guard isRunning else { return }
        isRunning = false
        board.calm()
        board.end()
        pthread_join(thread, nil)
    }
}

/// The loop, owned by its thread alone.
private final class ProxyLoop {
    private let listeners: [ListeningSocket]
    private let redis: SocketAddress
    private let seed: UInt64
    private let board: Proxy.Board
    private var loop: EventLoop
    private var counts = ProxyCounts()
    private var connections: [UInt64: (connection: ProxiedConnection, way: Int)] = [:]
    /// What epoll was last told of each descriptor, by token.
    private var watched: [UInt64: EventLoop.Interest] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    init(ways: Int, redis: SocketAddress, seed: UInt64, _ board: Proxy.Board) throws(SystemError) {
        self.redis = redis
        self.seed = seed
        self.board = board
        loop = try EventLoop()
        var listeners: [ListeningSocket] = []
        for way in 0..<ways {
            let listener = try ListeningSocket()
            try loop.add(listener.descriptor, for: .readable, token: UInt64(way))
            listeners.append(listener)
        }
        self.listeners = listeners
    }

    var ports: [UInt16] { listeners.map(\.port) }

    deinit { buffer.deallocate() }

    func run() {
        do throws(SystemError) {
            while !board.isEnding || !connections.isEmpty {
                for ready in try loop.wait(atMostMilliseconds: try waitMilliseconds()) { try handle(ready) }
                let now = SystemClock.bootNanoseconds()
                for (number, (connection, _)) in connections {
                    connection.advance(now: now)
                    try watch(connection, number)
                }
                board.publish(counts)
            }
        } catch {
            board.publish(error)
        }
    }

    /// Until the next piece is due; not long, since the other thread has no other way to end us.
    private func waitMilliseconds() throws(SystemError) -> Int32 {
        let due = connections.values.compactMap(\.connection.nextDeadlineNanoseconds).min() ?? .max
        let now = SystemClock.bootNanoseconds()
        return due <= now ? 0 : Int32(min(50, (due - now) / 1_000_000 + 1))
    }

    private func handle(_ ready: EventLoop.Ready) throws(SystemError) {
        // The first tokens are the listeners'; connections count on from there, with two tokens each.
        if ready.token < listeners.count { return try accept(Int(ready.token)) }
        guard let (connection, way) = connections[ready.token / 2] else { return }
        let peer: ProxiedConnection.Peer = ready.token % 2 == 0 ? .node : .redis
        if ready.isReadable || ready.hasFailed {
            let (now, cutsBefore) = (SystemClock.bootNanoseconds(), counts.cuts)
            connection.receive(
                from: peer, hasFailed: ready.hasFailed, into: buffer, isCalm: board.isCalm, now: now, &counts)
            if counts.cuts > cutsBefore { board.note(Proxy.Fault(way: way, seconds: Double(now) / 1e9)) }
        }
    }

    private func accept(_ way: Int) throws(SystemError) {
        while let accepted = listeners[way].accept() {
            counts.connections += 1
            let number = UInt64(listeners.count + counts.connections)
            do throws(SystemError) {
                let connection = ProxiedConnection(
                    accepted: accepted, redis: try StreamSocket(connectingTo: redis),
                    plan: ConnectionPlan(seed: seed, connection: counts.connections), now: SystemClock.bootNanoseconds()
                )
                connections[number] = (connection, way)
                try watch(connection, number)
            } catch {
                counts.refusedConnections += 1  // Redis is dead at the moment: the node is told as it would be.
            }
        }
    }

    /// Tells epoll what each end is waited for now, and forgets the connection when both ends are gone.
    private func watch(_ connection: ProxiedConnection, _ number: UInt64) throws(SystemError) {
        for (peer, token) in [(ProxiedConnection.Peer.node, number * 2), (.redis, number * 2 + 1)] {
            guard let descriptor = connection.descriptor(of: peer) else {
                watched[token] = nil  // Closed, and so forgotten by epoll.
                continue
            }
            let interest = connection.interest(in: peer)
            guard let before = watched[token] else {
                try loop.add(descriptor, for: interest, token: token)
                watched[token] = interest
                continue
            }
            if before != interest { try loop.modify(descriptor, for: interest, token: token) }
            watched[token] = interest
        }
        if connection.isOver { connections[number] = nil }
    }
}

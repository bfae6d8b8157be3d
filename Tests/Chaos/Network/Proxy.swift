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
        var failure: SystemError?
    }

    /// What both threads see.
    fileprivate final class Board: Sendable {
        private let shared = Mutex(Shared())

        var isCalm: Bool { shared.withLock { $0.isCalm } }
        var isEnding: Bool { shared.withLock { $0.isEnding } }
        var counts: ProxyCounts { shared.withLock { $0.counts } }
        var failure: SystemError? { shared.withLock { $0.failure } }
        func calm() { shared.withLock { $0.isCalm = true } }
        func end() { shared.withLock { $0.isEnding = true } }
        func publish(_ counts: ProxyCounts) { shared.withLock { $0.counts = counts } }
        func publish(_ failure: SystemError) { shared.withLock { $0.failure = failure } }
    }

    let port: UInt16
    private let board = Board()
    private var thread = pthread_t()
    private var isRunning = false

    init(to redis: SocketAddress, seed: UInt64) throws(SystemError) {
        let listener = try ListeningSocket()
        port = listener.port
        let loop = try ProxyLoop(listener, redis: redis, seed: seed, board)
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
    private static let listenerToken: UInt64 = 0

    private let listener: ListeningSocket
    private let redis: SocketAddress
    private let seed: UInt64
    private let board: Proxy.Board
    private var loop: EventLoop
    private var counts = ProxyCounts()
    private var connections: [UInt64: ProxiedConnection] = [:]
    /// What epoll was last told of each descriptor, by token.
    private var watched: [UInt64: EventLoop.Interest] = [:]
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    init(
        _ listener: consuming ListeningSocket, redis: SocketAddress, seed: UInt64, _ board: Proxy.Board
    ) throws(SystemError) {
        self.redis = redis
        self.seed = seed
        self.board = board
        loop = try EventLoop()
        self.listener = listener
        try loop.add(self.listener.descriptor, for: .readable, token: Self.listenerToken)
    }

    deinit { buffer.deallocate() }

    func run() {
        do throws(SystemError) {
            while !board.isEnding || !connections.isEmpty {
                for ready in try loop.wait(atMostMilliseconds: try waitMilliseconds()) { try handle(ready) }
                let now = SystemClock.bootNanoseconds()
                for (number, connection) in connections {
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
        let due = connections.values.compactMap(\.nextDeadlineNanoseconds).min() ?? .max
        let now = SystemClock.bootNanoseconds()
        return due <= now ? 0 : Int32(min(50, (due - now) / 1_000_000 + 1))
    }

    private func handle(_ ready: EventLoop.Ready) throws(SystemError) {
        if ready.token == Self.listenerToken { return try accept() }
        guard let connection = connections[ready.token / 2] else { return }
        let peer: ProxiedConnection.Peer = ready.token % 2 == 0 ? .node : .redis
        if ready.isReadable || ready.hasFailed {
            connection.receive(
                from: peer, hasFailed: ready.hasFailed, into: buffer, isCalm: board.isCalm,
                now: SystemClock.bootNanoseconds(), &counts)
        }
    }

    private func accept() throws(SystemError) {
        while let accepted = listener.accept() {
            counts.connections += 1
            do throws(SystemError) {
                let connection = ProxiedConnection(
                    accepted: accepted, redis: try StreamSocket(connectingTo: redis),
                    plan: ConnectionPlan(seed: seed, connection: counts.connections), now: SystemClock.bootNanoseconds()
                )
                connections[UInt64(counts.connections)] = connection
                try watch(connection, UInt64(counts.connections))
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

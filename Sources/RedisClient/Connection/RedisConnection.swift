// A session and its socket, driven by somebody else's event loop: nothing here waits.
//
// One connection is one address, one socket, one session. It fails once and is then thrown away; the owner, who knows
// about time and addresses, makes the next one after a `ReconnectDelay`. So no state survives from one to the next.

import LinuxSystem

/// How a connection is made, and when it is given up.
public struct RedisConnectionOptions: Equatable, Sendable {
    public var session = RedisSessionOptions()
    /// nil: no TLS.
    public var tls: RedisTLS?
    /// What the server is called there; its certificate must be for this name, unless `tls` says another.
    public var serverName = ""
    /// From the start until the session is ready.
    public var connectTimeoutSeconds = 5.0
    /// How long Redis may take over the oldest outstanding request.
    public var replyTimeoutSeconds = 30.0
    /// What may wait to be sent. A request beyond it is refused.
    public var outputBytesMax = 64 << 20

    public init() {}

    /// The options with the credentials and the database of `endpoint`.
    public init(_ endpoint: RedisEndpoint) {
        session.credentials = endpoint.credentials
        session.database = endpoint.database
        tls = endpoint.tls
        serverName = endpoint.host
    }
}

/// A non-blocking connection. Watch `descriptor` for reading always and for writing while `wantsWrite`; call
/// `handleReadable`, `handleWritable` and `handleDeadline` when their time has come. All times are nanoseconds of one
/// clock, `SystemClock.bootNanoseconds()`.
public final class RedisConnection {
    public typealias Event = RedisSession.Event

    private let transport: RedisTransport
    private let options: RedisConnectionOptions
    /// What error messages call the server.
    public let address: String
    private var session: RedisSession
    private let connectDeadlineNanoseconds: Int64
    /// Since when the oldest outstanding request has been waiting; nil when there is none.
    private var waitingSinceNanoseconds: Int64?
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 16)

    /// What one `handleWritable` writes at most: the kernel's copy of megabytes would hold up the rest of the loop as well.
    private static let bytesWrittenMax = 256 << 10
    /// Reads of one `handleReadable`; a server that never stops talking must not starve the rest of the loop.
    private static let readsMax = 32

    /// Begins to connect to `address`.
    ///
    /// - Parameter name: what error messages call the server; its address if nil.
    public init(
        connectingTo address: SocketAddress, named name: String? = nil, options: RedisConnectionOptions,
        now: Int64
    ) throws(RedisFailure) {
        self.options = options
        self.address = name ?? "\(address)"
        session = RedisSession(options: options.session)
        connectDeadlineNanoseconds = later(now, bySeconds: options.connectTimeoutSeconds)
        do throws(RedisFailure) {
            transport = try RedisTransport(
                connectingTo: address, options.tls, serverName: options.serverName)
        } catch {
            buffer.deallocate()
            throw error.at(self.address)
        }
    }

    deinit { buffer.deallocate() }

    public var descriptor: Int32 { transport.descriptor }
    /// Our end of it, without the port; nil for a Unix socket.
    public var localHost: String? { transport.localHost }
    public var isReady: Bool { session.isReady }
    public var failure: RedisFailure? { session.failure?.at(address) }
    /// What Redis says of itself; known once it is ready.
    public var server: RedisServerDescription? { session.server }
    /// Bytes waiting to be sent.
    public var outputBytes: Int { session.unsentBytes }
    /// Requests without a reply.
    public var outstandingCount: Int { session.outstandingCount }

    /// Whether the socket is to be watched for writing: it is still connecting, or it did not take all we have.
    public var wantsWrite: Bool {
        session.failure == nil && (transport.wantsWrite || (transport.isOpen && !session.output.isEmpty))
    }

    /// Asks something. The bytes leave with the next `handleWritable`, so that many requests share one write.
    ///
    /// Throws when the connection has failed, or holds `outputBytesMax` unsent; nothing was sent then.
    public func send(_ request: RedisRequest, now: Int64) throws(RedisFailure) -> RequestIdentifier {
        if let failure { throw failure }
        guard outputBytes < options.outputBytesMax else {
            throw RedisFailure(.overloaded, "\(outputBytes) bytes wait to be sent", address: address)
        }
        let identifier = session.send(request)
        if session.isReady && waitingSinceNanoseconds == nil { waitingSinceNanoseconds = now }
        return identifier
    }

    /// Reads what is there. To be called when the descriptor is readable or failed.
    public func handleReadable(now: Int64) -> [Event] {
        guard session.failure == nil else { return [] }
        guard transport.isOpen else { return handleWritable(now: now) }
        var events: [Event] = []
        do throws(RedisFailure) {
            try read(&events, now)
        } catch {
            events += session.end(error)
        }
        return named(events)
    }

    /// Finishes connecting, and sends what waits to be sent. To be called when the descriptor is writable, and also after
    /// sending: mostly the socket takes all, and the event loop is spared a round.
    public func handleWritable(now: Int64) -> [Event] {
        guard session.failure == nil else { return [] }
        do throws(RedisFailure) {
            if !transport.isOpen {
                guard try transport.open() else { return [] }
                session.begin()
            }
            try write()
            return []
        } catch  where transport.isOpen {
            return named(lastWords(now) + session.end(error))
        } catch {
            return named(session.end(error))
        }
    }

    /// When `handleDeadline` is to be called; nil when nothing is being waited for.
    public var nextDeadlineNanoseconds: Int64? {
        guard session.failure == nil else { return nil }
        guard session.isReady else { return connectDeadlineNanoseconds }
        return waitingSinceNanoseconds.map { later($0, bySeconds: options.replyTimeoutSeconds) }
    }

    /// Fails the connection if a deadline is over. A late reply would be taken for that of the next request, so there is no
    /// going on after one.
    public func handleDeadline(now: Int64) -> [Event] {
        guard isLate(now) else { return [] }
        // Perhaps it is we who slept (stopped, suspended, busy), and the reply has been there all along.
        let events = handleReadable(now: now)
        guard isLate(now) else { return events }
        return events + named(session.end(lateness))
    }

    /// Ends the connection from our side; every outstanding request is reported lost.
    ///
    /// - Parameter reason: what `.failed` says of it.
    public func close(_ reason: String = "closed by us") -> [Event] {
        transport.shutDown()
        return named(session.end(RedisFailure(.connectionLost, reason)))
    }
}

extension RedisConnection {
    private func write() throws(RedisFailure) {
        try transport.flush()
        var room = Self.bytesWrittenMax
        while !session.output.isEmpty, room > 0 {
            var isBlocked = false
            try session.output.take { bytes throws(RedisFailure) in
                switch try transport.write(UnsafeRawBufferPointer(rebasing: bytes.prefix(room))) {
                case .transferred(let count):
                    room -= count
                    return count
                case .wouldBlock, .endOfStream:
                    isBlocked = true
                    return 0
                }
            }
            if isBlocked { return }
        }
    }

    private func read(_ events: inout [Event], _ now: Int64) throws(RedisFailure) {
        for _ in 0..<Self.readsMax {
            switch try transport.read(into: buffer) {
            case .transferred(let count):
                let new = session.receive(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                noteProgress(new, now)
                events += new
                // Fewer than asked for: that was all. Should more have come since, the loop tells.
                if session.failure != nil || count < buffer.count { return }
            case .wouldBlock:
                return
            case .endOfStream:
                events += session.end(RedisFailure(.connectionLost, "closed the connection"))
                return
            }
        }
    }

    /// A server that closes the connection may have said why (too many clients), which explains more than our failed write.
    private func lastWords(_ now: Int64) -> [Event] {
        var events: [Event] = []
        do throws(RedisFailure) {
            try read(&events, now)
        } catch  where error.kind == .untrusted {
            events += session.end(error)
        } catch {
            // The failed write is what is told then.
        }
        return events
    }

    /// A reply, or more of one, restarts the reply timeout for the request whose turn it is next; a push does not.
    private func noteProgress(_ events: [Event], _ now: Int64) {
        guard session.isReady, session.isAwaitingReply else {
            waitingSinceNanoseconds = nil
            return
        }
        let isProgress =
            session.isInsideReply
            || events.contains { event in
                switch event {
                case .ready, .reply: true
                case .message, .lost, .failed: false
                }
            }
        if isProgress || waitingSinceNanoseconds == nil { waitingSinceNanoseconds = now }
    }

    private func isLate(_ now: Int64) -> Bool { nextDeadlineNanoseconds.map { now >= $0 } ?? false }

    private var lateness: RedisFailure {
        guard !session.isReady else {
            return RedisFailure(.timeout, "no reply for \(plain(options.replyTimeoutSeconds)) s")
        }
        return RedisFailure(.unreachable, transport.lateness(after: "\(plain(options.connectTimeoutSeconds)) s"))
    }

    /// The session knows no address; whoever reads the failure wants it.
    private func named(_ events: [Event]) -> [Event] {
        guard case .failed(let failure) = events.last else { return events }
        return events.dropLast() + [.failed(failure.at(address))]
    }
}

/// A time `seconds` after `nanoseconds`; a duration without bound or sense ends at the end of time.
func later(_ nanoseconds: Int64, bySeconds seconds: Double) -> Int64 {
    guard let duration = Int64(exactly: (max(0, seconds) * 1e9).rounded()) else { return .max }
    let (sum, overflow) = nanoseconds.addingReportingOverflow(duration)
    return overflow ? .max : sum
}

/// `5` rather than `5.0`.
func plain(_ seconds: Double) -> String {
    Int(exactly: seconds).map { String($0) } ?? String(seconds)
}

// MARK: - The next connection

/// The delays before the first, second, ... attempt to connect again: exponential, with full jitter, so that a fleet that lost
/// its Redis at one moment does not come back at one moment.
///
/// The ceiling doubles from 100 ms up to the longest delay; each delay is drawn evenly between 50 ms and the ceiling.
public struct ReconnectDelay: Equatable, Sendable {
    /// No delay is longer.
    public let longestNanoseconds: Int64
    private let shortestNanoseconds: Int64
    private var ceilingNanoseconds: Int64

    /// - Parameter longestSeconds: for a node, a part of its lease: a Redis that answers again must not find its leases over.
    public init(longestSeconds: Double = 5) {
        longestNanoseconds = max(1, later(0, bySeconds: longestSeconds))
        shortestNanoseconds = min(50_000_000, longestNanoseconds)
        ceilingNanoseconds = min(shortestNanoseconds * 2, longestNanoseconds)
    }

    /// The delay before the next attempt, from a random number of the caller's.
    public mutating func next(random: UInt64) -> Int64 {
        assert((shortestNanoseconds...longestNanoseconds).contains(ceilingNanoseconds))
        let choices = UInt64(ceilingNanoseconds - shortestNanoseconds) + 1
        let drawn = choices.multipliedFullWidth(by: random).high
        // Not doubled first: the longest may be close to the largest number there is.
        ceilingNanoseconds = ceilingNanoseconds > longestNanoseconds / 2 ? longestNanoseconds : ceilingNanoseconds * 2
        return shortestNanoseconds + Int64(drawn)
    }

    /// To be called when a session became ready; that the socket connected is not enough.
    public mutating func reset() { ceilingNanoseconds = min(shortestNanoseconds * 2, longestNanoseconds) }
}

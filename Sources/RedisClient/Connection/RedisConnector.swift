// From a target to a connection that serves: the sentinels are asked where there are some, names resolved, addresses tried, the
// handshake made, and the server looked at. Nothing here waits; the daemon drives it from its loop, the command line by a wait of
// its own.
//
// Which server is the master is asked anew for each connection. So whatever ends one (its server died, or says READONLY
// because it is a replica now), the next one goes to the master of that time.

import LinuxSystem

/// Makes connections to one target, one after the other. Watch `descriptor` for reading, and for writing while `wantsWrite`;
/// call `advance` when it is ready or the deadline is over.
public final class RedisConnector {
    public enum Outcome {
        /// The connection is ready. The events are what it said since, `.ready` first.
        case connected(RedisConnection, [RedisConnection.Event])
        /// No connection came about. `begin` tries again.
        case failed(RedisFailure)
    }

    /// Whom a connection is made to, and what for.
    private enum Visit {
        case server(RedisEndpoint)
        case sentinel(RedisEndpoint)
        case master(RedisEndpoint, namedBy: RedisEndpoint)

        var endpoint: RedisEndpoint {
            switch self {
            case .server(let endpoint), .sentinel(let endpoint), .master(let endpoint, _): endpoint
            }
        }
    }

    private enum State {
        case idle
        case resolving(Visit, deadlineNanoseconds: Int64)
        case handshake(Visit, RedisConnection, otherAddresses: ArraySlice<SocketAddress>)
        /// The sentinel has been asked for the master.
        case asking(Visit, RedisConnection)
    }

    private let target: RedisTarget
    private let options: RedisConnectionOptions
    private let lookup: NameLookup
    private var state = State.idle
    /// In the order to ask them: the one that answered last is the first.
    private var sentinels: [RedisEndpoint]
    private var unasked: ArraySlice<RedisEndpoint> = []
    /// Why each sentinel that was asked this time was of no use.
    private var refusals: [RedisFailure] = []

    /// Counts descriptors: tells a new one from an earlier one of the same number.
    public private(set) var generation = 0

    /// How long a sentinel may take for the connection and its handshake, and again for the answer. There are others to ask.
    private static let sentinelTimeoutSeconds = 2.0

    /// - Parameter options: their credentials and database are replaced by those of the target. The connect timeout holds for
    ///   each address, and for finding the addresses of a name.
    public init(_ target: RedisTarget, options: RedisConnectionOptions, lookup: NameLookup = NameLookup()) {
        self.target = target
        self.options = options
        self.lookup = lookup
        switch target {
        case .server: sentinels = []
        case .master(let group): sentinels = group.sentinels
        }
    }

    // MARK: For the loop

    public var descriptor: Int32? {
        switch state {
        case .idle: nil
        case .resolving: lookup.descriptor
        case .handshake(_, let connection, _), .asking(_, let connection): connection.descriptor
        }
    }

    public var wantsWrite: Bool {
        switch state {
        case .idle, .resolving: false
        case .handshake(_, let connection, _), .asking(_, let connection): connection.wantsWrite
        }
    }

    /// When `advance` is to be called at the latest.
    public var nextDeadlineNanoseconds: Int64? {
        switch state {
        case .idle: nil
        case .resolving(_, let deadline): deadline
        case .handshake(_, let connection, _), .asking(_, let connection): connection.nextDeadlineNanoseconds
        }
    }

    /// Begins to connect. An outcome at once is mostly a failure; nil: it goes on.
    public func begin(now: Int64) -> Outcome? {
        refusals = []
        unasked = sentinels[...]
        switch target {
        case .server(let endpoint): return begin(.server(endpoint), now)
        case .master(let group): return askNextSentinel(group, now)
        }
    }

    /// Gives up what was begun, without an outcome. `begin` tries again.
    public func abandon() {
        switch state {
        case .idle, .handshake, .asking: break  // With the last reference the socket is closed.
        case .resolving: lookup.abandon()
        }
        state = .idle
    }

    /// Goes on with what can go on.
    public func advance(now: Int64) -> Outcome? {
        switch state {
        case .idle: return nil
        case .resolving(let visit, let deadline): return advance(resolving: visit, deadline, now)
        case .handshake(let visit, let connection, let others):
            return advance(handshake: connection, for: visit, others, now)
        case .asking(let visit, let connection): return advance(asking: connection, for: visit, now)
        }
    }

    // MARK: One server

    private func begin(_ visit: Visit, _ now: Int64) -> Outcome? {
        switch visit.endpoint.location {
        case .unix(let path): return connect(visit, [.unix(path: path)], now)
        case .internet(let host, let port):
            if let address = AddressResolver.numericAddress(host: host, port: port) {
                return connect(visit, [address], now)
            }
            do throws(ResolutionError) {
                try lookup.begin(host: host, port: port)
            } catch {
                return end(visit, RedisFailure(.unreachable, error.cause, address: name(of: visit)), now)
            }
            state = .resolving(visit, deadlineNanoseconds: later(now, bySeconds: timeoutSeconds(for: visit)))
            generation += 1
            return nil
        }
    }

    private func advance(resolving visit: Visit, _ deadline: Int64, _ now: Int64) -> Outcome? {
        switch lookup.result() {
        case .success(let addresses): return connect(visit, addresses[...], now)
        case .failure(let error):
            return end(visit, RedisFailure(.unreachable, error.cause, address: name(of: visit)), now)
        case nil:
            guard now >= deadline else { return nil }
            lookup.abandon()
            let detail = "no answer from the resolver within \(plain(timeoutSeconds(for: visit))) s"
            return end(visit, RedisFailure(.unreachable, detail, address: name(of: visit)), now)
        }
    }

    /// Tries the first of `addresses`; `earlier` is how the one before them failed.
    private func connect(
        _ visit: Visit, _ addresses: ArraySlice<SocketAddress>, after earlier: RedisFailure? = nil, _ now: Int64
    ) -> Outcome? {
        var failure = earlier ?? RedisFailure(.unreachable, "the name has no address", address: name(of: visit))
        var rest = addresses
        while let address = rest.popFirst() {
            do throws(RedisFailure) {
                let connection = try RedisConnection(
                    connectingTo: address, named: name(of: visit), options: options(for: visit), now: now)
                state = .handshake(visit, connection, otherAddresses: rest)
                generation += 1
                return nil
            } catch {
                failure = error
            }
        }
        return end(visit, failure, now)
    }

    private func advance(
        handshake connection: RedisConnection, for visit: Visit, _ others: ArraySlice<SocketAddress>, _ now: Int64
    ) -> Outcome? {
        let events = Self.turn(connection, now)
        if let ready = events.firstIndex(of: .ready) {
            guard case .sentinel = visit else {
                state = .idle
                return .connected(connection, Array(events[ready...]))
            }
            return ask(connection, visit, now)
        }
        guard let failure = connection.failure else { return nil }
        // A server that was reached and refused us is the answer; only silence is worth another address.
        return failure.kind == .unreachable
            ? connect(visit, others, after: failure, now) : end(visit, failure, now)
    }

    private static func turn(_ connection: RedisConnection, _ now: Int64) -> [RedisConnection.Event] {
        let events = connection.handleWritable(now: now) + connection.handleReadable(now: now)
        return events + connection.handleDeadline(now: now)
    }

    /// Nothing came of a visit; of a sentinel there are others.
    private func end(_ visit: Visit, _ failure: RedisFailure, _ now: Int64) -> Outcome? {
        state = .idle
        switch visit {
        case .server: return .failed(failure)
        case .sentinel:
            refusals.append(failure)
            guard case .master(let group) = target else { return .failed(failure) }
            return askNextSentinel(group, now)
        case .master(_, let sentinel):
            // It may be cut off from the others, and know nothing of the master they agreed on.
            sentinels.removeAll { $0 == sentinel }
            sentinels.append(sentinel)
            return .failed(failure)
        }
    }

    // MARK: Sentinels

    private func askNextSentinel(_ group: SentinelGroup, _ now: Int64) -> Outcome? {
        guard let sentinel = unasked.popFirst() else { return .failed(nobodyKnows(group)) }
        return begin(.sentinel(sentinel), now)
    }

    private func ask(_ connection: RedisConnection, _ visit: Visit, _ now: Int64) -> Outcome? {
        guard case .master(let group) = target else { return nil }
        do throws(RedisFailure) {
            let question = RedisCommand("SENTINEL", "GET-MASTER-ADDR-BY-NAME", group.masterName)
            _ = try connection.send(.command(question), now: now)
        } catch {
            return end(visit, error, now)
        }
        state = .asking(visit, connection)
        return advance(asking: connection, for: visit, now)
    }

    private func advance(asking connection: RedisConnection, for visit: Visit, _ now: Int64) -> Outcome? {
        for case .reply(_, let value) in Self.turn(connection, now) {
            return understand(value, from: visit, now)
        }
        guard let failure = connection.failure else { return nil }
        return end(visit, failure, now)
    }

    private func understand(_ value: RESPValue, from visit: Visit, _ now: Int64) -> Outcome? {
        guard case .master(let group) = target else { return nil }
        if let error = value.error {
            let refusal = RedisFailure(refusing: error, context: "SENTINEL: ").at(name(of: visit))
            return end(visit, refusal, now)
        }
        guard let parts = value.elements, parts.count == 2, let host = parts[0].string, !host.isEmpty,
            let port = parts[1].int.flatMap({ UInt16(exactly: $0) })
        else {
            let detail = "it knows no master \"\(group.masterName)\""
            return end(visit, RedisFailure(.unsupported, detail, address: name(of: visit)), now)
        }
        let sentinel = visit.endpoint
        sentinels.removeAll { $0 == sentinel }
        sentinels.insert(sentinel, at: 0)
        let master = RedisEndpoint(
            host: host, port: port, credentials: group.credentials, database: group.database, tls: group.tls)
        return begin(.master(master, namedBy: sentinel), now)
    }

    private func nobodyKnows(_ group: SentinelGroup) -> RedisFailure {
        let reasons = refusals.map { "\($0.address): \($0.detail)" }.joined(separator: "; ")
        // Where all failed for the same reason, that is the one to tell: a wrong password is no outage.
        let kinds = refusals.map(\.kind)
        let kind = kinds.first.flatMap { first in kinds.allSatisfy { $0 == first } ? first : nil } ?? .unreachable
        return RedisFailure(kind, "no sentinel names a master (\(reasons))", address: "\(target)")
    }

    // MARK: Differences between servers

    private func name(of visit: Visit) -> String {
        guard case .master(let endpoint, _) = visit, case .master(let group) = target else {
            return "\(visit.endpoint)"
        }
        return "\(endpoint) (\(group.masterName))"
    }

    private func timeoutSeconds(for visit: Visit) -> Double {
        guard case .sentinel = visit else { return options.connectTimeoutSeconds }
        return min(Self.sentinelTimeoutSeconds, options.connectTimeoutSeconds)
    }

    private func options(for visit: Visit) -> RedisConnectionOptions {
        var options = options
        switch visit {
        case .server: break
        case .master: options.session.wanted = .master
        case .sentinel:
            options = RedisConnectionOptions()
            options.session.wanted = .sentinel
            options.session.clientName = self.options.session.clientName
            options.connectTimeoutSeconds = timeoutSeconds(for: visit)
            options.replyTimeoutSeconds = timeoutSeconds(for: visit)
        }
        options.session.credentials = visit.endpoint.credentials
        options.session.database = visit.endpoint.database
        options.tls = visit.endpoint.tls
        options.serverName = visit.endpoint.host
        return options
    }
}

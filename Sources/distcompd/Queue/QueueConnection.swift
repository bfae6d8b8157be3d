// The daemon's one connection to Redis. One that fails is replaced, after a pause that grows, for as long as the daemon lives;
// tasks go on meanwhile. Under Sentinel each new one goes to whoever is the master then (see RedisConnector).

import LinuxSystem
import Logging
import RedisClient
import TaskQueue

final class QueueConnection {
    private enum State {
        case connecting
        case ready(RedisConnection, sinceNanoseconds: Int64)
        case waiting(untilNanoseconds: Int64)
    }

    private let target: RedisTarget
    private let options: RedisConnectionOptions
    private let connector: RedisConnector
    private let log: Logger
    private var state = State.waiting(untilNanoseconds: 0)
    private var delay: ReconnectDelay

    init(_ node: NodeIdentity) {
        target = node.redis
        options = Self.options(for: node)
        connector = RedisConnector(node.redis, options: options)
        log = node.log
        // Back well within the lease, however long the server was away.
        delay = ReconnectDelay(longestSeconds: min(5, node.configuration.leaseSeconds / 6))
    }

    /// What a node wants of its Redis.
    static func options(for node: NodeIdentity) -> RedisConnectionOptions {
        var options = RedisConnectionOptions()
        options.session.wanted = .master
        options.session.clientName = "distcompd-" + node.name
        options.session.scripts = QueueScripts.forNodes
        options.session.channels = [QueueKeys(prefix: node.configuration.keyPrefix).wakeChannel]
        // A server that fell silent is given up well before the lease is over: another may have its place by now.
        // So is one that stands and is not shaken hands with.
        options.replyTimeoutSeconds = max(1, min(options.replyTimeoutSeconds, node.configuration.leaseSeconds / 3))
        options.connectTimeoutSeconds = max(1, min(options.connectTimeoutSeconds, node.configuration.leaseSeconds / 3))
        return options
    }

    // MARK: For the loop

    var descriptor: Int32? {
        switch state {
        case .connecting: connector.descriptor
        case .ready(let connection, _): connection.descriptor
        case .waiting: nil
        }
    }

    var wantsWrite: Bool {
        switch state {
        case .connecting: connector.wantsWrite
        case .ready(let connection, _): connection.wantsWrite
        case .waiting: false
        }
    }

    /// Tells a new descriptor from the one before that had the same number. A connection keeps that of its connecting.
    var generation: Int { connector.generation }

    var nextDeadlineNanoseconds: Int64? {
        switch state {
        case .connecting: connector.nextDeadlineNanoseconds
        case .ready(let connection, _): connection.nextDeadlineNanoseconds
        case .waiting(let until): until
        }
    }

    // MARK: What it says

    // Each of these returns what the current connection said: `.ready` first, `.failed` last and once. Of one that never
    // became ready nothing is said.

    func handle(_ ready: EventLoop.Ready) -> [RedisConnection.Event] {
        let now = SystemClock.bootNanoseconds()
        switch state {
        case .connecting: return noted(connector.advance(now: now), now)
        case .ready(let connection, _):
            let written = ready.isWritable ? connection.handleWritable(now: now) : []
            return noted(written + connection.handleReadable(now: now), now)
        case .waiting: return []
        }
    }

    /// Sends what this round of the loop asked for, in one write.
    func flush() -> [RedisConnection.Event] {
        guard case .ready(let connection, _) = state, connection.wantsWrite else { return [] }
        let now = SystemClock.bootNanoseconds()
        return noted(connection.handleWritable(now: now), now)
    }

    func handleDeadline() -> [RedisConnection.Event] {
        let now = SystemClock.bootNanoseconds()
        switch state {
        case .connecting: return noted(connector.advance(now: now), now)
        case .ready(let connection, _): return noted(connection.handleDeadline(now: now), now)
        case .waiting(let until): return now >= until ? connect(now) : []
        }
    }

    /// Ends the current connection; the next one follows after a pause.
    func close() -> [RedisConnection.Event] {
        guard case .ready(let connection, _) = state else { return [] }
        return noted(connection.close(), SystemClock.bootNanoseconds())
    }

    /// Gives up a connection, or what may become one, that cannot be waited for; the next one follows after a pause.
    func abandon(for reason: SystemError) -> [RedisConnection.Event] {
        let now = SystemClock.bootNanoseconds()
        switch state {
        case .connecting:
            connector.abandon()
            pause(after: RedisFailure(.unreachable, "\(reason)", address: "\(target)"), now)
            return []
        case .ready(let connection, _): return noted(connection.close("\(reason)"), now)
        case .waiting: return []
        }
    }

    // MARK: What it is

    /// Over which requests can be sent.
    var current: RedisConnection? { if case .ready(let connection, _) = state { connection } else { nil } }

    /// Since when there is a current one.
    var readySinceNanoseconds: Int64? { if case .ready(_, let since) = state { since } else { nil } }

    // MARK: Connecting

    /// The first connection, waited for: what is wrong with the settings shows now, and ends the daemon. Only what is sure to
    /// pass by itself is left to the loop.
    func connectFirst() throws(StartFailure) {
        let now = SystemClock.bootNanoseconds()
        do throws(RedisFailure) {
            let client = try BlockingRedisClient(target, options: options)
            let reply = try client.call(.command(RedisCommand("INFO", "memory")))
            if let failure = evictionFailure(reply, at: client.address) { throw failure }
        } catch  where error.kind == .notReady || isFailover(error) {
            return pause(after: error, now)
        } catch {
            throw .redis("\(error)")
        }
        _ = connect(now)  // This one was only waited for; the loop makes its own.
    }

    /// The same from the loop, as after a loss.
    func connectLater() { state = .waiting(untilNanoseconds: SystemClock.bootNanoseconds()) }

    /// Sentinels that still name the old master will name another one soon.
    private func isFailover(_ failure: RedisFailure) -> Bool {
        if case .master = target { failure.kind == .notMaster } else { false }
    }

    private func connect(_ now: Int64) -> [RedisConnection.Event] {
        state = .connecting
        return noted(connector.begin(now: now), now)
    }

    private func noted(_ outcome: RedisConnector.Outcome?, _ now: Int64) -> [RedisConnection.Event] {
        switch outcome {
        case .connected(let connection, let events):
            state = .ready(connection, sinceNanoseconds: now)
            log.info(
                "connected",
                metadata: ["redis": "\(connection.address)", "version": "\(connection.server?.version ?? "?")"])
            return noted(events, now)
        case .failed(let failure):
            pause(after: failure, now)
            return []
        case nil: return []
        }
    }

    private func noted(_ events: [RedisConnection.Event], _ now: Int64) -> [RedisConnection.Event] {
        if case .failed(let failure) = events.last { pause(after: failure, now) }
        return events
    }

    private func pause(after failure: RedisFailure, _ now: Int64) {
        // One that lasted was a good one. One that is lost as soon as it is made must not be made again and again at once.
        if case .ready(_, let since) = state, now - since >= delay.longestNanoseconds { delay.reset() }
        let nanoseconds = delay.next(random: randomUInt64())
        state = .waiting(untilNanoseconds: now + nanoseconds)
        log.warning("\(failure); retrying in \(nanoseconds / 1_000_000) ms, tasks go on")
    }
}

/// Why this Redis must not hold a queue, from its reply to INFO memory; nil when it may.
func evictionFailure(_ information: RESPValue, at address: String) -> RedisFailure? {
    let name = "maxmemory_policy:"
    let lines = (information.string ?? "").split(whereSeparator: \.isNewline)
    guard let policy = lines.first(where: { $0.hasPrefix(name) })?.dropFirst(name.count), policy != "noeviction" else {
        return nil
    }
    let detail = "it may throw tasks away (maxmemory-policy \(policy)): set it to noeviction"
    return RedisFailure(.unsupported, detail, address: address)
}

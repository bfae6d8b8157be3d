// Redis for a program that has nothing else to do meanwhile: the command line. The connection is the daemon's own; only
// the waiting is done here.

import LinuxSystem

/// A client that waits. A failure is final: every later call throws it again.
public final class BlockingRedisClient {
    private let connection: RedisConnection

    /// How much of a pipeline may wait to be sent before we look for replies: enough to keep the socket busy.
    private static let outputBytesWanted = 256 << 10

    /// Connects and makes the handshake, trying each address of the target in turn.
    ///
    /// - Parameter options: their credentials and database are replaced by those of the target. The connect timeout
    ///   holds for each address.
    public init(
        _ target: RedisTarget, options: RedisConnectionOptions = RedisConnectionOptions()
    ) throws(RedisFailure) {
        connection = try Self.connection(from: RedisConnector(target, options: options))
    }

    /// The same for a server whose place is known.
    public convenience init(
        _ endpoint: RedisEndpoint, options: RedisConnectionOptions = RedisConnectionOptions()
    ) throws(RedisFailure) {
        try self.init(.server(endpoint), options: options)
    }

    /// Where the server is, as messages show it.
    public var address: String { connection.address }

    /// What Redis says of itself.
    public var server: RedisServerDescription? { connection.server }

    /// Asks one thing and waits for the reply. An error reply is returned, not thrown.
    public func call(_ request: RedisRequest) throws(RedisFailure) -> RESPValue {
        try pipeline([request]).first ?? .null
    }

    /// Asks many things in one go and returns the replies in their order. A pipeline may be of any length: replies are
    /// read while requests are still being sent, so neither side ever waits for the other.
    public func pipeline(_ requests: [RedisRequest]) throws(RedisFailure) -> [RESPValue] {
        var places: [RequestIdentifier: Int] = [:]
        places.reserveCapacity(requests.count)
        var replies = [RESPValue](repeating: .null, count: requests.count)
        var unsent = requests.indices
        var missing = requests.count
        while missing > 0 {
            let now = SystemClock.bootNanoseconds()
            while let next = unsent.first, connection.outputBytes < Self.outputBytesWanted {
                places[try connection.send(requests[next], now: now)] = next
                unsent = unsent.dropFirst()
            }
            for event in connection.handleWritable(now: now) + (try Self.wait(for: connection)) {
                switch event {
                case .reply(let identifier, let value):
                    // Replies to an earlier pipeline cannot come: it either had them all or failed, and then so do we.
                    guard let place = places.removeValue(forKey: identifier) else { continue }
                    replies[place] = value
                    missing -= 1
                    assert(missing >= 0, "more replies than requests")
                case .failed(let failure):
                    // READONLY ends the connection, but when all replies are there the caller deserves to see them.
                    guard missing == 0 else { throw failure }
                case .ready, .message, .lost:
                    continue
                }
            }
        }
        return replies
    }

    private static func connection(from connector: RedisConnector) throws(RedisFailure) -> RedisConnection {
        var outcome = connector.begin(now: SystemClock.bootNanoseconds())
        while true {
            switch outcome {
            case .connected(let connection, _):
                if let failure = connection.failure { throw failure }
                return connection
            case .failed(let failure): throw failure
            case nil:
                try wait(
                    connector.descriptor, writable: connector.wantsWrite, until: connector.nextDeadlineNanoseconds)
                outcome = connector.advance(now: SystemClock.bootNanoseconds())
            }
        }
    }

    /// Waits until the connection has something to do, or is late, and has it done.
    private static func wait(for connection: RedisConnection) throws(RedisFailure) -> [RedisConnection.Event] {
        guard connection.failure == nil else { return [] }
        try wait(
            connection.descriptor, writable: connection.wantsWrite, until: connection.nextDeadlineNanoseconds)
        let after = SystemClock.bootNanoseconds()
        return connection.handleReadable(now: after) + connection.handleDeadline(now: after)
    }

    private static func wait(
        _ descriptor: Int32?, writable: Bool, until deadline: Int64?
    ) throws(RedisFailure) {
        guard let descriptor else { return }
        do throws(SystemError) {
            let wait = deadline.map { milliseconds(from: SystemClock.bootNanoseconds(), until: $0) }
            _ = try DescriptorWait.until(descriptor, readable: true, writable: writable, atMostMilliseconds: wait)
        } catch {
            throw RedisFailure(.connectionLost, error.description)
        }
    }

    /// Rounded up, so that a wait does not end just before its deadline and is begun again.
    private static func milliseconds(from now: Int64, until deadline: Int64) -> Int32 {
        guard deadline > now else { return 0 }
        return Int32(clamping: (deadline - now) / 1_000_000 + 1)
    }
}

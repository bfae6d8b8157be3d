// An event loop for one connection, so that tests can wait for what it does.

import LinuxSystem
import RedisClient
import Testing

/// Drives a connection and gathers its events.
final class ConnectionDriver {
    let connection: RedisConnection
    private(set) var events: [RedisConnection.Event] = []

    init(_ endpoint: RedisEndpoint, _ change: (inout RedisConnectionOptions) -> Void = { _ in }) throws {
        var options = RedisConnectionOptions(endpoint)
        change(&options)
        let address: SocketAddress
        switch endpoint.location {
        case .unix(let path): address = .unix(path: path)
        case .internet(let host, let port):
            address = try #require(AddressResolver.numericAddress(host: host, port: port))
        }
        connection = try RedisConnection(
            connectingTo: address, named: "\(endpoint)", options: options, now: SystemClock.bootNanoseconds())
    }

    func send(_ words: String...) throws -> RequestIdentifier {
        try connection.send(
            .command(RedisCommand(bytes: words.map { Array($0.utf8) })), now: SystemClock.bootNanoseconds())
    }

    /// One round of the loop, as the daemon would make it.
    func turn() throws {
        events += connection.handleWritable(now: SystemClock.bootNanoseconds())
        guard connection.failure == nil else { return }
        let deadline = connection.nextDeadlineNanoseconds ?? .max
        let milliseconds = max(0, min(100, (deadline - SystemClock.bootNanoseconds()) / 1_000_000 + 1))
        _ = try DescriptorWait.until(
            connection.descriptor, readable: true, writable: connection.wantsWrite,
            atMostMilliseconds: Int32(milliseconds))
        events += connection.handleReadable(now: SystemClock.bootNanoseconds())
        events += connection.handleDeadline(now: SystemClock.bootNanoseconds())
    }

    /// Turns the loop until `condition` holds; gives up after 200 s.
    func run(until condition: (ConnectionDriver) -> Bool) throws {
        let end = SystemClock.bootNanoseconds() + 200_000_000_000
        while !condition(self) {
            try #require(SystemClock.bootNanoseconds() < end, "still waiting; events so far: \(events)")
            try turn()
        }
    }

    var failure: RedisFailure? {
        for case .failed(let failure) in events { return failure }
        return nil
    }

    func reply(to identifier: RequestIdentifier) -> RESPValue? {
        for case .reply(identifier, let value) in events { return value }
        return nil
    }

    var messages: [String] {
        events.compactMap { event in
            if case .message(_, let payload) = event { String(decoding: payload, as: UTF8.self) } else { nil }
        }
    }
}

/// Drives a connector to its outcome, as a loop would.
func outcome(of connector: RedisConnector) throws -> Result<RedisConnection, RedisFailure> {
    var outcome = connector.begin(now: SystemClock.bootNanoseconds())
    let end = SystemClock.bootNanoseconds() + 600_000_000_000
    while true {
        switch outcome {
        case .connected(let connection, let events):
            #expect(events.first == .ready)
            return .success(connection)
        case .failed(let failure): return .failure(failure)
        case nil: break
        }
        try #require(SystemClock.bootNanoseconds() < end, "neither connected nor refused")
        let deadline = try #require(connector.nextDeadlineNanoseconds, "nothing is waited for without a bound")
        let milliseconds = max(0, min(1000, (deadline - SystemClock.bootNanoseconds()) / 1_000_000 + 1))
        _ = try DescriptorWait.until(
            try #require(connector.descriptor), readable: true, writable: connector.wantsWrite,
            atMostMilliseconds: Int32(milliseconds))
        outcome = connector.advance(now: SystemClock.bootNanoseconds())
    }
}

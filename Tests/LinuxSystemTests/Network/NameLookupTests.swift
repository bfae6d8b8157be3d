// Names resolved beside the loop: a resolver that hangs costs a thread and nothing else.

import Glibc
import Synchronization
import Testing

@testable import LinuxSystem

@Suite("Looking up names in the background")
struct NameLookupTests {
    private let address = SocketAddress.internet(address: "192.0.2.1", port: 6379)

    private func wait(for lookup: NameLookup) throws -> Result<[SocketAddress], ResolutionError> {
        let descriptor = try #require(lookup.descriptor)
        _ = try DescriptorWait.until(descriptor, readable: true, writable: false, atMostMilliseconds: 60_000)
        return try #require(lookup.result())
    }

    @Test("a lookup that hangs does not stop the loop, and its answer still comes")
    func hanging() throws {
        let gate = Gate()
        let address = address
        let lookup = NameLookup { (_, _) throws(ResolutionError) in
            gate.pass()
            return [address]
        }
        var loop = try EventLoop()
        var timer = try Timer()
        try loop.add(timer.descriptor, for: .readable, token: 1)
        try lookup.begin(host: "redis.example", port: 6379)
        try loop.add(try #require(lookup.descriptor), for: .readable, token: 2)
        for _ in 0..<5 {
            try timer.arm(atNanoseconds: SystemClock.bootNanoseconds() + 1_000_000)
            #expect(try loop.wait(atMostMilliseconds: 60_000).map(\.token) == [1])
            timer.acknowledge()
            #expect(lookup.result() == nil)
        }
        gate.open()
        #expect(try loop.wait(atMostMilliseconds: 60_000).map(\.token) == [2])
        #expect(try lookup.result()?.get() == [address])
        #expect(lookup.result() == nil, "once")
        #expect(lookup.descriptor == nil)
    }

    @Test(
        "however often a name is asked for while its lookup hangs, there is one thread, and its answer serves the last")
    func oneThread() throws {
        let gate = Gate()
        let address = address
        let lookup = NameLookup { (_, _) throws(ResolutionError) in
            gate.pass()
            return [address]
        }
        for _ in 0..<50 {
            try lookup.begin(host: "redis.example", port: 6379)
            lookup.abandon()
            #expect(lookup.descriptor == nil)
        }
        try lookup.begin(host: "redis.example", port: 6379)
        let refused = try #require(throws: ResolutionError.self) { try lookup.begin(host: "other.example", port: 1) }
        #expect(refused.description == "resolve other.example: the lookup of redis.example still goes on")
        try lookup.begin(host: "redis.example", port: 6379)
        gate.open()
        #expect(try wait(for: lookup).get() == [address])
        #expect(gate.passedCount == 1)
    }

    @Test("an answer nobody waited for is not given to a later question")
    func staleAnswer() throws {
        let gate = Gate()
        let lookup = NameLookup { (_, port) throws(ResolutionError) in
            gate.pass()
            return [.internet(address: "192.0.2.\(gate.passedCount)", port: port)]
        }
        try lookup.begin(host: "redis.example", port: 1)
        let descriptor = try #require(lookup.descriptor)
        gate.open()
        _ = try DescriptorWait.until(descriptor, readable: true, writable: false, atMostMilliseconds: 60_000)
        lookup.abandon()
        try lookup.begin(host: "redis.example", port: 1)
        #expect(try wait(for: lookup).get() == [.internet(address: "192.0.2.2", port: 1)])
    }

    @Test("a lookup whose asker is gone ends by itself")
    func asker() throws {
        let gate = Gate()
        let ended = Gate()
        var lookup: NameLookup? = NameLookup { (_, _) throws(ResolutionError) in
            gate.pass()
            ended.open()
            return []
        }
        try lookup?.begin(host: "redis.example", port: 1)
        lookup = nil
        gate.open()
        ended.pass()
    }

    @Test("a name that does not exist is refused with what the resolver says")
    func unknownName() throws {
        let lookup = NameLookup()
        try lookup.begin(host: "no-such-host.invalid", port: 1)
        let result = try wait(for: lookup)
        let error = try #require(throws: ResolutionError.self) { try result.get() }
        #expect(error.host == "no-such-host.invalid" && !error.cause.isEmpty)
    }

    @Test("addresses in digits need no lookup, names do")
    func numeric() {
        #expect(
            AddressResolver.numericAddress(host: "127.0.0.1", port: 7) == .internet(address: "127.0.0.1", port: 7))
        #expect(AddressResolver.numericAddress(host: "::1", port: 7) == .internet(address: "::1", port: 7))
        #expect(AddressResolver.numericAddress(host: "localhost", port: 7) == nil)
        #expect(AddressResolver.numericAddress(host: "", port: 7) == nil)
    }
}

/// Holds threads up until the test says so.
private final class Gate: Sendable {
    private let state = Mutex((isOpen: false, passed: 0))

    var passedCount: Int { state.withLock { $0.passed } }

    func open() { state.withLock { $0.isOpen = true } }

    func pass() {
        while !state.withLock({ $0.isOpen }) { usleep(1000) }
        state.withLock { $0.passed += 1 }
    }
}

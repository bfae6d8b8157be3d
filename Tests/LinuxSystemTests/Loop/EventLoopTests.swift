// The wait of the daemon: what is ready comes with its token, and a deadline comes on time and once.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Event loop")
struct EventLoopTests {
    @Test("every ready descriptor is reported with its own token")
    func tokens() throws {
        var loop = try EventLoop()
        let pipes = try (0..<3).map { _ in try PipePair() }
        for (index, pipe) in pipes.enumerated() {
            try loop.add(pipe.reading.raw, for: .readable, token: UInt64.max - UInt64(index))
        }
        #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
        for pipe in pipes { try pipe.write("x") }
        let ready = try loop.wait(atMostMilliseconds: 5000)
        #expect(Set(ready.map(\.token)) == [UInt64.max, UInt64.max - 1, UInt64.max - 2])
        #expect(ready.allSatisfy { $0.isReadable && !$0.isWritable && !$0.hasPriority && !$0.hasFailed })
    }

    @Test("what is not handled now is reported again")
    func levelTriggered() throws {
        var loop = try EventLoop()
        let pipe = try PipePair()
        try loop.add(pipe.reading.raw, for: .readable, token: 7)
        try pipe.write("x")
        #expect(try loop.wait(atMostMilliseconds: 5000).map(\.token) == [7])
        #expect(try loop.wait(atMostMilliseconds: 5000).map(\.token) == [7])
    }

    @Test("a batch is no larger than asked for, and the rest comes next")
    func batches() throws {
        var loop = try EventLoop(batchMax: 2)
        let pipes = try (0..<3).map { _ in try PipePair() }
        for (index, pipe) in pipes.enumerated() {
            try loop.add(pipe.reading.raw, for: .readable, token: UInt64(index))
            try pipe.write("x")
        }
        let first = try loop.wait(atMostMilliseconds: 5000).map(\.token)
        let second = try loop.wait(atMostMilliseconds: 5000).map(\.token)
        #expect(first.count == 2)
        #expect(Set(first + second) == [0, 1, 2])
    }

    @Test("interest can be changed and given up")
    func modifies() throws {
        var loop = try EventLoop()
        let pipe = try PipePair()
        try loop.add(pipe.writing.raw, for: [], token: 1)
        #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
        try loop.modify(pipe.writing.raw, for: .writable, token: 2)
        let ready = try loop.wait(atMostMilliseconds: 5000)
        #expect(ready.map(\.token) == [2])
        #expect(ready.allSatisfy { $0.isWritable })
        try loop.remove(pipe.writing.raw)
        #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
    }

    @Test("a peer that is gone is reported as failed")
    func hangUp() throws {
        var loop = try EventLoop()
        var pipe: PipePair? = try PipePair()
        let reading = SharedDescriptor(try OwnedDescriptor.duplicate(of: try #require(pipe).reading.raw))
        try loop.add(reading.raw, for: .readable, token: 1)
        pipe = nil
        #expect(try loop.wait(atMostMilliseconds: 5000).contains { $0.hasFailed })
    }

    @Test("watching what is no descriptor is an error that names it")
    func badDescriptor() throws {
        let loop = try EventLoop()
        #expect(throws: SystemError(call: "epoll_ctl", subject: "descriptor -1", code: EBADF)) {
            try loop.add(-1, for: .readable, token: 0)
        }
    }

    @Test("one descriptor can be waited for without a loop")
    func descriptorWait() throws {
        let pipe = try PipePair()
        let raw = pipe.reading.raw
        #expect(try !DescriptorWait.until(raw, readable: true, writable: false, atMostMilliseconds: 0))
        try pipe.write("x")
        #expect(try DescriptorWait.until(raw, readable: true, writable: false, atMostMilliseconds: 5000))
        #expect(try DescriptorWait.until(pipe.writing.raw, readable: false, writable: true, atMostMilliseconds: 5000))
    }
}

@Suite("Timer")
struct TimerTests {
    private static let millisecond: Int64 = 1_000_000

    @Test("a deadline fires when its time has come, not before, and once")
    func fires() throws {
        var loop = try EventLoop()
        var timer = try Timer()
        try loop.add(timer.descriptor, for: .readable, token: 9)
        let deadline = SystemClock.bootNanoseconds() + 30 * Self.millisecond
        try timer.arm(atNanoseconds: deadline)
        #expect(try loop.wait(atMostMilliseconds: 30_000).map(\.token) == [9])
        #expect(SystemClock.bootNanoseconds() >= deadline)
        timer.acknowledge()
        #expect(try loop.wait(atMostMilliseconds: 20).isEmpty)
    }

    @Test("a time already past fires at once, also that before boot", arguments: [Int64.min, -1, 0, 1, 1_000_000_000])
    func past(nanoseconds: Int64) throws {
        var timer = try Timer()
        try timer.arm(atNanoseconds: nanoseconds)
        #expect(try isReadable(timer.descriptor, withinMilliseconds: 5000))
    }

    @Test("a nearer deadline takes the place of a farther one, and the other way round")
    func rearms() throws {
        var timer = try Timer()
        let now = SystemClock.bootNanoseconds()
        try timer.arm(atNanoseconds: .max)
        try timer.arm(atNanoseconds: now + 3600 * 1000 * Self.millisecond)
        try timer.arm(atNanoseconds: now + 5 * Self.millisecond)
        #expect(try isReadable(timer.descriptor, withinMilliseconds: 30_000))
        // Fired, but not yet acknowledged: the new deadline is what counts.
        try timer.arm(atNanoseconds: now + 3600 * 1000 * Self.millisecond)
        #expect(try !isReadable(timer.descriptor, withinMilliseconds: 20))
        timer.acknowledge()
        try timer.arm(atNanoseconds: now)
        #expect(try isReadable(timer.descriptor, withinMilliseconds: 5000))
    }

    @Test("the same deadline fires again once the first firing was acknowledged")
    func sameDeadlineAgain() throws {
        var timer = try Timer()
        let past = SystemClock.bootNanoseconds()
        for _ in 0..<3 {
            try timer.arm(atNanoseconds: past)
            #expect(try isReadable(timer.descriptor, withinMilliseconds: 5000))
            timer.acknowledge()
        }
    }

    @Test("a timer without a deadline never fires")
    func disarms() throws {
        var timer = try Timer()
        try timer.arm(atNanoseconds: nil)
        try timer.arm(atNanoseconds: SystemClock.bootNanoseconds() + 20 * Self.millisecond)
        try timer.arm(atNanoseconds: nil)
        #expect(try !isReadable(timer.descriptor, withinMilliseconds: 60))
    }

    private func isReadable(_ raw: Int32, withinMilliseconds milliseconds: Int32) throws -> Bool {
        try DescriptorWait.until(raw, readable: true, writable: false, atMostMilliseconds: milliseconds)
    }
}

@Suite("Signals")
struct SignalQueueTests {
    // Signal masks belong to threads, so each of these has a process to itself and signals the thread it runs on.

    @Test("blocked signals are queued in place of their default action, one of a kind standing for many")
    func queues() async {
        await #expect(processExitsWith: .success) {
            let queue = try SignalQueue(blocking: [.terminate, .hangup, .user1])
            #expect(queue.next() == nil)
            for _ in 0..<5 { pthread_kill(pthread_self(), SIGTERM) }
            pthread_kill(pthread_self(), SIGHUP)
            var signals: [Signal] = []
            while let signal = queue.next() { signals.append(signal) }
            #expect(signals.sorted { $0.rawValue < $1.rawValue } == [.hangup, .terminate])
            for signal in [SIGTERM, SIGHUP, SIGUSR1] { pthread_kill(pthread_self(), signal) }
            #expect(Set(queue.all()) == [.hangup, .terminate, .user1])
            #expect(queue.all().isEmpty)
        }
    }

    @Test("a queued signal makes the descriptor readable for the loop")
    func wakesLoop() async {
        await #expect(processExitsWith: .success) {
            let queue = try SignalQueue(blocking: [.hangup])
            var loop = try EventLoop()
            try loop.add(queue.descriptor, for: .readable, token: 3)
            #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
            pthread_kill(pthread_self(), SIGHUP)
            #expect(try loop.wait(atMostMilliseconds: 5000).map(\.token) == [3])
            #expect(queue.next() == .hangup)
            #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
        }
    }

    @Test("writing to a reader that has gone is an error, not a death")
    func brokenPipe() async {
        await #expect(processExitsWith: .success) {
            _ = try SignalQueue(blocking: [.child])
            let writing: OwnedDescriptor
            do {
                let pipe = try OwnedDescriptor.pipe()
                writing = try OwnedDescriptor.duplicate(of: pipe.writing.raw)
            }
            var code: Int32 = 0
            do throws(SystemError) {
                try writing.writeAll([1], subject: "pipe")
            } catch {
                code = error.code
            }
            #expect(code == EPIPE)
        }
    }
}

/// The ends of a pipe in a form that arrays hold.
final class PipePair {
    let reading: SharedDescriptor
    let writing: SharedDescriptor

    init() throws {
        let pipe = try OwnedDescriptor.pipe()
        reading = SharedDescriptor(try OwnedDescriptor.duplicate(of: pipe.reading.raw))
        writing = SharedDescriptor(try OwnedDescriptor.duplicate(of: pipe.writing.raw))
    }

    func write(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard Glibc.write(writing.raw, bytes, bytes.count) == bytes.count else {
            throw SystemError.last("write", "pipe")
        }
    }
}

// MARK: - Local time

@Suite("local time")
struct LocalTimeTests {
    @Test("a moment comes back from its calendar form, in summer and in winter")
    func roundTrip() {
        for seconds: Int64 in [0, 951_782_400, 1_688_000_000, 1_700_000_000, 4_000_000_000] {
            #expect(LocalTime(unixSeconds: seconds).unixSeconds() == seconds)
        }
    }

    @Test("days and hours that do not exist are none")
    func nonsense() {
        #expect(LocalTime(year: 2023, month: 2, day: 29).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 4, day: 31).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 0, day: 1).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 1, day: 1, hour: 24).unixSeconds() == nil)
        #expect(LocalTime(year: 2024, month: 2, day: 29).unixSeconds(isUniversal: true) == 1_709_164_800)
    }

    @Test("it is written with leading zeros")
    func text() {
        #expect(LocalTime(year: 2026, month: 5, day: 1, hour: 9, minute: 8, second: 7).text == "2026-05-01 09:08:07")
    }
}

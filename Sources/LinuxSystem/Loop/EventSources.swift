// What the event loop waits for besides sockets: a deadline, a signal, and the kernel's warning that memory runs short.

import CLinux
import Glibc

/// A timerfd(2) on CLOCK_BOOTTIME; readable once its time has come. One serves every deadline of the daemon: it is set to the
/// earliest.
public struct Timer: ~Copyable {
    private let owned: OwnedDescriptor
    private var armedNanoseconds: Int64?

    public init() throws(SystemError) {
        let raw = timerfd_create(CLOCK_BOOTTIME, Int32(TFD_CLOEXEC) | Int32(TFD_NONBLOCK))
        guard raw >= 0 else { throw .last("timerfd_create", "CLOCK_BOOTTIME") }
        owned = OwnedDescriptor(adopting: raw)
    }

    public var descriptor: Int32 { owned.raw }

    /// Fires once at `nanoseconds` on `SystemClock.bootNanoseconds`; a time already past fires at once, nil never.
    public mutating func arm(atNanoseconds nanoseconds: Int64?) throws(SystemError) {
        guard nanoseconds != armedNanoseconds else { return }
        var setting = itimerspec()
        if let nanoseconds {
            let positive = max(1, nanoseconds)  // Zero would disarm.
            setting.it_value.tv_sec = Int(positive / 1_000_000_000)
            setting.it_value.tv_nsec = Int(positive % 1_000_000_000)
        }
        guard timerfd_settime(owned.raw, Int32(TFD_TIMER_ABSTIME), &setting, nil) == 0 else {
            throw .last("timerfd_settime", "the deadline timer")
        }
        armedNanoseconds = nanoseconds
    }

    /// Acknowledges that the timer fired, so that it is no longer readable.
    public mutating func acknowledge() {
        var expirations: UInt64 = 0
        // EAGAIN: it was re-armed between the event and this read; there is nothing to take then.
        if read(owned.raw, &expirations, 8) == 8 { armedNanoseconds = nil }
    }
}

// MARK: - Signals

/// The signals our programs answer to.
public enum Signal: Int32, CaseIterable, Sendable {
    case child = 17
    case terminate = 15
    case interrupt = 2
    case hangup = 1
    case user1 = 10
    case windowChange = 28
    /// Ctrl-\\ at a terminal.
    case quit = 3
    /// Ctrl-Z at a terminal.
    case terminalStop = 20
}

/// A signalfd(2): signals arrive as bytes on a descriptor, between two events and never in the middle of one. Block signals
/// before anything else: one that comes earlier meets its default action.
public struct SignalQueue: ~Copyable {
    private let owned: OwnedDescriptor

    /// Blocks `signals` for the process and queues them here. SIGPIPE is ignored: a write to a closed peer returns EPIPE.
    public init(blocking signals: [Signal]) throws(SystemError) {
        var set = sigset_t()
        sigemptyset(&set)
        for signal in signals { sigaddset(&set, signal.rawValue) }
        guard sigprocmask(SIG_BLOCK, &set, nil) == 0 else { throw .last("sigprocmask", "for signalfd") }
        let raw = signalfd(-1, &set, Int32(SFD_CLOEXEC) | Int32(SFD_NONBLOCK))
        guard raw >= 0 else { throw .last("signalfd", "for \(signals)") }
        owned = OwnedDescriptor(adopting: raw)
        Glibc.signal(SIGPIPE, SIG_IGN)
    }

    public var descriptor: Int32 { owned.raw }

    /// The next queued signal, or nil when there is none. Signals of one kind coalesce: one `child` may stand for many.
    public func next() -> Signal? {
        while true {
            guard let number = numbers(atMost: 1).first else { return nil }
            if let signal = Signal(rawValue: number) { return signal }
        }
    }

    /// All that are queued, most often by one call.
    public func all() -> [Signal] {
        let atOnce = 4
        var signals: [Signal] = []
        while true {
            let numbers = numbers(atMost: atOnce)
            signals += numbers.compactMap { Signal(rawValue: $0) }
            if numbers.count < atOnce { return signals }
        }
    }

    private func numbers(atMost count: Int) -> [Int32] {
        withUnsafeTemporaryAllocation(of: signalfd_siginfo.self, capacity: count) { buffer in
            let size = MemoryLayout<signalfd_siginfo>.stride
            let read = retryingInterrupted { Glibc.read(owned.raw, buffer.baseAddress, count * size) }
            return (0..<max(0, read) / size).map { Int32(bitPattern: buffer[$0].ssi_signo) }
        }
    }
}

// MARK: - Memory pressure

/// A PSI trigger on the memory of the whole machine, see the kernel's Documentation/accounting/psi.rst. Its descriptor shows
/// priority each time tasks stalled on memory for longer than the threshold within the window.
public struct PressureTrigger: ~Copyable {
    private let owned: OwnedDescriptor

    /// - Throws: ENOENT where the kernel has no PSI, EOPNOTSUPP where it was switched off at boot; the caller then goes by its
    ///   periodic measurements alone.
    public init(stallMicroseconds: Int = 150_000, windowMicroseconds: Int = 2_000_000) throws(SystemError) {
        // A window of a multiple of 2 s needs no CAP_SYS_RESOURCE on kernels from 6.5 on.
        let path = "/proc/pressure/memory"
        let file = try OwnedDescriptor.open(path, [.readWrite, .nonBlocking])
        // The kernel wants the line and its terminating NUL in one write.
        try file.writeAll(Array("some \(stallMicroseconds) \(windowMicroseconds)".utf8) + [0], subject: path)
        owned = file
    }

    public var descriptor: Int32 { owned.raw }
}

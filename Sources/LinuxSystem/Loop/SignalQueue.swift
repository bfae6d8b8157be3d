// Signals arrive as bytes on a descriptor, between two events and never in the middle of one.

import CLinux
import Glibc

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

/// A signalfd(2). Block signals before anything else: one that comes earlier meets its default action.
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
        var information = signalfd_siginfo()
        while true {
            let count = retryingInterrupted { read(owned.raw, &information, MemoryLayout<signalfd_siginfo>.size) }
            guard count == MemoryLayout<signalfd_siginfo>.size else { return nil }
            if let signal = Signal(rawValue: Int32(bitPattern: information.ssi_signo)) { return signal }
        }
    }
}

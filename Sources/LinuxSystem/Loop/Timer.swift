// One timer serves every deadline of the daemon: it is armed at the earliest.

import CLinux
import Glibc

/// A timerfd(2) on CLOCK_BOOTTIME; readable once its time has come.
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

    /// Takes notice that the timer fired, so that it is no longer readable.
    public mutating func acknowledge() {
        var expirations: UInt64 = 0
        // EAGAIN: it was re-armed between the event and this read; there is nothing to take then.
        if read(owned.raw, &expirations, 8) == 8 { armedNanoseconds = nil }
    }
}

// The clocks the daemon lives by. Deadlines and leases count on CLOCK_BOOTTIME: it never jumps when someone sets the time,
// and unlike CLOCK_MONOTONIC it goes on while the machine is suspended, so a node that slept through its lease knows.

import CLinux
import Glibc

public enum SystemClock {
    /// Nanoseconds since boot, suspension included (clock_gettime(2), CLOCK_BOOTTIME).
    public static func bootNanoseconds() -> Int64 { read(CLOCK_BOOTTIME) }

    /// CLOCK_MONOTONIC, which systemd compares with: it stands still while the machine is suspended.
    public static func monotonicNanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

    /// Nanoseconds since 1970 by the wall clock, for records that people read; never for deadlines.
    public static func wallNanoseconds() -> Int64 { read(CLOCK_REALTIME) }

    /// Whole seconds since 1970.
    public static func wallSeconds() -> Int64 { wallNanoseconds() / 1_000_000_000 }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)  // Cannot fail: each of our kernels has the clock.
        return Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec)
    }
}

/// Waits that long; for programs with nothing else to do, never in the daemon's loop.
public func pause(milliseconds: UInt32) { usleep(milliseconds &* 1000) }

/// Random bytes from the kernel, see getrandom(2).
public func randomUInt64() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
}

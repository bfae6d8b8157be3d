// The clocks the daemon lives by. Deadlines and leases count on CLOCK_BOOTTIME: it never jumps when someone sets the time,
// and unlike CLOCK_MONOTONIC it goes on while the machine is suspended, so a node that slept through its lease knows.
// And times as people write and read them, in the time zone of this machine.

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
public func pause(milliseconds: UInt32) { usleep(milliseconds * 1000) }

/// Random bytes from the kernel, see getrandom(2).
public func randomUInt64() -> UInt64 {
    var generator = SystemRandomNumberGenerator()
    return generator.next()
}

// MARK: - Times as people read them

/// A moment by the calendar and the clock on the wall, to the second.
public struct LocalTime: Hashable, Sendable {
    public var year: Int
    public var month: Int
    public var day: Int
    public var hour: Int
    public var minute: Int
    public var second: Int

    public init(year: Int, month: Int, day: Int, hour: Int = 0, minute: Int = 0, second: Int = 0) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
    }

    /// The local time at that many seconds since 1970 in UTC, see localtime_r(3).
    public init(unixSeconds: Int64) {
        var time = time_t(unixSeconds)
        var fields = tm()
        localtime_r(&time, &fields)
        self.init(
            year: Int(fields.tm_year) + 1900, month: Int(fields.tm_mon) + 1, day: Int(fields.tm_mday),
            hour: Int(fields.tm_hour), minute: Int(fields.tm_min), second: Int(fields.tm_sec))
    }

    /// Seconds since 1970, see mktime(3) and timegm(3); nil when there is no such day or no such hour of it.
    ///
    /// - Parameter isUniversal: the fields are UTC, not local time.
    public func unixSeconds(isUniversal: Bool = false) -> Int64? {
        guard (1900...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        var fields = tm()
        fields.tm_year = Int32(year - 1900)
        fields.tm_mon = Int32(month - 1)
        fields.tm_mday = Int32(day)
        fields.tm_hour = Int32(hour)
        fields.tm_min = Int32(minute)
        fields.tm_sec = Int32(second)
        fields.tm_isdst = -1  // Whether summer time applied, the zone's rules know.
        let seconds = isUniversal ? timegm(&fields) : mktime(&fields)
        // The thirty-first of a shorter month becomes the first of the next; that is not what was written.
        return fields.tm_mday == Int32(day) ? Int64(seconds) : nil
    }

    /// `2026-11-23`.
    public var dateText: String { "\(year)-\(two(month))-\(two(day))" }

    /// `17:54:02`.
    public var clockText: String { "\(two(hour)):\(two(minute)):\(two(second))" }

    /// `2026-11-23 17:54:02`.
    public var text: String { dateText + " " + clockText }

    private func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
}

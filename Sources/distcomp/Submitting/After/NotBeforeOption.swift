// `--not-before +10m`, `--not-before 2026-12-01T08:00`: when a job may begin.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// A moment or a delay, as it was typed.
struct NotBeforeOption: ExpressibleByArgument {
    let text: String
    let time: NotBefore

    static let expected =
        "a delay such as +10m, or a time such as 08:00, 2026-12-01T08:00, 2026-12-01T08:00Z or 2026-12-01T08:00+01:00"
    /// Ten years.
    private static let secondsMax = 315_360_000.0

    init?(argument text: String) {
        self.text = text
        let now = SystemClock.wallSeconds()
        if text == "none" {
            time = .atOnce
        } else if text.hasPrefix("+") {
            guard case .seconds(let seconds)? = TimeoutRequest(parsing: String(text.dropFirst())),
                seconds <= Self.secondsMax
            else { return nil }
            time = .after(milliseconds: Int(seconds * 1000))
        } else {
            guard let moment = PointInTime.parse(text, nowUnixSeconds: now, isAhead: true), moment >= 0,
                moment <= Double(now) + Self.secondsMax
            else { return nil }
            time = .at(unixMilliseconds: Int(moment * 1000))
        }
    }
}

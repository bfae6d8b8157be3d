// `--since 10:30`, `--since 2h`, `--not-before 2026-12-01T08:00`: moments as people name them.

import LinuxSystem
import TaskModel

enum PointInTime {
    /// Seconds since 1970 of `text`: a day, a time of today (or yesterday, where today's is still to come), both, or how long ago
    /// it was. A `Z` at its end makes it Greenwich time, and a day with a time may have `+01:00` at its end; `@` and a number are seconds
    /// since 1970 as date(1) takes them.
    ///
    /// - Parameter isAhead: a time alone is the next such, of today or tomorrow, and nothing is meant that long ago.
    static func parse(_ text: String, nowUnixSeconds: Int64, isAhead: Bool = false) -> Double? {
        if text.hasPrefix("@") { return Double(text.dropFirst()).flatMap { $0.isFinite ? $0 : nil } }
        if !isAhead, let request = TimeoutRequest(parsing: text), case .seconds(let seconds) = request {
            return Double(nowUnixSeconds) - seconds
        }
        let isUniversal = text.hasSuffix("Z")
        let parts = (isUniversal ? text.dropLast() : text[...]).split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == " " || $0 == "T" })
        switch parts.count {
        case 1 where parts[0].contains("-"):
            return date(parts[0])?.unixSeconds(isUniversal: isUniversal).map(Double.init)
        case 1: return clock(parts[0], isUniversal: isUniversal, nowUnixSeconds: nowUnixSeconds, isAhead)
        case 2:
            let sign = parts[1].firstIndex { $0 == "+" || $0 == "-" } ?? parts[1].endIndex
            let zone = parts[1][sign...]
            guard var time = date(parts[0]), let clock = numbers(parts[1][..<sign], separator: ":"),
                (2...3).contains(clock.count), !isUniversal || zone.isEmpty
            else { return nil }
            (time.hour, time.minute, time.second) = (clock[0], clock[1], clock.count > 2 ? clock[2] : 0)
            if zone.isEmpty { return time.unixSeconds(isUniversal: isUniversal).map(Double.init) }
            guard let seconds = time.unixSeconds(isUniversal: true), let ahead = secondsAhead(zone) else { return nil }
            return Double(seconds - ahead)
        default: return nil
        }
    }

    /// How far a zone is before Greenwich: `+01:00`, `-0530`, `+2`.
    private static func secondsAhead(_ text: Substring) -> Int64? {
        var digits = text.dropFirst()
        if let colon = digits.firstIndex(of: ":") {
            guard digits.distance(from: digits.startIndex, to: colon) == 2, digits.count == 5 else { return nil }
            digits.remove(at: colon)
        }
        guard let number = numbers(digits, separator: ":")?.first, [1, 2, 4].contains(digits.count) else { return nil }
        let (hours, minutes) = digits.count == 4 ? number.quotientAndRemainder(dividingBy: 100) : (number, 0)
        guard hours <= 18, minutes < 60 else { return nil }
        return Int64(hours * 3600 + minutes * 60) * (text.first == "-" ? -1 : 1)
    }

    private static func date(_ text: Substring) -> LocalTime? {
        guard let fields = numbers(text, separator: "-"), fields.count == 3 else { return nil }
        return LocalTime(year: fields[0], month: fields[1], day: fields[2])
    }

    private static func clock(
        _ text: Substring, isUniversal: Bool, nowUnixSeconds: Int64, _ isAhead: Bool
    ) -> Double? {
        guard let fields = numbers(text, separator: ":"), (2...3).contains(fields.count) else { return nil }
        var time = LocalTime(unixSeconds: nowUnixSeconds)
        (time.hour, time.minute, time.second) = (fields[0], fields[1], fields.count > 2 ? fields[2] : 0)
        guard var seconds = time.unixSeconds(isUniversal: isUniversal) else { return nil }
        // The day here may not be that of Greenwich.
        if isAhead {
            while seconds <= nowUnixSeconds { seconds += 86_400 }
        } else {
            while seconds > nowUnixSeconds { seconds -= 86_400 }
        }
        return Double(seconds)
    }

    private static func numbers(_ text: Substring, separator: Character) -> [Int]? {
        var numbers: [Int] = []
        for field in text.split(separator: separator, omittingEmptySubsequences: false) {
            guard (1...4).contains(field.utf8.count), field.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
                let number = Int(field)
            else { return nil }
            numbers.append(number)
        }
        return numbers
    }
}

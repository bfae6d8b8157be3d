// `--since 10:30`, `--since 2h`: moments as people name them.

import LinuxSystem
import TaskModel

enum PointInTime {
    /// Seconds since 1970 of `text`: a day, a time of today (or yesterday, where today's is still to come), both, or how long ago
    /// it was. A `Z` at its end makes it Greenwich time; `@` and a number are seconds since 1970 as date(1) takes them.
    static func parse(_ text: String, nowUnixSeconds: Int64) -> Double? {
        if text.hasPrefix("@") { return Double(text.dropFirst()).flatMap { $0.isFinite ? $0 : nil } }
        if let request = TimeoutRequest(parsing: text), case .seconds(let seconds) = request {
            return Double(nowUnixSeconds) - seconds
        }
        let isUniversal = text.hasSuffix("Z")
        let parts = (isUniversal ? text.dropLast() : text[...]).split(
            omittingEmptySubsequences: false, whereSeparator: { $0 == " " || $0 == "T" })
        switch parts.count {
        case 1 where parts[0].contains("-"):
            return date(parts[0])?.unixSeconds(isUniversal: isUniversal).map(Double.init)
        case 1: return clock(parts[0], isUniversal: isUniversal, nowUnixSeconds: nowUnixSeconds)
        case 2:
            guard var time = date(parts[0]), let clock = numbers(parts[1], separator: ":"),
                (2...3).contains(clock.count)
            else { return nil }
            (time.hour, time.minute, time.second) = (clock[0], clock[1], clock.count > 2 ? clock[2] : 0)
            return time.unixSeconds(isUniversal: isUniversal).map(Double.init)
        default: return nil
        }
    }

    private static func date(_ text: Substring) -> LocalTime? {
        guard let fields = numbers(text, separator: "-"), fields.count == 3 else { return nil }
        return LocalTime(year: fields[0], month: fields[1], day: fields[2])
    }

    private static func clock(_ text: Substring, isUniversal: Bool, nowUnixSeconds: Int64) -> Double? {
        guard let fields = numbers(text, separator: ":"), (2...3).contains(fields.count) else { return nil }
        var time = LocalTime(unixSeconds: nowUnixSeconds)
        (time.hour, time.minute, time.second) = (fields[0], fields[1], fields.count > 2 ? fields[2] : 0)
        guard let seconds = time.unixSeconds(isUniversal: isUniversal) else { return nil }
        return Double(seconds > nowUnixSeconds ? seconds - 86_400 : seconds)
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

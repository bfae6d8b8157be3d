// Where the daemon's log goes: readable or JSON lines on standard error, or entries with fields in the journal.

import LinuxSystem
import Logging
import TaskModel

/// Writes each event as one line, or one entry.
struct LogLines: LogHandler {
    enum Format: Sendable {
        /// `2026-11-23T13:05:09Z warning  lease lost  tasks=3`
        case text
        /// An entry with a field for each piece of metadata: `journalctl TASK=...` finds all that was said of a task. Where the
        /// journal does not take it, a line on standard error, with `<4>` for the priority as systemd reads it there.
        case journal(Journal)
        /// One JSON object a line.
        case json
    }

    let format: Format
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level = .info

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let fields = metadata.merging(event.metadata ?? [:]) { _, new in new }.sorted { $0.key < $1.key }
        switch format {
        case .text:
            let time = utcTime(SystemClock.wallSeconds())
            standardError.write("\(time) \(padded(event.level)) \(message(event, fields))\n")
        case .json: standardError.write(jsonLine(event, fields))
        case .journal(let journal):
            let message = message(event, fields)
            let priority = "\(journalPriority(event.level))"
            let own = [("MESSAGE", message), ("PRIORITY", priority), ("SYSLOG_IDENTIFIER", "distcompd")]
            if journal.write(own + fields.map { ($0.key, "\($0.value)") }) { return }
            standardError.write("<\(priority)>\(message)\n")
        }
    }

    private func message(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = TerminalText.escaped("\(event.message)")
        for (key, value) in fields { line += " \(key)=\(TerminalText.escaped("\(value)"))" }
        return line
    }

    private func jsonLine(_ event: LogEvent, _ fields: [(key: String, value: Logger.MetadataValue)]) -> String {
        var line = "{\"time\":\"\(utcTime(SystemClock.wallSeconds()))\",\"level\":\"\(event.level)\""
        line += ",\"message\":\(JSONText.quoted("\(event.message)"))"
        for (key, value) in fields { line += ",\(JSONText.quoted(key)):\(JSONText.quoted("\(value)"))" }
        return line + "}\n"
    }

    private func padded(_ level: Logger.Level) -> String {
        let name = level.rawValue
        return name + String(repeating: " ", count: max(0, 8 - name.count))
    }

    /// The priorities of syslog(3), as sd-daemon(3) has them at the start of a line.
    private func journalPriority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

/// Seconds since 1970 as `2026-11-23T13:05:09Z`, by the civil-calendar arithmetic of the proleptic Gregorian calendar.
func utcTime(_ seconds: Int64) -> String {
    let days = seconds / 86_400
    let (hour, minute, second) = (seconds % 86_400 / 3600, seconds % 3600 / 60, seconds % 60)
    // Years are counted from March, so that the leap day is the last of its year.
    let shifted = days + 719_468
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
    return "\(year)-\(two(month))-\(two(day))T\(two(hour)):\(two(minute)):\(two(second))Z"
}

// What the nodes said of themselves: reports that were refused, leases that were lost, tasks given back or dropped.

import LinuxSystem

struct NodeLogs {
    /// What the queue says to a report it does not take, as `NodeSupervisor.Notice` puts it.
    private enum Words {
        static let stale = "its report came too late"
        static let duplicate = "its report had been accepted before"
        static let leaseLost = "the lease is lost"
        static let cutOff = "the queue has not answered for"
        /// These name the task's line.
        static let givenUp = ["goes back to the queue", "is no longer held by this node", "ended unreported"]
    }

    private(set) var staleReports = 0
    private(set) var duplicateReports = 0
    private(set) var leasesLost = 0
    /// When, on the clock of /proc/uptime, each node found its lease lost, or that it had not been able to renew it. To the second, as
    /// the log has it.
    private(set) var leaseLossSeconds: [String: [Double]] = [:]
    /// Tasks that a node gave back or dropped, by number.
    private(set) var givenUp: Set<Int> = []
    /// The first lines of level error.
    private(set) var errors: [String] = []
    private(set) var errorCount = 0

    init(of nodes: [Node], tasks: TaskSet) throws {
        let bootAtSeconds = Double(SystemClock.wallNanoseconds() - SystemClock.bootNanoseconds()) / 1e9
        for node in nodes {
            let text = try FileSystem.text(of: node.logPath, bytesMax: 1 << 30)
            for line in text.split(separator: "\n") {
                if line.contains(Words.stale) { staleReports += 1 }
                if line.contains(Words.duplicate) { duplicateReports += 1 }
                if line.contains(Words.leaseLost) { leasesLost += 1 }
                if line.contains(Words.leaseLost) || line.contains(Words.cutOff), let seconds = Self.unixSeconds(line) {
                    leaseLossSeconds[node.name, default: []].append(seconds - bootAtSeconds)
                }
                if Words.givenUp.contains(where: { line.contains($0) }), let number = tasks.number(in: line) {
                    givenUp.insert(number)
                }
                if line.dropFirst(21).hasPrefix("error") {
                    errorCount += 1
                    if errors.count < 5 { errors.append("\(node.name): \(line)") }
                }
            }
        }
    }

    /// The time at the start of a line, `2026-11-23T13:05:09Z`, in seconds since 1970.
    private static func unixSeconds(_ line: Substring) -> Double? {
        let parts = line.prefix(19).split { "-T:".contains($0) }.compactMap { Int($0) }
        guard parts.count == 6 else { return nil }
        // Years are counted from March, so that the leap day is the last of its year.
        let year = parts[1] > 2 ? parts[0] : parts[0] - 1
        let dayOfYear = (153 * ((parts[1] + 9) % 12) + 2) / 5 + parts[2] - 1
        let days = year * 365 + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
        return Double(days * 86_400 + parts[3] * 3600 + parts[4] * 60 + parts[5])
    }
}

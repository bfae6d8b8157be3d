// What the nodes said of themselves: reports that were refused, leases that were lost, tasks given back or dropped.

import LinuxSystem

struct NodeLogs {
    /// What the queue says to a report it does not take, as `NodeSupervisor.Notice` puts it.
    private enum Words {
        static let stale = "its report came too late"
        static let duplicate = "its report had been accepted before"
        static let leaseLost = "the lease is lost"
        /// Names the task's line.
        static let givenBack = "goes back to the queue"
    }

    private(set) var staleReports = 0
    private(set) var duplicateReports = 0
    private(set) var leasesLost = 0
    /// Tasks that a node gave back, by number.
    private(set) var givenUp: Set<Int> = []
    /// The first lines of level error.
    private(set) var errors: [String] = []
    private(set) var errorCount = 0

    init(of nodes: [Node], tasks: TaskSet) throws {
        for node in nodes {
            let text = try FileSystem.text(of: node.logPath, bytesMax: 1 << 30)
            for line in text.split(separator: "\n") {
                if line.contains(Words.stale) { staleReports += 1 }
                if line.contains(Words.duplicate) { duplicateReports += 1 }
                if line.contains(Words.leaseLost) { leasesLost += 1 }
                if line.contains(Words.givenBack), let number = tasks.number(in: line) { givenUp.insert(number) }
                if line.dropFirst(21).hasPrefix("error") {
                    errorCount += 1
                    if errors.count < 5 { errors.append("\(node.name): \(line)") }
                }
            }
        }
    }
}

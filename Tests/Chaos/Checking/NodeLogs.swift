// What the nodes said of themselves. It explains nothing but what a node gave back of its own accord; the rest is told beside the counts.

import LinuxSystem

struct NodeLogs {
    /// As `NodeProtocol.LogEvent` and `NodeSupervisor.LogEvent` put it.
    private enum Words {
        static let stale = "came too late, another node runs the task"
        static let duplicate = "had been accepted before"
        static let leaseLost = "the lease is lost"
        static let inTrouble = "no task can be started here"
        static let restored = "Redis had put back or lost"
        static let queueGone = "the queue is gone"
        /// Names the task's line.
        static let givenBack = "goes back to the queue"
    }

    private(set) var staleReports = 0
    private(set) var duplicateReports = 0
    private(set) var leasesLost = 0
    private(set) var troubles = 0
    /// How often a node took up again what had been taken from it.
    private(set) var restores = 0
    /// How often a node believed that Redis had lost all.
    private(set) var lostQueues = 0
    /// The tasks that each node gave back, by number.
    private var givenBack: [String: Set<Int>] = [:]
    /// The first lines of level error.
    private(set) var errors: [String] = []
    private(set) var errorCount = 0

    init(of nodes: [Node], tasks: TaskSet) throws {
        for node in nodes {
            for line in try FileSystem.text(of: node.logPath, bytesMax: 1 << 30).split(separator: "\n") {
                if line.contains(Words.stale) { staleReports += 1 }
                if line.contains(Words.duplicate) { duplicateReports += 1 }
                if line.contains(Words.leaseLost) { leasesLost += 1 }
                if line.contains(Words.inTrouble) { troubles += 1 }
                if line.contains(Words.restored) { restores += 1 }
                if line.contains(Words.queueGone) { lostQueues += 1 }
                if line.contains(Words.givenBack), let number = tasks.number(in: line) {
                    givenBack[node.name, default: []].insert(number)
                }
                if line.dropFirst(21).hasPrefix("error") {
                    errorCount += 1
                    if errors.count < 5 { errors.append("\(node.name): \(line)") }
                }
            }
        }
    }

    func gaveBack(_ number: Int, node: String) -> Bool { givenBack[node]?.contains(number) ?? false }
}

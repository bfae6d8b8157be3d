// Where `distcomp top` gets its snapshots from, and how it knows what has ended: what ran at the last look and runs no more.

import LinuxSystem
import TaskModel
import TaskQueue

final class TopSource {
    /// How many running tasks can be looked at in full, and how many endings are kept.
    private static let runningMax = 5000
    private static let endingsMax = 100

    private let queue: QueueClient
    /// What ran at the last look.
    private var seen: [String: RunningTask] = [:]
    private var endings: [TaskResult] = []
    private var hasLooked = false

    init(_ queue: QueueClient) { self.queue = queue }

    func snapshot(nowSeconds: Double) throws(CommandError) -> TopSnapshot {
        queue.directory.forget()  // Jobs are added meanwhile.
        var running: [RunningTask] = []
        let fleet = try queue.fleet { line, task, node in
            guard running.count < Self.runningMax else { return }
            let since = self.seen[line]?.seenSinceSeconds ?? nowSeconds
            running.append(RunningTask(line: line, task: task, node: node, seenSinceSeconds: since))
        }
        let now = Dictionary(
            running.map { ($0.line, $0) }, uniquingKeysWith: { $0.seenSinceSeconds < $1.seenSinceSeconds ? $0 : $1 })
        try note(ended: hasLooked ? seen.keys.filter { now[$0] == nil } : try recentLines())
        seen = now
        hasLooked = true
        return TopSnapshot(progress: try queue.progress(), fleet: fleet, running: running, endings: endings)
    }

    /// At the first look nothing is known to have ended recently, so the newest of a sample of records stand for that.
    private func recentLines() throws(CommandError) -> [String] {
        var ends: [(line: String, end: Double)] = []
        var seen = 0
        _ = try queue.scanEach(\.outcomes) { _, entries in
            seen += entries.count
            for (field, value) in entries {
                guard let end = queue.parseOutcome(value)?.finishedAtUnixSeconds else { continue }
                ends.append((queue.text(field), end))
            }
            return seen < 1000
        }
        return ends.sorted { $0.end > $1.end }.prefix(Self.endingsMax).map(\.line)
    }

    private func note(ended lines: [String]) throws(CommandError) {
        let fields = lines.prefix(1000).map { Array($0.utf8) }
        let records = try queue.valuesEach(\.outcomes, of: fields)
        for (line, record) in zip(lines, records) {
            // Without a record it went back to todo, or an old worker ran it; then a record may be left of another node's try.
            guard let outcome = queue.parseOutcome(record), seen[line].map({ $0.node == outcome.node }) ?? true else {
                continue
            }
            endings.append(
                TaskResult(
                    line: line, outcome: outcome, succeeded: outcome.succeeded, node: outcome.node,
                    reason: outcome.reason, standardOutputJSON: nil))
        }
        endings.sort { ($0.outcome?.finishedAtUnixSeconds ?? 0) > ($1.outcome?.finishedAtUnixSeconds ?? 0) }
        endings.removeLast(max(0, endings.count - Self.endingsMax))
    }
}

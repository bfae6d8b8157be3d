// How a queue stands as a whole: counts that are exact, and rates and causes estimated from a bounded sample, so that a queue
// of ten million is told as quickly as one of ten.

import LinuxSystem
import TaskModel
import TaskQueue

struct QueueOverview {
    let counts: QueueCounts
    let fleet: Fleet
    /// Tasks ended per second of late; nil where nothing runs.
    let ratePerSecond: Double?
    /// Why tasks failed; from a sample, and then scaled to all, where there are many.
    let failuresByCause: [String: Int]
    let isFailuresSampled: Bool
    /// Waiting tasks that ask for more than any live node has.
    let tooLargeCount: Int

    /// When all that can run will have ended, by the rate of late.
    var etaSeconds: Double? {
        let left = counts.todo + counts.inProgress - tooLargeCount
        return ratePerSecond.flatMap { $0 > 0 && left > 0 ? Double(left) / $0 : nil }
    }
}

extension QueueClient {
    /// How many entries of a hash are looked at where all of them would be too many.
    private static let sampleMin = 1000

    func overview() throws(CommandError) -> QueueOverview {
        let counts = try perform(ReadCounts(keys: keys))
        let fleet = try fleet(countingTasks: false)
        let causes = try failuresByCause(total: counts.failed)
        return QueueOverview(
            counts: counts, fleet: fleet, ratePerSecond: counts.inProgress > 0 ? try rate(counts) : nil,
            failuresByCause: causes.counts, isFailuresSampled: causes.isSampled, tooLargeCount: try countTooLarge(fleet)
        )
    }

    private func failuresByCause(total: Int) throws(CommandError) -> (counts: [String: Int], isSampled: Bool) {
        guard total > 0 else { return ([:], false) }
        var counts: [String: Int] = [:]
        var seen = 0
        try forEachFailure { result in
            counts[result.causeWord, default: 0] += 1
            seen += 1
            return seen < Self.sampleMin
        }
        guard seen > 0, seen < total else { return (counts, false) }
        return (counts.mapValues { max(1, Int((Double($0) / Double(seen) * Double(total)).rounded())) }, true)
    }

    /// From when a sample of the records ended. A page of a hash is a sample: its order has nothing to do with time.
    private func rate(_ counts: QueueCounts) throws(CommandError) -> Double? {
        var ends: [Double] = []
        _ = try scanWhile(keys.outcomes) { entries in
            for entry in entries { if let end = parseOutcome(entry.value)?.finishedAtUnixSeconds { ends.append(end) } }
            return ends.count < Self.sampleMin
        }
        return recentRate(
            ends: ends, totalCount: counts.finished + counts.failed,
            nowUnixSeconds: Double(SystemClock.wallNanoseconds()) / 1e9)
    }

    /// Waiting tasks that no live node is large enough for; 0 while there is no node.
    private func countTooLarge(_ fleet: Fleet) throws(CommandError) -> Int {
        let alive = fleet.alive
        guard !alive.isEmpty else { return 0 }
        let reading = ReadClasses(keys: keys)
        let classes = try perform(reading)
        let misfits = classes.filter { members in
            !alive.contains { $0.isLargeEnough(memoryBytes: members.memoryBytes, millicores: members.millicores) }
        }
        return try answers(misfits.map(reading.count)).reduce(0) { $0 + ($1.int ?? 0) }
    }
}

/// Tasks per second from when some of `totalCount` tasks ended: the newest fifty of the sample stand for as large a share of
/// all, and they ended since the oldest of them did.
func recentRate(ends: [Double], totalCount: Int, nowUnixSeconds: Double) -> Double? {
    let newest = ends.sorted(by: >).prefix(50)
    guard let oldest = newest.last else { return nil }
    let ended = Double(newest.count) / Double(ends.count) * Double(totalCount)
    return ended / max(0.1, nowUnixSeconds - oldest)
}

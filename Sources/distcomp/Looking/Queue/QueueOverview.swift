// How a queue stands as a whole: counts that are exact, and rates and causes estimated from a bounded sample, so that a queue
// of ten million is summed up as quickly as one of ten.

import LinuxSystem
import TaskModel
import TaskQueue

struct QueueOverview {
    let counts: QueueCounts
    let fleet: Fleet
    /// Tasks that ended per second recently; nil where nothing runs.
    let ratePerSecond: Double?
    /// Why tasks failed; where there are many, estimated from a sample.
    let failuresByCause: [String: Int]
    let isFailuresSampled: Bool
    /// Waiting tasks that ask for more than any live node has.
    let tooLargeCount: Int
    let owners: ReadOwners.Reply
    /// What nodes have besides memory and cores, and what of it tasks have, as JSON; nil where they have nothing.
    let resources: [UInt8]?

    /// When all that can run will have ended, at the recent rate.
    var etaSeconds: Double? {
        let left = counts.todo + counts.inProgress - tooLargeCount
        return ratePerSecond.flatMap { $0 > 0 && left > 0 ? Double(left) / $0 : nil }
    }
}

extension QueueClient {
    /// How many entries of a large hash are looked at, at least.
    private static let sampleMin = 1000

    func overview() throws(CommandError) -> QueueOverview {
        let counts = try counts()
        let fleet = try fleet(countingTasks: false)
        let causes = try failuresByCause(total: counts.failed)
        let owners = try perform(ReadOwners(keys: keys))
        return QueueOverview(
            counts: counts, fleet: fleet, ratePerSecond: counts.inProgress > 0 ? try rate(counts) : nil,
            failuresByCause: causes.counts, isFailuresSampled: causes.isSampled,
            tooLargeCount: try countTooLarge(fleet, owners), owners: owners,
            resources: try resources(of: fleet))
    }

    /// As ``FleetNode/resourcesJSON`` says it of one node.
    private func resources(of fleet: Fleet) throws(CommandError) -> [UInt8]? {
        var all = FleetNode(name: "")
        for node in fleet.alive { all.resources.add(node.resources) }
        guard !all.resources.isEmpty else { return nil }
        for row in try jobRows() where row.inProgress > 0 {
            for (name, amount) in row.job.settings.resources.thousandths {
                all.resourcesAsked[name, default: 0] += amount * row.inProgress
            }
        }
        return all.resourcesJSON
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

    /// Estimated from the end times in a sample of the records. A page of a hash is a fair sample: its order has nothing to do with time.
    private func rate(_ counts: QueueCounts) throws(CommandError) -> Double? {
        var ends: [Double] = []
        var seen = 0
        _ = try scanEach(\.outcomes) { _, entries in
            for entry in entries { if let end = parseOutcome(entry.value)?.finishedAtUnixSeconds { ends.append(end) } }
            // Counted are all: where records tell no time, as those of old workers, there is no end to look for.
            seen += entries.count
            return seen < Self.sampleMin
        }
        return recentRate(
            ends: ends, totalCount: counts.finished + counts.failed,
            nowUnixSeconds: Double(SystemClock.wallNanoseconds()) / 1e9)
    }

    /// Waiting tasks for which no live node is, or none that is large enough; 0 while there is no node.
    private func countTooLarge(_ fleet: Fleet, _ owners: ReadOwners.Reply) throws(CommandError) -> Int {
        let alive = fleet.alive
        guard !alive.isEmpty else { return 0 }
        var classes: [ReadClasses.Class] = []
        for owner in owners.waiting { classes += try perform(ReadClasses(keys: keys, ofOwner: owner)) }
        let wheres = try nodeLabelsOfJobs()
        let needs = try resourcesOfJobs()
        let misfits = classes.filter { members in
            (selection == .all || selection == .one(members.job))
                && !alive.contains {
                    $0.isLargeEnough(memoryBytes: members.memoryBytes, millicores: members.millicores)
                        && wheres[members.job]?.matches($0.labels) ?? true
                        && needs[members.job].map($0.resources.canHold) ?? true
                }
        }
        return try answers(CountWaiting.requests(misfits, keys: keys)).reduce(0) { $0 + ($1.int ?? 0) }
    }

    /// Which nodes jobs are for, of those that say so, by their identifiers.
    private func nodeLabelsOfJobs() throws(CommandError) -> [String: LabelExpression] {
        var wheres: [String: LabelExpression] = [:]
        try scan(keys.jobWheres) { entries in
            for (field, value) in entries { wheres[text(field)] = LabelExpression(text: text(value)) }
        }
        return wheres
    }

    /// What jobs ask for besides memory and cores, of those that do, by their identifiers.
    private func resourcesOfJobs() throws(CommandError) -> [String: ResourceRequest] {
        var needs: [String: ResourceRequest] = [:]
        try scan(keys.jobNeeds) { entries in
            for (field, value) in entries { needs[text(field)] = ResourceRequest(text: text(value)) }
        }
        return needs
    }
}

/// Tasks per second, from the times at which a sample of `totalCount` tasks ended: the newest fifty of the sample stand for the same
/// share of all tasks, which ended between the oldest of these fifty and now.
func recentRate(ends: [Double], totalCount: Int, nowUnixSeconds: Double) -> Double? {
    let newest = ends.sorted(by: >).prefix(50)
    guard let oldest = newest.last else { return nil }
    let ended = Double(newest.count) / Double(ends.count) * Double(totalCount)
    return ended / max(0.1, nowUnixSeconds - oldest)
}

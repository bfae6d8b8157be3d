// What came to pass in a stretch of time: five minutes of the ring, or all there was. The scripts count it by fields; here they get their
// meaning. See TaskQueue's Scripts/Metrics/summing.lua for the fields.

import RedisClient
import TaskModel
import TaskQueue

/// What was counted in a stretch of time.
public struct MetricsTally: Equatable, Sendable {
    /// Tasks that finished: exit 0.
    public var finished = 0
    /// Tasks that failed for good, by cause. Every cause there is has an entry.
    public var failed = Self.none(Self.causes)
    /// Attempts that ended so and whose tasks wait for another attempt, by cause. Every cause there is has an entry.
    public var repeated = Self.none(Self.causes)
    /// Of both, those whose command could not be started, by the step that failed. Every step that is known by name has an entry.
    public var launchFailures = Self.none(QueueMetrics.launchSteps + [QueueMetrics.otherName])
    /// Attempts that went back to the queue without a mark: their node stopped, or was short of memory.
    public var returned = 0
    /// Reports that were refused, since others have the task.
    public var refused = 0
    /// Nodes that were not heard of for a lease, so that others took over what they held.
    public var leasesLost = 0
    /// In seconds, from when a task was added until it was given to a node, of those that had not been tried.
    public var wait = MetricsHistogram(bounds: Self.secondBounds)
    /// In seconds, from when a task was given to its node until its command ran, of attempts that ended.
    public var startDelay = MetricsHistogram(bounds: Self.secondBounds)
    /// In seconds, for how long attempts ran that ended.
    public var run = MetricsHistogram(bounds: Self.secondBounds)
    /// In bytes, what these had asked for; 0 for those that asked for none.
    public var memoryAsked = MetricsHistogram(bounds: Self.byteBounds)
    /// In bytes, the most they had, where that is known.
    public var memoryPeak = MetricsHistogram(bounds: Self.byteBounds)

    /// With nothing in it.
    public init() {}

    /// Of tasks that fail, in the order in which they are shown. The last stands for what is not known.
    public static let causes = Cause.words + [QueueMetrics.otherName]

    static let secondBounds = QueueMetrics.millisecondBounds.map { Double($0) / 1000 }
    static let byteBounds = QueueMetrics.byteBounds.map(Double.init)

    private static func none(_ names: [String]) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: names.map { ($0, 0) })
    }

    /// All that failed for good.
    public var failedCount: Int { failed.values.reduce(0, +) }

    /// Adds what came to pass in another stretch.
    public mutating func add(_ other: MetricsTally) {
        finished += other.finished
        failed.merge(other.failed) { $0 + $1 }
        repeated.merge(other.repeated) { $0 + $1 }
        launchFailures.merge(other.launchFailures) { $0 + $1 }
        returned += other.returned
        refused += other.refused
        leasesLost += other.leasesLost
        wait.add(other.wait)
        startDelay.add(other.startDelay)
        run.add(other.run)
        memoryAsked.add(other.memoryAsked)
        memoryPeak.add(other.memoryPeak)
    }

    /// What these fields say. Those of another version that are not known here are left out.
    init(_ fields: ReadMetrics.Fields) {
        finished = fields["finished"] ?? 0
        returned = fields["returned"] ?? 0
        refused = fields["refused"] ?? 0
        leasesLost = fields["lost"] ?? 0
        for cause in Self.causes {
            failed[cause] = fields["failed:" + cause] ?? 0
            repeated[cause] = fields["again:" + cause] ?? 0
        }
        for step in launchFailures.keys { launchFailures[step] = fields["launch:" + step] ?? 0 }
        wait.fill(from: fields, "wait", QueueMetrics.millisecondBounds, unit: 1e-3)
        startDelay.fill(from: fields, "delay", QueueMetrics.millisecondBounds, unit: 1e-3)
        run.fill(from: fields, "run", QueueMetrics.millisecondBounds, unit: 1e-3)
        memoryAsked.fill(from: fields, "asked", QueueMetrics.byteBounds, unit: 1024)
        memoryPeak.fill(from: fields, "peak", QueueMetrics.byteBounds, unit: 1024)
    }
}

extension MetricsHistogram {
    /// - Parameter unit: what the sum is counted in.
    fileprivate mutating func fill(from fields: ReadMetrics.Fields, _ name: String, _ bounds: [Int], unit: Double) {
        let places = bounds.map { "\(name):\($0)" } + ["\(name):inf"]
        counts = places.map { fields[$0] ?? 0 }
        sum = Double(fields[name + ":sum"] ?? 0) * unit
    }
}

/// Five minutes of the last day, for charts.
public struct MetricsSlot: Equatable, Sendable {
    /// How long it is, and how many are kept.
    public static let seconds = QueueMetrics.slotSeconds
    public static let countMax = QueueMetrics.slotCount

    /// In seconds since 1970, by Redis's clock.
    public let beginUnixSeconds: Int
    public var tally: MetricsTally

    /// The last `count` slots, the oldest first and the one that goes on last. Those in which nothing came to pass are there too.
    ///
    /// What came to pass in a slot is told as of it once a heartbeat has closed it: within a few seconds while there is a node.
    public static func read(
        keys: QueueKeys, count: Int = countMax, ask: MetricsAsking
    ) throws -> [MetricsSlot] {
        let present = try answer(ReadMetrics(keys: keys), ask)
        // The one that is open may have begun long ago, where no node has been there since to close it.
        let last = max(present.slot, present.milliseconds / 1000 / seconds)
        let numbers = Array((last - max(1, min(count, countMax)) + 1)...last)
        let requests = stride(from: 0, to: numbers.count, by: ReadMetricsRing.slotsMax).map { first in
            ReadMetricsRing(numbers[first...].prefix(ReadMetricsRing.slotsMax), keys: keys).request
        }
        var known: [Int: ReadMetrics.Fields] = [:]
        for value in try ask(requests) {
            for slot in try ReadMetricsRing.parse(value) { known[slot.number] = slot.fields }
        }
        known[present.slot, default: [:]].merge(present.open) { $0 + $1 }
        return numbers.map { MetricsSlot(beginUnixSeconds: $0 * seconds, tally: MetricsTally(known[$0] ?? [:])) }
    }
}

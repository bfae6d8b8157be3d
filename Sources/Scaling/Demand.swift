// What is asked of a fleet and what there is: all that the reckoning goes by.

import TaskModel

/// What a task asks for.
public struct TaskSize: Hashable, Sendable {
    public var memoryBytes: UInt64
    public var millicores: Int
    public var resources: ResourceRequest
    /// Which nodes it is for; nil: all.
    public var nodeLabels: LabelExpression?

    public init(
        memoryBytes: UInt64 = 0, millicores: Int = 0, resources: ResourceRequest = ResourceRequest(),
        nodeLabels: LabelExpression? = nil
    ) {
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.resources = resources
        self.nodeLabels = nodeLabels
    }
}

/// A node that is there.
public struct ScalingNode: Equatable, Sendable {
    public var name: String
    /// Of which shape it is; nil: of none of those there are.
    public var shape: String?
    public var memoryBytes: UInt64
    public var millicores: Int
    public var resources: ResourceTotals
    public var labels: Set<String>
    /// How many tasks it holds, and what they ask for.
    public var heldCount = 0
    public var memoryBytesHeld: UInt64 = 0
    public var millicoresHeld = 0
    /// In thousandths, by name.
    public var resourcesHeld: [String: Int] = [:]
    /// Nothing is given to it.
    public var isDrained = false
    /// It was drained because it was not wanted, and may have tasks again.
    public var mayResume = false
    /// It takes no tasks at present, or no large ones.
    public var isInTrouble = false
    /// It was started because it was wanted: it goes before one that somebody else has put there.
    public var wasStarted = false

    public init(
        name: String, shape: String? = nil, memoryBytes: UInt64, millicores: Int,
        resources: ResourceTotals = ResourceTotals(), labels: Set<String> = []
    ) {
        self.name = name
        self.shape = shape
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.resources = resources
        self.labels = labels
    }

    /// What it has besides memory and cores, to sort by.
    var kindText: String { resources.text + " " + labels.sorted().joined(separator: " ") }
}

/// All that is asked for and all that is there, at one moment.
public struct ScalingDemand: Sendable {
    /// Tasks that wait and could run, by what they ask for.
    public var waiting: [TaskSize: Int] = [:]
    /// Those that are alive.
    public var nodes: [ScalingNode] = []
    /// Nodes that were started and have not come yet, by the name of their shape.
    public var starting: [String: Int] = [:]
    /// Nothing is given out at present: what waits does not count.
    public var isPaused = false
    /// Whether all that waits was looked at; else more does.
    public var isComplete = true

    public init() {}

    /// Adds tasks that wait.
    public mutating func add(_ count: Int, of size: TaskSize) {
        guard count > 0 else { return }
        let (sum, overflow) = waiting[size, default: 0].addingReportingOverflow(count)
        waiting[size] = overflow ? .max : sum
    }
}

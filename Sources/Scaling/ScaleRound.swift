// One look at the fleet, and what follows from it: up at once, down after a while, each node asked for once. A value: what was noted, what
// is there and the time go in; what is to be done comes out, and what came of it is told.

import TaskModel

public struct ScaleSettings: Equatable, Sendable {
    /// So long a shape has more nodes than are wanted before some of them go.
    public var downAfterSeconds: Double
    /// So long a node that was started is awaited.
    public var bootSeconds: Double

    public init(downAfterSeconds: Double = 300, bootSeconds: Double = 600) {
        self.downAfterSeconds = downAfterSeconds
        self.bootSeconds = bootSeconds
    }
}

/// One thing to do. Each is told what came of it.
public enum ScaleStep: Equatable, Sendable {
    /// Have these nodes take tasks again.
    case resume([String])
    /// Have nodes of these names started.
    case start(NodeShape, [String])
    /// Ask whether these may be drained, and drain them if they may.
    case drain(NodeShape, [String])
    /// Have these removed, which are drained and hold nothing, or were awaited in vain.
    case remove(NodeShape, [String])
}

public struct ScaleRound: Sendable {
    public private(set) var notes: ScaleNotes
    public let plan: ScalePlan
    /// In the order in which they are to be done.
    public private(set) var steps: [ScaleStep] = []
    /// Nodes that were awaited in vain.
    public private(set) var lateNodes: [String] = []
    /// Whether one that was awaited has come.
    public private(set) var hasArrivals = false
    /// Nodes that were drained because they were not wanted and are gone: the order is to be taken back.
    public private(set) var goneDrained: [String] = []

    private let now: Int64
    /// As they were said to be: what nodes of them turned out to have is nothing to order them by.
    private let said: [String: NodeShape]

    /// Before one that is asked to go and is still there is asked again.
    static let removeAgainSeconds: Int64 = 60

    /// - Parameters:
    ///   - demand: of nodes what the queue knows; what is noted of them is put in here.
    ///   - now: in seconds since 1970.
    ///   - newName: makes a name for a node of a shape.
    public init(
        _ notes: ScaleNotes, _ demand: ScalingDemand, shapes: [NodeShape], settings: ScaleSettings, now: Int64,
        newName: (NodeShape) -> String
    ) {
        self.now = now
        said = shapes.reduce(into: [:]) { $0[$1.name] = $1 }
        var tidied = notes
        var demand = demand
        var late: [String: [String]] = [:]
        let present = demand.nodes.reduce(into: [String: ScalingNode]()) { $0[$1.name] = $1 }
        for (name, note) in notes.nodes {
            if let node = present[name] {
                if note.startedAt > 0 { hasArrivals = true }
                tidied.nodes[name]?.startedAt = 0
                tidied.nodes[name]?.hasCome = true
                // Somebody else has had it take tasks again.
                if note.drainedAt > 0, !node.isDrained { tidied.nodes[name]?.drainedAt = 0 }
                if !node.isDrained { tidied.nodes[name]?.removedAt = 0 }
                if !note.wasStarted, tidied.nodes[name]?.drainedAt == 0 { tidied.nodes[name] = nil }
            } else if note.startedAt == 0 || note.hasCome || Double(now - note.startedAt) > settings.bootSeconds
                || now < note.startedAt
            {
                if note.hasCome {
                    hasArrivals = true
                } else if note.startedAt > 0 {
                    lateNodes.append(name)
                    late[note.shape, default: []].append(name)
                }
                if note.drainedAt > 0 { goneDrained.append(name) }
                tidied.nodes[name] = nil
            }
        }
        lateNodes.sort()
        goneDrained.sort()
        let sized = Self.shapes(shapes, demand.nodes, &tidied)
        Self.complete(&demand, tidied, sized)
        plan = ScalePlan(demand, shapes: sized)
        self.notes = tidied
        // One that comes after all would be one too many.
        for shape in shapes {
            if let names = late[shape.name] { steps.append(.remove(shape, names.sorted())) }
        }
        for row in plan.rows { decide(row, settings, present, newName) }
    }

    /// What nodes of the shapes have turned out to have: else one would be started again and again for a task that does not fit it.
    private static func shapes(
        _ shapes: [NodeShape], _ nodes: [ScalingNode], _ notes: inout ScaleNotes
    ) -> [NodeShape] {
        var sized: [NodeShape] = []
        for shape in shapes {
            let own = nodes.filter {
                notes.nodes[$0.name]?.shape == shape.name && notes.nodes[$0.name]?.wasStarted == true
            }
            if let memory = own.map(\.memoryBytes).max(), let millicores = own.map(\.millicores).max() {
                notes.sizes[shape.name] = .init(
                    memoryBytes: memory, millicores: millicores, saidMemoryBytes: shape.memoryBytes,
                    saidMillicores: shape.millicores)
            }
            var known = shape
            if let size = notes.sizes[shape.name], size.saidMemoryBytes == shape.memoryBytes,
                size.saidMillicores == shape.millicores
            {
                known.memoryBytes = min(shape.memoryBytes, size.memoryBytes)
                known.millicores = min(shape.millicores, size.millicores)
            }
            sized.append(known)
        }
        notes.sizes = notes.sizes.filter { size in shapes.contains { $0.name == size.key } }
        return sized
    }

    private static func complete(_ demand: inout ScalingDemand, _ notes: ScaleNotes, _ shapes: [NodeShape]) {
        for index in demand.nodes.indices {
            let note = notes.nodes[demand.nodes[index].name]
            let known = note.flatMap { note in shapes.contains { $0.name == note.shape } ? note.shape : nil }
            demand.nodes[index].shape = known ?? NodeShape.name(ofShapeOf: demand.nodes[index], among: shapes)
            demand.nodes[index].wasStarted = note?.wasStarted ?? false
            demand.nodes[index].mayResume = (note?.drainedAt ?? 0) > 0 && (note?.removedAt ?? 0) == 0
        }
        for note in notes.nodes.values where note.startedAt > 0 { demand.starting[note.shape, default: 0] += 1 }
    }

    private mutating func decide(
        _ row: ScalePlan.Row, _ settings: ScaleSettings, _ present: [String: ScalingNode],
        _ newName: (NodeShape) -> String
    ) {
        let name = row.shape.name
        let shape = said[name] ?? row.shape
        if !row.toResume.isEmpty { steps.append(.resume(row.toResume)) }
        if row.toStart > 0 {
            let names = (0..<min(row.toStart, Self.startsMax)).map { _ in newName(shape) }
            steps.append(.start(shape, names))
        }
        if row.removable.isEmpty || row.toStart > 0 || !row.toResume.isEmpty {
            notes.surplus[name] = nil
        } else {
            let before = notes.surplus[name].flatMap { $0.since <= now ? $0 : nil }
            let surplus = ScaleNotes.Surplus(
                since: before?.since ?? now, count: min(before?.count ?? .max, row.removable.count))
            notes.surplus[name] = surplus
            if Double(now - surplus.since) >= settings.downAfterSeconds {
                steps.append(.drain(shape, Array(row.removable.prefix(surplus.count))))
            }
        }
        let idle = notes.nodes.filter { node, note in
            note.shape == name && note.drainedAt > 0 && present[node]?.isDrained == true
                && present[node]?.heldCount == 0
                && now - note.removedAt >= Self.removeAgainSeconds && !row.toResume.contains(node)
        }
        if !idle.isEmpty { steps.append(.remove(shape, idle.keys.sorted())) }
    }

    /// The most nodes of a shape that are started at once.
    static let startsMax = 1000

    // MARK: - What came of the steps

    /// They take tasks again.
    public mutating func resumed(_ names: [String]) {
        for name in names {
            notes.nodes[name]?.drainedAt = 0
            if notes.nodes[name]?.wasStarted == false { notes.nodes[name] = nil }
        }
    }

    /// They are about to be started, or not: of what was not started nothing is awaited.
    public mutating func started(_ shape: NodeShape, _ names: [String], isSo: Bool) {
        for name in names {
            var note = ScaleNotes.Node(shape: shape.name)
            note.startedAt = now
            note.wasStarted = true
            notes.nodes[name] = isSo ? note : nil
        }
    }

    /// They are drained.
    public mutating func drained(_ shape: NodeShape, _ names: [String]) {
        for name in names {
            var note = notes.nodes[name] ?? ScaleNotes.Node(shape: shape.name)
            note.drainedAt = now
            notes.nodes[name] = note
        }
        notes.surplus[shape.name] = nil
    }

    /// They may not be drained now: asked again as if they had just become too many.
    public mutating func refused(_ shape: NodeShape) { notes.surplus[shape.name] = nil }

    /// They were asked to go.
    public mutating func removed(_ names: [String]) {
        for name in names { notes.nodes[name]?.removedAt = now }
    }
}

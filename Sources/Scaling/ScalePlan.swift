// How many nodes of each shape are wanted, which are not, and what no node could run. Nothing is asked or done here: what is there and what
// is asked for goes in, the plan comes out.

import TaskModel

public struct ScalePlan: Equatable, Sendable {
    /// Of one shape.
    public struct Row: Equatable, Sendable {
        public let shape: NodeShape
        /// So many should be there for all that runs and could run: those that hold tasks, and those that what waits has room on.
        public var wanted = 0
        /// So many are there and may be given tasks.
        public var have = 0
        /// So many were started and have not come.
        public var starting = 0
        /// So many are there and are given nothing more.
        public var draining = 0
        /// So many are to be started, beyond all of these.
        public var toStart = 0
        /// Those of the draining that are to be given tasks again.
        public var toResume: [String] = []
        /// Those that hold nothing and are not wanted, in the order in which they should go.
        public var removable: [String] = []
    }

    /// Tasks that no node there is, and none of any shape, could have.
    public struct Unrunnable: Equatable, Sendable {
        public let size: TaskSize
        public let count: Int
        /// As the end of a sentence.
        public let why: String
    }

    public var rows: [Row]
    /// The most tasks first.
    public var unrunnable: [Unrunnable] = []
    /// How many tasks the nodes hold.
    public var runningCount = 0
    /// How many wait and could run.
    public var dueCount = 0
    /// How many of these have no room even on all nodes there may be.
    public var beyondCount = 0
    /// How many nodes are of none of the shapes.
    public var otherNodeCount = 0
    public var isPaused = false
    public var isComplete = true

    public init(_ demand: ScalingDemand, shapes: [NodeShape]) {
        rows = shapes.map { Row(shape: $0) }
        isPaused = demand.isPaused
        isComplete = demand.isComplete
        let places = shapes.enumerated().reduce(into: [String: Int]()) { $0[$1.element.name] = $1.offset }
        countNodes(demand, places)

        // In this order they are filled: what holds tasks anyhow, what is there, what is coming, what could be kept.
        let nodes = Array(demand.nodes.enumerated())
        func bin(_ index: Int) -> Bin {
            let node = demand.nodes[index]
            let shape = node.shape.flatMap { places[$0] }.map { shapes[$0] }
            return Bin(node, at: index, slots: shape?.taskCountMax ?? NodeShape.taskCount(millicores: node.millicores))
        }
        let taking = nodes.filter { !$0.element.isDrained && !$0.element.isInTrouble }
        let idle = taking.filter { $0.element.heldCount == 0 }.sorted { Self.staysLonger($0.element, $1.element) }
        var bins = taking.filter { $0.element.heldCount > 0 }.map { bin($0.offset) } + idle.map { bin($0.offset) }
        for (index, row) in rows.enumerated() where row.starting > 0 {
            bins.append(Bin(row.shape, .starting(index), count: row.starting))
        }
        let resumable = nodes.filter { $0.element.isDrained && $0.element.mayResume && !$0.element.isInTrouble }
        bins += resumable.sorted { $0.element.name < $1.element.name }.map { bin($0.offset) }

        let openable = rows.map { row in
            row.shape.countMax.map { max(0, $0 - row.have - row.starting - row.draining) } ?? .max
        }
        var packing = Packing(shapes: shapes, bins: bins, openable: openable)
        if !demand.isPaused { place(demand, shapes, &packing) }
        take(packing.bins, demand, places)
    }

    /// Of two nodes that hold nothing the one that goes later: what somebody else has put there before what was started for want of it.
    private static func staysLonger(_ one: ScalingNode, _ other: ScalingNode) -> Bool {
        if one.wasStarted != other.wasStarted { return other.wasStarted }
        return one.name < other.name
    }

    private mutating func countNodes(_ demand: ScalingDemand, _ places: [String: Int]) {
        for node in demand.nodes {
            runningCount += node.heldCount
            guard let place = node.shape.flatMap({ places[$0] }) else {
                otherNodeCount += 1
                continue
            }
            if node.isDrained { rows[place].draining += 1 } else { rows[place].have += 1 }
        }
        for (name, count) in demand.starting {
            if let place = places[name] { rows[place].starting += max(0, count) }
        }
    }

    private mutating func place(_ demand: ScalingDemand, _ shapes: [NodeShape], _ packing: inout Packing) {
        let empty = shapes.map { Bin($0, .new(0), count: 1) }
        // A node that is there can hold what it has altogether, and a shape what such nodes have.
        let there = demand.nodes.filter { !$0.isDrained && $0.shape == nil }.map { node in
            Bin(
                NodeShape(
                    name: "", memoryBytes: node.memoryBytes, millicores: node.millicores, resources: node.resources,
                    labels: node.labels), .new(0), count: 1)
        }
        let largest = empty + there
        let memory = largest.map(\.memoryBytes).max() ?? 0
        let millicores = largest.map(\.millicores).max() ?? 0
        var runnable: [(size: TaskSize, count: Int)] = []
        for (size, count) in demand.fewSizes(largestMemoryBytes: memory, largestMillicores: millicores) {
            if largest.contains(where: { $0.room(for: size) > 0 }) {
                runnable.append((size, count))
                add(count, to: \.dueCount)
            } else {
                unrunnable.append(Unrunnable(size: size, count: count, why: Self.reason(size, largest)))
            }
        }
        unrunnable.sort { $0.count != $1.count ? $0.count > $1.count : $0.size.sortKey < $1.size.sortKey }
        func part(_ size: TaskSize) -> Double {
            max(
                Double(size.memoryBytes) / Double(max(1, memory)), Double(size.millicores) / Double(max(1, millicores)))
        }
        func isChoosy(_ size: TaskSize) -> Bool { !size.resources.isEmpty || size.nodeLabels != nil }
        runnable.sort { one, other in
            if isChoosy(one.size) != isChoosy(other.size) { return isChoosy(one.size) }
            let (left, right) = (part(one.size), part(other.size))
            return left != right ? left > right : one.size.sortKey < other.size.sortKey
        }
        for (size, count) in runnable { add(packing.place(count, of: size), to: \.beyondCount) }
    }

    private mutating func add(_ count: Int, to sum: WritableKeyPath<ScalePlan, Int>) {
        let (total, overflow) = self[keyPath: sum].addingReportingOverflow(count)
        self[keyPath: sum] = overflow ? .max : total
    }

    private static func reason(_ size: TaskSize, _ bins: [Bin]) -> String {
        let meant = bins.filter { size.nodeLabels?.matches($0.labels) ?? true }
        if meant.isEmpty { return "no shape has the labels '\(size.nodeLabels?.text ?? "")'" }
        func most(_ amount: (Bin) -> Int) -> Int { meant.map(amount).max() ?? 0 }
        let memory = meant.map(\.memoryBytes).max() ?? 0
        if size.memoryBytes > memory { return "no shape has more memory than \(AmountText.memory(memory))" }
        let millicores = most(\.millicores)
        if size.millicores > millicores {
            return "no shape has more cores than \(ResourceRequest.amountText(millicores))"
        }
        for (name, asked) in size.resources.sorted {
            let had = most { $0.resources[name]?.left ?? 0 }
            if asked > had { return "no shape has more \(name) than \(ResourceRequest.amountText(had))" }
        }
        return "no shape has all of it at once"
    }

    /// What became of the bins.
    private mutating func take(_ bins: [Bin], _ demand: ScalingDemand, _ places: [String: Int]) {
        var used: Set<Int> = []
        var coming = rows.map(\.starting)
        for bin in bins where bin.isUsed {
            switch bin.kind {
            case .node(let index): used.insert(index)
            case .starting(let place):
                rows[place].wanted += bin.count
                coming[place] -= bin.count
            case .new(let place):
                rows[place].wanted += bin.count
                rows[place].toStart += bin.count
            }
        }
        var idle = Array(repeating: [ScalingNode](), count: rows.count)
        var resumable = idle
        for (index, node) in demand.nodes.enumerated() {
            guard let place = node.shape.flatMap({ places[$0] }) else { continue }
            switch (node.isDrained, used.contains(index) || node.heldCount > 0) {
            case (false, true): rows[place].wanted += 1
            case (false, false): idle[place].append(node)
            case (true, _)
            where used.contains(index) && node.mayResume && !node.isInTrouble && wasFilled(bins, index, node):
                rows[place].wanted += 1
                rows[place].toResume.append(node.name)
            case (true, _): if node.mayResume, !node.isInTrouble { resumable[place].append(node) }
            }
        }
        for place in rows.indices { settle(place, idle[place], resumable[place], comingCount: coming[place]) }
    }

    /// Whether what waits was put into a node that is drained: what it holds already is no reason to keep it.
    private func wasFilled(_ bins: [Bin], _ index: Int, _ node: ScalingNode) -> Bool {
        bins.contains { $0.kind == .node(index) && $0.slots < max(0, slots(of: node) - node.heldCount) }
    }

    private func slots(of node: ScalingNode) -> Int {
        rows.first { $0.shape.name == node.shape }?.shape.taskCountMax
            ?? NodeShape.taskCount(millicores: node.millicores)
    }

    /// As many as there are to be at least: of those that hold nothing, of those that are coming, of those that drain, and then new ones.
    private mutating func settle(
        _ place: Int, _ idle: [ScalingNode], _ resumable: [ScalingNode], comingCount: Int
    ) {
        var leaving = idle.sorted { one, other in
            if one.isInTrouble != other.isInTrouble { return one.isInTrouble }
            return Self.staysLonger(other, one)
        }
        var missing = max(0, rows[place].shape.countMin - rows[place].wanted)
        rows[place].wanted += missing
        // One in trouble is no use.
        while missing > 0, let last = leaving.last, !last.isInTrouble {
            leaving.removeLast()
            missing -= 1
        }
        missing -= min(missing, comingCount)
        for node in resumable.sorted(by: { $0.name < $1.name }).prefix(missing) {
            rows[place].toResume.append(node.name)
            missing -= 1
        }
        let row = rows[place]
        let room =
            row.shape.countMax.map { max(0, $0 - row.have - row.starting - row.draining - row.toStart) } ?? missing
        rows[place].toStart += min(missing, room)
        rows[place].removable = leaving.map(\.name)
    }
}

extension TaskSize {
    /// Sizes in the same order each time.
    fileprivate var sortKey: String {
        let digits = String(memoryBytes)
        let padded = String(repeating: "0", count: 20 - min(20, digits.count)) + digits
        return "\(padded) \(millicores) \(resources.text) \(nodeLabels?.text ?? "")"
    }

    /// As people say it: `2 GB, 1 core, 1 gpu, on 'ssd'`; a slot for what asks for nothing.
    public var words: String {
        var parts: [String] = []
        if memoryBytes > 0 { parts.append(AmountText.memory(memoryBytes)) }
        if millicores > 0 {
            parts.append("\(ResourceRequest.amountText(millicores)) \(millicores == 1000 ? "core" : "cores")")
        }
        parts += resources.sorted.map { "\(ResourceRequest.amountText($0.thousandths)) \($0.name)" }
        if let nodeLabels { parts.append("on '\(nodeLabels.text)'") }
        return parts.isEmpty ? "no memory and no cores of their own" : parts.joined(separator: ", ")
    }
}

// Putting tasks into nodes by arithmetic: a bin stands for as many nodes as are alike, so ten million tasks of one size in new nodes are a
// division. First fit, the largest tasks first; those that only some nodes can have before those that any can.

import TaskModel

/// Nodes with the same room left.
struct Bin {
    enum Kind: Hashable {
        /// By its index among the nodes that are there.
        case node(Int)
        /// One of a shape, by its index, that is on its way.
        case starting(Int)
        /// One of a shape, by its index, that is not there.
        case new(Int)
    }

    let kind: Kind
    var count: Int
    var memoryBytes: UInt64
    var millicores: Int
    var slots: Int
    /// What is left of each resource, in thousandths; and whether that is devices.
    var resources: [String: (left: Int, isOfDevices: Bool)]
    let labels: Set<String>
    var isUsed = false

    init(_ shape: NodeShape, _ kind: Kind, count: Int) {
        self.kind = kind
        self.count = count
        memoryBytes = shape.memoryBytes
        millicores = shape.millicores
        slots = shape.taskCountMax
        resources = Self.room(shape.resources, less: [:])
        labels = shape.labels
    }

    /// What is left on a node.
    init(_ node: ScalingNode, at index: Int, slots: Int) {
        kind = .node(index)
        count = 1
        memoryBytes = node.memoryBytes - min(node.memoryBytes, node.memoryBytesHeld)
        millicores = max(0, node.millicores - node.millicoresHeld)
        self.slots = max(0, slots - node.heldCount)
        resources = Self.room(node.resources, less: node.resourcesHeld)
        labels = node.labels
        isUsed = node.heldCount > 0
    }

    private static func room(
        _ totals: ResourceTotals, less held: [String: Int]
    ) -> [String: (left: Int, isOfDevices: Bool)] {
        totals.byName.reduce(into: [:]) { room, entry in
            let isOfDevices = if case .devices = entry.value { true } else { false }
            room[entry.key] = (max(0, entry.value.thousandths - held[entry.key, default: 0]), isOfDevices)
        }
    }

    /// How many tasks of a size each of these nodes has room for.
    func room(for size: TaskSize) -> Int {
        guard slots > 0, size.nodeLabels?.matches(labels) ?? true else { return 0 }
        var count = slots
        if size.memoryBytes > 0 { count = min(count, Int(clamping: memoryBytes / size.memoryBytes)) }
        if size.millicores > 0 { count = min(count, millicores / size.millicores) }
        for (name, asked) in size.resources.thousandths {
            guard let room = resources[name] else { return 0 }
            count = min(count, Self.times(asked, in: room.left, isOfDevices: room.isOfDevices))
        }
        return count
    }

    /// A part of a device is of one device.
    private static func times(_ asked: Int, in left: Int, isOfDevices: Bool) -> Int {
        guard asked > 0 else { return .max }
        guard isOfDevices, asked < 1000 else { return left / asked }
        return left / 1000 * (1000 / asked) + left % 1000 / asked
    }

    /// With so many tasks of a size in each; there is room for them.
    func holding(_ tasks: Int, of size: TaskSize, count: Int) -> Bin {
        var bin = self
        bin.count = count
        bin.isUsed = true
        bin.slots -= tasks
        bin.memoryBytes -= size.memoryBytes * UInt64(tasks)
        bin.millicores -= size.millicores * tasks
        for (name, asked) in size.resources.thousandths { bin.resources[name]?.left -= asked * tasks }
        return bin
    }
}

struct Packing {
    private let shapes: [NodeShape]
    private(set) var bins: [Bin]
    /// How many more of each shape there may be.
    private var openable: [Int]

    /// - Parameters:
    ///   - bins: in the order in which they are filled.
    ///   - openable: how many new nodes of each shape there may be at most.
    init(shapes: [NodeShape], bins: [Bin], openable: [Int]) {
        self.shapes = shapes
        self.bins = bins
        self.openable = openable
    }

    /// Puts tasks into what is there and then into new nodes; how many found no room.
    mutating func place(_ tasks: Int, of size: TaskSize) -> Int {
        var left = tasks
        var index = 0
        while left > 0, index < bins.count {
            let room = bins[index].room(for: size)
            index += room > 0 ? fill(index, room, size, &left) : 1
        }
        for (index, shape) in shapes.enumerated() where left > 0 && openable[index] > 0 {
            let bin = Bin(shape, .new(index), count: 1)
            let room = bin.room(for: size)
            guard room > 0 else { continue }
            let full = min(left / room, openable[index])
            if full > 0 { bins.append(bin.holding(room, of: size, count: full)) }
            left -= full * room
            openable[index] -= full
            guard left > 0, left < room, openable[index] > 0 else { continue }
            bins.append(bin.holding(left, of: size, count: 1))
            openable[index] -= 1
            left = 0
        }
        return left
    }

    /// Fills nodes that are alike: some wholly, one with what remains. Returns how many bins there are in place of the one.
    private mutating func fill(_ index: Int, _ room: Int, _ size: TaskSize, _ left: inout Int) -> Int {
        let bin = bins[index]
        let full = min(left / room, bin.count)
        var parts: [Bin] = []
        if full > 0 { parts.append(bin.holding(room, of: size, count: full)) }
        left -= full * room
        var rest = bin.count - full
        if left > 0, rest > 0 {
            parts.append(bin.holding(left, of: size, count: 1))
            left = 0
            rest -= 1
        }
        if rest > 0 {
            var unused = bin
            unused.count = rest
            parts.append(unused)
        }
        bins.replaceSubrange(index...index, with: parts)
        return parts.count
    }
}

// MARK: - Few sizes

extension ScalingDemand {
    /// Beyond so many the sizes are rounded up.
    static let sizesMax = 500

    /// What waits, with so few sizes that the reckoning is quick; each at least as large as it was, and no larger than the largest there
    /// is room for if it was not.
    func fewSizes(largestMemoryBytes: UInt64, largestMillicores: Int) -> [(size: TaskSize, count: Int)] {
        var sizes = waiting
        // Eighths of a power of two, then whole ones.
        for bits in [3, 0] where sizes.count > Self.sizesMax {
            sizes = waiting.reduce(into: [:]) { rounded, entry in
                var size = entry.key
                size.memoryBytes = Self.roundedUp(size.memoryBytes, bits, below: largestMemoryBytes)
                let millicores = Self.roundedUp(
                    UInt64(max(0, size.millicores)), bits, below: UInt64(max(0, largestMillicores)))
                size.millicores = Int(clamping: millicores)
                let (sum, overflow) = rounded[size, default: 0].addingReportingOverflow(entry.value)
                rounded[size] = overflow ? .max : sum
            }
        }
        return sizes.map { ($0.key, $0.value) }
    }

    /// To so many binary digits behind the first.
    private static func roundedUp(_ amount: UInt64, _ digits: Int, below largest: UInt64) -> UInt64 {
        guard amount > 0, amount <= 1 << 62 else { return amount }  // No machine has as much.
        let step = max(1, (UInt64(1) << UInt64(63 - amount.leadingZeroBitCount)) >> UInt64(digits))
        let rounded = (amount + step - 1) / step * step
        return amount <= largest ? min(rounded, largest) : rounded
    }
}

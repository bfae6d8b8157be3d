// The kinds of nodes there are, or could be made: what each has for tasks. People say them (`--shape big=16G,8`, a file of JSON), or they
// are those of the nodes that are there.

import TaskModel

/// Nodes that are alike.
public struct NodeShape: Equatable, Sendable {
    /// Begins the names of the nodes that are started, so it is such as these may be.
    public var name: String
    /// What one has for all tasks together.
    public var memoryBytes: UInt64
    public var millicores: Int
    /// The most tasks at once.
    public var taskCountMax: Int
    public var resources: ResourceTotals
    public var labels: Set<String>
    /// So many there are at least.
    public var countMin: Int
    /// So many there are at most; nil: as many as are wanted.
    public var countMax: Int?

    public init(
        name: String, memoryBytes: UInt64, millicores: Int, taskCountMax: Int? = nil,
        resources: ResourceTotals = ResourceTotals(), labels: Set<String> = [], countMin: Int = 0, countMax: Int? = nil
    ) {
        self.name = name
        self.memoryBytes = memoryBytes
        self.millicores = millicores
        self.taskCountMax = taskCountMax ?? Self.taskCount(millicores: millicores)
        self.resources = resources
        self.labels = labels
        self.countMin = countMin
        self.countMax = countMax
    }

    /// How many tasks a node has at once unless its settings say otherwise: one for each core.
    public static func taskCount(millicores: Int) -> Int { max(1, (millicores + 999) / 1000) }

    /// Leaves room for what tells nodes of a shape apart.
    public static let nameBytesMax = 40
    public static let shapesMax = 64
    public static let countLimit = 100_000

    static func isName(_ name: String) -> Bool { name.utf8.count <= nameBytesMax && Configuration.isNodeName(name) }
}

// MARK: - As the nodes are

extension NodeShape {
    /// Two nodes whose memory differs by less than this part of it are alike.
    private static let memoryTolerance = 0.04

    /// The shapes of these nodes, the smallest first. Each is named after what it has.
    public static func shapes(of nodes: [ScalingNode]) -> [NodeShape] {
        let sorted = nodes.sorted {
            ($0.millicores, $0.memoryBytes, $0.kindText, $0.name) < (
                $1.millicores, $1.memoryBytes, $1.kindText, $1.name
            )
        }
        var shapes: [NodeShape] = []
        for node in sorted where !shapes.contains(where: { $0.isOne(node, tolerance: memoryTolerance) }) {
            guard shapes.count < shapesMax else { break }
            let shape = NodeShape(
                name: "", memoryBytes: node.memoryBytes, millicores: node.millicores, resources: node.resources,
                labels: node.labels)
            let base = shape.describingName
            var name = base
            var number = 2
            while shapes.contains(where: { $0.name == name }) {
                name = "\(base)-\(number)"
                number += 1
            }
            shapes.append(shape)
            shapes[shapes.count - 1].name = name
        }
        return shapes
    }

    /// Such as `8c-16g-gpu2-ssd`.
    private var describingName: String {
        let cores = AmountText.decimal(Double(millicores) / 1000, places: 1)
        let gigabytes = Double(memoryBytes) / Double(1 << 30)
        let parts =
            ["\(cores)c", "\(AmountText.decimal(gigabytes, places: gigabytes < 10 ? 1 : 0))g"]
            + resources.sorted.map { "\($0.name)\(ResourceRequest.amountText($0.total.thousandths))" } + labels.sorted()
        return String(parts.joined(separator: "-").prefix(Self.nameBytesMax - 4))
    }

    /// Whether a node that nobody said to be of this shape is taken for one.
    func isOne(_ node: ScalingNode, tolerance: Double) -> Bool {
        node.millicores == millicores && node.resources == resources && node.labels == labels
            && difference(from: node) <= tolerance
    }

    private func difference(from node: ScalingNode) -> Double {
        let (one, other) = (Double(memoryBytes), Double(node.memoryBytes))
        let difference: Double = one > other ? one - other : other - one
        return difference / max(one, other, 1)
    }

    /// A node keeps a part of its machine's memory, and people say what the machine has.
    private static let memoryToleranceOfPeople = 0.2

    /// Of which of these shapes a node is that was not started as one: of several the one whose memory is nearest.
    public static func name(ofShapeOf node: ScalingNode, among shapes: [NodeShape]) -> String? {
        shapes.filter { $0.isOne(node, tolerance: memoryToleranceOfPeople) }
            .min { $0.difference(from: node) < $1.difference(from: node) }?.name
    }
}

// MARK: - As people say them

/// Why a shape cannot be read.
public struct ShapeError: Error, Equatable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

extension NodeShape {
    public static let typedExpected =
        "NAME=MEMORY,CORES and what else it has, such as big=16G,8 or gpus=64G,16,gpu=4,label=ssd,min=0,max=20"

    /// Reads `big=16G,8,gpu=2,label=ssd,max=20`.
    public init(typed: String) throws(ShapeError) {
        func refused(_ why: String) -> ShapeError { ShapeError("\(why); expected \(Self.typedExpected)") }
        let sides = typed.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        let parts = sides.count == 2 ? sides[1].split(separator: ",", omittingEmptySubsequences: false) : []
        guard parts.count >= 2, Self.isName(String(sides[0])) else { throw refused("no name, memory and cores") }
        guard let memory = TypedAmount.memoryBytes(parts[0]), memory > 0 else { throw refused("no amount of memory") }
        guard let millicores = TypedAmount.millicores(parts[1]), millicores > 0 else { throw refused("no cores") }
        self.init(name: String(sides[0]), memoryBytes: memory, millicores: millicores)
        var totals: [String: ResourceTotals.Total] = [:]
        for part in parts.dropFirst(2) {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard pair.count == 2 else { throw refused("'\(part)' is no NAME=VALUE") }
            if try take(pair[0], pair[1], refused) { continue }
            guard ResourceRequest.isName(pair[0]), totals[pair[0]] == nil,
                let amount = ResourceRequest.thousandths(pair[1])
            else { throw refused("'\(part)' is no resource") }
            totals[pair[0]] = Self.total(pair[0], amount)
        }
        resources = ResourceTotals(totals)
        try check(refused)
    }

    /// GPUs are devices; of all else a shape has an amount.
    private static func total(_ name: String, _ thousandths: Int) -> ResourceTotals.Total {
        name == ResourceRequest.gpu && thousandths.isMultiple(of: 1000)
            ? .devices(thousandths / 1000) : .amount(thousandths)
    }

    private mutating func take(
        _ name: String, _ value: String, _ refused: (String) -> ShapeError
    ) throws(ShapeError) -> Bool {
        switch name {
        case "min", "max", "slots":
            guard let count = Int(value), (0...Self.countLimit).contains(count) else {
                throw refused("\(name) is a number up to \(Self.countLimit)")
            }
            set(name, count)
        case "label":
            guard Configuration.isLabel(value) else { throw refused("'\(value)' is no label") }
            labels.insert(value)
        default: return false
        }
        return true
    }

    private mutating func set(_ name: String, _ count: Int) {
        switch name {
        case "min": countMin = count
        case "max": countMax = count
        default: taskCountMax = max(1, count)
        }
    }

    private func check(_ refused: (String) -> ShapeError) throws(ShapeError) {
        if let countMax, countMin > countMax { throw refused("min is more than max") }
    }

    /// Reads a file: an array of objects, or an object with such an array as `shapes`.
    ///
    /// - Parameter place: what stands before an error.
    public static func read(json bytes: [UInt8], place: String) throws(ShapeError) -> [NodeShape] {
        let value: JSONValue
        do {
            value = try JSONReader.read(bytes)
        } catch {
            throw ShapeError("\(place): no JSON: \(error)")
        }
        var rows = value
        if case .object(let members) = value.content {
            guard members.count == 1, members[0].name == "shapes" else {
                throw ShapeError("\(place): expected an array of shapes, or {\"shapes\": [...]}")
            }
            rows = members[0].value
        }
        guard case .array(let elements) = rows.content, (1...shapesMax).contains(elements.count) else {
            throw ShapeError("\(place): expected an array of 1 to \(shapesMax) shapes")
        }
        var shapes: [NodeShape] = []
        for (index, element) in elements.enumerated() {
            let shape = try NodeShape(element, place: "\(place): shape \(index + 1)")
            guard !shapes.contains(where: { $0.name == shape.name }) else {
                throw ShapeError("\(place): shape \(index + 1): another one is called \"\(shape.name)\" too")
            }
            shapes.append(shape)
        }
        return shapes
    }

    private static let fields = ["name", "memory", "cores", "slots", "resources", "labels", "min", "max"]

    private init(_ value: JSONValue, place: String) throws(ShapeError) {
        func refused(_ why: String) -> ShapeError { ShapeError("\(place): \(why)") }
        guard case .object(let members) = value.content else { throw refused("expected an object") }
        var known: [String: JSONValue.Content] = [:]
        for member in members {
            guard Self.fields.contains(member.name) else {
                let nearest = NearestName.find(member.name, among: Self.fields).map { ", did you mean \"\($0)\"?" }
                throw refused(
                    "there is no \"\(member.name.prefix(60))\"\(nearest ?? "; it may have \(Self.fields.joined(separator: ", "))")"
                )
            }
            guard known[member.name] == nil else { throw refused("\"\(member.name)\" stands there twice") }
            known[member.name] = member.value.content
        }
        guard case .string(let name)? = known["name"], Self.isName(name) else {
            throw refused(
                "\"name\": expected 1 to \(Self.nameBytesMax) letters, digits, dots, underscores and hyphens")
        }
        guard let memory = known["memory"].flatMap(Self.text).flatMap({ TypedAmount.memoryBytes($0) }), memory > 0
        else {
            throw refused("\"memory\": expected GB such as 16, or an amount such as \"512M\"")
        }
        guard let millicores = known["cores"].flatMap(Self.text).flatMap({ TypedAmount.millicores($0) }), millicores > 0
        else { throw refused("\"cores\": expected a number such as 8 or 0.5") }
        self.init(name: name, memoryBytes: memory, millicores: millicores)
        for field in ["slots", "min", "max"] {
            guard let content = known[field] else { continue }
            guard case .integer(let number) = content, number >= 0, number <= Self.countLimit else {
                throw refused("\"\(field)\": expected a number from 0 to \(Self.countLimit)")
            }
            set(field, Int(number))
        }
        if let content = known["labels"] { labels = try Self.labels(content, refused) }
        if let content = known["resources"] { resources = try Self.resources(content, refused) }
        try check(refused)
    }

    private static func text(_ content: JSONValue.Content) -> String? {
        switch content {
        case .string(let text): text
        case .integer(let number): String(number)
        case .number(let number): AmountText.decimal(number, places: 6)
        case .null, .boolean, .array, .object: nil
        }
    }

    private static func labels(
        _ content: JSONValue.Content, _ refused: (String) -> ShapeError
    ) throws(ShapeError) -> Set<String> {
        guard case .array(let values) = content else { throw refused("\"labels\": expected an array of labels") }
        var labels: Set<String> = []
        for value in values {
            guard case .string(let label) = value.content, Configuration.isLabel(label) else {
                throw refused("\"labels\": expected labels as nodes have them")
            }
            labels.insert(label)
        }
        return labels
    }

    private static func resources(
        _ content: JSONValue.Content, _ refused: (String) -> ShapeError
    ) throws(ShapeError) -> ResourceTotals {
        guard case .object(let members) = content, members.count <= Configuration.resourcesMax else {
            throw refused("\"resources\": expected an object such as {\"gpu\": 2}")
        }
        var totals: [String: ResourceTotals.Total] = [:]
        for member in members {
            guard ResourceRequest.isName(member.name), totals[member.name] == nil,
                let amount = text(member.value.content).flatMap({ ResourceRequest.thousandths($0) })
            else {
                throw refused("\"resources\": expected names of resources and how much of each, such as {\"gpu\": 2}")
            }
            totals[member.name] = total(member.name, amount)
        }
        return ResourceTotals(totals)
    }
}

// Tasks of one file that wait for each other, by their names. Pure: lines in, the same with what they wait for out, each behind all of that;
// or what is wrong, with its place, before anything of it is in the queue.

import TaskModel

/// What tells a task of a job from the others, before it is a line of it: not what it waits for, nor what it may use.
struct TaskWork: Hashable {
    private let command: String
    private let surroundings: TaskSurroundings

    /// - Parameter common: what all tasks of the job have.
    init(_ line: TaskLine, among common: TaskSurroundings) {
        command = line.command
        surroundings = (line.surroundings ?? TaskSurroundings()).without(common).ofLine
    }
}

/// The tasks of a job, some of which wait for others.
struct TaskGraph {
    /// So much is held here at once: a file without `after` may be of any length.
    static let tasksMax = 2_000_000
    static let bytesMax = 1 << 30

    private struct Node {
        let line: TaskLine
        let file: String
        let lineNumber: Int
        /// Among all tasks of the input, from 0.
        let inputPlace: Int
        var name: String? { line.surroundings?.name }
        var after: [String] { line.surroundings?.after ?? [] }
        var place: String { "\(TerminalText.escaped(file)):\(lineNumber)" }
    }

    struct Problem: Error, Equatable, CustomStringConvertible {
        let description: String
    }

    private var nodes: [Node] = []
    private var places: [String: Int] = [:]
    /// Those without a name, by a hash of their work, or the next number that is free.
    private var unnamed: [Int: Int] = [:]
    private let common: TaskSurroundings
    private var bytes = 0
    /// Whether any of them waits for another.
    private(set) var hasEdges = false
    var count: Int { nodes.count }

    /// - Parameter common: what all of them have, whatever they say themselves.
    init(common: TaskSurroundings = TaskSurroundings()) { self.common = common }

    /// Takes in a task; its name is its own, and without one what it does.
    mutating func add(_ line: TaskLine, file: String, lineNumber: Int, place: Int) throws(Problem) {
        let node = Node(line: line, file: file, lineNumber: lineNumber, inputPlace: place)
        bytes += line.text.utf8.count
        guard nodes.count < Self.tasksMax, bytes <= Self.bytesMax else {
            throw Problem(
                description:
                    "\(node.place): more than \(grouped(Self.tasksMax)) tasks, or \(AmountText.memory(UInt64(Self.bytesMax))) "
                    + "of them, in a file whose tasks wait for each other")
        }
        if let name = node.name, let other = places.updateValue(nodes.count, forKey: name) {
            throw Problem(
                description: "\(node.place): name: `\(TerminalText.escaped(name))` a second time (first in "
                    + "\(nodes[other].place)): tasks that wait for each other need names of their own")
        }
        if node.name == nil {
            // To the queue it is the same task, which would wait for what is said of it last.
            let work = TaskWork(line, among: common)
            var key = work.hashValue
            while let other = unnamed[key], TaskWork(nodes[other].line, among: common) != work { key &+= 1 }
            if let other = unnamed[key], Set(nodes[other].after) != Set(node.after) {
                throw Problem(
                    description:
                        "\(node.place): the same task a second time (first in \(nodes[other].place)), which would wait "
                        + "for others: give them names")
            }
            if unnamed[key] == nil { unnamed[key] = nodes.count }
        }
        if !node.after.isEmpty { hasEdges = true }
        nodes.append(node)
    }

    /// A task with the places in this order of those it waits for.
    struct Ordered {
        let line: TaskLine
        /// Among all tasks of the input, from 0.
        let inputPlace: Int
        let after: [Int]
    }

    /// Every task behind those for which it waits; else in the order in which they came.
    func ordered() throws(Problem) -> [Ordered] {
        let parents = try self.parents()
        var order: [Ordered] = []
        order.reserveCapacity(nodes.count)
        var positions = [Int?](repeating: nil, count: nodes.count)
        var isOpen = [Bool](repeating: false, count: nodes.count)
        // The tasks on the way from one to what it waits for, and how many of that have been looked at.
        var way: [(node: Int, next: Int)] = []
        for start in nodes.indices where positions[start] == nil {
            way.append((start, 0))
            isOpen[start] = true
            while let (node, next) = way.last {
                if next < parents[node].count {
                    way[way.count - 1].next += 1
                    let parent = parents[node][next]
                    if isOpen[parent] { throw circle(way.map(\.node), from: parent) }
                    if positions[parent] == nil {
                        way.append((parent, 0))
                        isOpen[parent] = true
                    }
                } else {
                    positions[node] = order.count
                    order.append(
                        Ordered(
                            line: nodes[node].line, inputPlace: nodes[node].inputPlace,
                            after: parents[node].compactMap { positions[$0] }))
                    isOpen[node] = false
                    way.removeLast()
                }
            }
        }
        return order
    }

    private func parents() throws(Problem) -> [[Int]] {
        var parents: [[Int]] = []
        parents.reserveCapacity(nodes.count)
        for node in nodes {
            var own: [Int] = []
            for name in node.after {
                guard let place = places[name] else {
                    let nearest = NearestName.find(name, among: Array(places.keys.prefix(10_000)))
                    let hint = nearest.map { "; did you mean `\(TerminalText.escaped($0))`?" } ?? ""
                    throw Problem(
                        description:
                            "\(node.place): after: there is no task named `\(TerminalText.escaped(name))`\(hint)")
                }
                own.append(place)
            }
            parents.append(own)
        }
        return parents
    }

    private func circle(_ way: [Int], from first: Int) -> Problem {
        let nodes = (way.drop { $0 != first } + [first]).map { self.nodes[$0] }
        let names = nodes.map { TerminalText.escaped($0.name ?? "") }
        let shown = names.count <= 12 ? names : names.prefix(6) + ["..."] + names.suffix(5)
        return Problem(
            description: "\(nodes[0].place): after: these wait for each other: \(shown.joined(separator: " after "))")
    }
}

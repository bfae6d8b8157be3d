// What is remembered from one look at the fleet to the next, in the queue, so that a `distcomp scale` that ends and begins again, or is run
// by a timer, knows what it has started and drained, and so that whoever else asks is told what is coming.

import TaskModel

public struct ScaleNotes: Equatable, Sendable {
    /// Of a node that was started, or drained, because of what was wanted.
    public struct Node: Equatable, Sendable {
        public var shape: String
        /// Since when it is awaited, in seconds since 1970; 0: it has come, or was there before.
        public var startedAt: Int64 = 0
        /// Whether it came, however short it stayed.
        public var hasCome = false
        /// When it was drained; 0: it is not, or not by us.
        public var drainedAt: Int64 = 0
        /// When it was last asked to be removed; 0: it was not.
        public var removedAt: Int64 = 0
        /// Whether it was started because it was wanted.
        public var wasStarted = false

        public init(shape: String) { self.shape = shape }
    }

    /// A shape of which there are more than are wanted.
    public struct Surplus: Equatable, Sendable {
        public var since: Int64
        /// The fewest there were too many since then.
        public var count: Int
    }

    /// What nodes of a shape turned out to have.
    public struct Size: Equatable, Sendable {
        public var memoryBytes: UInt64
        public var millicores: Int
        /// What the shape was said to have then: where that is said otherwise now, nothing is known.
        public var saidMemoryBytes: UInt64
        public var saidMillicores: Int
    }

    public var nodes: [String: Node] = [:]
    public var surplus: [String: Surplus] = [:]
    public var sizes: [String: Size] = [:]

    public init() {}

    /// As the queue keeps them; that a node has come is noted by the queue itself, as `came NAME`. Names of nodes and shapes have no blanks.
    public var fields: [String: String] {
        var fields: [String: String] = [:]
        for (name, node) in nodes {
            fields["node \(name)"] =
                "\(node.shape) \(node.startedAt) \(node.drainedAt) \(node.removedAt) \(node.wasStarted ? 1 : 0)"
            if node.hasCome { fields["came \(name)"] = "1" }
        }
        for (shape, surplus) in surplus { fields["surplus \(shape)"] = "\(surplus.since) \(surplus.count)" }
        for (shape, size) in sizes {
            fields["size \(shape)"] =
                "\(size.memoryBytes) \(size.millicores) \(size.saidMemoryBytes) \(size.saidMillicores)"
        }
        return fields
    }

    /// Reads ``fields``. What cannot be read is of another version, and is not there.
    public init(fields: some Sequence<(String, String)>) {
        var come: [String] = []
        for (field, value) in fields {
            let words = field.split(separator: " ").map(String.init)
            let parts = value.split(separator: " ").map(String.init)
            guard words.count == 2, Self.isNodeName(words[1]) else { continue }
            switch (words[0], parts.count) {
            case ("node", 5):
                guard let started = Self.time(parts[1]), let drained = Self.time(parts[2]),
                    let removed = Self.time(parts[3])
                else { continue }
                var node = Node(shape: parts[0])
                (node.startedAt, node.drainedAt, node.removedAt) = (started, drained, removed)
                node.wasStarted = parts[4] == "1"
                nodes[words[1]] = node
            case ("came", 1): come.append(words[1])
            case ("surplus", 2):
                guard let since = Self.time(parts[0]), let count = Int(parts[1]) else { continue }
                surplus[words[1]] = Surplus(since: since, count: count)
            case ("size", 4):
                guard let memory = UInt64(parts[0]), let millicores = Int(parts[1]), let saidMemory = UInt64(parts[2]),
                    let saidMillicores = Int(parts[3])
                else { continue }
                sizes[words[1]] = Size(
                    memoryBytes: memory, millicores: millicores, saidMemoryBytes: saidMemory,
                    saidMillicores: saidMillicores)
            default: continue
            }
        }
        for name in come { nodes[name]?.hasCome = true }
    }

    /// Whether hooks may be told of a node by this name: what `node_name` allows, and no beginning that means something to a program.
    /// Anybody may register as a node, or write notes.
    public static func isNodeName(_ name: String) -> Bool {
        Configuration.isNodeName(name) && name.first != "-" && name.first != "."
    }

    /// Seconds since 1970; nil for what no clock says.
    private static func time(_ text: String) -> Int64? {
        Int64(text).flatMap { (0...1 << 40).contains($0) ? $0 : nil }
    }

    /// What has to be written and removed to come from others to these.
    public func changes(from others: ScaleNotes) -> (values: [String: String], removed: [String]) {
        let (before, now) = (others.fields, fields)
        return (now.filter { before[$0.key] != $0.value }, before.keys.filter { now[$0] == nil }.sorted())
    }
}

// How many nodes are wanted: `distcomp scale` says it, and `distcomp scale --exec HOOK` has it done.

import ArgumentParser
import LinuxSystem
import Scaling
import TaskModel
import TaskQueue

/// `distcomp scale`: for each shape of node how many are wanted, there, starting, draining, and not wanted any more.
struct ScaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scale",
        abstract: "Say how many nodes are wanted, of which shape, or have a program start and remove them.",
        discussion: """
            A shape is what nodes have that are alike. Without --shape and --shapes these are the shapes of the nodes there are. What runs \
            and what could run counts; what waits for others, for its time or in a paused job does not.

            With --exec the program HOOK is called to have nodes started and removed, until it fails three times in a row. It is told \
            what is wanted of it in words (start SHAPE NODE..., may-drain SHAPE NODE..., remove SHAPE NODE...) and the whole plan, one object of \
            JSON, on its standard input. Hooks for processes on this machine and for Slurm are in /usr/share/distcomp/hooks. Of \
            several such loops for a queue one works and the others wait for its end; see docs/SCALING.md.

            Examples:
              distcomp scale
              distcomp scale --shape small=4G,2 --shape big=64G,16,gpu=2,max=10 --json
              distcomp scale --exec /usr/share/distcomp/hooks/slurm --shapes shapes.json
            """)

    @Option(
        help: .init(
            "A shape nodes can have; may be given several times. The first one that fits is taken.",
            valueName: "name=memory,cores,..."))
    var shape: [String] = []

    @Option(
        help: .init("The shapes, an array of JSON objects with name, memory, cores, max and others.", valueName: "file")
    )
    var shapes: String?

    @Option(help: .init("Have this program start and remove nodes.", valueName: "hook"))
    var exec: String?

    @Option(help: .init("How long a shape has too many nodes before some of them go, such as 5m.", valueName: "time"))
    var downAfter = "300"

    @Option(help: .init("How long a node that was started is awaited.", valueName: "time"))
    var bootSeconds = "600"

    @Option(help: .init("How often the queue is looked at.", valueName: "time"))
    var every = "10"

    @Option(help: .init("How long the hook may take.", valueName: "time"))
    var hookSeconds = "60"

    @Flag(help: "With --exec: look once, do what follows, and end.")
    var once = false

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if !shape.isEmpty, shapes != nil { throw ValidationError("say the shapes once, by --shape or by --shapes") }
        if exec == nil, once { throw ValidationError("--once goes with --exec") }
        for (name, text) in [
            ("down-after", downAfter), ("boot-seconds", bootSeconds), ("every", every), ("hook-seconds", hookSeconds),
        ]
        where Self.seconds(text) == nil {
            throw ValidationError("--\(name) \(TerminalText.escaped(text)): expected a time such as 90s or 5m")
        }
        if Self.seconds(hookSeconds) == 0 { throw ValidationError("--hook-seconds: the hook needs some time") }
    }

    private static func seconds(_ text: String) -> Double? {
        switch TimeoutRequest(parsing: text) {
        case .seconds(let seconds)?: seconds
        case TimeoutRequest.none?: 0
        default: nil
        }
    }

    func run() throws {
        let shapes = try readShapes()
        guard let exec else {
            let settings = ScaleSettings(bootSeconds: Self.seconds(bootSeconds) ?? 0)
            try connection.withFleetQueue { queue in
                let round = try queue.scaleRound(try queue.scaleNotes(), shapes, settings)
                try show(json ? round.plan.json + "\n" : round.plan.text(columns: standardOutput.terminalColumns))
            }
            return
        }
        guard let shapes else {
            throw CommandError.usage("--exec needs to know what can be started: --shapes FILE or --shape")
        }
        for shape in shapes where shape.countMax == nil {
            throw CommandError.usage("shape \"\(shape.name)\" needs a max: at most so many nodes of it are started")
        }
        let settings = ScaleSettings(
            downAfterSeconds: Self.seconds(downAfter) ?? 0, bootSeconds: Self.seconds(bootSeconds) ?? 0)
        let hook = try ScaleHook(path: exec, withinSeconds: Self.seconds(hookSeconds) ?? 0)
        let end = try EndRequest()
        try connection.withFleetQueue { queue in
            var loop = ScaleLoop(
                queue: queue, shapes: shapes, settings: settings, hook: hook,
                everySeconds: once ? nil : max(0.1, Self.seconds(every) ?? 0), until: end)
            try loop.run()
        }
    }

    /// Nil where nobody says any.
    private func readShapes() throws -> [NodeShape]? {
        do {
            if let shapes {
                return try NodeShape.read(json: try FileSystem.contents(of: shapes, bytesMax: 1 << 20), place: shapes)
            }
            guard !shape.isEmpty else { return nil }
            let typed = try shape.map { try NodeShape(typed: $0) }
            for (index, shape) in typed.enumerated() where typed[..<index].contains(where: { $0.name == shape.name }) {
                throw ShapeError("two shapes are called \"\(shape.name)\"")
            }
            return typed
        } catch let error as ShapeError {
            throw CommandError.usage((shapes == nil ? "--shape: " : "") + TerminalText.escaped(error.description))
        } catch let error as SystemError {
            throw CommandError.usage("\(error)")
        }
    }
}

extension QueueClient {
    /// Looks at the queue and reckons what follows.
    ///
    /// - Parameter shapes: nil: those of the nodes there are.
    func scaleRound(
        _ notes: ScaleNotes, _ shapes: [NodeShape]?, _ settings: ScaleSettings
    ) throws(CommandError) -> ScaleRound {
        let demand = try scalingDemand()
        return ScaleRound(
            notes, demand, shapes: shapes ?? NodeShape.shapes(of: demand.nodes), settings: settings,
            now: SystemClock.wallSeconds()
        ) { shape in
            let letters = Array("abcdefghijkmnpqrstuvwxyz23456789")
            return shape.name + "-" + String((0..<8).map { _ in letters[Int(randomUInt64() % UInt64(letters.count))] })
        }
    }

    func scaleNotes() throws(CommandError) -> ScaleNotes {
        var fields: [(String, String)] = []
        try scan(keys.scaling) { entries in
            for (field, value) in entries {
                fields.append((String(decoding: field, as: UTF8.self), String(decoding: value, as: UTF8.self)))
            }
        }
        return ScaleNotes(fields: fields)
    }

    /// Writes what is other than it was.
    func note(_ notes: ScaleNotes, insteadOf before: ScaleNotes) throws(CommandError) {
        let (values, removed) = notes.changes(from: before)
        _ = try answers(ChangeScalingNotes(values, removing: removed, keys: keys).requests)
    }

    /// More classes than this are not looked at.
    private static let classesMax = 20_000

    /// What waits and could run, and what the nodes have and hold.
    func scalingDemand() throws(CommandError) -> ScalingDemand {
        var demand = ScalingDemand()
        let owners = try perform(ReadOwners(keys: keys))
        var seen: Set<String> = []
        for owner in [""] + owners.waiting.filter({ !$0.isEmpty }) {
            var offset: Int? = 0
            while let start = offset {
                let page = try perform(ReadDemand(ofOwner: owner, offset: start, keys: keys))
                demand.isPaused = page.isPaused
                // One node looks what the others are.
                demand.add(min(1, page.unknownCount), of: TaskSize())
                // A class may move to another page between two looks.
                for row in page.classes where seen.insert(row.name).inserted {
                    demand.add(
                        row.count,
                        of: TaskSize(
                            memoryBytes: row.memoryBytes, millicores: row.millicores, resources: row.resources,
                            nodeLabels: row.nodeLabels))
                }
                offset = page.next
                if seen.count >= Self.classesMax, offset != nil {
                    demand.isComplete = false
                    offset = nil
                }
            }
        }
        demand.nodes = try scalingNodes()
        return demand
    }

    private func scalingNodes() throws(CommandError) -> [ScalingNode] {
        let leases = try leases().filter { $0.leaseMilliseconds > 0 && $0.memoryBytes > 0 }
        var nodes: [String: (node: ScalingNode, leaseMilliseconds: Int)] = [:]
        var rest = leases[...]
        while !rest.isEmpty {
            let page = rest.prefix(ReadLoads.countMax)
            rest = rest.dropFirst(page.count)
            let loads = try perform(ReadLoads(of: page.map(\.incarnation)[...], keys: keys))
            for (lease, load) in zip(page, loads) {
                let name = lease.incarnation.nodeName
                guard ScaleNotes.isNodeName(name) else { continue }  // It is no node of ours, and no hook's business.
                // A node may have several incarnations; the one whose lease lasts longest counts.
                if let other = nodes[name], other.leaseMilliseconds >= lease.leaseMilliseconds { continue }
                var node = ScalingNode(
                    name: name, memoryBytes: lease.memoryBytes, millicores: lease.millicores,
                    resources: lease.resources, labels: Set(lease.labels))
                node.heldCount = load.taskCount
                node.memoryBytesHeld = load.memoryBytes
                node.millicoresHeld = load.millicores
                node.resourcesHeld = load.resources
                node.isDrained = lease.isDrained
                node.isInTrouble = !lease.trouble.isEmpty
                nodes[name] = (node, lease.leaseMilliseconds)
            }
        }
        return nodes.values.map(\.node).sorted { $0.name < $1.name }
    }
}

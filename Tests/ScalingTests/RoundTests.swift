// What follows from one look after the other: a fleet that is told by its numbers, and a clock that is set.

import Scaling
import TaskModel
import Testing

private let one = NodeShape(name: "one", memoryBytes: 1 << 30, millicores: 1000, countMax: 4)
private let task = TaskSize(memoryBytes: 1 << 30, millicores: 1000)

/// A fleet of nodes that hold a task each, or nothing.
private struct World {
    var notes = ScaleNotes()
    var now: Int64 = 1_000_000
    var waiting = 0
    var nodes: [ScalingNode] = []
    var shape = one
    private var names = 0

    init(waiting: Int = 0) { self.waiting = waiting }

    /// Looks, and has all done that follows.
    @discardableResult
    mutating func look(
        after seconds: Int64 = 10, refusing: Bool = false, failing: Bool = false
    ) -> (steps: [ScaleStep], late: [String], gone: [String]) {
        now += seconds
        var demand = ScalingDemand()
        demand.nodes = nodes
        demand.add(waiting, of: task)
        var number = names
        var round = ScaleRound(
            ScaleNotes(fields: notes.fields.map { ($0.key, $0.value) }), demand, shapes: [shape],
            settings: ScaleSettings(downAfterSeconds: 300, bootSeconds: 600), now: now
        ) { shape in
            number += 1
            return "\(shape.name)-\(number)"
        }
        names = number
        for step in round.steps {
            switch step {
            case .resume(let names):
                for name in names { change(name) { $0.isDrained = false } }
                round.resumed(names)
            case .start(let shape, let names): round.started(shape, names, isSo: !failing)
            case .drain(let shape, let names):
                if refusing {
                    round.refused(shape)
                } else {
                    for name in names { change(name) { $0.isDrained = true } }
                    round.drained(shape, names)
                }
            case .remove(_, let names): round.removed(names)
            }
        }
        notes = round.notes
        return (round.steps, round.lateNodes, round.goneDrained)
    }

    mutating func comes(_ name: String, holding tasks: Int = 0, megabytes: UInt64 = 1024) {
        var node = ScalingNode(name: name, memoryBytes: megabytes << 20, millicores: 1000)
        node.heldCount = tasks
        node.memoryBytesHeld = UInt64(tasks) << 30
        node.millicoresHeld = tasks * 1000
        nodes.append(node)
    }

    mutating func goes(_ name: String) { nodes.removeAll { $0.name == name } }

    mutating func change(_ name: String, _ change: (inout ScalingNode) -> Void) {
        for index in nodes.indices where nodes[index].name == name { change(&nodes[index]) }
    }
}

@Suite("A fleet that is made larger and smaller")
struct RoundTests {
    @Test("nodes are started at once, and once: those that are awaited count")
    func up() {
        var world = World(waiting: 2)
        #expect(world.look().steps == [.start(one, ["one-1", "one-2"])])
        #expect(world.look().steps == [])
        world.comes("one-1")
        #expect(world.look().steps == [], "one has come and the other is awaited")
        world.waiting = 3
        #expect(world.look().steps == [.start(one, ["one-3"])])
    }

    @Test("a node that does not come is awaited for its time, asked to go, and another is started")
    func late() {
        var world = World(waiting: 1)
        world.look()
        #expect(world.look(after: 600).steps == [])
        let look = world.look(after: 1)
        #expect(look.steps == [.remove(one, ["one-1"]), .start(one, ["one-2"])])
        #expect(look.late == ["one-1"])
    }

    @Test("one that came and left between two looks was not awaited in vain")
    func shortStay() {
        var world = World(waiting: 1)
        world.look()
        world.notes.nodes["one-1"]?.hasCome = true
        world.waiting = 0
        let look = world.look(after: 3600)
        #expect(look.late == [] && look.steps == [] && world.notes.nodes.isEmpty)
    }

    @Test("what could not be started is not awaited")
    func failedStart() {
        var world = World(waiting: 1)
        world.look(failing: true)
        #expect(world.look().steps == [.start(one, ["one-2"])])
    }

    @Test("nodes go only when there were too many of them for long, and no more than all that while")
    func down() {
        var world = World()
        for name in ["a", "b", "c"] { world.comes(name) }
        #expect(world.look().steps == [])
        #expect(world.look(after: 150).steps == [])
        world.change("c") { $0.heldCount = 1 }
        #expect(world.look(after: 140).steps == [])
        world.change("c") { $0.heldCount = 0 }
        // Two were too many all the time.
        #expect(world.look(after: 10).steps == [.drain(one, ["c", "b"])])
        #expect(world.look().steps == [.remove(one, ["b", "c"])])
        #expect(world.look().steps == [], "they were asked to go")
        #expect(world.look(after: 60).steps == [.remove(one, ["b", "c"])], "and are still there")
        world.goes("b")
        world.goes("c")
        let last = world.look()
        #expect(last.steps == [] && last.gone == ["b", "c"])
    }

    @Test("time with work in between begins anew")
    func interrupted() {
        var world = World()
        world.comes("a")
        world.look()
        world.look(after: 200)
        world.waiting = 1
        #expect(world.look(after: 50).steps == [])
        world.waiting = 0
        #expect(world.look(after: 100).steps == [])
        #expect(world.look(after: 299).steps == [])
        #expect(world.look(after: 1).steps == [.drain(one, ["a"])])
    }

    @Test("a hook that wants to keep its nodes is asked again as if they had just become too many")
    func refused() {
        var world = World()
        world.comes("a")
        world.look()
        #expect(world.look(after: 300, refusing: true).steps == [.drain(one, ["a"])])
        #expect(world.look(after: 10).steps == [])
        #expect(world.look(after: 300).steps == [.drain(one, ["a"])])
    }

    @Test(
        "a node that drains is had back before one is started; one that was asked to go, or that others drained, is not"
    )
    func resume() {
        var world = World()
        for name in ["a", "b"] { world.comes(name) }
        world.look()
        world.look(after: 300)
        world.waiting = 1
        #expect(world.look().steps == [.resume(["a"]), .remove(one, ["b"])])
        world.change("a") { $0.heldCount = 1 }
        world.waiting = 1
        #expect(world.look().steps == [.start(one, ["one-1"])])

        var others = World(waiting: 1)
        others.comes("x")
        others.change("x") { $0.isDrained = true }
        #expect(others.look().steps == [.start(one, ["one-1"])])
        #expect(others.look(after: 5000).steps.contains(.remove(one, ["x"])) == false)
    }

    @Test("a node with tasks is never asked to go while it drains")
    func busy() {
        var world = World()
        world.comes("a")
        world.look()
        world.look(after: 300)
        world.change("a") { $0.heldCount = 1 }  // It was given one in the moment before.
        #expect(world.look(after: 1000).steps == [])
        world.change("a") { $0.heldCount = 0 }
        #expect(world.look().steps == [.remove(one, ["a"])])
    }

    @Test("nodes that turn out to be smaller than was said are not started for what does not fit them")
    func smaller() {
        var world = World(waiting: 1)
        world.look()
        world.comes("one-1", megabytes: 900)
        #expect(world.look().steps == [])
        world.goes("one-1")
        #expect(world.look(after: 1000).steps == [], "it is remembered")
        world.shape.memoryBytes = 2 << 30
        #expect(world.look().steps.count == 1, "until the shape is said to be another")
    }

    @Test("notes are read as they were written, and what is of another form is not there")
    func notes() {
        var world = World(waiting: 2)
        world.comes("a")
        world.look()
        world.waiting = 0
        world.look(after: 5)
        let fields = world.notes.fields
        #expect(!fields.isEmpty)
        #expect(ScaleNotes(fields: fields.map { ($0.key, $0.value) }) == world.notes)
        let strange = [
            ("node x", "one 1"), ("node", ""), ("surplus a", "x y"), ("size a", "1"), ("other z", "1"), ("came y", "1"),
        ]
        #expect(ScaleNotes(fields: strange) == ScaleNotes())
        // Names that would mean something else to a hook, and times that no clock says.
        let least = "-9223372036854775808"
        for (name, time) in [
            ("../n", "1"), ("-n", "1"), (".n", "1"), ("a,b", "1"), ("", "1"), ("n", least),
            ("n", "9223372036854775807"),
        ] {
            let noted = [("node \(name)", "one \(time) \(time) \(time) 1"), ("surplus one", "\(least) 1")]
            #expect(ScaleNotes(fields: noted) == ScaleNotes(), "\(name) \(time)")
        }
        #expect(world.notes.changes(from: world.notes).values.isEmpty)
        #expect(ScaleNotes().changes(from: world.notes).removed == fields.keys.sorted())
    }
}

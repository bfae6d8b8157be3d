// How many nodes are wanted, in cases that are told by their numbers.

import Scaling
import TaskModel
import Testing

private let gigabyte: UInt64 = 1 << 30

private func shape(
    _ name: String, _ gigabytes: UInt64, _ cores: Int, min: Int = 0, max: Int? = nil, labels: Set<String> = [],
    resources: String = ""
) -> NodeShape {
    NodeShape(
        name: name, memoryBytes: gigabytes * gigabyte, millicores: cores * 1000,
        resources: ResourceTotals(text: resources),
        labels: labels, countMin: min, countMax: max)
}

private func size(_ gigabytes: UInt64 = 0, _ cores: Int = 0, needs: String = "", on labels: String? = nil) -> TaskSize {
    TaskSize(
        memoryBytes: gigabytes * gigabyte, millicores: cores * 1000, resources: ResourceRequest(text: needs) ?? .init(),
        nodeLabels: labels.flatMap { LabelExpression(text: $0) })
}

private func node(
    _ name: String, _ gigabytes: UInt64 = 16, _ cores: Int = 4, of shape: String? = "a", holding tasks: Int = 0
) -> ScalingNode {
    var node = ScalingNode(name: name, shape: shape, memoryBytes: gigabytes * gigabyte, millicores: cores * 1000)
    node.heldCount = tasks
    node.millicoresHeld = tasks * 1000
    return node
}

private func demand(
    _ waiting: [TaskSize: Int] = [:], _ nodes: [ScalingNode] = [], starting: [String: Int] = [:]
) -> ScalingDemand {
    var demand = ScalingDemand()
    (demand.waiting, demand.nodes, demand.starting) = (waiting, nodes, starting)
    return demand
}

@Suite("How many nodes are wanted")
struct PlanTests {
    private let small = shape("a", 16, 4)

    @Test(
        "as many as what waits has room on, whatever limits it",
        arguments: [
            (size(1, 1), 1, 1), (size(1, 1), 4, 1), (size(1, 1), 5, 2), (size(9, 1), 3, 3), (size(8, 1), 3, 2),
            (size(1, 4), 3, 3), (size(0, 0), 9, 3), (size(1, 3), 2, 2), (size(16, 4), 7, 7),
            // Ten million tasks are a division.
            (size(2, 1), 10_000_000, 2_500_000), (size(5, 0), 10_000_000, 3_333_334),
        ])
    func count(size: TaskSize, tasks: Int, wanted: Int) {
        let plan = ScalePlan(demand([size: tasks]), shapes: [small])
        #expect(plan.rows[0].wanted == wanted)
        #expect(plan.rows[0].toStart == wanted)
        #expect(plan.dueCount == tasks)
        #expect(plan.unrunnable == [] && plan.beyondCount == 0)
    }

    @Test("several sizes share nodes, the large ones first")
    func mixed() {
        let waiting = [size(10, 1): 2, size(6, 1): 2, size(3, 1): 2]
        #expect(ScalePlan(demand(waiting), shapes: [small]).rows[0].wanted == 3)
        let filling = [size(12, 2): 3, size(4, 2): 3]
        #expect(ScalePlan(demand(filling), shapes: [small]).rows[0].wanted == 3)
    }

    @Test("what runs keeps its nodes, and what waits goes beside it before anything is started")
    func running() {
        let nodes = [node("n1", holding: 3), node("n2", holding: 4), node("n3", holding: 1)]
        let all = ScalePlan(demand([:], nodes), shapes: [small])
        #expect(all.rows[0].wanted == 3 && all.rows[0].have == 3 && all.runningCount == 8)
        #expect(all.rows[0].removable == [])
        #expect(ScalePlan(demand([size(1, 1): 4], nodes), shapes: [small]).rows[0].toStart == 0)
        #expect(ScalePlan(demand([size(1, 1): 5], nodes), shapes: [small]).rows[0].toStart == 1)
        #expect(ScalePlan(demand([size(1, 4): 1], nodes), shapes: [small]).rows[0].wanted == 4)
    }

    @Test("nodes that were started and have not come are counted: none is started for the same tasks again")
    func starting() {
        for (starting, toStart) in [(0, 3), (2, 1), (3, 0), (5, 0)] {
            let row = ScalePlan(demand([size(16, 1): 3], starting: ["a": starting]), shapes: [small]).rows[0]
            #expect(row.toStart == toStart && row.wanted == 3 && row.starting == starting)
        }
    }

    @Test("those that hold nothing and are not wanted may go: what was started for want of them first, then by name")
    func removable() {
        var nodes = [node("n1", holding: 1), node("n2"), node("n3"), node("n4"), node("n5")]
        nodes[2].wasStarted = true
        let row = ScalePlan(demand([:], nodes), shapes: [small]).rows[0]
        #expect(row.wanted == 1 && row.removable == ["n3", "n5", "n4", "n2"])
        // Three tasks go beside the one that runs, and one to the node that stays longest.
        let busy = ScalePlan(demand([size(1, 1): 4], nodes), shapes: [small]).rows[0]
        #expect(busy.wanted == 2 && busy.removable == ["n3", "n5", "n4"])
        nodes[3].isInTrouble = true
        #expect(ScalePlan(demand([:], nodes), shapes: [small]).rows[0].removable == ["n4", "n3", "n5", "n2"])
    }

    @Test("a node in trouble takes nothing, so that another is wanted for what waits")
    func trouble() {
        var sick = node("n1")
        sick.isInTrouble = true
        let row = ScalePlan(demand([size(1, 1): 1], [sick]), shapes: [small]).rows[0]
        #expect(row.wanted == 1 && row.have == 1 && row.toStart == 1 && row.removable == ["n1"])
    }

    @Test(
        "a node that drains because it was not wanted is wanted again before one is started, one that others drained is not"
    )
    func resumed() {
        var drained = [node("n1"), node("n2", holding: 2), node("n3")]
        for index in drained.indices { drained[index].isDrained = true }
        drained[1].mayResume = true
        let row = ScalePlan(demand([size(16, 1): 2], drained), shapes: [small]).rows[0]
        #expect(row.draining == 3 && row.have == 0 && row.toResume == ["n2"] && row.toStart == 1 && row.wanted == 2)
        let none = ScalePlan(demand([:], drained), shapes: [small]).rows[0]
        #expect(none.wanted == 0 && none.toResume == [] && none.removable == [])
    }

    @Test("min and max hold; what is beyond the most nodes is told")
    func bounds() {
        let bounded = shape("a", 16, 4, min: 2, max: 3)
        #expect(ScalePlan(demand(), shapes: [bounded]).rows[0].toStart == 2)
        #expect(ScalePlan(demand([:], [node("n1")]), shapes: [bounded]).rows[0].toStart == 1)
        #expect(ScalePlan(demand([:], starting: ["a": 2]), shapes: [bounded]).rows[0].toStart == 0)
        let kept = ScalePlan(demand([:], [node("n1"), node("n2"), node("n3")]), shapes: [bounded]).rows[0]
        #expect(kept.wanted == 2 && kept.removable == ["n3"])
        let plan = ScalePlan(demand([size(16, 1): 10], [node("n1", holding: 4)]), shapes: [bounded])
        #expect(plan.rows[0].toStart == 2 && plan.rows[0].wanted == 3 && plan.beyondCount == 8 && plan.dueCount == 10)
        var leaving = node("n1", holding: 1)
        leaving.isDrained = true
        let waits = ScalePlan(demand([size(16, 1): 10], [leaving]), shapes: [bounded]).rows[0]
        #expect(waits.toStart == 2, "one that drains is still there")
    }

    @Test("the first shape that can have a task is taken, and the next when there may be no more of it")
    func order() {
        let shapes = [shape("a", 16, 4, max: 1), shape("b", 64, 16)]
        let plan = ScalePlan(demand([size(32, 1): 2, size(16, 1): 2]), shapes: shapes)
        #expect(plan.rows.map(\.toStart) == [1, 2])
        #expect(plan.beyondCount == 0)
    }

    @Test("what no shape could run starts nothing, and says why")
    func unrunnable() {
        let shapes = [shape("a", 16, 4), shape("b", 64, 2, labels: ["ssd"], resources: "gpu:d2")]
        let waiting = [
            size(65, 1): 5, size(1, 8): 4, size(1, 1, needs: "gpu:3000"): 3, size(1, 1, on: "tape"): 2, size(32, 4): 1,
            size(1, 1, needs: "licence:1000"): 6,
        ]
        let plan = ScalePlan(demand(waiting), shapes: shapes)
        #expect(plan.rows.map(\.toStart) == [0, 0] && plan.dueCount == 0)
        #expect(
            plan.unrunnable.map(\.why) == [
                "no shape has more licence than 0", "no shape has more memory than 64 GB",
                "no shape has more cores than 4",
                "no shape has more gpu than 2", "no shape has the labels 'tape'", "no shape has all of it at once",
            ])
        #expect(plan.unrunnable.map(\.count) == [6, 5, 4, 3, 2, 1])
    }

    @Test("tasks for some nodes are put there, and leave the others to those for any")
    func choosy() {
        let shapes = [shape("a", 16, 4), shape("b", 16, 4, labels: ["ssd"], resources: "gpu:d2")]
        let waiting = [
            size(1, 1, on: "ssd"): 3, size(1, 1, needs: "gpu:1000"): 3, size(1, 1, needs: "gpu:500"): 2, size(1, 1): 4,
        ]
        let plan = ScalePlan(demand(waiting), shapes: shapes)
        #expect(plan.rows[1].toStart >= 2 && plan.rows[0].toStart + plan.rows[1].toStart == 3, "\(plan.rows)")
        #expect(plan.unrunnable == [])
    }

    @Test("a node of none of the shapes is used, and never let go")
    func others() {
        let plan = ScalePlan(demand([size(100, 1): 1, size(1, 1): 1], [node("big", 128, 8, of: nil)]), shapes: [small])
        #expect(plan.otherNodeCount == 1 && plan.rows[0].toStart == 0 && plan.unrunnable == [] && plan.dueCount == 2)
        #expect(ScalePlan(demand([:], [node("big", 128, 8, of: nil)]), shapes: [small]).rows[0].removable == [])
    }

    @Test("nothing is wanted for what waits while nothing is given out")
    func paused() {
        var paused = demand([size(1, 1): 9], [node("n1", holding: 1)])
        paused.isPaused = true
        let plan = ScalePlan(paused, shapes: [small])
        #expect(plan.rows[0].wanted == 1 && plan.rows[0].toStart == 0 && plan.dueCount == 0 && plan.isPaused)
    }

    @Test("thousands of sizes are rounded, and none becomes too large for it")
    func manySizes() {
        var waiting: [TaskSize: Int] = [:]
        for megabytes in 1...20_000 { waiting[TaskSize(memoryBytes: UInt64(megabytes) << 20, millicores: 1000)] = 1 }
        let plan = ScalePlan(demand(waiting), shapes: [shape("a", 20, 4)])
        #expect(plan.unrunnable == [] && plan.dueCount == 20_000)
        // Their memory is 9,766 nodes' full; rounded up by an eighth at most.
        #expect((9_766...12_500).contains(plan.rows[0].wanted), "\(plan.rows[0].wanted)")
    }
}

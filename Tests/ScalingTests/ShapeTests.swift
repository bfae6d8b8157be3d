// Shapes of nodes, as they are said and as nodes have them.

import Scaling
import TaskModel
import Testing

@Suite("Shapes of nodes")
struct ShapeTests {
    @Test("nodes that differ by some megabytes are of one shape, others are not")
    func grouping() {
        func node(
            _ name: String, _ megabytes: UInt64, _ cores: Int, _ labels: Set<String> = [], _ resources: String = ""
        )
            -> ScalingNode
        {
            ScalingNode(
                name: name, memoryBytes: megabytes << 20, millicores: cores * 1000,
                resources: ResourceTotals(text: resources), labels: labels)
        }
        let nodes = [
            node("n1", 16_000, 8), node("n2", 15_900, 8), node("n3", 16_100, 8), node("n4", 32_000, 8),
            node("n5", 16_000, 4),
            node("n6", 16_000, 8, ["ssd"]), node("n7", 16_000, 8, [], "gpu:d2"),
        ]
        let shapes = NodeShape.shapes(of: nodes)
        #expect(shapes.map(\.name) == ["4c-16g", "8c-16g", "8c-16g-ssd", "8c-16g-gpu2", "8c-31g"])
        #expect(shapes[1].memoryBytes == 15_900 << 20, "none is promised more than the smallest has")
        #expect(
            nodes.map { NodeShape.name(ofShapeOf: $0, among: shapes) } == [
                "8c-16g", "8c-16g", "8c-16g", "8c-31g", "4c-16g", "8c-16g-ssd", "8c-16g-gpu2",
            ])
        #expect(NodeShape.shapes(of: []) == [])
    }

    @Test("shapes are read as they are typed")
    func typed() throws {
        #expect(try NodeShape(typed: "big=16G,8") == NodeShape(name: "big", memoryBytes: 16 << 30, millicores: 8000))
        let full = try NodeShape(typed: "gpus=0.5,1.5,gpu=4,licence=2.5,label=ssd,label=big,min=1,max=20,slots=3")
        #expect(
            full
                == NodeShape(
                    name: "gpus", memoryBytes: 512 << 20, millicores: 1500, taskCountMax: 3,
                    resources: ResourceTotals(["gpu": .devices(4), "licence": .amount(2500)]), labels: ["ssd", "big"],
                    countMin: 1, countMax: 20))
    }

    @Test(
        "what is no shape is refused with what is expected",
        arguments: [
            "", "big", "big=16G", "big=x,8", "big=16G,x", "big=0,1", "a b=1,1", "big=1,1,gpu", "big=1,1,max=-1",
            "big=1,1,max=x",
            "big=1,1,min=3,max=2", "big=1,1,label=!", "big=1,1,GPU=1", "big=1,1,gpu=1,gpu=2",
            String(repeating: "n", count: 41) + "=1,1",
        ])
    func refusedTyped(text: String) {
        #expect(throws: ShapeError.self) { try NodeShape(typed: text) }
    }

    @Test("shapes are read from a file")
    func file() throws {
        let json = #"""
            [{"name": "small", "memory": 4, "cores": 2, "max": 10},
             {"name": "big", "memory": "64G", "cores": 0.5, "slots": 4, "min": 1, "max": 2, "labels": ["ssd"], "resources": {"gpu": 2}}]
            """#
        let shapes = try NodeShape.read(json: Array(json.utf8), place: "f")
        #expect(shapes.map(\.name) == ["small", "big"])
        #expect(shapes[0].memoryBytes == 4 << 30 && shapes[0].taskCountMax == 2 && shapes[0].countMax == 10)
        #expect(shapes[1].millicores == 500 && shapes[1].taskCountMax == 4 && shapes[1].countMin == 1)
        #expect(shapes[1].labels == ["ssd"] && shapes[1].resources == ResourceTotals(["gpu": .devices(2)]))
        #expect(try NodeShape.read(json: Array(#"{"shapes": \#(json)}"#.utf8), place: "f") == shapes)
    }

    @Test(
        "a mistake in a file is told with its place",
        arguments: [
            ("[", "f: no JSON"), ("[]", "f: expected an array"), ("[1]", "f: shape 1: expected an object"),
            (#"[{"nme": "a"}]"#, #"f: shape 1: there is no "nme", did you mean "name"?"#),
            (
                #"[{"name": "a", "memory": 1, "cores": 1}, {"name": "b", "memory": "x", "cores": 1}]"#,
                #"f: shape 2: "memory""#
            ),
            (
                #"[{"name": "a", "memory": 1, "cores": 1}, {"name": "a", "memory": 1, "cores": 1}]"#,
                "f: shape 2: another one"
            ),
            (#"[{"name": "a", "memory": 1, "cores": 1, "max": 2.5}]"#, #"f: shape 1: "max""#),
            (#"[{"name": "a", "memory": 1, "cores": 1, "max": 1, "min": 2}]"#, "f: shape 1: min is more than max"),
        ])
    func mistakes(json: String, beginning: String) {
        do {
            _ = try NodeShape.read(json: Array(json.utf8), place: "f")
            Issue.record("\(json) was read")
        } catch {
            #expect(error.description.hasPrefix(beginning), "\(error)")
        }
    }
}

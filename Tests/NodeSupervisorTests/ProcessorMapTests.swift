import NodeSupervisor
import Testing

@Suite("Processors of tasks that are pinned")
struct ProcessorMapTests {
    /// Two NUMA nodes of four.
    private var map = ProcessorMap(nodes: [[0, 1, 2, 3], [4, 5, 6, 7]])

    private mutating func processors(_ millicores: Int) -> [Int] { map.take(millicores: millicores).processors }

    @Test("tasks of whole cores share none")
    mutating func whole() {
        let given = (0..<4).flatMap { _ in processors(2000) }
        #expect(Set(given).count == 8)
    }

    @Test("a task stays on one node where one has room, the one it fills best")
    mutating func oneNode() {
        #expect(processors(3000) == [0, 1, 2])
        #expect(processors(2000) == [4, 5])
        #expect(processors(1000) == [3])
        #expect(processors(2000) == [6, 7])
    }

    @Test("one that no node has room for takes from as few as have it")
    mutating func severalNodes() {
        #expect(Set(processors(6000)).isSuperset(of: [0, 1, 2, 3]))
        #expect(processors(2000) == [6, 7])
    }

    @Test("parts of cores are packed onto processors that are nobody's alone")
    mutating func parts() {
        let whole = processors(2000)
        let parts = (0..<4).map { _ in processors(500) }
        #expect(Set(parts.flatMap { $0 }).count == 2)
        #expect(Set(parts.flatMap { $0 }).isDisjoint(with: whole))
        #expect(processors(1500).count == 2)
    }

    @Test("a task that asks for no cores, or for all, may run on all")
    mutating func all() {
        #expect(processors(0) == [])
        #expect(processors(8000) == [])
        #expect(processors(7500) == [])
        #expect(processors(1000) == [0], "and they took nothing from others")
    }

    @Test("what is given back is given again")
    mutating func givenBack() {
        let shares = [2500, 1000, 300, 4000].map { map.take(millicores: $0) }
        for share in shares { map.giveBack(share) }
        #expect(map == ProcessorMap(nodes: map.nodes))
    }

    @Test("where cores are left in pieces only, processors are shared rather than a task refused")
    mutating func pieces() {
        for _ in 0..<8 { _ = processors(600) }
        let share = map.take(millicores: 2000)
        #expect(Set(share.processors).count == 2)
        map.giveBack(share)
        #expect(processors(600).count == 1)
    }

    @Test("processors that are not the node's any more are given to nobody, and can still be given back")
    mutating func changed() {
        let share = map.take(millicores: 3000)
        map.nodes = [[2, 3]]
        #expect(processors(1000) == [3])
        map.giveBack(share)
        #expect(processors(1000) == [2])
    }

    @Test("shares taken over from an earlier program are nobody else's")
    mutating func takenOver() {
        map.take(ProcessorMap.Share(processors: [0, 1, 2, 3], millicores: 4000))
        #expect(processors(2000) == [4, 5])
    }
}

// Which process is whose, without control groups.

import NodeSupervisor
import Testing

@testable import LinuxSystem
@testable import distcompd

@Suite("Task trees")
struct TaskTreesTests {
    private let first = NodeSupervisor.TaskNumber(1)
    private let second = NodeSupervisor.TaskNumber(2)
    private var trees = TaskTrees()
    private let daemon: Int32 = 10

    init() {
        trees.add(first, process: 100, identifier: "one")
        trees.add(second, process: 200, identifier: "two")
    }

    private func entry(_ process: Int32, _ parent: Int32, session: Int32, at ticks: UInt64 = 50) -> ProcessEntry {
        ProcessEntry(process: process, parent: parent, session: session, startTicks: ticks)
    }

    private mutating func members(
        _ table: [ProcessEntry], known: Set<Int32> = [100, 200], environment: [Int32: String] = [:]
    ) -> [NodeSupervisor.TaskNumber: Set<Int32>] {
        trees.sort(table, daemon: daemon, known: known) { environment[$0.process] }.members
            .mapValues { Set($0.map(\.process)) }
    }

    @Test("children are their parents', at whatever distance and in whatever order they are listed")
    mutating func descendants() {
        let table = [
            entry(103, 102, session: 102), entry(102, 101, session: 102), entry(101, 100, session: 100),
            entry(100, 10, session: 100), entry(200, 10, session: 200), entry(10, 1, session: 10),
            entry(300, 1, session: 300), entry(301, 300, session: 300),
        ]
        #expect(members(table) == [first: [100, 101, 102, 103], second: [200]])
    }

    @Test("a process number that is used again is the later task's, while the earlier one is still being ended")
    mutating func numberUsedAgain() {
        _ = members([entry(100, 10, session: 100), entry(101, 100, session: 101), entry(200, 10, session: 200)])
        let third = NodeSupervisor.TaskNumber(3)
        trees.add(third, process: 100, identifier: "three")
        let table = [
            entry(100, 10, session: 100, at: 90), entry(101, 10, session: 101), entry(200, 10, session: 200),
        ]
        #expect(members(table) == [first: [101], second: [200], third: [100]])
    }

    @Test("an orphan stays with its task when it was seen before, wherever it has gone")
    mutating func seenBefore() {
        _ = members([entry(100, 10, session: 100), entry(101, 100, session: 101), entry(200, 10, session: 200)])
        #expect(
            members([entry(101, 10, session: 101), entry(200, 10, session: 200)]) == [first: [101], second: [200]])
    }

    @Test("an orphan never seen before is known by its environment, by its session, or by being nobody else's")
    mutating func newOrphans() {
        let mains = [entry(100, 10, session: 100, at: 20), entry(200, 10, session: 200, at: 40)]
        _ = members(mains)
        let told = mains + [entry(105, 10, session: 105)]
        #expect(members(told, environment: [105: "two"]) == [first: [100], second: [200, 105]])
        let inSession = mains + [entry(106, 10, session: 100)]
        #expect(members(inSession) == [first: [100, 106], second: [200]])
        let early = mains + [entry(107, 10, session: 107, at: 30), entry(108, 107, session: 107)]
        #expect(members(early) == [first: [100, 107, 108], second: [200]], "the second had not begun")
        let late = mains + [entry(109, 10, session: 109)]
        #expect(members(late) == [first: [100], second: [200]], "it could be either's")
    }

    @Test("children that are no tasks, and orphans of tasks that are gone, are nobody's")
    mutating func others() {
        let table = [entry(100, 10, session: 100, at: 60), entry(400, 10, session: 400, at: 50)]
        #expect(members(table, known: [100, 400]) == [first: [100]])
        trees.remove(second)
        let (_, strays) = trees.sort(table, daemon: daemon, known: [100]) { _ in "two" }
        #expect(strays.map(\.process) == [400])
        #expect(!trees.mayHaveOwner(strays[0]), "no task that runs had begun")
    }

    @Test("a number that is used again is not taken for the process that had it")
    mutating func recycled() {
        _ = members([entry(100, 10, session: 100), entry(101, 100, session: 100)])
        #expect(members([entry(100, 10, session: 100), entry(101, 1, session: 900, at: 99)]) == [first: [100]])
    }
}

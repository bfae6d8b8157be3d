// What a node says it has.

import LinuxSystem
import TaskModel
import Testing

@testable import distcompd

@Suite("Node allowance")
struct NodeAllowanceTests {
    private let gigabyte: UInt64 = 1 << 30
    private let machine = MemoryReading(totalBytes: 4 << 30, availableBytes: 3 << 30)

    private func limits(memoryBytes: UInt64) -> SurroundingLimits {
        var limits = SurroundingLimits()
        limits.memory = MemoryLimit(bytes: memoryBytes, group: "/system.slice/distcompd.service", file: "memory.max")
        return limits
    }

    @Test("without limits it is the machine, less what is kept free")
    func machineAlone() {
        let allowance = NodeAllowance(machine: machine, coreCount: 2, limits: SurroundingLimits())
        #expect(allowance.memoryBytes == 4 * gigabyte)
        #expect(allowance.millicores == 2000)
        #expect(allowance.taskCount == 2)
        #expect(allowance.memoryBytesForTasks(keeping: .bytes(gigabyte)) == 3 * gigabyte)
        #expect(allowance.memoryBytesForTasks(keeping: .bytes(9 * gigabyte)) == 0)
        #expect(allowance.text == "4 GB, 2 cores")
    }

    @Test("a limit above leaves room for the daemon below it, and is named")
    func limited() {
        let allowance = NodeAllowance(machine: machine, coreCount: 2, limits: limits(memoryBytes: 700 << 20))
        #expect(allowance.memoryBytes == 700 << 20)
        #expect(allowance.memoryBytesForTasks(keeping: .share(partsPerMillion: 50_000)) == 636 << 20)
        #expect(allowance.memoryBytesForTasks(keeping: .share(partsPerMillion: 500_000)) == 350 << 20)
        #expect(allowance.text == "700 MB (the memory.max of /system.slice/distcompd.service), 2 cores")
    }

    @Test("a very small limit still leaves most of it to tasks")
    func tiny() {
        let allowance = NodeAllowance(machine: machine, coreCount: 2, limits: limits(memoryBytes: 40 << 20))
        #expect(allowance.memoryBytesForTasks(keeping: .bytes(0)) == 30 << 20)
    }

    @Test("a limit above what the machine has is none")
    func wide() {
        let allowance = NodeAllowance(machine: machine, coreCount: 2, limits: limits(memoryBytes: 9 << 30))
        #expect(allowance.memoryLimit == nil)
        #expect(allowance.memoryBytes == 4 * gigabyte)
    }

    @Test("a kill for another limit than the task's own says whose that is")
    func notes() {
        let allowance = NodeAllowance(machine: machine, coreCount: 2, limits: limits(memoryBytes: 700 << 20))
        let unit = MemoryLimit(bytes: 700 << 20, group: "/unit", file: "memory.max")
        #expect(
            StrikingLimit.above(unit).words(allTasks: "")
                == "the memory.max of /unit (700 MB)")
        #expect(
            StrikingLimit.allTasks.words(allTasks: allowance.textForTasks(636 << 20))
                == "the limit of all tasks of this node together "
                + "(636 MB, for the memory.max of /system.slice/distcompd.service is 700 MB)")
        #expect(StrikingLimit.machine.words(allTasks: "") == "the machine, which had no more")
        #expect(StrikingLimit.own.words(allTasks: "") == nil)
    }
}

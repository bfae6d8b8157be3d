// What an ended task leaves of memory. On pure v2 it is the system tests' subject (Tests/System/soak).

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Memory that tasks left", .serialized, .enabled(if: canAdopt && isHybrid, "needs root, and memory on v1"))
struct LeftMemoryTests {
    private let bed: TreeBed
    private let folder: TemporaryFolder

    init() throws {
        bed = try TreeBed()
        folder = try TemporaryFolder()
        chmod(folder.path, 0o777)
    }

    private var tree: ControlGroupTree { bed.tree }

    /// One task that writes a file of that name, from its group to its end.
    private func write(_ name: String, bytes: Int = 5000) throws -> TaskGroup {
        let group = try tree.prepareGroup(named: name, limits: TaskLimits(memoryBytesMax: 64 << 20))
        _ = try bed.run(["sh", "-c", "head -c \(bytes) /dev/zero > \(folder.path)/\(name)"], in: group)
        try waitUntil("the end of \(name)'s group") { try tree.retire(group, after: tree.usage(of: group)) }
        return group
    }

    private func isThere(_ group: TaskGroup) -> Bool { FileSystem.exists(tree.taskPaths[1] + "/" + group.name) }

    /// How many pages of the file are in memory.
    private func cachedPageCount(_ name: String) throws -> Int {
        let file = SharedDescriptor(try OwnedDescriptor.open("\(folder.path)/\(name)", [.readOnly]))
        let size = Int(try #require(file.sizeBytes))
        let memory = try #require(mmap(nil, size, PROT_READ, MAP_SHARED, file.raw, 0))
        defer { munmap(memory, size) }
        var states = [UInt8](repeating: 0, count: (size + 4095) / 4096)
        try #require(mincore(memory, size, &states) == 0)
        return states.count { $0 & 1 == 1 }
    }

    private func sync(_ name: String) throws {
        let file = SharedDescriptor(try OwnedDescriptor.open("\(folder.path)/\(name)", [.readOnly]))
        try #require(fsync(file.raw) == 0)
    }

    @Test("memory is short: what a task wrote is taken back from its group, and only then is the group removed")
    func takenBack() throws {
        let group = try write("output")
        #expect(try tree.taskGroupNames().isEmpty)
        #expect(isThere(group))
        try sync("output")
        #expect(try cachedPageCount("output") == 2)
        // As a node does for as long as memory is short: while others write, a press may find the pages held by the kernel.
        try waitUntil("the group is removed") {
            tree.leftMemory.press(.memoryIsShort)
            return !isThere(group)
        }
        #expect(try cachedPageCount("output") == 0)
    }

    @Test("a task's group waits for what it wrote to be on disk")
    func notYet() throws {
        let group = try write("output")
        tree.leftMemory.press(.nowAndThen)
        #expect(isThere(group))
        try sync("output")
        tree.leftMemory.press(.nowAndThen)
        #expect(isThere(group))
        tree.leave()
        #expect(!isThere(group))
    }

    @Test("the end of a press is told by a descriptor")
    func told() throws {
        var loop = try EventLoop()
        try loop.add(#require(tree.leftMemory.descriptor), for: .readable, token: 1)
        _ = try write("output")
        #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
        tree.leftMemory.press(.memoryIsShort)
        #expect(try loop.wait(atMostMilliseconds: 30_000).map(\.token) == [1])
        tree.leftMemory.acknowledge()
        #expect(try loop.wait(atMostMilliseconds: 0).isEmpty)
    }

    @Test("what is large stays, for others may use it; its group is removed")
    func large() throws {
        let group = try write("large", bytes: 8 << 20)
        try sync("large")
        tree.leftMemory.press(.memoryIsShort)
        try waitUntil("the group is removed") { !isThere(group) }
        #expect(try cachedPageCount("large") > 1000)
    }

    @Test("after some hundred tasks that wrote something their groups go without being asked for")
    func many() throws {
        let groups = try (0..<LeftMemory.groupCountMin).map { try write("output.\($0)") }
        Glibc.sync()
        tree.leftMemory.press(.manyHaveEnded)
        try waitUntil("few groups are left") {
            tree.leftMemory.press(.manyHaveEnded)
            return groups.count(where: isThere) < 10
        }
    }
}

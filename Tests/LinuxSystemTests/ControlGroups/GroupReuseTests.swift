// Groups that are used again: no task may fare otherwise in one than in a new one.

import Glibc
import Testing

@testable import LinuxSystem

/// Whether this kernel can set the peak of a group back (v1, or Linux 6.12).
private let canReuse: Bool = {
    guard canAdopt, let bed = try? TreeBed() else { return false }
    bed.tree.reusesGroups = true
    guard let group = try? bed.tree.prepareGroup(named: "trial", limits: TaskLimits()) else { return false }
    _ = try? bed.tree.remove(group)
    return bed.tree.reusesGroups
}()

private let needsReset: Comment = "needs a kernel that can begin a new memory peak"

@Suite("Groups used again", .serialized, .enabled(if: canAdopt, needsTree))
struct GroupReuseTests {
    private let bed: TreeBed
    private static let limits = TaskLimits(memoryBytesMax: 256 << 20, processesMax: 100)

    private var tree: ControlGroupTree { bed.tree }

    init() throws {
        bed = try TreeBed()
        bed.tree.reusesGroups = true
    }

    /// One task from its group to its end; what it used.
    @discardableResult
    private func run(
        _ words: [String], named name: String, limits: TaskLimits = Self.limits
    ) throws -> (group: TaskGroup, usage: TaskGroupUsage) {
        let group = try tree.prepareGroup(named: name, limits: limits)
        _ = try bed.run(words, in: group)
        var usage = TaskGroupUsage()
        try waitUntil("the end of \(name)'s group") {
            usage = try tree.usage(of: group)
            if try tree.retire(group, after: usage) { return true }
            try tree.kill(group)
            return false
        }
        return (group, usage)
    }

    @Test(
        "a group used again tells of its present task alone: processor time and memory",
        .enabled(if: canReuse, needsReset))
    func ownUsage() throws {
        let busy =
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; head -c 67108864 /dev/zero | tail -n 1 >/dev/null"
        let first = try run(["sh", "-c", busy], named: "first")
        let second = try run(["true"], named: "second")
        #expect(second.group == first.group)
        let (much, little) = (first.usage, second.usage)
        #expect(try #require(little.userMicroseconds) < #require(much.userMicroseconds) / 2)
        #expect(try #require(much.memoryPeakBytes) > 64 << 20)
        #expect(try #require(little.memoryPeakBytes) < 32 << 20)
        #expect(little.oomKills == 0)
    }

    @Test("the cap holds in a group used again, and a group in which it was met is not used once more")
    func cap() throws {
        let limits = TaskLimits(memoryBytesMax: 32 << 20)
        let first = try run(["true"], named: "first", limits: limits)
        let hog = try run(["tail", "/dev/zero"], named: "hog", limits: limits)
        if canReuse { #expect(hog.group == first.group) }
        #expect(try #require(hog.usage.oomKills) > 0)
        let third = try run(["true"], named: "third", limits: limits)
        #expect(third.group.name == "third")
        #expect(third.usage.oomKills == 0)
    }

    @Test("a group that was killed is not used again, nor one that processes were left in")
    func killed() throws {
        let left = try run(["sh", "-c", "setsid sleep 1000 & exit 0"], named: "left")
        #expect(left.group.name == "left")
        #expect(try run(["true"], named: "next").group.name == "next")
        #expect(!FileSystem.exists(tree.tasksPath + "/left"))
    }

    @Test("a group that was killed at a deadline is not used again, though nothing is left in it")
    func killedAtDeadline() throws {
        let group = try tree.prepareGroup(named: "late", limits: Self.limits)
        let process = try bed.startJoined(["sleep", "1000"], in: group)
        try tree.kill(group)
        #expect(try endOf(process) == .signal(SIGKILL))
        try waitUntil("the group is gone") { try tree.retire(group, after: tree.usage(of: group)) }
        #expect(try tree.taskGroupNames().isEmpty)
    }

    @Test("a group whose memory earlier tasks still hold, by files that they wrote to memory, is not used again")
    func memoryLeft() throws {
        let path = "/dev/shm/distcomp-test.\(bed.name)"
        defer { unlink(path) }
        try #require(
            try run(["sh", "-c", "umask 0; head -c 4000000 /dev/zero > \(path)"], named: "writer").usage != .init())
        #expect(FileSystem.exists(path))
        #expect(try run(["true"], named: "next").group.name == "next")
    }

    @Test(
        "a group of a small cap is used again too: what each processor keeps in stock is no memory of its tasks",
        .enabled(if: canReuse, needsReset))
    func smallCap() throws {
        let limits = TaskLimits(memoryBytesMax: 8 << 20)
        let names = try (0..<20).map { try run(["true"], named: "small.\($0)", limits: limits).group.name }
        // What the kernel frees only a moment after a task has ended may make one look used.
        #expect(Set(names).count <= 10)
    }

    @Test("a task with other limits gets another group, which has them")
    func otherLimits() throws {
        try run(["true"], named: "first")
        var others = Self.limits
        others.memoryBytesMax = 128 << 20
        let other = try run(["true"], named: "other", limits: others)
        #expect(other.group.name == "other")
        #expect(try run(["true"], named: "again", limits: others).group.name == (canReuse ? "other" : "again"))
    }

    @Test("a group with a quota of processor time is not used again: its next task would have what an earlier one left")
    func quota() throws {
        let limits = TaskLimits(processorQuotaMillicores: 1000)
        try run(["true"], named: "first", limits: limits)
        let second = try run(["true"], named: "second", limits: limits).group.name
        // Where nobody can enforce it there is none of which a part could have been used.
        #expect(second == (canReuse && !tree.controlsProcessorTime ? "first" : "second"))
    }

    @Test("of many groups that wait the one that has waited longest makes way", .enabled(if: canReuse, needsReset))
    func makesWay() throws {
        for count in 1...ControlGroupTree.openGroupsMax + 1 {
            try run(["true"], named: "\(count)", limits: TaskLimits(processesMax: 100 + count))
        }
        #expect(try tree.taskGroupNames().count == ControlGroupTree.openGroupsMax)
        #expect(try run(["true"], named: "anew", limits: TaskLimits(processesMax: 101)).group.name == "anew")
        #expect(try run(["true"], named: "other", limits: TaskLimits(processesMax: 105)).group.name == "5")
    }

    @Test("a group that has waited in vain between two looks is removed", .enabled(if: canReuse, needsReset))
    func idle() throws {
        try run(["true"], named: "first")
        tree.removeIdleSpares()
        #expect(try tree.taskGroupNames() == ["first"])
        try run(["true"], named: "second")
        tree.removeIdleSpares()
        #expect(try tree.taskGroupNames() == ["first"])
        tree.removeIdleSpares()
        #expect(try tree.taskGroupNames().isEmpty)
    }

    @Test("where no new peak can be begun no group is used twice, and that is asked only once")
    func withoutReset() throws {
        tree.reusesGroups = false
        try run(["true"], named: "first")
        #expect(try run(["true"], named: "second").group.name == "second")
        if !canReuse {
            tree.reusesGroups = true
            try run(["true"], named: "third")
            #expect(!tree.reusesGroups)
        }
        #expect(try tree.taskGroupNames().isEmpty)
    }

    @Test("after two hundred tasks in used groups nothing is left, neither group nor descriptor")
    func nothingLeft() throws {
        let before = try FileSystem.entries(of: "/proc/self/fd").count
        for count in 0..<200 { try run(["true"], named: "task.\(count)") }
        tree.removeSpares()
        #expect(try tree.taskGroupNames().isEmpty)
        // Other suites run beside this one, and have their own.
        #expect(try FileSystem.entries(of: "/proc/self/fd").count < before + 100)
    }
}

// What the groups above ours allow, read from directories laid out as the kernel lays out its own.

import Glibc
import Testing

@testable import LinuxSystem

/// A hierarchy that is no more than files.
private final class PretendedTree {
    let path: String

    init() throws { path = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-groups-") }

    deinit { _ = try? FileSystem.removeTree(path) }

    func write(_ group: String, _ files: [String: String]) throws {
        try FileSystem.createDirectories(path + group, mode: 0o755)
        for (name, text) in files {
            try FileSystem.replace("\(path)\(group)/\(name)", with: Array(text.utf8), mode: 0o644)
        }
    }

    /// The groups above one in a v2 tree.
    func unified(_ group: String) -> SurroundingGroups {
        SurroundingGroups([
            ControlGroupMounts(memberships: "0::\(group)\n", mounts: "1 0 0:1 / \(path) rw - cgroup2 none rw\n")
        ])
    }

    /// The same for v1's memory and cpu controllers, in one mount.
    func legacy(_ group: String) -> SurroundingGroups {
        SurroundingGroups([
            ControlGroupMounts(
                memberships: "2:cpu,memory:\(group)\n", mounts: "1 0 0:1 / \(path) rw - cgroup none rw,cpu,memory\n")
        ])
    }
}

@Suite("Limits of the groups above ours")
struct SurroundingGroupsTests {
    private let tree: PretendedTree

    init() throws { tree = try PretendedTree() }

    @Test("the smallest limit from our own group up to the root counts, and its group is named")
    func smallest() throws {
        try tree.write("/", [:])
        try tree.write("/system.slice", ["memory.max": "4000\n", "memory.high": "max\n", "cpu.max": "150000 100000\n"])
        try tree.write(
            "/system.slice/a.service", ["memory.max": "max\n", "memory.high": "3000\n", "cpu.max": "max 100000\n"])
        let limits = try tree.unified("/system.slice/a.service").limits()
        #expect(limits.memory == MemoryLimit(bytes: 3000, group: "/system.slice/a.service", file: "memory.high"))
        #expect(limits.processorTime?.millicores == 1500)
        #expect(limits.processorTime?.group == "/system.slice")
    }

    @Test("a group without limits, and one without controllers, leaves all there is")
    func none() throws {
        try tree.write("/a/b", ["memory.max": "max\n", "cpu.max": "max 100000\n"])
        #expect(try tree.unified("/a/b").limits() == SurroundingLimits())
        #expect(try SurroundingGroups([]).limits() == SurroundingLimits())
    }

    @Test("a limit that cannot be read now is not taken for none")
    func unreadable() throws {
        try tree.write("/a", ["memory.max": "700\n"])
        let groups = tree.unified("/a")
        // A directory in the place of the file: it is there, and cannot be read.
        try FileSystem.remove("\(tree.path)/a/memory.max")
        try FileSystem.createDirectories("\(tree.path)/a/memory.max", mode: 0o755)
        #expect(throws: SystemError.self) { _ = try groups.limits() }
    }

    @Test("limits that change are seen at the next look")
    func live() throws {
        try tree.write("/a", ["memory.max": "max\n"])
        let groups = tree.unified("/a")
        #expect(try groups.limits().memory == nil)
        try tree.write("/a", ["memory.max": "700\n"])
        #expect(try groups.limits().memory?.bytes == 700)
    }

    @Test("what can be reclaimed is free, and what other groups below the limit hold is not")
    func available() throws {
        try tree.write(
            "/a",
            [
                "memory.max": "1000\n", "memory.current": "800\n",
                "memory.stat": "anon 300\nfile 500\nactive_file 200\ninactive_file 250\nslab_reclaimable 50\n",
            ])
        #expect(try tree.unified("/a/b").limits().memoryAvailableBytes == 700)
        try tree.write("/a", ["memory.current": "5000\n"])
        #expect(try tree.unified("/a/b").limits().memoryAvailableBytes == 0)
    }

    @Test("tasks whose groups are elsewhere count against a limit all the same")
    func tasksElsewhere() throws {
        try tree.write("/caller", ["memory.max": "1000\n", "memory.current": "100\n"])
        try tree.write("/scope/tasks", ["memory.current": "600\n"])
        let groups = tree.unified("/caller")
        groups.tasks = .init(directory: tree.path + "/scope/tasks", name: "tasks", version: .unified, isLowest: false)
        #expect(try groups.limits().memoryAvailableBytes == 300)
        let inside = tree.unified("/scope")
        try tree.write("/scope", ["memory.max": "1000\n", "memory.current": "700\n"])
        inside.tasks = groups.tasks
        #expect(try inside.limits().memoryAvailableBytes == 300)
    }

    @Test("v1: limits and quotas of every group, and the limits of groups that cannot be seen")
    func legacy() throws {
        let limitless = "9223372036854771712\n"
        try tree.write(
            "/a", ["memory.limit_in_bytes": "5000\n", "cpu.cfs_quota_us": "-1\n", "cpu.cfs_period_us": "100000\n"])
        try tree.write(
            "/a/b",
            [
                "memory.limit_in_bytes": limitless, "memory.stat": "hierarchical_memory_limit 4000\n",
                "cpu.cfs_quota_us": "50000\n", "cpu.cfs_period_us": "100000\n",
            ])
        let limits = try tree.legacy("/a/b").limits()
        #expect(limits.memory == MemoryLimit(bytes: 4000, group: "above /a/b", file: "hierarchical_memory_limit"))
        #expect(limits.processorTime?.millicores == 500)
    }

    @Test("v1: a limit that stands in a group is named by it, not as an unseen one")
    func legacyNamed() throws {
        try tree.write("/a", ["memory.limit_in_bytes": "4000\n"])
        try tree.write("/a/b", ["memory.stat": "hierarchical_memory_limit 4000\n"])
        #expect(try tree.legacy("/a/b").limits().memory?.group == "/a")
    }

    @Test("the groups of two processes count together, each once")
    func two() throws {
        try tree.write("/a", ["memory.max": "900\n"])
        try tree.write("/b", ["memory.max": "800\n"])
        let mounts = ["/a", "/b"].map { group in
            ControlGroupMounts(memberships: "0::\(group)\n", mounts: "1 0 0:1 / \(tree.path) rw - cgroup2 none rw\n")
        }
        let groups = SurroundingGroups(mounts)
        #expect(try groups.limits().memory?.bytes == 800)
        #expect(groups.memoryGroups.count == 3)
    }

    @Test(
        "text that is no limit is none, and no trap", arguments: ["", "max", "-1", "99999999999999999999", "1e3", " "])
    func malformed(text: String) throws {
        try tree.write("/a", ["memory.max": text, "cpu.max": text + " " + text])
        #expect(try tree.unified("/a").limits() == SurroundingLimits())
    }

    @Test(
        "a quota becomes thousandths of a core, at least one",
        arguments: [
            ("50000", "100000", 500), ("1", "1000000", 1), ("400000", "100000", 4000), ("7", "0", nil), ("0", "5", nil),
        ])
    func quotas(quota: String, period: String, millicores: Int?) {
        #expect(SurroundingGroups.millicores(quota: quota[...], period: period[...]) == millicores)
    }

    // MARK: Whose limit struck

    @Test("of limits above tasks the one is named whose count has grown since the task began")
    func strike() throws {
        try tree.write("/unit", ["memory.max": "700\n", "memory.events.local": "oom 3\noom_kill 0\n"])
        try tree.write("/unit/tasks", ["memory.events.local": "oom 0\n"])
        let tasks = SurroundingGroups.Group(
            directory: tree.path + "/unit/tasks", name: "tasks", version: .unified, isLowest: false)
        let strikes = LimitStrikes(tasks: tasks, above: tree.unified("/unit").memoryGroups)
        #expect(strikes.limit(since: 10, atNanoseconds: 20) == .machine)
        try tree.write("/unit", ["memory.events.local": "oom 4\n"])
        let unit = MemoryLimit(bytes: 700, group: "/unit", file: "memory.max")
        #expect(strikes.limit(since: 10, atNanoseconds: 30) == .above(unit))
        #expect(strikes.limit(since: 10, atNanoseconds: 31) == .above(unit), "the next that was killed for it as well")
        #expect(strikes.limit(since: 35, atNanoseconds: 40) == .machine, "not one that began later")
        try tree.write("/unit/tasks", ["memory.events.local": "oom 1\n"])
        #expect(strikes.limit(since: 10, atNanoseconds: 50) == .allTasks, "the latest")
    }

    @Test("v1: a limit is known by a peak that is as high")
    func legacyStrike() throws {
        let limit = MemoryLimit(bytes: 6400, group: "/unit", file: "memory.limit_in_bytes")
        try tree.write("/unit", ["memory.limit_in_bytes": "6400\n", "memory.max_usage_in_bytes": "5000\n"])
        try tree.write(
            "/unit/tasks", ["memory.limit_in_bytes": "3200\n", "memory.max_usage_in_bytes": "3199\n"])
        let tasks = SurroundingGroups.Group(
            directory: tree.path + "/unit/tasks", name: "tasks", version: .legacy, isLowest: false)
        let strikes = LimitStrikes(tasks: tasks, above: tree.legacy("/unit").memoryGroups)
        #expect(strikes.limit(since: 10, atNanoseconds: 20) == .allTasks)
        #expect(strikes.limit(since: 30, atNanoseconds: 40) == .machine, "its peak was begun anew")
        try tree.write("/unit", ["memory.max_usage_in_bytes": "6400\n"])
        #expect(strikes.limit(since: 30, atNanoseconds: 50) == .above(limit))
    }
}

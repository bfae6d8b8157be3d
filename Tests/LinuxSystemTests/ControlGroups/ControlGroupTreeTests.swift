// Containment on the machine at hand: a cap that holds, a kill that nothing escapes, and nothing left behind.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Control group tree", .serialized, .enabled(if: canAdopt, needsTree))
struct ControlGroupTreeTests {
    private let bed: TreeBed

    init() throws { bed = try TreeBed() }

    private var tree: ControlGroupTree { bed.tree }

    @Test("adoption makes the groups, caps all tasks together, and leaving takes everything away")
    func adoptsAndLeaves() throws {
        let paths = tree.taskPaths
        #expect(paths.allSatisfy(FileSystem.exists))
        let capFile = isHybrid ? paths[1] + "/memory.limit_in_bytes" : paths[0] + "/memory.max"
        #expect(try FileSystem.text(of: capFile) == String(TreeBed.memoryBytesMax))
        tree.leave()
        for path in paths {
            let root = try #require(path.firstRange(of: "/distcomp." + bed.name))
            #expect(!FileSystem.exists(String(path[..<root.upperBound])))
        }
    }

    @Test("adopting again under the same name takes the groups over, with a larger or a smaller cap")
    func adoptsAgain() throws {
        for memoryBytesMax: UInt64 in [1 << 30, 1 << 27, 1 << 31] {
            let again = try ControlGroupTree.adopt(name: bed.name, memoryBytesMax: memoryBytesMax)
            #expect(again.taskPaths == tree.taskPaths)
        }
    }

    @Test("a name that is no directory's is refused", arguments: ["..", "a/b", "", "../../x"])
    func hostileName(name: String) {
        // "distcomp." goes before it, but the whole is to be one directory.
        #expect(throws: ContainmentError.self) { try ControlGroupTree.adopt(name: name, memoryBytesMax: 1 << 30) }
    }

    @Test("a process is born into its group in every hierarchy, with the limits already there")
    func launchesIntoGroup() throws {
        let group = try bed.group(TaskLimits(memoryBytesMax: 1 << 25, processesMax: 17))
        let result = try bed.run(["cat", "/proc/self/cgroup"], in: group)
        let joined = result.lines.filter { $0.contains("/distcomp.\(bed.name)/") && $0.hasSuffix("/" + group.name) }
        #expect(joined.count == tree.taskPaths.count)
        if let legacy = tree.legacyMemory {
            #expect(try text("memory.limit_in_bytes", of: group, in: legacy) == String(1 << 25))
        }
        if let legacy = tree.legacyProcesses { #expect(try text("pids.max", of: group, in: legacy) == "17") }
        #expect(try tree.remove(group))
    }

    private func text(_ file: String, of group: TaskGroup, in tasks: SharedDescriptor) throws -> String {
        let path = "/proc/self/fd/\(tasks.raw)/\(group.name)/\(file)"
        return try FileSystem.text(of: path)
    }

    @Test(
        "a task cannot leave its group", .enabled(if: canLaunchAsNobody, "needs a working directory others may enter"))
    func cannotLeave() throws {
        let group = try bed.group(TaskLimits())
        let procs =
            tree.taskPaths.flatMap { [$0 + "/cgroup.procs", $0 + "/../cgroup.procs"] } + [
                tree.startGroup + "/cgroup.procs"
            ]
        let attempt =
            "for f in \(procs.joined(separator: " ")); do echo $$ >$f && echo escaped; done; cat /proc/$$/cgroup"
        let result = try bed.run(["sh", "-c", attempt], in: group)
        #expect(!result.text.contains("escaped"))
        #expect(result.lines.filter { $0.hasSuffix("/" + group.name) }.count == tree.taskPaths.count)
    }

    @Test("a process that needs more than its cap is killed, and the kernel's count says so")
    func memoryCap() throws {
        let hog = ["sh", "-c", "head -c 67108864 /dev/zero | tail -n 1 >/dev/null"]
        let tight = try bed.group(TaskLimits(memoryBytesMax: 32 << 20))
        let killed = try bed.run(hog, in: tight)
        #expect(killed.ending == .exit(code: 137) || killed.ending == .signal(SIGKILL))
        let usage = try tree.usage(of: tight)
        #expect(try #require(usage.oomKills) > 0)
        #expect((24 << 20...32 << 20).contains(try #require(usage.memoryPeakBytes)))
        tree.watchLimits(of: SurroundingGroups([]))
        #expect(tree.strikingLimit(in: tight, usage, memoryBytesMax: 32 << 20, since: 0, atNanoseconds: 1) == .own)

        let roomy = try bed.group(TaskLimits(memoryBytesMax: 128 << 20))
        #expect(try bed.run(hog, in: roomy).ending == .exit(code: 0))
        #expect(try tree.usage(of: roomy).oomKills == 0)
        #expect(try #require(tree.usage(of: roomy).memoryPeakBytes) > 64 << 20)
    }

    @Test(
        "a task at its cap is killed though the group above does without the out-of-memory killer",
        .enabled(if: isHybrid, "needs v1"))
    func inheritedOutOfMemoryControl() throws {
        let name = bed.name + ".hangs"
        let root = try #require(ControlGroupMounts.current().legacyMemory) + "/distcomp." + name
        guard mkdir(root, 0o755) == 0 else { throw SystemError.last("mkdir", root) }
        try writeControlFile(root + "/memory.oom_control", "1")
        let tree = try ControlGroupTree.adopt(name: name, memoryBytesMax: 1 << 30)
        defer { tree.leave() }
        let group = TaskGroup(name: "task")
        try tree.create(group, limits: TaskLimits(memoryBytesMax: 32 << 20))
        let control = try text("memory.oom_control", of: group, in: #require(tree.legacyMemory))
        #expect(control.contains("oom_kill_disable 0"))
        let hog = ["sh", "-c", "head -c 67108864 /dev/zero | tail -n 1 >/dev/null"]
        let process = try bed.bench.start(hog, joining: tree.joiningDescriptors(of: group))
        let ending = try bed.bench.finish(process).ending
        #expect(ending == .exit(code: 137) || ending == .signal(SIGKILL))
        #expect(try #require(tree.usage(of: group).oomKills) > 0)
        #expect(try tree.remove(group))
    }

    @Test("all tasks together meet the cap of the tree, though none has one of its own")
    func treeCap() throws {
        // A process has one place in a v2 tree, so the tree at hand is adopted anew with a smaller cap.
        let tree = try ControlGroupTree.adopt(name: bed.name, memoryBytesMax: 48 << 20)
        tree.watchLimits(of: SurroundingGroups([]))
        let group = try bed.group(TaskLimits())
        let begun = SystemClock.bootNanoseconds()
        _ = try bed.run(["sh", "-c", "head -c 134217728 /dev/zero | tail -n 1 >/dev/null"], in: group)
        let usage = try tree.usage(of: group)
        #expect(try #require(usage.oomKills) > 0)
        // One with a cap of its own far above what it had is told whose limit it was.
        for memoryBytesMax in [nil, UInt64(1) << 30] {
            let limit = tree.strikingLimit(
                in: group, usage, memoryBytesMax: memoryBytesMax, since: begun,
                atNanoseconds: SystemClock.bootNanoseconds())
            #expect(limit == .allTasks)
        }
    }

    @Test("the cap of all tasks together can be changed while there are some")
    func changedCap() throws {
        let group = try bed.group(TaskLimits())
        for bytes: UInt64 in [1 << 28, 1 << 27, 1 << 31] {
            try tree.setMemoryMax(bytes)
            let paths = tree.taskPaths
            let file = isHybrid ? paths[1] + "/memory.limit_in_bytes" : paths[0] + "/memory.max"
            #expect(try FileSystem.text(of: file) == String(bytes))
        }
        #expect(try tree.remove(group))
    }

    @Test("a kill says whose limit was met, and what the memory was: allocated, or in files of a tmpfs")
    func outOfMemory() throws {
        let limit: UInt64 = 48 << 20
        let file = "/dev/shm/distcomp-test-\(bed.name)"
        defer { unlink(file) }
        let group = try bed.group(TaskLimits(memoryBytesMax: limit))
        _ = try bed.run(
            ["sh", "-c", "head -c 20971520 /dev/zero >\(file); head -c 67108864 /dev/zero | tail -n 1 >/dev/null"],
            in: group)
        var usage = try tree.usage(of: group)
        #expect(try #require(usage.oomKills) > 0)
        usage.memory = tree.memoryAccount(of: group)
        #expect(usage.memory?.tmpfsBytes == 20 << 20)
        #expect(tree.strikingLimit(in: group, usage, memoryBytesMax: limit, since: 0, atNanoseconds: 1) == .own)
        if tree.outOfMemoryLog != nil {
            let report = try #require(
                tree.outOfMemoryReport(of: group), "more than ten kills in five seconds are not logged")
            #expect(report.tmpfsBytes == 20 << 20)
            #expect((24 << 20...28 << 20).contains(try #require(report.anonymousBytes)))
        }

        _ = try ControlGroupTree.adopt(name: bed.name, memoryBytesMax: 40 << 20)
        unlink(file)
        let uncapped = try bed.group(TaskLimits(memoryBytesMax: 60 << 20))
        _ = try bed.run(["sh", "-c", "head -c 67108864 /dev/zero | tail -n 1 >/dev/null"], in: uncapped)
        let otherUsage = try tree.usage(of: uncapped)
        #expect(try #require(otherUsage.oomKills) > 0)
        #expect(tree.outOfMemoryReport(of: uncapped) == nil, "it was the limit of all tasks")
    }

    @Test("files that a task read are told from what it needed")
    func fileCache() throws {
        let file = "/tmp/distcomp-test-\(bed.name)"
        defer { unlink(file) }
        let group = try bed.group(TaskLimits(memoryBytesMax: 128 << 20))
        _ = try bed.run(["sh", "-c", "head -c 67108864 /dev/zero >\(file)"], in: group)
        let account = try #require(tree.memoryAccount(of: group))
        #expect(try #require(account.fileCacheBytes) > 60 << 20)
        #expect(account.tmpfsBytes == 0)
        #expect(try #require(account.ownBytes) < 4 << 20)
    }

    @Test("a task meets its limit of processes")
    func processCap() throws {
        try #require(tree.controlsProcessCount)
        let group = try bed.group(TaskLimits(processesMax: 10))
        let process = try bed.start(
            ["sh", "-c", "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 1000 & done; wait"], in: group)
        let ending = try endOf(process)
        #expect(ending == .exit(code: 2) || ending == .exit(code: 254))
        #expect((2...10).contains(try tree.processes(of: group).count))
        try bed.killAndRemove(group)
    }

    @Test("a daemon with a session of its own, forked twice, dies with its task's group")
    func killsDaemons() throws {
        let group = try bed.group(TaskLimits())
        let result = try bed.run(["sh", "-c", "setsid sh -c 'setsid sleep 1000 & echo started' & wait"], in: group)
        #expect(result.text == "started\n")
        let left = try tree.processes(of: group)
        #expect(left.count == 1)
        #expect(try !tree.remove(group), "a group with a process in it was removed")
        try bed.killAndRemove(group)
        try waitUntil("the daemon is gone") { left.allSatisfy { !FileSystem.exists("/proc/\($0)/exe") } }
    }

    @Test("a stopped task acts on TERM, and dies of a kill")
    func stopped() throws {
        for isKill in [false, true] {
            let group = try bed.group(TaskLimits())
            let process = try bed.start(["sh", "-c", "kill -STOP $$"], in: group)
            try waitUntil("the task is stopped") { try FileSystem.text(of: "/proc/\(process)/stat").contains(") T ") }
            if isKill { try tree.kill(group) } else { try tree.signal(SIGTERM, to: group) }
            #expect(try endOf(process) == .signal(isKill ? SIGKILL : SIGTERM))
            try bed.killAndRemove(group)
        }
    }

    @Test("TERM reaches every process of a group, and no other")
    func signalsAll() throws {
        let group = try bed.group(TaskLimits())
        let bystanderGroup = try bed.group(TaskLimits())
        let bystander = try bed.startJoined(["sleep", "1000"], in: bystanderGroup)
        let process = try bed.start(["sh", "-c", "setsid sleep 1000 & sleep 1000 & wait"], in: group)
        try waitUntil("all three run") { try tree.processes(of: group).count == 3 }
        try tree.signal(SIGTERM, to: group)
        #expect(try endOf(process) == .signal(SIGTERM))
        try waitUntil("nobody is left") { try tree.processes(of: group).isEmpty }
        #expect(try ChildProcesses.endingIfEnded(bystander) == nil)
        try bed.killAndRemove(bystanderGroup)
        #expect(try endOf(bystander) == .signal(SIGKILL))
    }

    @Test("five hundred processes die of one kill")
    func killsMany() throws {
        let group = try bed.group(TaskLimits())
        let spawnAll = "i=0; while [ $i -lt 500 ]; do sleep 1000 & i=$((i+1)); done; wait"
        let process = try bed.start(["sh", "-c", spawnAll], in: group)
        try waitUntil("all are born", seconds: 180) { try tree.processes(of: group).count == 501 }
        try tree.kill(group)
        #expect(try endOf(process) == .signal(SIGKILL))
        try bed.killAndRemove(group)
    }

    @Test("what a task used is told: processor time and memory")
    func usage() throws {
        let group = try bed.group(TaskLimits(memoryBytesMax: 256 << 20))
        let busy = "i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; head -c 4000000 /dev/zero >/dev/null"
        #expect(try bed.run(["sh", "-c", busy], in: group).ending == .exit(code: 0))
        let usage = try tree.usage(of: group)
        #expect((1000...60_000_000).contains(try #require(usage.userMicroseconds)))
        #expect(usage.systemMicroseconds != nil)
        #expect((100_000...256 << 20).contains(try #require(usage.memoryPeakBytes)))
        #expect(usage.oomKills == 0)
        #expect(try tree.remove(group))
        #expect(try tree.usage(of: group) == TaskGroupUsage())
        #expect(try tree.remove(group), "removing what is gone is no error")
    }

    @Test("usage that is there and cannot be read is an error: not knowing could hide that memory was the cause")
    func unreadableUsage() throws {
        let group = try bed.group(TaskLimits())
        // A file where a folder is looked for, as of all that can go wrong only this can be had without harm to other tests.
        let error = #expect(throws: SystemError.self) {
            try tree.usage(of: TaskGroup(name: group.name + "/cgroup.procs"))
        }
        #expect(error?.code == ENOTDIR)
        #expect(try tree.remove(group))
    }

    @Test("a group that cannot be made as asked leaves nothing behind")
    func failedCreation() throws {
        let group = TaskGroup(name: "impossible")
        #expect(throws: SystemError.self) { try tree.create(group, limits: TaskLimits(processesMax: -5)) }
        #expect(try !tree.taskGroupNames().contains("impossible"))
        for name in ["..", "a/b", "", "../supervisor"] {
            #expect(throws: SystemError(call: "mkdir", subject: "tasks/\(name)", code: EINVAL)) {
                try tree.create(TaskGroup(name: name), limits: TaskLimits())
            }
        }
    }

    @Test(
        "a leftover is found whatever its name is",
        arguments: ["\n", "-rf", "...", "a\u{301}", String(repeating: "x", count: 300)])
    func oddLeftovers(name: String) throws {
        do throws(SystemError) { try tree.create(TaskGroup(name: name), limits: TaskLimits()) } catch { return }
        #expect(try tree.clearLeftovers().cleared == [name])
    }

    @Test("a name in use is refused, and its processes are left alone")
    func nameInUse() throws {
        let group = try bed.group(TaskLimits())
        for _ in 0..<2 {
            #expect(throws: SystemError(call: "mkdir", subject: "tasks/\(group.name)", code: EEXIST)) {
                try tree.create(group, limits: TaskLimits())
            }
        }
        let process = try bed.startJoined(["sleep", "1000"], in: group)
        #expect(try tree.processes(of: group) == [process])
        try bed.killAndRemove(group)
        #expect(try endOf(process) == .signal(SIGKILL))
    }

    @Test("what an earlier life left is killed and removed at the next start")
    func clearsLeftovers() throws {
        let names = try (0..<3).map { _ in try bed.group(TaskLimits()) }
        let running = try bed.startJoined(["sh", "-c", "setsid sleep 1000 & wait"], in: names[0])
        let ignoring = try bed.startJoined(["sh", "-c", "trap '' TERM; while :; do sleep 1000; done"], in: names[1])
        let next = try ControlGroupTree.adopt(name: bed.name, memoryBytesMax: 1 << 30)
        #expect(Set(try next.clearLeftovers().cleared) == Set(names.map(\.name)))
        #expect(try endOf(running) == .signal(SIGKILL))
        #expect(try endOf(ignoring) == .signal(SIGKILL))
        #expect(try next.taskGroupNames().isEmpty)
        #expect(try next.clearLeftovers() == .init())
    }

    @Test(
        "trees of different names stand side by side and do not touch each other",
        .enabled(if: isHybrid, "needs a hybrid host"))
    func sideBySide() throws {
        let other = try TreeBed()
        let ours = try bed.group(TaskLimits())
        let theirs = TaskGroup(name: ours.name)
        try other.tree.create(theirs, limits: TaskLimits())
        let process = try bed.startJoined(["sleep", "1000"], in: ours)
        let neighbour = try other.startJoined(["sleep", "1000"], in: theirs)
        #expect(try other.tree.clearLeftovers().cleared == [theirs.name])
        #expect(try endOf(neighbour) == .signal(SIGKILL))
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        try bed.killAndRemove(ours)
        #expect(try endOf(process) == .signal(SIGKILL))
    }

    @Test("after five hundred groups nothing is left, neither group nor descriptor")
    func manyGroups() throws {
        for number in 0..<500 {
            let group = TaskGroup(name: "many.\(number)")
            try tree.create(group, limits: TaskLimits(memoryBytesMax: 1 << 26, processesMax: 8))
            if number % 10 == 0 {
                #expect(try bed.run(["true"], in: group).ending == .exit(code: 0))
            } else {
                _ = try tree.joiningDescriptors(of: group)
            }
            try waitUntil("\(group.name) is removed") { try tree.remove(group) }
        }
        #expect(try tree.taskGroupNames().isEmpty)
        let open = try FileSystem.entries(of: "/proc/self/fd").compactMap {
            try? FileSystem.destination(ofLink: "/proc/self/fd/" + $0)
        }
        #expect(open.filter { $0.contains("/distcomp.\(bed.name)/tasks/many.") }.isEmpty)
    }
}

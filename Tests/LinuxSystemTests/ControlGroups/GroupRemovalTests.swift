// What a task makes in its group goes with it.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Groups in a task's group", .serialized, .enabled(if: canAdopt, needsTree))
struct GroupRemovalTests {
    private let bed: TreeBed

    init() throws { bed = try TreeBed() }

    private var tree: ControlGroupTree { bed.tree }

    private func make(_ path: String) throws {
        guard mkdir(path, 0o755) == 0 else { throw SystemError.last("mkdir", path) }
    }

    /// Moves a process into a group in a task's group, in the v2 tree.
    private func move(_ process: Int32, into path: String) throws {
        try writeControlFile(tree.tasksPath + "/" + path + "/cgroup.procs", String(process))
    }

    @Test("groups that a task made in its own are removed with it, however deep, and however many")
    func nested() throws {
        let group = try bed.group(TaskLimits())
        for tasks in tree.taskPaths {
            var path = tasks + "/" + group.name
            for _ in 0..<30 {
                path += "/inner"
                for number in 0..<3 { try make("\(path.dropLast(6))/beside\(number)") }
                try make(path)
            }
        }
        #expect(try tree.remove(group))
        #expect(try tree.taskGroupNames().isEmpty)
    }

    @Test("what is removed a part at a time is gone in the end")
    func manyGroups() throws {
        let group = try bed.group(TaskLimits())
        for outer in 0..<40 {
            let path = "\(tree.tasksPath)/\(group.name)/\(outer)"
            try make(path)
            for inner in 0..<40 { try make("\(path)/\(inner)") }
        }
        try waitUntil("the group is removed") { try tree.remove(group) }
        #expect(try tree.taskGroupNames().isEmpty)
    }

    @Test("a group in which another holds a process stays until that has ended, as does the process")
    func occupied() throws {
        let group = try bed.group(TaskLimits())
        let process = try bed.startJoined(["sleep", "1000"], in: group)
        try make("\(tree.tasksPath)/\(group.name)/inner")
        try make("\(tree.tasksPath)/\(group.name)/inner/most")
        try move(process, into: "\(group.name)/inner/most")
        #expect(try !tree.remove(group))
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        try bed.killAndRemove(group)
        #expect(try endOf(process) == .signal(SIGKILL))
    }

    @Test("TERM reaches a process in a group that its task made")
    func terminates() throws {
        let group = try bed.group(TaskLimits())
        let process = try bed.startJoined(["sleep", "1000"], in: group)
        try make("\(tree.tasksPath)/\(group.name)/inner")
        try move(process, into: "\(group.name)/inner")
        #expect(try tree.processes(of: group) == [process])
        try tree.signal(SIGTERM, to: group)
        #expect(try endOf(process) == .signal(SIGTERM))
        try bed.killAndRemove(group)
    }

    @Test("where a group cannot be killed as one, the processes in those that its task made are killed as well")
    func killedOneByOne() throws {
        let group = try bed.group(TaskLimits())
        let outer = try bed.startJoined(["sleep", "1000"], in: group)
        let inner = try bed.startJoined(["sleep", "1000"], in: group)
        try make("\(tree.tasksPath)/\(group.name)/inner")
        try move(inner, into: "\(group.name)/inner")
        tree.killEachProcess(of: group)
        #expect(try endOf(outer) == .signal(SIGKILL))
        #expect(try endOf(inner) == .signal(SIGKILL))
        try waitUntil("the group is removed") { try tree.remove(group) }
    }

    @Test("leftovers with groups in them are cleared; one that cannot be is told, and hinders nobody")
    func leftovers() throws {
        let deep = try bed.group(TaskLimits())
        try make("\(tree.tasksPath)/\(deep.name)/inner")
        let process = try bed.startJoined(["sleep", "1000"], in: deep)
        try move(process, into: "\(deep.name)/inner")
        #expect(try tree.clearLeftovers() == .init(cleared: [deep.name]))
        #expect(try endOf(process) == .signal(SIGKILL))
    }

    @Test(
        "a leftover that cannot be removed is told, and hinders nobody",
        .enabled(if: isHybrid, "needs a process in a group of v1 alone"))
    func stuckLeftover() throws {
        let stuck = try bed.group(TaskLimits())
        let other = try bed.group(TaskLimits())
        let process = try ChildProcesses.start("/bin/sleep", ["1000"], descriptors: [0, 1, 2])
        // Of v1 alone it is in the group, so that no kill of the group reaches it.
        try writeControlFile("\(tree.taskPaths[1])/\(stuck.name)/tasks", String(process))
        let leftovers = try tree.clearLeftovers(secondsMax: 0.1)
        #expect(leftovers.cleared == [other.name])
        #expect(leftovers.remaining == [SystemError(call: "rmdir", subject: "tasks/\(stuck.name)", code: EBUSY)])
        ChildProcesses.kill(process: process)
        #expect(try endOf(process) == .signal(SIGKILL))
        #expect(try tree.clearLeftovers() == .init(cleared: [stuck.name]))
    }

    @Test("leaving takes groups away that nothing is in")
    func leaves() throws {
        let group = try bed.group(TaskLimits())
        try make("\(tree.tasksPath)/\(group.name)/inner")
        tree.leave()
        #expect(!FileSystem.exists(tree.tasksPath))
    }
}

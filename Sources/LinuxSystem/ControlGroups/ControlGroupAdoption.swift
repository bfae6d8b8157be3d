// How the daemon takes its place in the control group hierarchies at start-up. Each step that can be refused says which file
// refused, why, and what the operator can do: without a cap that holds, nothing should run.

import CLinux
import Glibc

struct ControlGroupAdoption {
    let name: String
    let memoryBytesMax: UInt64

    private static let delegate =
        "Run distcompd as its systemd unit does (Delegate=yes), as root, or as `systemd-run --scope -p Delegate=yes distcompd ...`"

    func perform() throws(ContainmentError) -> ControlGroupTree {
        guard FileSystem.isPlainName(name) else {
            throw ContainmentError(
                cause: "\"\(name)\" cannot be the name of a directory", remedy: "Choose another node_name")
        }
        let mounts = try located()
        guard let own = mounts.unified else {
            throw ContainmentError(
                cause: "no cgroup v2 tree shows our own group (see /proc/self/cgroup and /proc/self/mountinfo)",
                remedy:
                    "Mount one: mount -t cgroup2 none /sys/fs/cgroup; in a container, run it with a cgroup namespace")
        }
        // An adopted daemon that executes itself anew is already in supervisor/: its place is two levels up.
        let start =
            own.hasSuffix("/distcomp.\(name)/supervisor")
            ? String(own.dropLast("/distcomp.\(name)/supervisor".count)) : own
        let parents = [start, mounts.legacyMemory, mounts.legacyProcesses].compactMap { $0 }
        let missing = parents.map { $0 + "/distcomp.\(name)" }.filter { !FileSystem.exists($0) }
        do throws(ContainmentError) {
            return try adopt(start: start, mounts)
        } catch {
            removeControlGroups(missing, returningTo: start)  // A refusal leaves nothing behind either.
            throw error
        }
    }

    private func adopt(start: String, _ mounts: ControlGroupMounts) throws(ContainmentError) -> ControlGroupTree {
        let available = try controllers(of: start, file: "cgroup.controllers")
        let root = start + "/distcomp.\(name)"
        try makeGroups(root)

        if available.contains("memory") {
            return try adoptUnified(start: start, root: root, available: available)
        }
        guard let legacy = mounts.legacyMemory else {
            throw ContainmentError(
                cause:
                    "\(start)/cgroup.controllers lists no memory controller, and no v1 memory hierarchy is mounted either",
                remedy: Self.delegate)
        }
        return try adoptHybrid(start: start, root: root, legacyMemory: legacy, legacyProcesses: mounts.legacyProcesses)
    }

    private func located() throws(ContainmentError) -> ControlGroupMounts {
        do {
            return try ControlGroupMounts.current()
        } catch {
            throw ContainmentError(cause: "\(error)", remedy: "Mount /proc")
        }
    }

    // MARK: Pure v2

    private func adoptUnified(
        start: String, root: String, available: Set<Substring>
    ) throws(ContainmentError) -> ControlGroupTree {
        guard available.contains("pids") else {
            throw ContainmentError(cause: "\(start)/cgroup.controllers lists no pids controller", remedy: Self.delegate)
        }
        try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try writeControlFile(root + "/supervisor/cgroup.procs", "0")
        }
        let wanted = ["memory", "pids", "cpu", "io"].filter { available.contains(Substring($0)) }
        for group in [start, root, root + "/tasks"] { try handDown(wanted, in: group) }
        for group in [root, root + "/tasks", root + "/supervisor"] { try checkDomain(group) }
        try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try writeControlFile(root + "/tasks/memory.max", String(memoryBytesMax))
            try writeControlFile(root + "/tasks/memory.swap.max", "0", ifPresent: true)
        }
        return ControlGroupTree(
            unified: try open(root + "/tasks"), taskPaths: [root + "/tasks"], startGroup: start,
            memory: .unified, controlsProcessorTime: available.contains("cpu"), controlsProcessCount: true)
    }

    /// Enables controllers for the children of `group`, all in one write: a partial set would leave it half delegated.
    private func handDown(_ wanted: [String], in group: String) throws(ContainmentError) {
        let file = group + "/cgroup.subtree_control"
        let missing = Set(wanted.map { Substring($0) }).subtracting(
            try controllers(of: group, file: "cgroup.subtree_control"))
        if missing.isEmpty { return }
        let line = missing.map { "+" + $0 }.joined(separator: " ")
        var remaining = 40
        while true {
            do {
                return try writeControlFile(file, line)
            } catch  where error.code == EBUSY && remaining > 0 {
                // The move into supervisor/ may take a moment to be seen; there is no loop yet that this wait could hold up.
                remaining -= 1
                usleep(25_000)
            } catch  where error.code == EBUSY {
                throw ContainmentError(
                    cause: "\(error) (other processes share the group distcompd was started in)", remedy: Self.delegate)
            } catch {
                throw ContainmentError(cause: "\(error)", remedy: Self.delegate)
            }
        }
    }

    /// A threaded group would refuse every spawn into it, later and task by task.
    private func checkDomain(_ group: String) throws(ContainmentError) {
        let file = group + "/cgroup.type"
        let type = try attempt(remedy: Self.delegate) { () throws(SystemError) in try FileSystem.text(of: file) }
        guard type == "domain" else {
            throw ContainmentError(cause: "\(file) is \"\(type)\", not \"domain\"", remedy: Self.delegate)
        }
    }

    // MARK: Hybrid

    private func adoptHybrid(
        start: String, root: String, legacyMemory: String, legacyProcesses: String?
    ) throws(ContainmentError) -> ControlGroupTree {
        let remedy =
            "Run distcompd as root where the v1 hierarchies are writable, or boot with systemd.unified_cgroup_hierarchy=1"
        let memoryTasks = legacyMemory + "/distcomp.\(name)/task-groups"
        try attempt(remedy: remedy) { () throws(SystemError) in
            try makeLegacyGroups(below: legacyMemory)
            try writeControlFile(memoryTasks + "/memory.use_hierarchy", "1", ifPresent: true)
            // Groups take over what the one above has. Without the out-of-memory killer a task at its cap would hang.
            try writeControlFile(memoryTasks + "/memory.oom_control", "0", ifPresent: true)
            // The limit with swap must never be below the one without, whatever an earlier life left there.
            try writeControlFile(memoryTasks + "/memory.memsw.limit_in_bytes", "-1", ifPresent: true)
            try writeControlFile(memoryTasks + "/memory.limit_in_bytes", String(memoryBytesMax))
            try writeControlFile(memoryTasks + "/memory.memsw.limit_in_bytes", String(memoryBytesMax), ifPresent: true)
        }
        var taskPaths = [root + "/tasks", memoryTasks]
        // pids of v1 is taken where it is offered: with it a fork bomb meets a limit, without it still the memory cap.
        var processes: SharedDescriptor?
        if let legacyProcesses, (try? makeLegacyGroups(below: legacyProcesses)) != nil {
            taskPaths.append(legacyProcesses + "/distcomp.\(name)/task-groups")
            processes = try open(taskPaths[2])
        }
        return ControlGroupTree(
            unified: try open(taskPaths[0]), legacyMemory: try open(memoryTasks), legacyProcesses: processes,
            taskPaths: taskPaths, startGroup: start, memory: .legacy, controlsProcessorTime: false,
            controlsProcessCount: processes != nil)
    }

    private func makeLegacyGroups(below group: String) throws(SystemError) {
        try makeDirectory(group + "/distcomp.\(name)")
        try makeDirectory(group + "/distcomp.\(name)/task-groups")
    }

    // MARK: Steps both share

    private func makeGroups(_ root: String) throws(ContainmentError) {
        try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try makeDirectory(root)
            try makeDirectory(root + "/supervisor")
            try makeDirectory(root + "/tasks")
        }
    }

    private func makeDirectory(_ path: String) throws(SystemError) {
        guard mkdir(path, 0o755) == 0 || errno == EEXIST else { throw .last("mkdir", path) }
    }

    private func open(_ path: String) throws(ContainmentError) -> SharedDescriptor {
        do {
            return SharedDescriptor(try OwnedDescriptor.open(path, [.readOnly, .directory]))
        } catch {
            throw ContainmentError(cause: "\(error)", remedy: Self.delegate)
        }
    }

    private func controllers(of group: String, file: String) throws(ContainmentError) -> Set<Substring> {
        let text = try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try FileSystem.text(of: group + "/" + file)
        }
        return Set(text.split(separator: " "))
    }

    private func attempt<Result>(
        remedy: String, _ step: () throws(SystemError) -> Result
    ) throws(ContainmentError) -> Result {
        do {
            return try step()
        } catch {
            throw ContainmentError(cause: "\(error)", remedy: remedy)
        }
    }
}

/// Moves this process back to `startGroup`, and removes the groups that adoption makes in `roots` as far as they are empty.
func removeControlGroups(_ roots: [String], returningTo startGroup: String) {
    if roots.isEmpty { return }
    _ = try? writeControlFile(startGroup + "/cgroup.procs", "0")
    for root in roots {
        for name in ["/tasks", "/task-groups", "/supervisor", ""] { _ = rmdir(root + name) }
    }
}

/// Writes a control file that only some kernels have; where it is missing, there is nothing to control.
private func writeControlFile(_ path: String, _ value: String, ifPresent: Bool) throws(SystemError) {
    do {
        try writeControlFile(path, value)
    } catch  where ifPresent && error.code == ENOENT {
        return
    }
}

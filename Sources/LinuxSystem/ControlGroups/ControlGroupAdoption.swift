// How the daemon takes its place in the control group hierarchies at start-up. Each step that can be refused says which file
// refused, why, and what the operator can do: without a cap that holds, nothing should run.

import CLinux
import Glibc

struct ControlGroupAdoption {
    let name: String
    let memoryBytesMax: UInt64
    /// A process that may be moved out of our way with all below it: the `distcomp run` that we serve.
    let parent: Int32?

    private static let delegate =
        "Run distcompd as its systemd unit does (Delegate=yes), as root, or as `systemd-run --scope -p Delegate=yes distcompd ...`"
    private static let shared = "other processes share the group distcompd was started in"

    private var rootName: String { "/distcomp.\(name)" }

    func perform() throws(ContainmentError) -> ControlGroupTree {
        guard FileSystem.isPlainName(name) else {
            throw ContainmentError(
                cause: "\"\(name)\" cannot be the name of a directory", remedy: "Choose another node_name")
        }
        let mounts = try located()
        guard let own = mounts.unified, let mount = mounts.unifiedMount else {
            throw ContainmentError(
                cause: "no cgroup v2 tree shows our own group (see /proc/self/cgroup and /proc/self/mountinfo)",
                remedy:
                    "Mount one: mount -t cgroup2 none /sys/fs/cgroup; in a container, run it with a cgroup namespace")
        }
        // An adopted daemon that executes itself anew is already in supervisor/, and what was moved out of its way is in
        // neighbours/: the place is two levels up.
        let inside = ["/supervisor", "/neighbours"].map { rootName + $0 }.first { own.hasSuffix($0) }
        let start = inside.map { String(own.dropLast($0.count)) } ?? own
        guard let legacy = mounts.legacyMemory else { return try adoptUnified(start: start, mount: mount) }
        if try controllers(of: start, file: "cgroup.controllers").contains("memory") {
            return try adoptUnified(start: start, mount: mount)
        }
        return try leavingNothing(in: [start, legacy] + [mounts.legacyProcesses].compactMap { $0 }, start: start) {
            () throws(ContainmentError) in
            try adoptHybrid(start: start, legacyMemory: legacy, legacyProcesses: mounts.legacyProcesses)
        }
    }

    /// A refusal leaves nothing behind of what was made in `parents`.
    private func leavingNothing(
        in parents: [String], start: String, _ body: () throws(ContainmentError) -> ControlGroupTree
    ) throws(ContainmentError) -> ControlGroupTree {
        let missing = parents.map { $0 + rootName }.filter { !FileSystem.exists($0) }
        do {
            return try body()
        } catch {
            for root in missing where FileSystem.exists(root + "/neighbours") {
                _ = try? returnNeighbours(of: root, to: start)  // The first refusal is the one to tell.
            }
            removeControlGroups(missing, returningTo: start)
            throw error
        }
    }

    private func located() throws(ContainmentError) -> ControlGroupMounts {
        do {
            return try ControlGroupMounts.current()
        } catch {
            throw ContainmentError(cause: "\(error)", remedy: "Mount /proc")
        }
    }

    // MARK: Pure v2

    private func adoptUnified(start: String, mount: String) throws(ContainmentError) -> ControlGroupTree {
        let place = try place(from: start, mount: mount)
        let site = if case .beside(let group) = place { group } else { start }
        return try leavingNothing(in: [site], start: start) { () throws(ContainmentError) in
            try adoptUnified(site: site, start: start, place: place)
        }
    }

    /// Where our groups can be. A group that holds processes can hand no memory controller down, save the real root.
    private func place(from start: String, mount: String) throws(ContainmentError) -> ControlGroupPlace {
        let hasMemory = try controllers(of: start, file: "cgroup.controllers").contains("memory")
        let others = try processes(in: start)
        if hasMemory {
            if isRealRoot(start) { return .below }
            if others.isEmpty {
                return FileSystem.exists(start + rootName + "/neighbours") ? .belowSharedGroup : .below
            }
            if let parent, !isSystemds || clinux_is_delegated(start),
                others.allSatisfy({ ChildProcesses.is($0, below: parent) })
            {
                return .belowSharedGroup
            }
        }
        // Under systemd the tree is systemd's, and a place in it is to be asked for. Otherwise root may choose.
        if Host.isRoot, !isSystemds {
            let above = ControlGroupMounts.upwards(from: start, to: mount).dropFirst()
                .filter { !$0.split(separator: "/").contains { $0.hasPrefix("distcomp.") } }
            for group in above where try handsDownMemory(group) { return .beside(group) }
            if hasMemory, above.isEmpty { return .belowSharedGroup }
            if let top = above.last, try controllers(of: top, file: "cgroup.controllers").contains("memory") {
                return .beside(top)
            }
        }
        guard hasMemory else {
            throw ContainmentError(
                cause:
                    "\(start)/cgroup.controllers lists no memory controller, and no v1 memory hierarchy is mounted either",
                remedy: Self.delegate)
        }
        return .below
    }

    private var isSystemds: Bool { FileSystem.exists("/run/systemd/system") }

    private func handsDownMemory(_ group: String) throws(ContainmentError) -> Bool {
        try controllers(of: group, file: isRealRoot(group) ? "cgroup.controllers" : "cgroup.subtree_control")
            .contains("memory")
    }

    /// The root of the whole hierarchy, not of a namespace: it alone may have processes and hand controllers down.
    private func isRealRoot(_ group: String) -> Bool { !FileSystem.exists(group + "/cgroup.type") }

    private func processes(in group: String) throws(ContainmentError) -> [Int32] {
        let listed = try attempt(remedy: Self.delegate) { () throws(SystemError) in try listedProcesses(in: group) }
        return listed.filter { $0 != Host.processIdentifier }
    }

    private func adoptUnified(
        site: String, start: String, place: ControlGroupPlace
    ) throws(ContainmentError) -> ControlGroupTree {
        let available = try controllers(of: site, file: "cgroup.controllers")
        let root = site + rootName
        try makeGroups(root)
        try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try writeControlFile(root + "/supervisor/cgroup.procs", "0")
        }
        // In the leaf they are limited as before, and what they start is there as well.
        if !isRealRoot(site), place != .below, try !processes(in: site).isEmpty {
            try moveNeighbours(from: site, to: root + "/neighbours")
        }
        let wanted = ["memory", "pids", "cpu", "io"].filter { available.contains(Substring($0)) }
        for group in [site, root, root + "/tasks"] { try handDown(wanted, in: group) }
        for group in [root, root + "/tasks", root + "/supervisor"] { try checkDomain(group) }
        try attempt(remedy: Self.delegate) { () throws(SystemError) in
            try writeControlFile(root + "/tasks/memory.max", String(memoryBytesMax))
            try writeControlFile(root + "/tasks/memory.swap.max", "0", ifPresent: true)
        }
        return ControlGroupTree(
            unified: try open(root + "/tasks"), taskPaths: [root + "/tasks"], startGroup: start, place: place,
            memory: .unified, controlsProcessorTime: available.contains("cpu"),
            controlsProcessCount: available.contains("pids"))
    }

    /// Moves all that is in `site`. They may fork meanwhile; whoever stays has the controllers refused.
    private func moveNeighbours(from site: String, to leaf: String) throws(ContainmentError) {
        try attempt(remedy: Self.delegate) { () throws(SystemError) in try makeDirectory(leaf) }
        for _ in 0..<40 {
            let left = try processes(in: site)
            if left.isEmpty { return }
            try attempt(remedy: Self.delegate) { () throws(SystemError) in
                for process in left { try move(process, to: leaf) }
            }
        }
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
                    cause: "\(error) (\(Self.shared))", remedy: Self.delegate)
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
        start: String, legacyMemory: String, legacyProcesses: String?
    ) throws(ContainmentError) -> ControlGroupTree {
        let root = start + rootName
        try makeGroups(root)
        let remedy =
            "Run distcompd as root where the v1 hierarchies are writable, or boot with systemd.unified_cgroup_hierarchy=1"
        let memoryTasks = legacyMemory + "/distcomp.\(name)/task-groups"
        try attempt(remedy: remedy) { () throws(SystemError) in
            try makeLegacyGroups(below: legacyMemory)
            try writeControlFile(memoryTasks + "/memory.use_hierarchy", "1", ifPresent: true)
            // Groups take over what the one above has. Without the out-of-memory killer a task at its cap would hang.
            try writeControlFile(memoryTasks + "/memory.oom_control", "0", ifPresent: true)
            try writeLegacyMemoryMax(memoryBytesMax, of: memoryTasks)
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

/// Has the processes that were moved out of our way, and us, back in `group`, as far as nothing else has come to depend on what it
/// hands down.
func returnNeighbours(of root: String, to group: String) throws(SystemError) {
    let inside = try FileSystem.entries(of: group).filter { FileSystem.exists("\(group)/\($0)/cgroup.procs") }
    guard inside.count == 1 else { return }
    for parent in [root + "/tasks", root, group] {
        let given = try FileSystem.text(of: parent + "/cgroup.subtree_control").split(separator: " ")
        if given.isEmpty { continue }
        try writeControlFile(parent + "/cgroup.subtree_control", given.map { "-" + $0 }.joined(separator: " "))
    }
    for process in try listedProcesses(in: root + "/neighbours") { try move(process, to: group) }
}

/// The processes in a group, not those below it.
private func listedProcesses(in group: String) throws(SystemError) -> [Int32] {
    try FileSystem.text(of: group + "/cgroup.procs", bytesMax: 4 << 20).split(separator: "\n").compactMap { Int32($0) }
}

/// Moves a process into a group; one that has ended meanwhile, or is the kernel's own, stays out of it.
private func move(_ process: Int32, to group: String) throws(SystemError) {
    do {
        try writeControlFile(group + "/cgroup.procs", String(process))
    } catch  where error.code == ESRCH || error.code == EINVAL {
        return
    }
}

/// Moves this process back to `startGroup`, and removes the groups that adoption makes in `roots` as far as they are empty.
func removeControlGroups(_ roots: [String], returningTo startGroup: String) {
    if roots.isEmpty { return }
    _ = try? writeControlFile(startGroup + "/cgroup.procs", "0")
    for root in roots {
        for name in ["/tasks", "/task-groups", "/neighbours", "/supervisor", ""] { _ = rmdir(root + name) }
    }
}

/// Caps a group of the v1 memory controller, whatever its limits were: that with swap must never be below the one without.
func writeLegacyMemoryMax(_ bytes: UInt64, of group: String) throws(SystemError) {
    try writeControlFile(group + "/memory.memsw.limit_in_bytes", "-1", ifPresent: true)
    try writeControlFile(group + "/memory.limit_in_bytes", String(bytes))
    try writeControlFile(group + "/memory.memsw.limit_in_bytes", String(bytes), ifPresent: true)
}

/// Writes a control file that only some kernels have; where it is missing, there is nothing to control.
private func writeControlFile(_ path: String, _ value: String, ifPresent: Bool) throws(SystemError) {
    do {
        try writeControlFile(path, value)
    } catch  where ifPresent && error.code == ENOENT {
        return
    }
}

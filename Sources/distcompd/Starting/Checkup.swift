// `distcompd --check`: every step of the start, one line each, going on after a refusal so that all that is missing is told at
// once. `distcomp doctor` shows it as a table.

import LinuxSystem
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

/// What one check found. Printed as three fields between tabs.
private struct Finding {
    enum Verdict: String { case ok, warning, missing }

    let verdict: Verdict
    let subject: String
    let text: String

    var line: String { "\(verdict.rawValue)\t\(subject)\t\(TerminalText.escaped(text))\n" }
}

/// Goes through the start of the daemon without becoming one; true when nothing is missing.
func checkUp(_ arguments: Arguments) -> Bool {
    var findings = [kernelFinding()]
    do throws(StartFailure) {
        _ = try prepareProcess(arguments)
        let node = try NodeIdentity(arguments)
        findings.append(Finding(verdict: .ok, subject: "settings", text: "node \(node.name): \(node.allowance.text)"))
        findings.append(userFinding(node))
        findings += node.readableSecrets.map { Finding(verdict: .warning, subject: "secrets", text: $0) }
        if node.taskKey != nil {
            findings.append(Finding(verdict: .ok, subject: "task key", text: "only signed tasks run here"))
        }
        findings += containmentFindings(node)
        findings += deviceFindings(node)
        findings.append(pressureFinding())
        findings.append(outputFinding(node))
        findings.append(redisFinding(node))
    } catch {
        findings.append(Finding(verdict: .missing, subject: "settings", text: error.message))
    }
    for finding in findings { standardOutput.write(finding.line) }
    return !findings.contains { $0.verdict == .missing }
}

private func kernelFinding() -> Finding {
    let release = Host.kernelRelease
    let numbers = release.split(whereSeparator: { !$0.isNumber }).prefix(2).compactMap { Int($0) }
    // 5.14 has cgroup.kill; before it a group is killed process by process.
    let isRecent = numbers.count == 2 && (numbers[0], numbers[1]) >= (5, 14)
    return Finding(
        verdict: isRecent ? .ok : .warning, subject: "kernel",
        text: isRecent ? release : "\(release): Linux 5.14 or newer kills and measures task groups better")
}

private func userFinding(_ node: NodeIdentity) -> Finding {
    let name = node.account?.name ?? Account(userIdentifier: Host.userIdentifier)?.name ?? "\(Host.userIdentifier)"
    if !Host.isRoot {
        return Finding(
            verdict: .warning, subject: "user",
            text: """
                not root: tasks run as \(name), like the daemon, and can read its settings and passwords, change the queue, and end it
                """)
    }
    if node.account?.userIdentifier == 0 {
        return Finding(
            verdict: .warning, subject: "user",
            text: """
                tasks run as root (without capabilities): they own the control groups and root's files, so no cap holds one that means \
                to break it; set task_user to another
                """)
    }
    let usual = node.configuration.taskUser != nil || name == "distcomp"
    return Finding(
        verdict: usual ? .ok : .warning, subject: "user",
        text: usual ? "tasks run as \(name)" : "no user distcomp, tasks run as \(name): useradd --system distcomp")
}

private func containmentFindings(_ node: NodeIdentity) -> [Finding] {
    do {
        guard let groups = try adoptGroups(node) else {
            return [
                hostFinding(node, nil),
                Finding(verdict: .warning, subject: "memory caps", text: "off (memory_caps is best-effort)"),
            ]
        }
        defer { groups.leave() }
        let caps = Finding(
            verdict: .ok, subject: "memory caps",
            text: "by \(groups.memory.rawValue), all tasks \(AmountText.memory(node.memoryBytesForTasks))")
        let place = Finding(verdict: .ok, subject: "control groups", text: groups.tasksPath)
        let controllers = Finding(
            verdict: groups.controlsProcessCount ? .ok : .warning, subject: "controllers",
            text: "memory" + (groups.controlsProcessCount ? ", pids" : "; none for pids: a fork bomb meets no limit")
                + (groups.controlsProcessorTime ? ", cpu" : "; none for cpu: cores are not weighed"))
        return [hostFinding(node, groups), place, controllers, caps, launchFinding(node, groups)]
    } catch {
        return [hostFinding(node, nil), Finding(verdict: .missing, subject: "memory caps", text: error.message)]
    }
}

/// Which row of the table of hosts (docs/OPERATIONS.md) this machine is for who asks, and what would make it a better one.
private func hostFinding(_ node: NodeIdentity, _ groups: ControlGroupTree?) -> Finding {
    guard let groups else {
        return Finding(
            verdict: .warning, subject: "host",
            text: "no control groups: tasks can only be watched, as `distcomp run` and memory_caps best-effort do. "
                + remedyForNoGroups())
    }
    if groups.memory == .legacy {
        return Finding(
            verdict: .ok, subject: "host",
            text: "cgroup v1: memory is capped, and processes where there is a pids hierarchy; cores are not weighed. "
                + "A v2 tree alone (systemd.unified_cgroup_hierarchy=1) weighs cores and ends a task as a whole")
    }
    switch groups.place {
    case .below:
        return Finding(verdict: .ok, subject: "host", text: "a group of its own, delegated by \(owner(of: groups))")
    case .belowSharedGroup:
        return Finding(
            verdict: .ok, subject: "host", text: "a group of its own, whose other processes are moved into a leaf of it"
        )
    case .beside(let group):
        return Finding(
            verdict: .ok, subject: "host",
            text: "root without systemd: a group beside its own, below \(group); a unit with Delegate=yes has its own")
    }
}

private func owner(of groups: ControlGroupTree) -> String {
    if groups.tasksPath.contains(".service/distcomp.") { return "a unit of systemd" }
    if groups.tasksPath.contains(".scope/distcomp.") {
        return
            "systemd as a scope, which `distcomp run` asks for (\(Host.isRoot ? "the system's manager" : "the user's manager"))"
    }
    return "whoever made it"
}

private func remedyForNoGroups() -> String {
    if FileSystem.exists("/run/systemd/system") {
        return Host.isRoot
            ? "Install the unit, or run it by `systemd-run --scope -p Delegate=yes`"
            : "No manager of systemd runs for this user: log in through it, or `loginctl enable-linger`; or have root run the unit"
    }
    return Host.isRoot
        ? "Have /sys/fs/cgroup writable: in a container, a control group namespace of its own (--privileged, or unmasked)"
        : "Root can cap memory here; or a group whose directory, cgroup.procs and cgroup.subtree_control belong to this user"
}

private func launchFinding(_ node: NodeIdentity, _ groups: ControlGroupTree) -> Finding {
    do {
        let manner = try proveLaunchWorks(try makeRunner(node, groups))
        return Finding(verdict: .ok, subject: "launch", text: "a first process was started: \(manner)")
    } catch {
        return Finding(verdict: .missing, subject: "launch", text: error.message)
    }
}

/// Which GPUs tasks are given, and what programs that use them are to ask for: figures of an H200 with driver 580.
private func deviceFindings(_ node: NodeIdentity) -> [Finding] {
    let search = DeviceSearch.byChild(of: node.programPath, node.arguments)
    let count = "\(search.devices.count) GPU\(search.devices.count == 1 ? "" : "s")"
    guard let setting = node.configuration.resources[ResourceRequest.gpu] else {
        guard !search.devices.isEmpty else { return [] }
        return [
            Finding(
                verdict: .warning, subject: "gpu",
                text:
                    "\(count), and every task may use all of them: with \"resources\": {\"gpu\": \"auto\"} in the settings each has "
                    + "those alone that it asks for (--gpus)")
        ]
    }
    var findings = search.notes.filter { !$0.hasPrefix("dlopen") || search.devices.isEmpty && setting == .found }.map {
        Finding(verdict: .warning, subject: "gpu", text: $0)
    }
    let names: [String]
    switch node.resources.kinds[ResourceRequest.gpu] {
    case .devices(let devices): names = devices
    case .amount, nil: return findings
    }
    let unknown = search.devices.isEmpty ? [] : names.filter { !search.devices.contains($0) }
    if !unknown.isEmpty {
        findings.append(
            Finding(
                verdict: .warning, subject: "gpu",
                text:
                    "not found here: \(unknown.joined(separator: ", ")); found: \(search.devices.joined(separator: ", "))"
            ))
    }
    let advice =
        "a program that uses CUDA needs 120 MB of memory for that alone, with PyTorch 320 to 570 MB, before it does anything, and what it "
        + "pins of the machine's memory counts too: let such tasks ask for 2 GB or more"
    findings.append(
        Finding(
            verdict: names.isEmpty ? .warning : .ok, subject: "gpu",
            text: names.isEmpty
                ? "none: tasks that ask for gpu are not given to this node"
                : "\(names.joined(separator: ", ")); \(advice)"))
    return findings
}

private func pressureFinding() -> Finding {
    do {
        _ = try PressureTrigger()
        return Finding(verdict: .ok, subject: "pressure", text: "the kernel tells when memory runs short")
    } catch {
        return Finding(
            verdict: .warning, subject: "pressure", text: "\(error): memory is measured with each heartbeat only")
    }
}

/// Not whether the directory is there, but whether a task's output could be: files are made and given away as a task's are, and its
/// user writes a file beside them.
private func outputFinding(_ node: NodeIdentity) -> Finding {
    do {
        // Without groups: they have a finding of their own.
        let runner = try makeRunner(node, nil)
        runner.settings.trialName += "-check"
        let failure = runner.launchCanary(["sh", "-c", "cd \"$DISTCOMP_OUTPUT_DIR\" && echo > check && rm check"])
        let path = runner.outputs.path
        if let trouble = runner.troubleAtStart {
            return Finding(
                verdict: .missing, subject: "result_dir",
                text: "\(trouble): \(remedy(trouble, node, freeIn: runner.outputs))")
        }
        if let failure {
            let name = node.account?.name ?? "\(Host.userIdentifier)"
            return Finding(
                verdict: .warning, subject: "result_dir",
                text: "\(path): a task cannot write a file into its folder there (\(failure)): each directory above it "
                    + "must be open to the user \(name)")
        }
        if let refusal = runner.outputs.packingRefusal {
            return Finding(
                verdict: .warning, subject: "result_dir",
                text: "\(path): each task has files of its own, for small outputs cannot be packed here (\(refusal))")
        }
        return Finding(
            verdict: .ok, subject: "result_dir", text: "\(path), \(AmountText.memory(runner.outputs.freeBytes)) free")
    } catch {
        return Finding(verdict: .missing, subject: "result_dir", text: error.message)
    }
}

/// What to do about a place that takes no output.
private func remedy(
    _ trouble: NodeSupervisor.LaunchFailure, _ node: NodeIdentity, freeIn outputs: OutputDirectory
) -> String {
    if trouble.step.hasPrefix("chown") {
        let name = node.account?.name ?? "\(Host.userIdentifier)"
        return
            "this file system does not let files be given to \(name): set task_user to the user whose they become there, "
            + "mount it otherwise (NFS: no_root_squash), or set result_dir elsewhere"
    }
    switch trouble.errno {
    case ErrorCode.readOnlyFileSystem: return "it may only be read: mount it for writing, or set result_dir elsewhere"
    case ErrorCode.noSpace where trouble.step.contains("inodes"):
        return "no more files fit there, whatever their size: remove some, or set result_dir elsewhere"
    case ErrorCode.noSpace, ErrorCode.quotaExceeded:
        return "\(AmountText.memory(outputs.freeBytes)) free: remove what is not needed, or set result_dir elsewhere"
    default: return "tasks cannot be started until that is mended"
    }
}

private func redisFinding(_ node: NodeIdentity) -> Finding {
    do {
        try refuseOpenRedis(node)
        let client = try BlockingRedisClient(node.redis, options: QueueConnection.options(for: node))
        let memory = try client.call(.command(RedisCommand("INFO", "memory")))
        if let failure = evictionFailure(memory, at: client.address) {
            return Finding(verdict: .missing, subject: "redis", text: "\(failure)")
        }
        try proveRedisAsksWhoCalls(node)
        let opening = try opening(node)
        return Finding(
            verdict: opening == nil ? .ok : .warning, subject: "redis",
            text: "\(client.address), \(client.server?.title ?? "?")" + (opening.map { "; \($0)" } ?? ""))
    } catch let failure as StartFailure {
        return Finding(verdict: .missing, subject: "redis", text: failure.message)
    } catch {
        return Finding(verdict: .missing, subject: "redis", text: "\(error)")
    }
}

/// Who may change the queue though nobody gave them a password; nil: nobody.
private func opening(_ node: NodeIdentity) throws -> String? {
    if try node.configuration.allowInsecureRedis && !node.redis.isOnThisMachine() {
        return "allow_insecure_redis: whoever reaches it may run commands here"
    }
    guard OpenRedis.isOpenToThisMachine(node.redis, node.configuration), canReach(node.redis, node.account) else {
        return nil
    }
    return """
        it asks for no password, so every task on this machine can change the queue, forge results and give tasks to other nodes: \
        set requirepass in redis.conf, and redis_pass_file here and for who submits (or a Unix socket that tasks cannot open)
        """
}

/// Whether tasks can knock at it: at a port they can.
private func canReach(_ redis: RedisTarget, _ account: Account?) -> Bool {
    guard case .server(let endpoint) = redis, case .unix(let path) = endpoint.location, let account else { return true }
    return account.mayConnect(toSocket: path)
}

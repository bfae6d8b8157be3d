// The steps between an identity and a running daemon: what the process needs, where tasks live, a proof that they can.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel
import TaskQueue

/// What is true of the process as a whole.
func prepareProcess(_ arguments: Arguments) throws(StartFailure) -> SignalQueue {
    do throws(SystemError) {
        let signals = try SignalQueue(blocking: [.child, .terminate, .interrupt, .hangup])
        try reserveDescriptors(below: ProcessLauncher.reservedDescriptors)
        if Host.isRoot { BoundingSet.narrow() }
        Host.forbidTracing()
        try Host.adoptOrphans()
        guard arguments.servesParent else { return signals }
        if try Host.followParent(arguments.parent, signal: .terminate) { return signals }
    } catch {
        throw .system(error)
    }
    throw .usage("the run that this node was to serve has ended")
}

/// Where a `distcomp run` that shows what tasks write is told of them; nil for all others. Before anything is started: it is nobody
/// else's.
func attemptNotes(_ arguments: Arguments, _ node: NodeIdentity) throws(StartFailure) -> AttemptNotes? {
    guard let descriptor = arguments.attemptsDescriptor else { return nil }
    return try required { () throws(SystemError) in try AttemptNotes(adopting: descriptor, node.log) }
}

/// The settings must not name a Redis that anybody on the network could give tasks to.
func refuseOpenRedis(_ node: NodeIdentity) throws(StartFailure) {
    if let problem = OpenRedis.problem(with: node.redis, node.configuration) { throw .usage(problem) }
}

/// Nor may the Redis itself let in whoever comes, whatever the settings say. To be called once it has been reached.
func proveRedisAsksWhoCalls(_ node: NodeIdentity) throws(StartFailure) {
    if let problem = OpenRedis.problem(foundByKnockingAt: node.redis, node.configuration) { throw .usage(problem) }
}

/// The control groups of this daemon; nil when there are none and the settings allow to go on without.
func adoptGroups(_ node: NodeIdentity) throws(StartFailure) -> ControlGroupTree? {
    do {
        let tree = try ControlGroupTree.adopt(
            name: node.groupName, memoryBytesMax: node.memoryBytesForTasks,
            parent: node.servesParent || node.arguments.checksOnly ? Host.parentIdentifier : nil)
        tree.watchLimits(of: node.surroundings)
        if let limit = node.allowance.processorLimit {
            do throws(SystemError) {
                try tree.setProcessorTimeMax(millicores: limit.millicores)
            } catch {
                node.log.warning(
                    "\(error): tasks may use more of the processors than the \(limit.file) of \(limit.group)")
            }
        }
        // A task that runs as the user whose the groups are could change them.
        tree.reusesGroups = Host.isRoot && node.account.map { $0.userIdentifier != 0 } ?? false
        node.log.info("memory caps by \(tree.memory.rawValue)", metadata: ["groups": "\(tree.tasksPath)"])
        node.log.info("this node has \(node.allowance.text)")
        if !tree.controlsProcessCount { tellCaller(node, "no limit on the processes of a task: \(noProcessCount)") }
        return tree
    } catch {
        guard node.configuration.memoryCaps == .bestEffort else {
            throw .usage(
                "memory caps cannot be enforced: \(error). With \"memory_caps\": \"best-effort\" in the settings tasks are watched "
                    + "instead")
        }
        node.log.info("this node has \(node.allowance.text)")
        tellCaller(
            node,
            "memory caps are off: what the processes of a task hold is looked at several times a second instead, and a task "
                + "above its cap is killed (a watch, not a cap): \(error)")
        return nil
    }
}

/// Why there is none.
let noProcessCount = "the group above hands down no pids controller"

/// A warning for the log, and for the person who typed `distcomp run`, who reads our standard output instead.
private func tellCaller(_ node: NodeIdentity, _ notice: String) {
    node.log.warning("\(notice)")
    if node.servesParent { standardOutput.write(notice + "\n") }
}

func makeRunner(
    _ node: NodeIdentity, _ groups: ControlGroupTree?, _ reExecRecord: ReExecRecord? = nil
) throws(StartFailure) -> TaskRunner {
    let configuration = node.configuration
    return try required { () throws(SystemError) in
        var statusPipe: PipeEnds?
        if let reExecRecord {
            statusPipe = PipeEnds(
                reading: try ReExec.kept(reExecRecord.statusReading),
                writing: try ReExec.kept(reExecRecord.statusWriting))
        }
        let launcher = try ProcessLauncher(
            path: try launcherPath(),
            settings: LaunchSettings(
                account: node.account, umask: node.servesParent ? Host.fileModeMask : configuration.taskUmask,
                fileSizeBytesMax: configuration.maxOutputBytes == 0 ? nil : UInt64(configuration.maxOutputBytes),
                descriptorsMax: node.taskDescriptorsMax, resetsOomScore: Host.isShieldedFromOutOfMemory),
            statusPipe: statusPipe)
        let outputs = OutputDirectory(
            notYetOpenedAt: configuration.resultDirectory, account: node.account, permitsByUmask: node.servesParent)
        if configuration.outputStore == .packed {
            outputs.packOutputs(ofNode: node.groupName, namesAtOnce: node.arguments.attemptsDescriptor != nil)
        }
        do throws(SystemError) {
            try outputs.open()
            if let refusal = outputs.packingRefusal {
                node.log.warning("\(refusal): the output of each task is kept in files of its own (output_store)")
            }
        } catch {
            // At a first start it is a mistake in the settings. Later it is trouble, which the proof of a launch will tell of.
            if reExecRecord == nil { throw error }
        }
        let runner = TaskRunner(
            groups: groups, launcher: launcher, outputs: outputs,
            settings: TaskSettings(node),
            deviceWatch: node.resources.hasDevices
                ? DeviceWatch(
                    programPath: node.programPath, library: node.arguments.nvidiaLibrary, log: node.log) : nil,
            log: node.log)
        if let reExecRecord {
            for (state, task) in zip(reExecRecord.reExecState.tasks, reExecRecord.running) {
                try runner.resume(task, state)
            }
        }
        return runner
    }
}

/// distcomp-launch beside this program, where a build puts it, or where an installation does.
private func launcherPath() throws(SystemError) -> String {
    let program = try FileSystem.destination(ofLink: "/proc/self/exe")
    let directory = program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
    let beside = directory + "/distcomp-launch"
    return FileSystem.isExecutable(beside) ? beside : directory + "/../lib/distcomp/distcomp-launch"
}

extension TaskSettings {
    init(_ node: NodeIdentity) {
        let managesDevices = node.resources.hasDevices
        let environment = taskEnvironment(node).filter { variable in
            !managesDevices || !TaskVariables.devices.contains { variable.starts(with: "\($0)=".utf8) }
        }
        self.init(
            worker: node.name, taskMark: node.taskMark,
            memoryForAll: node.allowance.textForTasks(node.memoryBytesForTasks),
            processesMax: node.configuration.maxProcessesPerTask,
            userIdentifier: node.account?.userIdentifier ?? Host.userIdentifier,
            processorLimit: node.configuration.cpuLimit, trialName: ".\(node.groupName).trial",
            defaultTimeoutSeconds: node.configuration.defaultTaskTimeoutSeconds, environment: environment,
            threadVariables: TaskVariables.threads.filter { name in
                !environment.contains { $0.starts(with: "\(name)=".utf8) }
            }, managesDevices: managesDevices, outputLimits: OutputLimits(node.configuration))
    }
}

extension OutputLimits {
    fileprivate init(_ configuration: Configuration) {
        self.init(
            ageSecondsMax: configuration.resultsKeepDays > 0 ? configuration.resultsKeepDays * 86_400 : nil,
            countMax: configuration.resultsKeepCount > 0 ? configuration.resultsKeepCount : nil)
    }
}

/// A daemon's tasks get a clean environment of their own; those of `distcomp run` the caller's, as the caller expects.
private func taskEnvironment(_ node: NodeIdentity) -> [[UInt8]] {
    let account = node.account ?? Account(userIdentifier: Host.userIdentifier)
    let name = account?.name ?? "\(Host.userIdentifier)"
    let person = ["HOME=\(account?.homeDirectory ?? "/")", "USER=\(name)", "LOGNAME=\(name)"].map { Array($0.utf8) }
    if node.servesParent {
        let isOfAnother = Host.isRoot && account?.userIdentifier != 0
        return Host.environment.filter { variable in
            !isWithheld(variable) && !(isOfAnother && person.contains { hasSameName($0, variable) })
        } + (isOfAnother ? person : [])
    }
    return [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SHELL=/bin/sh", "LANG=C.UTF-8",
    ].map { Array($0.utf8) } + person
}

/// What leads to a service manager that would start processes for a task outside of its group, or speaks for a service that is not the
/// task's; and what is said of an outer task.
private func isWithheld(_ variable: [UInt8]) -> Bool {
    let names: Set = [
        "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS", "DBUS_STARTER_ADDRESS", "DBUS_STARTER_BUS_TYPE", "NOTIFY_SOCKET",
        "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MANAGERPID", "SYSTEMD_EXEC_PID",
    ]
    let name = String(decoding: variable.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
    return names.contains(name) || name.hasPrefix("DISTCOMP_")
}

private func hasSameName(_ one: [UInt8], _ other: [UInt8]) -> Bool {
    let equals = UInt8(ascii: "=")
    return one.prefix { $0 != equals } == other.prefix { $0 != equals }
}

/// Starts one process the way tasks are started: what cannot work is found now, once, and not task by task.
///
/// - Returns: how it came into its control group, in words.
func proveLaunchWorks(_ runner: TaskRunner, isReExecuted: Bool = false) throws(StartFailure) -> String {
    if let failure = runner.launchCanary() {
        guard isReExecuted else {
            throw .usage("a first process could not be launched as tasks are: \(failure)")
        }
        runner.noteTrouble(failure)  // Tasks run here, which would be lost with this process.
    }
    guard runner.groups != nil else { return "tasks are in no control group" }
    return runner.spawnsInGroup ? "tasks are born in their control group" : "tasks join their control group"
}

/// Ends what tasks of an earlier life of this daemon left running: their lease is over, they run elsewhere by now.
///
/// - Parameter reExecRecord: its tasks are no leftovers.
func clearLeftovers(
    _ node: NodeIdentity, _ groups: ControlGroupTree?, _ reExecRecord: ReExecRecord?
) throws(StartFailure) {
    if reExecRecord == nil {  // Of what goes on, what is left over could not be told.
        let life = try required { () throws(SystemError) in
            try EarlierLife.endTasks(ofNode: node.groupName, mark: node.taskMark, isWatching: groups == nil)
        }
        if life.ended > 0 {
            node.log.warning("ended \(life.ended) processes that an earlier life of this daemon left")
        }
        if life.remaining > 0 {
            node.log.warning(
                "\(life.remaining) processes that an earlier life of this daemon left do not end")
        }
    }
    guard let groups else { return }
    let kept = Set(reExecRecord?.running.map(\.group) ?? [])
    let leftovers = try required { () throws(SystemError) in try groups.clearLeftovers(except: kept) }
    if !leftovers.cleared.isEmpty {
        node.log.warning("cleared \(leftovers.cleared.count) task groups that an earlier life of this daemon left")
    }
    // Their memory and processes are still there, but no reason for others to wait; the next start tries again.
    for error in leftovers.remaining {
        node.log.warning("a task group of an earlier life of this daemon stays, no task of ours any more: \(error)")
    }
}

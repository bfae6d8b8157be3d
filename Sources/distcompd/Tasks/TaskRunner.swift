// The tasks of this node as the kernel knows them: a group, a process, two files. It does what NodeSupervisor decided and
// answers with what came of it; it decides nothing itself.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// What tasks start from, the same for all of them.
struct TaskSettings {
    /// Tells this node from others on the machine.
    var nodeName: String
    /// What all tasks together may use, in words.
    var memoryForAll: String
    var processesMax: Int
    /// Whom the files belong to that they make.
    var userIdentifier: UInt32
    var processorLimit: Configuration.CPULimit
    /// What a trial is called among the tasks' folders of output, of which other nodes may have theirs in the same place.
    var trialName: String
    /// What every task finds in its environment, besides what is its own.
    var environment: [[UInt8]]
    /// What tells a task of whole cores how many threads to start, but for what stands in `environment` already.
    var threadVariables: [String]
}

typealias TaskNumber = NodeSupervisor.TaskNumber
typealias Event = NodeSupervisor.Event
typealias Action = NodeSupervisor.Action

final class TaskRunner {
    fileprivate struct RunningTask {
        let group: TaskGroup
        var process: Int32?
        /// When it began, in nanoseconds since the boot.
        var begunAt: Int64
        /// Whether the sums of its group hold what earlier tasks used, and how much is not known any more.
        var hasMixedUsage = false
        var memoryBytesMax: UInt64?
        /// Nil: it may run on all processors.
        var processors: ProcessorMap.Share?
        /// What its group had used of the processors before it was told to begin.
        var usedBefore: TaskGroupUsage?
        var hasEndedBadly = false
        /// When it was collected first: what it left may have a while to clean up.
        var endedAtUnixSeconds: Double?
        /// What its memory was known to be at least, without what could have been dropped.
        var neededBytesSeen: UInt64 = 0
        /// Of its largest process, or of this program, of which every process is a copy for a moment.
        var residentBytesMax: UInt64 = 0
    }

    /// How many bytes of a failed task's standard error go into its record.
    private static let errorTailBytesMax = 2048
    /// How far back the line is looked for that says what went wrong: a thousand frames of Java's are so long.
    private static let errorBytesSearchedMax = 65_536

    private let log: Logger
    let groups: ControlGroupTree?
    /// What holds tasks together and to their caps where there are no groups.
    let watch: TaskWatch?
    private let launcher: ProcessLauncher
    let outputs: OutputDirectory
    /// For the tasks launched from now on.
    var settings: TaskSettings
    /// Whether tasks are born in their (v2) group; otherwise distcomp-launch joins it. The canary has the last word.
    var spawnsInGroup = ProcessLauncher.canSpawnInGroup
    /// Stands in the names of groups, so that no two lives of a daemon ever use the same.
    let life: String
    var leftoverWatch = LeftoverWatch()
    /// Tasks whose group may still be there.
    private var running: [TaskNumber: RunningTask] = [:]
    /// When there was room for outputs last.
    private var roomSeenNanoseconds = Int64.min / 2
    /// The output of tasks whose report has not been answered.
    private var kept: [TaskNumber: TaskOutput] = [:]
    private var numbers: [Int32: TaskNumber] = [:]
    /// Which processors are whose, where tasks are pinned.
    private lazy var processors = ProcessorMap(nodes: Processors.byNode())
    /// Nil without groups: then there is nothing that takes long.
    private let standby: Standby?
    /// Launches known to have failed whose process has not been reaped yet.
    var failures: [Int32: LauncherFailure] = [:]
    /// See Trial.swift.
    var trials = Trials()
    private var watchedProcess: Int32?
    private var watchedEnding: ProcessEnding?

    /// - Parameter groups: nil when there are none to be had; tasks are then watched.
    init(
        groups: ControlGroupTree?, launcher: ProcessLauncher, outputs: OutputDirectory, settings: TaskSettings,
        log: Logger
    ) {
        self.log = log
        self.groups = groups
        self.launcher = launcher
        self.outputs = outputs
        self.settings = settings
        let life = String(SystemClock.bootNanoseconds() / 1_000_000, radix: 36)
        self.life = life
        standby = groups.map { Standby(groups: $0, launcher: launcher, life: life) }
        watch = groups == nil ? TaskWatch() : nil
        watch?.knownChildren = { [unowned self] in knownChildren }
    }

    // MARK: Start

    func start(
        _ command: [[UInt8]], environment: [[UInt8]], standardOutput: Int32, standardError: Int32, in group: TaskGroup,
        processors: [Int] = []
    ) throws(SystemError) -> Int32 {
        try launcher.launch(
            command, environment: environment, standardOutput: standardOutput, standardError: standardError,
            joining: try groups?.joiningDescriptors(of: group, exceptUnified: spawnsInGroup) ?? [],
            bornIn: spawnsInGroup ? try groups?.cgroupDescriptor(of: group) : nil, processors: processors)
    }

    /// Makes the task's group and files and starts it: `launched`, or `launchFailed` with nothing left behind.
    func launch(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask) -> Event {
        do throws(LaunchObstacle) {
            let command = try arguments(for: task.line)
            let output = try makeOutput(named: task.line.identifier)
            kept[number] = output
            let environment = environment(for: task, output: output)
            let limits = limits(for: task.line)
            let share = settings.processorLimit == .pin ? processors.take(millicores: task.line.millicores) : nil
            if share?.processors.isEmpty ?? true,
                let begun = standby?.begin(command, environment: environment, output: output, limits: limits)
            {
                running[number] = RunningTask(
                    group: begun.group, process: begun.process, begunAt: begun.at,
                    memoryBytesMax: limits.memoryBytesMax,
                    usedBefore: begun.usedBefore)
                return launched(number, begun.process, at: begun.at)
            }
            let name = "\(life).\(number.rawValue).\(task.line.identifier)"
            let group = try attempt { () throws(SystemError) in
                try groups?.prepareGroup(named: name, limits: limits) ?? TaskGroup(name: name)
            }
            let begunAt = SystemClock.bootNanoseconds()
            running[number] = RunningTask(
                group: group, begunAt: begunAt, memoryBytesMax: limits.memoryBytesMax, processors: share)
            let process = try attempt(cappedAt: limits.memoryBytesMax) { () throws(SystemError) in
                try start(
                    command, environment: environment, standardOutput: output.standardOutput.raw,
                    standardError: output.standardError.raw, in: group, processors: share?.processors ?? [])
            }
            running[number]?.process = process
            watch?.add(
                number, process: process, identifier: task.line.identifier, memoryBytesMax: limits.memoryBytesMax)
            return launched(number, process, at: begunAt)
        } catch {
            return .launchFailed(number, error.failure)
        }
    }

    /// How long room for outputs that was seen is believed in: of hundreds of launches a second not each need look.
    private static let roomSeenForNanoseconds: Int64 = 10_000_000

    /// The files for a task's output, unless it could not write to them.
    func makeOutput(named name: String) throws(LaunchObstacle) -> TaskOutput {
        let now = SystemClock.bootNanoseconds()
        if now - roomSeenNanoseconds >= Self.roomSeenForNanoseconds {
            if let shortage = outputs.shortage { throw LaunchObstacle(ofTheNode: shortage) }
            roomSeenNanoseconds = now
        }
        return try attempt { () throws(SystemError) in try outputs.createOutput(named: name) }
    }

    private func launched(_ number: TaskNumber, _ process: Int32, at nanoseconds: Int64) -> Event {
        numbers[process] = number
        failures[process] = nil  // That was of another process which had this number.
        return .launched(number, begunAt: Instant(nanoseconds: nanoseconds))
    }

    /// Whether a launch can be made ready for the next task.
    var canStandBy: Bool { standby?.isOfUse ?? false }

    /// Makes a launch ready for the next task, unless one is.
    func standBy() throws(SystemError) { try standby?.makeReady(spawnsInGroup: spawnsInGroup) }

    /// Removes what was made ready for tasks to come.
    func clearPreparations() {
        groups?.removeSpares()
        groups?.leftMemory.letGo()
        standby?.dismiss()
        endTrial()
    }

    private func arguments(for line: TaskLine) throws(LaunchObstacle) -> [[UInt8]] {
        func refuse(_ message: String) -> LaunchObstacle {
            LaunchObstacle(
                NodeSupervisor.LaunchFailure(step: "split the command", errno: 0, message: message, fault: .task))
        }
        let words: [[UInt8]]
        do {
            words = try CommandForm(line).arguments.map { Array($0.utf8) }
        } catch {
            throw refuse("\(error)")
        }
        if words.contains(where: { $0.contains(0) }) { throw refuse("no word of a command can hold a NUL") }
        return words
    }

    private func limits(for line: TaskLine) -> TaskLimits {
        var limits = TaskLimits(processesMax: settings.processesMax)
        if line.memoryBytes > 0 { limits.memoryBytesMax = line.memoryBytes }
        if line.millicores > 0 {
            // The kernel's default weight of 100 stands for one core.
            limits.processorWeight = min(10_000, max(1, line.millicores / 10))
            if settings.processorLimit == .hard { limits.processorQuotaMillicores = line.millicores }
        }
        return limits
    }

    private func environment(for task: NodeSupervisor.ClaimedTask, output: TaskOutput) -> [[UInt8]] {
        let own = [
            "DISTCOMP_TASK=\(task.line.identifier)",
            "DISTCOMP_ATTEMPT=\(task.attempt)",
            "DISTCOMP_MEMORY_BYTES=\(task.line.memoryBytes)",
            "DISTCOMP_CORES=\(coresText(task.line.millicores))",
            "DISTCOMP_OUTPUT_DIR=\(output.folderPath)",
        ]
        let watchedBy = watch == nil ? [] : [TaskWatch.variable + "=" + settings.nodeName]
        let (cores, part) = task.line.millicores.quotientAndRemainder(dividingBy: 1000)
        let threads = cores > 0 && part == 0 ? settings.threadVariables.map { "\($0)=\(cores)" } : []
        return settings.environment + (own + watchedBy + threads).map { Array($0.utf8) }
    }

    private func coresText(_ millicores: Int) -> String {
        millicores % 1000 == 0 ? String(millicores / 1000) : String(Double(millicores) / 1000)
    }

    // MARK: End

    /// Every task whose main process has ended since last asked.
    func reapEnded() -> [Event] {
        var ended: [EndedChild] = []
        while let child = ChildProcesses.nextEnded() { ended.append(child) }
        noteFailures()
        return ended.compactMap { child in
            if standby?.hasEnded(child.process) == true {
                noteStandbyEnd(child)
                return nil
            }
            if isTrial(child.process) { return trialEnded(child) }
            if child.process == watchedProcess {
                watchedEnding = child.ending
                return nil
            }
            // An orphan of some task that we adopted: it was in that task's group, which is dealt with as a whole.
            guard let number = numbers.removeValue(forKey: child.process) else { return nil }
            if let failure = failures.removeValue(forKey: child.process) {
                return .launchFailed(number, describe(failure, cappedAt: running[number]?.memoryBytesMax))
            }
            running[number]?.hasEndedBadly = child.ending != .exit(code: 0)
            running[number]?.residentBytesMax = child.residentBytesMax
            switch child.ending {
            case .exit(let code): return .exited(number, .code(code))
            case .signal(let signal): return .exited(number, .signal(signal))
            }
        }
    }

    private func noteStandbyEnd(_ child: EndedChild) {
        let failure = failures.removeValue(forKey: child.process).map { describe($0) }
        let reason = failure.map { "\($0.step): \($0.message)" } ?? "\(child.ending)"
        let next = canStandBy ? "another will after the next task" : "tasks are launched when they come"
        log.info("the launch that waited for a task has ended (\(reason)); \(next)")
    }

    func noteFailures() {
        for failure in launcher.failures() { failures[failure.process] = failure }
    }

    func describe(_ failure: LauncherFailure, cappedAt bytes: UInt64? = nil) -> NodeSupervisor.LaunchFailure {
        NodeSupervisor.LaunchFailure(
            step: failure.step?.callName ?? "distcomp-launch", errno: failure.code, message: errorText(failure.code),
            fault: failure.isOfTheCommand(memoryBytesMax: bytes) ? .task : .node)
    }

    /// TERM to everything in the task's group.
    func terminate(_ number: TaskNumber) throws(SystemError) {
        guard let task = running[number] else { return }
        guard let groups else {
            watch?.terminate(number)
            return
        }
        do throws(SystemError) {
            // A process that has just been started may not have joined its group yet.
            if try groups.processes(of: task.group).isEmpty, let process = unreapedProcess(of: number) {
                ChildProcesses.signal(.terminate, process: process)
            }
            try groups.signal(.terminate, to: task.group)
        } catch  where error.code == ErrorCode.notFound {
            return  // Its last process has gone, and with it the group that could name others.
        }
    }

    /// The end of everything in the task's group.
    func kill(_ number: TaskNumber) throws(SystemError) {
        guard let task = running[number] else { return }
        let process = unreapedProcess(of: number)
        if let groups {
            try groups.kill(task.group)
        } else {
            watch?.kill(number)
        }
        // The group does not hold one that has not joined it yet.
        if let process { ChildProcesses.kill(process: process) }
    }

    /// The main process while its number is certainly its own: it has not been waited for.
    private func unreapedProcess(of number: TaskNumber) -> Int32? {
        guard let process = running[number]?.process, numbers[process] == number else { return nil }
        return process
    }

    /// Reads what the task used and left, and removes its group if nothing is in it any more.
    func collect(_ number: TaskNumber) throws(SystemError) -> Event {
        var told = Usage(wallSeconds: 0)
        var removed = true
        var notes: [String] = []
        let now = Double(SystemClock.wallNanoseconds()) / 1e9
        let endedAt = running[number]?.endedAtUnixSeconds ?? now
        running[number]?.endedAtUnixSeconds = endedAt
        if let watch {
            removed = watch.isGone(number)
            if let peakBytes = watch.peakOfKilled(number) {
                (told.oomKills, told.memoryPeakBytes) = (1, peakBytes)
                notes.append("killed by this node's watch, which looks several times a second: it cannot cap")
            }
            if removed { watch.forget(number) }
        }
        if let groups, let task = running[number] {
            var usage = try groups.usage(of: task.group)
            if task.hasMixedUsage {
                (usage.userMicroseconds, usage.systemMicroseconds, usage.memoryPeakBytes) = (nil, nil, nil)
            }
            usage.subtract(task.usedBefore)
            if isWorthAnAccount(usage, task) { usage.memory = groups.memoryAccount(of: task.group) }
            told = Usage(usage, task)
            told.oom = outOfMemory(usage, task, groups)
            removed = try groups.retire(task.group, after: usage)
        }
        let output = kept[number]
        let hasEndedBadly = running[number]?.hasEndedBadly == true
        let shortage = hasEndedBadly ? self.shortage(beside: output) : nil
        if removed { release(number) }
        let tail =
            (try? output?.standardErrorTail(
                bytesMax: hasEndedBadly ? Self.errorBytesSearchedMax : Self.errorTailBytesMax)) ?? []
        return .collected(
            number,
            NodeSupervisor.Collected(
                usage: told, removed: removed,
                stderrTail: ErrorText.end(of: tail, bytesMax: Self.errorTailBytesMax),
                stdoutPath: output?.standardOutputPath ?? "", stderrPath: output?.standardErrorPath ?? "",
                endedAtUnixSeconds: endedAt, shortage: shortage, notes: notes))
    }

    /// The children that we started and have not reaped; all others are orphans of tasks.
    private var knownChildren: Set<Int32> {
        Set(numbers.keys).union([watchedProcess].compactMap(\.self)).union(trialProcesses)
    }

    private func release(_ number: TaskNumber) {
        guard let share = running.removeValue(forKey: number)?.processors else { return }
        processors.giveBack(share)
    }

    /// Below this nobody asks how much of a task's memory it needed.
    private static let memoryBytesOfNote: UInt64 = 16 << 20

    private func isWorthAnAccount(_ usage: TaskGroupUsage, _ task: RunningTask) -> Bool {
        guard let peak = usage.memoryPeakBytes else { return false }
        return peak >= Self.memoryBytesOfNote || usage.oomKills ?? 0 > 0
            || task.memoryBytesMax.map { peak >= $0 - $0 / 16 } ?? false
    }

    private func outOfMemory(
        _ usage: TaskGroupUsage, _ task: RunningTask, _ groups: ControlGroupTree
    ) -> OutOfMemory? {
        guard usage.oomKills ?? 0 > 0 else { return nil }
        let limit = groups.strikingLimit(
            in: task.group, usage, memoryBytesMax: task.memoryBytesMax, since: task.begunAt,
            atNanoseconds: SystemClock.bootNanoseconds())
        let report = groups.outOfMemoryReport(of: task.group)
        // Without the kernel's word there is still what it left in files: all else went with its processes.
        let oom = OutOfMemory(
            anonymousBytes: report?.anonymousBytes, tmpfsBytes: report?.tmpfsBytes ?? usage.memory?.tmpfsBytes,
            kernelBytes: report?.kernelBytes, otherLimit: limit?.words(allTasks: settings.memoryForAll))
        return oom == OutOfMemory() ? nil : oom
    }

    /// To be called now and then: what memory tasks use, of which no peak is kept without files that could be dropped; which lost a
    /// part of themselves for want of it; and what those that have ended left.
    func lookAtMemory() -> [Event] {
        guard let groups else { return [] }
        var events: [Event] = []
        var liveBytes: UInt64 = 0
        for (number, task) in running where task.process != nil {
            if let kills = groups.partialOutOfMemoryKills(in: task.group), kills > 0 {
                events.append(.partKilledForMemory(number))
            }
            guard let account = groups.memoryAccount(of: task.group), let own = account.ownBytes else { continue }
            // Counts of pages: no machine has so many that their sums overflow.
            running[number]?.neededBytesSeen = max(task.neededBytesSeen, own &+ (account.tmpfsBytes ?? 0))
            liveBytes &+= account.tmpfsBytes ?? 0
        }
        return events + leftovers(beside: liveBytes)
    }

    /// When the first of the tasks that are here was begun; nil when none is.
    var earliestBegin: Int64? { running.values.lazy.map(\.begunAt).min() }

    /// Why a task could not write its output, if that is so now. Only of what is full may a task have taken a part itself.
    private func shortage(beside output: TaskOutput?) -> NodeSupervisor.OutputShortage? {
        guard let output, let shortage = outputs.shortage else { return nil }
        var ownBytes: UInt64 = 0
        if shortage.code == ErrorCode.noSpace, let slash = output.folderPath.lastIndex(of: "/") {
            let name = output.folderPath[output.folderPath.index(after: slash)...]
            ownBytes = outputs.bytesOnDisk(ofOutputNamed: String(name))
        }
        return NodeSupervisor.OutputShortage(LaunchObstacle(ofTheNode: shortage).failure, ownBytes: ownBytes)
    }

    /// The output of a task whose report has not been answered.
    func output(of number: TaskNumber) -> TaskOutput? { kept[number] }

    /// To be called now and then: groups that wait in vain for a task are removed, and what tasks left of memory is taken back.
    func tidy() {
        groups?.removeIdleSpares()
        groups?.leftMemory.press(.nowAndThen)
        if settings.processorLimit == .pin { processors.nodes = Processors.byNode() }
        removeTrialGroups()
    }

    /// How many tasks have processes here.
    var runningCount: Int { running.count }

    /// Lets go of the output of a task whose report was answered: the files stay, the descriptors are closed.
    func forget(_ number: TaskNumber) { kept[number] = nil }

    // MARK: Re-exec

    /// Has the end of a child that is no task kept, to be asked for with `endingOfWatched`.
    func watch(_ process: Int32) { (watchedProcess, watchedEnding) = (process, nil) }

    /// How it ended, once it has been reaped.
    var endingOfWatched: ProcessEnding? { watchedEnding }

    /// What the next image of this daemon must know of these tasks.
    func running(of numbers: [TaskNumber]) -> [ReExecRecord.Running] {
        numbers.compactMap { number in
            guard let task = running[number], let process = task.process, let output = kept[number] else { return nil }
            return ReExecRecord.Running(
                number: number, group: task.group.name, process: process, standardOutput: output.standardOutput.raw,
                standardError: output.standardError.raw, folderPath: output.folderPath)
        }
    }

    var statusPipe: (reading: Int32, writing: Int32) { launcher.statusPipe }

    /// Takes over a task that the image before this one started.
    func resume(
        _ task: ReExecRecord.Running, _ state: NodeSupervisor.ReExecState.RunningTask
    ) throws(SystemError) {
        let memoryBytesMax = limits(for: state.task.line).memoryBytesMax
        kept[task.number] = TaskOutput(
            standardOutput: SharedDescriptor(try ReExec.kept(task.standardOutput)),
            standardError: SharedDescriptor(try ReExec.kept(task.standardError)), folderPath: task.folderPath)
        // A group is named after its first task. No group is kept in which the out-of-memory killer was, so those kills are its own.
        let parts = task.group.split(separator: ".")
        let hasMixedUsage = parts.count == 3 && parts[1] != String(task.number.rawValue)
        running[task.number] = RunningTask(
            group: TaskGroup(name: task.group), process: task.process, begunAt: state.begunAt.nanoseconds,
            hasMixedUsage: hasMixedUsage, memoryBytesMax: memoryBytesMax, processors: share(of: task.process))
        numbers[task.process] = task.number
        watch?.add(
            task.number, process: task.process, identifier: state.task.line.identifier, memoryBytesMax: memoryBytesMax)
    }

    /// What a task that is running already was pinned to.
    private func share(of process: Int32) -> ProcessorMap.Share? {
        let own = Processors.allowed(to: process)
        guard settings.processorLimit == .pin, own.count < Processors.allowed().count else { return nil }
        let share = ProcessorMap.Share(processors: own, millicores: own.count * 1000)
        processors.take(share)
        return share
    }

    // MARK: Errors

    /// - Parameter cappedAt: what the task may use of memory.
    func attempt<Result>(
        cappedAt bytes: UInt64? = nil, _ step: () throws(SystemError) -> Result
    ) throws(LaunchObstacle) -> Result {
        do {
            return try step()
        } catch {
            throw LaunchObstacle(error, fault: error.isOfTheCommand(memoryBytesMax: bytes) ? .task : .node)
        }
    }
}

/// A launch that could not be; an error so that the steps of a launch can be written one after the other.
struct LaunchObstacle: Error {
    let failure: NodeSupervisor.LaunchFailure

    init(_ failure: NodeSupervisor.LaunchFailure) { self.failure = failure }

    init(_ error: SystemError, fault: NodeSupervisor.LaunchFailure.Fault) {
        self.init(
            NodeSupervisor.LaunchFailure(
                step: "\(error.call) \(error.subject)", errno: error.code, message: errorText(error.code), fault: fault)
        )
    }

    init(ofTheNode error: SystemError) { self.init(error, fault: .node) }
}

extension TaskGroupUsage {
    /// Without what was used before the task had the group.
    fileprivate mutating func subtract(_ earlier: TaskGroupUsage?) {
        guard let earlier else { return }
        func difference(_ sum: UInt64?, _ part: UInt64?) -> UInt64? { sum.map { $0 - min($0, part ?? 0) } }
        userMicroseconds = difference(userMicroseconds, earlier.userMicroseconds)
        systemMicroseconds = difference(systemMicroseconds, earlier.systemMicroseconds)
    }
}

extension Usage {
    /// What the kernel counted, in seconds; the wall time is the supervisor's to fill in.
    fileprivate init(_ usage: TaskGroupUsage, _ task: TaskRunner.RunningTask) {
        self.init(
            wallSeconds: 0, userSeconds: usage.userMicroseconds.map { Double($0) / 1e6 },
            systemSeconds: usage.systemMicroseconds.map { Double($0) / 1e6 },
            memoryPeakBytes: usage.memoryPeakBytes,
            memoryCapHits: usage.memory?.limitHits.flatMap { $0 > 0 ? $0 : nil },
            oomKills: usage.oomKills)
        guard let peak = usage.memoryPeakBytes, let cache = usage.memory?.fileCacheBytes else { return }
        // What is left of the peak without the files that are still in memory; if those came only after the peak, the rest of
        // it is known from having looked, and from its largest process.
        let resident = task.residentBytesMax > Host.residentBytesMax ? task.residentBytesMax : 0
        memoryNeededBytes = min(peak, max(peak - min(peak, cache), task.neededBytesSeen, resident))
    }
}

// The tasks of this node as the kernel knows them: a group, a process, two files. It does what NodeSupervisor decided and
// answers with what came of it; it decides nothing itself.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// What tasks start from, the same for all of them.
struct TaskSettings {
    /// As the queue knows this node.
    var worker: String
    /// Stands in the environment of tasks, by which the node finds what an earlier life of it left.
    var taskMark: String
    /// What all tasks together may use, in words.
    var memoryForAll: String
    var processesMax: Int
    /// Whom the files belong to that they make.
    var userIdentifier: UInt32
    var processorLimit: Configuration.CPULimit
    /// What a trial is called among the tasks' folders of output, of which other nodes may have theirs in the same place.
    var trialName: String
    /// The timeout of a task that names none; 0 is no limit.
    var defaultTimeoutSeconds: Double
    /// What every task finds in its environment, besides what is its own.
    var environment: [[UInt8]]
    /// What tells a task of whole cores how many threads to start, but for what stands in `environment` already.
    var threadVariables: [String]
    /// Whether GPUs are given to tasks, so that one without any is to see none.
    var managesDevices = false
    /// How much of what has ended is kept.
    var outputLimits = OutputLimits()
}

typealias TaskNumber = NodeSupervisor.TaskNumber
typealias Event = NodeSupervisor.Event
typealias Action = NodeSupervisor.Action

final class TaskRunner {
    /// A class: in a dictionary of structs each look at one would copy, count and free all that is in it.
    final class RunningTask {
        let group: TaskGroup
        var process: Int32?
        /// What it has of its own, to name what of it could not be had.
        let line: TaskLine
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
        /// What its main process, and those it waited for, used of the processors.
        var processUsage: TaskGroupUsage?
        /// Of its largest process, or of this program, of which every process is a copy for a moment.
        var residentBytesMax: UInt64 = 0
        /// Nil for one that has no GPU of which that can be told.
        let deviceUse: DeviceUse?

        init(
            group: TaskGroup, process: Int32? = nil, line: TaskLine, begunAt: Int64, deviceUse: DeviceUse?,
            hasMixedUsage: Bool = false,
            memoryBytesMax: UInt64?, processors: ProcessorMap.Share? = nil, usedBefore: TaskGroupUsage? = nil
        ) {
            self.group = group
            self.process = process
            self.line = line
            self.begunAt = begunAt
            self.deviceUse = deviceUse
            self.hasMixedUsage = hasMixedUsage
            self.memoryBytesMax = memoryBytesMax
            self.processors = processors
            self.usedBefore = usedBefore
        }
    }

    let log: Logger
    let groups: ControlGroupTree?
    /// What holds tasks together and to their caps where there are no groups.
    let watch: TaskWatch?
    let launcher: ProcessLauncher
    let outputs: OutputDirectory
    /// For the tasks launched from now on.
    var settings: TaskSettings
    /// Whether tasks are born in their (v2) group; otherwise distcomp-launch joins it. The canary has the last word.
    var spawnsInGroup = ProcessLauncher.canSpawnInGroup
    /// Stands in the names of groups, so that no two lives of a daemon ever use the same.
    let life: String
    var leftoverWatch = LeftoverWatch()
    /// Tasks whose group may still be there.
    var running: [TaskNumber: RunningTask] = [:]
    /// When there was room for outputs last.
    private var roomSeenNanoseconds = Int64.min / 2
    /// The output of tasks whose report has not been answered.
    var kept: [TaskNumber: TaskOutput] = [:]
    /// Those of them that run and whose files have no names, and when the first of them is to have.
    var unnamed: Set<TaskNumber> = []
    var namingDueNanoseconds: Int64?
    /// Outputs that could not be kept as they should, told once until they can.
    var hasToldOfStore = false
    var numbers: [Int32: TaskNumber] = [:]
    /// Which processors are whose, where tasks are pinned.
    lazy var processors = ProcessorMap(nodes: Processors.byNode())
    /// Nil without groups: then there is nothing that takes long.
    let standby: Standby?
    /// Nil without groups: what a launcher began as it died could not be found.
    let launchers: Launchers?
    /// Launches known to have failed whose process has not been reaped yet.
    var failures: [Int32: LauncherFailure] = [:]
    /// See Trial.swift.
    var trials = Trials()
    /// Nil on a node that gives out no devices.
    let deviceWatch: DeviceWatch?
    var watchedProcess: Int32?
    var watchedEnding: ProcessEnding?

    /// - Parameter groups: nil when there are none to be had; tasks are then watched.
    init(
        groups: ControlGroupTree?, launcher: ProcessLauncher, outputs: OutputDirectory, settings: TaskSettings,
        deviceWatch: DeviceWatch? = nil, log: Logger
    ) {
        self.log = log
        self.deviceWatch = deviceWatch
        self.groups = groups
        self.launcher = launcher
        self.outputs = outputs
        self.settings = settings
        let life = String(SystemClock.bootNanoseconds() / 1_000_000, radix: 36)
        self.life = life
        let launchers = groups.map { _ in Launchers(launcher, processorCount: Processors.allowed().count, log) }
        self.launchers = launchers
        standby = groups.flatMap { groups in launchers.map { Standby(groups: groups, launchers: $0, life: life) } }
        watch = groups == nil ? TaskWatch() : nil
        watch?.knownChildren = { [unowned self] in knownChildren }
    }

    // MARK: Start

    func start(
        _ command: [[UInt8]], environment: [[UInt8]], standardOutput: Int32, standardError: Int32, in group: TaskGroup,
        place: LaunchPlace? = nil, processors: [Int] = []
    ) throws(SystemError) -> Int32 {
        try launcher.launch(
            command, environment: environment, standardOutput: standardOutput, standardError: standardError,
            joining: try groups?.joiningDescriptors(of: group, exceptUnified: spawnsInGroup) ?? [],
            bornIn: spawnsInGroup ? try groups?.cgroupDescriptor(of: group) : nil, place: place, processors: processors)
    }

    /// Makes the task's group and files and starts it: `launched`, or `launchFailed` with nothing left behind; or nothing, when one of
    /// the launchers has been told of it: then what came of it is among `news()`.
    func launch(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask) -> [Event] {
        // Whoever was told to begin it has them.
        defer { kept[number]?.closeEnds() }
        do throws(LaunchObstacle) {
            let command = try arguments(for: task.line)
            let place = try attempt { () throws(SystemError) in try self.place(of: task.line) }
            let output = try makeOutput(named: task.line.identifier, attempt: task.attempt)
            keep(output, of: number)
            let environment = environment(for: task, output: output)
            let limits = limits(for: task.line)
            let deviceUse = deviceUse(of: task)
            let isPinned = settings.processorLimit == .pin && task.line.millicores > 0
            if !isPinned,
                let begun = standby?.begin(
                    command, environment: environment, place: place, output: output, limits: limits)
            {
                running[number] = RunningTask(
                    group: begun.group, process: begun.process, line: task.line,
                    begunAt: begun.at, deviceUse: deviceUse, memoryBytesMax: limits.memoryBytesMax,
                    usedBefore: begun.usedBefore)
                return [launched(number, begun.process, at: begun.at)]
            }
            let name = "\(life).\(number.rawValue).\(task.line.identifier)"
            let group = try attempt { () throws(SystemError) in
                try groups?.prepareGroup(named: name, limits: limits) ?? TaskGroup(name: name)
            }
            let share = isPinned ? processors.take(millicores: task.line.millicores) : nil
            let begunAt = SystemClock.bootNanoseconds()
            running[number] = RunningTask(
                group: group, line: task.line, begunAt: begunAt, deviceUse: deviceUse,
                memoryBytesMax: limits.memoryBytesMax, processors: share)
            let order = LaunchOrder(
                command, environment: environment, place: place, processors: share?.processors ?? [])
            if let order, try isBegun(order, for: number, output: output, in: group) { return [] }
            let process = try attempt(cappedAt: limits.memoryBytesMax) { () throws(SystemError) in
                try start(
                    command, environment: environment, standardOutput: output.standardOutput.raw,
                    standardError: output.standardError.raw, in: group, place: place,
                    processors: share?.processors ?? [])
            }
            running[number]?.process = process
            watch?.add(
                number, process: process, identifier: task.line.identifier, memoryBytesMax: limits.memoryBytesMax)
            return [launched(number, process, at: begunAt)]
        } catch {
            return [.launchFailed(number, error.failure)]
        }
    }

    /// Whether one of the launchers could be told of it.
    private func isBegun(
        _ order: LaunchOrder, for number: TaskNumber, output: TaskOutput, in group: TaskGroup
    ) throws(LaunchObstacle) -> Bool {
        guard let launchers, let groups else { return false }
        let (joining, directory) = try attempt { () throws(SystemError) in
            (try groups.joiningDescriptors(of: group), try groups.cgroupDescriptor(of: group))
        }
        return launchers.begin(
            order, for: number, output: output, joining: joining, bornIn: directory,
            memoryBytesMax: running[number]?.memoryBytesMax)
    }

    /// What the launchers have done since last asked.
    func news() -> [Event] {
        launcher.news().flatMap { news -> [Event] in
            switch news {
            case .begun(let process, let order), .copied(let process, let order):
                switch launchers?.answer(order, hasBegun: true) {
                case .to(let order):
                    guard case .task(let number) = order.purpose else { return standbyHasBegun(as: process) }
                    return begun(number, order, as: process)
                // Its task was given up with its launcher.
                case .late where ChildProcesses.isUnreaped(process): ChildProcesses.kill(process: process)
                case .late, .again, nil: break
                }
            case .notBegun(let order, let step, let code):
                guard case .to(let order)? = launchers?.answer(order, hasBegun: false) else { break }
                let failure = LauncherFailure(process: 0, step: step, code: code)
                guard case .task(let number) = order.purpose else {
                    standby?.wasNotBegun()
                    noteStandbyEnd(describe(failure))
                    break
                }
                return [.launchFailed(number, describe(failure, of: running[number]))]
            case .failed(let failure): failures[failure.process] = failure
            }
            return []
        }
    }

    private func begun(_ number: TaskNumber, _ order: Launchers.Order, as process: Int32) -> [Event] {
        running[number]?.process = process
        return [launched(number, process, at: running[number]?.begunAt ?? order.at)] + endSeenBefore(process)
    }

    private func standbyHasBegun(as process: Int32) -> [Event] {
        standby?.hasBegun(as: process)
        return endSeenBefore(process)
    }

    /// Of a process that was reaped before it was known whose it was.
    private func endSeenBefore(_ process: Int32) -> [Event] {
        // One that is still there has its number from another that ended.
        guard let ended = launchers?.unknown(process), !ChildProcesses.isUnreaped(process) else { return [] }
        return endOfTask(ended).map { [$0] } ?? []
    }

    /// Where launchers tell of what they have begun; readable when there is something.
    var newsDescriptor: Int32 { launcher.statusPipe.reading }

    /// How long room for outputs that was seen is believed in: of hundreds of launches a second not each need look.
    private static let roomSeenForNanoseconds: Int64 = 10_000_000

    /// The files for a task's output, unless it could not write to them.
    func makeOutput(named name: String, attempt: Int = 1) throws(LaunchObstacle) -> TaskOutput {
        let now = SystemClock.bootNanoseconds()
        if now - roomSeenNanoseconds >= Self.roomSeenForNanoseconds {
            if let shortage = outputs.shortage { throw LaunchObstacle(ofTheNode: shortage) }
            roomSeenNanoseconds = now
        }
        return try self.attempt { () throws(SystemError) in
            try outputs.beginOutput(named: name, attempt: attempt)
        }
    }

    private func launched(_ number: TaskNumber, _ process: Int32, at nanoseconds: Int64) -> Event {
        numbers[process] = number
        failures[process] = nil  // That was of another process which had this number.
        return .launched(number, begunAt: Instant(nanoseconds: nanoseconds))
    }

    /// Whether a launch can be made ready for the next task.
    var canStandBy: Bool { standby?.isOfUse ?? false }

    /// Makes a launch ready for the next task, unless one is.
    func standBy() throws(SystemError) { try standby?.makeReady() }

    /// Removes what was made ready for tasks to come.
    func clearPreparations() {
        groups?.removeSpares()
        groups?.leftMemory.letGo()
        deviceWatch?.letGo()
        _ = news()  // A launch that has just begun to wait.
        standby?.dismiss()
        launchers?.dismiss()
        endTrial()
        outputs.clearSpares()
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

    /// Where the task begins and what it reads, if its line says so.
    private func place(of line: TaskLine) throws(SystemError) -> LaunchPlace? {
        guard let own = line.surroundings, own.directory != nil || own.standardInput != nil else { return nil }
        let input: LaunchPlace.Input? =
            switch own.standardInput {
            case .file(let path): .file(path)
            case .text(let text): try .text(Array(text.utf8))
            case nil: nil
            }
        return LaunchPlace(directory: own.directory, input: input)
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
        var own = [
            variable("DISTCOMP_TASK", task.line.identifier),
            variable("DISTCOMP_ATTEMPT", String(task.attempt)),
            variable("DISTCOMP_MEMORY_BYTES", String(task.line.memoryBytes)),
            variable("DISTCOMP_CORES", coresText(task.line.millicores)),
            variable("DISTCOMP_OUTPUT_DIR", output.folderPath),
        ]
        if let seconds = task.line.timeoutSeconds(default: settings.defaultTimeoutSeconds) {
            let deadline = Double(SystemClock.wallNanoseconds()) / 1e9 + seconds
            own.append(variable("DISTCOMP_DEADLINE", String(Int64(min(deadline, 1e15)))))
        }
        if let path = task.line.surroundings?.checkpointPath(of: task.line.identifier) {
            own.append(variable("DISTCOMP_CHECKPOINT_DIR", path))
        }
        own.append(variable(EarlierLife.variable, settings.taskMark))
        let (cores, part) = task.line.millicores.quotientAndRemainder(dividingBy: 1000)
        if cores > 0 && part == 0 { own += settings.threadVariables.map { variable($0, String(cores)) } }
        let parts = task.share.parts.map {
            (name: $0.key, thousandths: $0.value.thousandths, devices: $0.value.devices)
        }
        if settings.managesDevices || !parts.isEmpty {
            own += TaskVariables.variables(parts, managesDevices: settings.managesDevices).map { variable($0.0, $0.1) }
        }
        guard let surroundings = task.line.surroundings else { return settings.environment + own }
        return self.environment(settings.environment + own, under: surroundings)
    }

    /// What is left of `given` beside the task's own variables, and these. Of two of one name most programs see only the first.
    private func environment(_ given: [[UInt8]], under surroundings: TaskSurroundings) -> [[UInt8]] {
        var variables = surroundings.environment
        // Which devices are its own is for the node to say.
        if settings.managesDevices { for name in TaskVariables.devices { variables[name] = nil } }
        // As `cd` does: what the node was given says where the node is.
        if let directory = surroundings.directory, variables["PWD"] == nil { variables["PWD"] = directory }
        guard !variables.isEmpty else { return given }
        return given.filter { variable in
            variables[String(decoding: variable.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)] == nil
        } + variables.map { ownVariable($0.key, $0.value) }
    }

    /// `NAME=value`, in one piece of memory: this is made for every task.
    private func variable(_ name: String, _ value: String) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(name.utf8.count + 1 + value.utf8.count)
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: "="))
        bytes.append(contentsOf: value.utf8)
        return bytes
    }

    private func coresText(_ millicores: Int) -> String {
        millicores % 1000 == 0 ? String(millicores / 1000) : String(Double(millicores) / 1000)
    }

    /// The output of a task whose report has not been answered.
    func output(of number: TaskNumber) -> TaskOutput? { kept[number] }

    /// To be called now and then: groups that wait in vain for a task are removed, and what tasks left of memory is taken back.
    func tidy() {
        groups?.removeIdleSpares()
        groups?.leftMemory.press(.nowAndThen)
        if settings.processorLimit == .pin { processors.nodes = Processors.byNode() }
        removeTrialGroups()
        outputs.tidy()
        removeOldOutputs()
        if let count = launchers?.endStuck(), count > 0 {
            log.warning(
                "\(count) launchers have not begun what they were told of for 10 s: they are killed, and their tasks go back"
            )
        }
    }

    /// How many tasks have processes here.
    var runningCount: Int { running.count }

    /// Lets go of the output of a task whose report was answered: what it wrote stays, the descriptors are closed.
    func forget(_ number: TaskNumber) {
        guard let output = kept.removeValue(forKey: number) else { return }
        unnamed.remove(number)
        if !output.isReported { outputs.discard(output) }
    }

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
                standardError: output.standardError.raw, folderPath: output.folderPath,
                deviceUse: task.deviceUse?.text ?? "")
        }
    }

    var statusPipe: (reading: Int32, writing: Int32) { launcher.statusPipe }

    /// Takes over a task that the image before this one started.
    func resume(
        _ task: ReExecRecord.Running, _ state: NodeSupervisor.ReExecState.RunningTask
    ) throws(SystemError) {
        let memoryBytesMax = limits(for: state.task.line).memoryBytesMax
        var output = TaskOutput(
            standardOutput: SharedDescriptor(try ReExec.kept(task.standardOutput)),
            standardError: SharedDescriptor(try ReExec.kept(task.standardError)), folderPath: task.folderPath,
            attempt: state.task.attempt)
        do throws(SystemError) {
            output = try outputs.resumed(output, named: state.task.line.identifier)
        } catch {
            let task = state.task.line.identifier.prefix(8)
            log.warning(
                "\(error): what the running task \(task) writes has no place to stay here; its report alone tells of it"
            )
        }
        keep(output, of: task.number)
        // A group is named after its first task. No group is kept in which the out-of-memory killer was, so those kills are its own.
        let parts = task.group.split(separator: ".")
        let hasMixedUsage = parts.count == 3 && parts[1] != String(task.number.rawValue)
        let deviceUse = deviceUse(of: state.task)
        deviceUse?.resume(task.deviceUse)
        running[task.number] = RunningTask(
            group: TaskGroup(name: task.group), process: task.process, line: state.task.line,
            begunAt: state.begunAt.nanoseconds, deviceUse: deviceUse, hasMixedUsage: hasMixedUsage,
            memoryBytesMax: memoryBytesMax,
            processors: share(of: task.process, state.task.line))
        numbers[task.process] = task.number
        watch?.add(
            task.number, process: task.process, identifier: state.task.line.identifier, memoryBytesMax: memoryBytesMax)
    }

    /// What a task that is running already was pinned to. Which of several it has but a part of is not known any more.
    private func share(of process: Int32, _ line: TaskLine) -> ProcessorMap.Share? {
        let own = Processors.allowed(to: process)
        guard settings.processorLimit == .pin, own.count < Processors.allowed().count else { return nil }
        let share = ProcessorMap.Share(
            processors: own, millicores: own.count == 1 ? line.millicores : own.count * 1000)
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
            throw LaunchObstacle(error, fault: error.isOfTheTask(memoryBytesMax: bytes) ? .task : .node)
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

// The end of tasks: told to end, reaped, and what they used and left, read before their groups go.

import LinuxSystem
import NodeSupervisor
import TaskModel

extension TaskRunner {
    /// How many bytes of a failed task's standard error go into its record.
    private static let errorTailBytesMax = 2048
    /// How far back the line is looked for that says what went wrong: a thousand frames of Java's are so long.
    private static let errorBytesSearchedMax = 65_536

    /// Every task whose main process has ended since last asked.
    func reapEnded() -> [Event] {
        var ended: [EndedChild] = []
        while let child = ChildProcesses.nextEnded() { ended.append(child) }
        launchers?.forget(unknown: ended)
        return news() + ended.flatMap { child in end(of: child) }
    }

    private func end(of child: EndedChild) -> [Event] {
        if let left = launchers?.hasEnded(child.process) { return launcherEnded(child, left) }
        if numbers[child.process] == nil { launchers?.note(unknown: child) }
        return endOfTask(child).map { [$0] } ?? []
    }

    /// What it had been told and did not say that it has begun may be begun all the same: the group is killed, and a process that still
    /// says so is too.
    private func launcherEnded(_ child: EndedChild, _ left: [Launchers.Order]) -> [Event] {
        let failure = failures.removeValue(forKey: child.process).map { describe($0) }
        let reason = failure.map { "\($0.step): \($0.message)" } ?? "\(child.ending)"
        let tasks = left.compactMap { order in if case .task(let number) = order.purpose { number } else { nil } }
        if tasks.count < left.count { standby?.wasNotBegun() }
        log.warning("a launcher has ended (\(reason)); \(tasks.count) tasks that it was to begin go back")
        return tasks.map { number in
            do throws(SystemError) {
                if let group = running[number]?.group { try groups?.kill(group) }
            } catch {
                log.error("kill \(number): \(error); what is left in its group is killed before that is removed")
            }
            return .launchFailed(
                number,
                NodeSupervisor.LaunchFailure(
                    step: "distcomp-launch", errno: 0, message: "the launcher ended (\(reason))", fault: .node))
        }
    }

    func endOfTask(_ child: EndedChild) -> Event? {
        if standby?.hasEnded(child.process) == true {
            noteStandbyEnd(failures.removeValue(forKey: child.process).map { describe($0) }, child)
            return nil
        }
        if isTrial(child.process) { return trialEnded(child) }
        if deviceWatch?.hasEnded(child, at: SystemClock.bootNanoseconds()) == true { return nil }
        if child.process == watchedProcess {
            watchedEnding = child.ending
            return nil
        }
        // An orphan of some task that we adopted: it was in that task's group, which is dealt with as a whole.
        guard let number = numbers.removeValue(forKey: child.process) else { return nil }
        if let failure = failures.removeValue(forKey: child.process) {
            return .launchFailed(number, describe(failure, of: running[number]))
        }
        running[number]?.hasEndedBadly = child.ending != .exit(code: 0)
        running[number]?.residentBytesMax = child.residentBytesMax
        if watch != nil {
            var used = TaskGroupUsage()
            (used.userMicroseconds, used.systemMicroseconds) = (child.userMicroseconds, child.systemMicroseconds)
            running[number]?.processUsage = used
        }
        switch child.ending {
        case .exit(let code): return .exited(number, .code(code))
        case .signal(let signal): return .exited(number, .signal(signal))
        }
    }

    func noteStandbyEnd(_ failure: NodeSupervisor.LaunchFailure?, _ child: EndedChild? = nil) {
        let reason = failure.map { "\($0.step): \($0.message)" } ?? child.map { "\($0.ending)" } ?? "not begun"
        let next = canStandBy ? "another will after the next task" : "tasks are launched when they come"
        log.info("the launch that waited for a task has ended (\(reason)); \(next)")
    }

    func describe(_ failure: LauncherFailure, of task: RunningTask? = nil) -> NodeSupervisor.LaunchFailure {
        var step = failure.step?.callName ?? "distcomp-launch"
        var message = errorText(failure.code)
        if let line = task?.line, let path = line.surroundings?.path(of: failure.step, for: line) {
            step += " \(path)"
            message += " (on \(settings.worker))"  // Others may have it.
        } else if failure.step == .execute, let line = task?.line {
            step += ((try? CommandForm(line).arguments.first).flatMap(\.self)).map { " \($0.prefix(200))" } ?? ""
        }
        return NodeSupervisor.LaunchFailure(
            step: step, errno: failure.code, message: message,
            fault: failure.isOfTheTask(memoryBytesMax: task?.memoryBytesMax) ? .task : .node)
    }

    /// TERM to everything in the task's group.
    func terminate(_ number: TaskNumber) throws(SystemError) { try signal(number, Signal.terminate.rawValue) }

    /// A signal to everything in the task's group.
    func signal(_ number: TaskNumber, _ signal: Int32) throws(SystemError) {
        guard let task = running[number] else { return }
        guard let groups else {
            try watch?.signal(number, signal)
            return
        }
        do throws(SystemError) {
            // A process that has just been started may not have joined its group yet.
            if try groups.processes(of: task.group).isEmpty, let process = unreapedProcess(of: number) {
                ChildProcesses.signal(signal, process: process)
            }
            try groups.signal(signal, to: task.group)
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
            try watch?.kill(number)
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
        if let watch, let task = running[number] {
            removed = try watch.isGone(number)
            // What was seen of all of it, and what its largest process is known to have had.
            var usage = task.processUsage ?? TaskGroupUsage()
            let largest = task.residentBytesMax > Host.residentBytesMax ? task.residentBytesMax : 0
            let peakBytes = max(watch.peak(number), largest)
            if peakBytes > 0 { usage.memoryPeakBytes = peakBytes }
            told = Usage(usage, task)
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
        if let use = running[number]?.deviceUse {
            (told.gpuMemoryPeakBytes, told.gpuUtilization) = (use.memoryPeakBytes, use.utilization)
        }
        let output = kept[number]
        let hasEndedBadly = running[number]?.hasEndedBadly == true
        let shortage = hasEndedBadly ? self.shortage(beside: output) : nil
        if removed { release(number) }
        if let output { keep(output, isWhole: removed, endedUnixMilliseconds: Int64(endedAt * 1000)) }
        let tail =
            (try? output?.standardErrorTail(
                bytesMax: hasEndedBadly ? Self.errorBytesSearchedMax : Self.errorTailBytesMax)) ?? []
        return .collected(
            number,
            NodeSupervisor.Collected(
                usage: told, removed: removed,
                stderrTail: ErrorText.end(of: tail, bytesMax: Self.errorTailBytesMax),
                stdoutPath: output?.standardOutputPath ?? "", stderrPath: output?.standardErrorPath ?? "",
                packedOutput: packedOutput(of: number),
                endedAtUnixSeconds: endedAt, shortage: shortage, notes: notes))
    }

    /// The children that we started and have not reaped; all others are orphans of tasks.
    var knownChildren: Set<Int32> {
        Set(numbers.keys).union([watchedProcess].compactMap(\.self)).union(trialProcesses)
            .union(deviceWatch?.processes ?? [])
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
        let ownBytes = shortage.code == ErrorCode.noSpace ? outputs.bytesOnDisk(of: output) : 0
        return NodeSupervisor.OutputShortage(LaunchObstacle(ofTheNode: shortage).failure, ownBytes: ownBytes)
    }
}

extension TaskSurroundings {
    /// What a step of the launch was to find on this node.
    fileprivate func path(of step: LaunchStep?, for line: TaskLine) -> String? {
        if step == .ownDirectory { return directory }
        if step == .checkpointDirectory { return checkpointPath(of: line.identifier) }
        guard step == .standardInput, case .file(let path) = standardInput else { return nil }
        return path
    }
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

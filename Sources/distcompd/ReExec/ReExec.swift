// The daemon in place of itself: with `restart_mode` "keep", SIGHUP has it execute the program that is installed now, with all
// settings read anew, while the tasks go on as its children. They notice nothing, and no report of them is lost.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// Where a re-exec stands.
enum ReExecStanding {
    case none
    /// Nothing new is taken; what is under way comes to rest.
    case settling(untilNanoseconds: Int64)
}

extension Daemon {
    /// Begins to make way for the installed program.
    func beginReExec() -> [Event] {
        guard case .none = reExec else { return [] }
        // An ending that has begun takes the kill grace at most, and a report a round trip.
        let seconds = node.configuration.killGraceSeconds + 10
        reExec = .settling(untilNanoseconds: SystemClock.bootNanoseconds() + Int64(seconds * 1e9))
        log.notice("making way for \(node.programPath); tasks go on")
        return [.drain]
    }

    /// Once nothing is under way but running tasks, becomes the installed program. Returns only when that is not to be, yet or
    /// ever.
    func reExecIfSettled() -> [Event] {
        guard case .settling(let until) = reExec else { return [] }
        if supervisor.isLeaving {
            reExec = .none
            return []
        }
        guard launches.isEmpty, queue.isAtRest, let reExecState = supervisor.reExecState else {
            if SystemClock.bootNanoseconds() < until { return [] }
            return abandonReExec("tasks or reports did not come to rest in time")
        }
        do throws(SystemError) {
            let ending = try trialOfInstalledProgram()
            guard ending == .exit(code: 0) else {
                return abandonReExec("\(node.programPath) --version ended with \(ending)")
            }
            try becomeInstalledProgram(leaving: reExecState)
        } catch {
            return abandonReExec("\(error)")
        }
    }

    private func abandonReExec(_ reason: String) -> [Event] {
        reExec = .none
        standBySoon()
        log.error("not replaced: \(reason); this program goes on with the settings it has")
        services.notify("READY=1")
        return [.resume]
    }

    /// A program that cannot even say its version would lose the tasks.
    private func trialOfInstalledProgram() throws(SystemError) -> ProcessEnding {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let descriptors = [null.raw, null.raw, null.raw]
        return try ChildProcesses.wait(
            for: try ChildProcesses.start(node.programPath, ["--version"], descriptors: descriptors))
    }

    private func becomeInstalledProgram(leaving reExecState: NodeSupervisor.ReExecState) throws(SystemError) -> Never {
        let reExecRecord = ReExecRecord(
            reExecState: reExecState, running: runner.running(of: reExecState.tasks.map(\.number)),
            incarnation: queue.incarnationText, lock: node.lock.raw, statusPipe: runner.statusPipe,
            taskDescriptorsMax: node.taskDescriptorsMax, doneCount: done, failedCount: failed)
        runner.clearPreparations()
        services.notify("RELOADING=1", "MONOTONIC_USEC=\(SystemClock.monotonicNanoseconds() / 1000)")
        try ReExec.execute(
            node.programPath, environment: Host.environment + services.takenVariables, inheritance: reExecRecord.bytes,
            keeping: reExecRecord.descriptors
        ) { descriptor in
            [node.programPath] + node.arguments.words + ["--handover", "\(descriptor)"]
        }
    }
}

/// What the program before this one handed over; nil for a first life.
func takeReExecRecord(_ arguments: Arguments) throws(StartFailure) -> ReExecRecord? {
    guard let descriptor = arguments.reExecDescriptor else { return nil }
    let bytes = try required { () throws(SystemError) in try ReExec.inheritance(from: descriptor) }
    // Without it the tasks are an earlier life's leftovers: they are ended, and run again.
    guard let reExecRecord = ReExecRecord(bytes) else {
        standardError.write("distcompd: what was handed over cannot be read; running tasks are ended and run again\n")
        return nil
    }
    return reExecRecord
}

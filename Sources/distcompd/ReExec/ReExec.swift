// The daemon in place of itself: with `restart_mode` "keep", SIGHUP has it execute the program that is installed now, with all
// settings read anew, while the tasks go on as its children. They notice nothing, and no report of them is lost.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// Where a re-exec stands.
enum ReExecStanding {
    case none
    /// Nothing new is taken; what is under way comes to rest, and the installed program shows that it works.
    case settling(untilNanoseconds: Int64, Proof)

    /// A program that cannot even say its version would lose the tasks.
    enum Proof {
        case awaited(process: Int32, untilNanoseconds: Int64)
        case given
    }

    var nextDeadlineNanoseconds: Int64? {
        switch self {
        case .none: nil
        case .settling(let until, .awaited(_, let proofUntil)): min(until, proofUntil)
        case .settling(let until, .given): until
        }
    }
}

extension Daemon {
    private static let proofSecondsMax = 10.0

    /// Begins to make way for the installed program.
    func beginReExec() -> [Event] {
        guard case .none = reExec else { return [] }
        // An ending that has begun takes the kill grace at most, and a report a round trip.
        let seconds = node.configuration.killGraceSeconds + Self.proofSecondsMax
        do throws(SystemError) {
            let process = try startInstalledProgram()
            let now = SystemClock.bootNanoseconds()
            reExec = .settling(
                untilNanoseconds: now + Int64(seconds * 1e9),
                .awaited(process: process, untilNanoseconds: now + Int64(Self.proofSecondsMax * 1e9)))
        } catch {
            return abandonReExec("\(error)")
        }
        log.notice("making way for \(node.programPath); tasks go on")
        return [.drain]
    }

    /// Once nothing is under way but running tasks, becomes the installed program. Returns only when that is not to be, yet or
    /// ever.
    func reExecIfSettled() -> [Event] {
        guard case .settling(let until, let proof) = reExec else { return [] }
        if supervisor.isLeaving {
            if case .awaited(let process, _) = proof, runner.endingOfWatched == nil {
                ChildProcesses.kill(process: process)
            }
            reExec = .none
            return []
        }
        let now = SystemClock.bootNanoseconds()
        if case .awaited(let process, let proofUntil) = proof {
            guard let ending = runner.endingOfWatched else {
                if now < proofUntil { return [] }
                ChildProcesses.kill(process: process)  // It has not been reaped, so the number is its own.
                return abandonReExec(
                    "\(node.programPath) --version did not end within \(Int(Self.proofSecondsMax)) s")
            }
            guard ending == .exit(code: 0) else {
                return abandonReExec("\(node.programPath) --version ended with \(ending)")
            }
            reExec = .settling(untilNanoseconds: until, .given)
        }
        guard launches.isEmpty, queue.isAtRest, let reExecState = supervisor.reExecState else {
            if now < until { return [] }
            return abandonReExec("tasks or reports did not come to rest in time")
        }
        do throws(SystemError) {
            try becomeInstalledProgram(leaving: reExecState)
        } catch {
            return abandonReExec("\(error)")
        }
    }

    private func abandonReExec(_ reason: String) -> [Event] {
        reExec = .none
        standBySoon()
        runner.deviceWatch?.taskBegins(at: SystemClock.bootNanoseconds())
        log.error("not replaced: \(reason); this program goes on with the settings it has")
        services.notify("READY=1")
        return [.resume]
    }

    /// It is reaped with the tasks, and not waited for.
    private func startInstalledProgram() throws(SystemError) -> Int32 {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let descriptors = [null.raw, null.raw, null.raw]
        let process = try ChildProcesses.start(node.programPath, ["--version"], descriptors: descriptors)
        runner.watch(process)
        return process
    }

    private func becomeInstalledProgram(leaving reExecState: NodeSupervisor.ReExecState) throws(SystemError) -> Never {
        runner.nameOutputs(of: reExecState.tasks.map(\.number))
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
        try required { () throws(SystemError) in try ReExec.closeKept() }
        return nil
    }
    return reExecRecord
}

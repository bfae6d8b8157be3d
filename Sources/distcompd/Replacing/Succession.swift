// The daemon in place of itself: with `restart_mode` "keep", SIGHUP has it execute the program that is installed now, with all
// settings read anew, while the tasks go on as its children. They notice nothing, and no report of them is lost.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

/// Where a succession stands.
enum SuccessionState {
    case none
    /// Nothing new is taken; what is under way comes to rest.
    case settling(untilNanoseconds: Int64)
}

extension Daemon {
    /// Begins to make way for the installed program.
    func beginSuccession() -> [Event] {
        guard case .none = succession else { return [] }
        // An ending that has begun takes the kill grace at most, and a report a round trip.
        let seconds = node.configuration.killGraceSeconds + 10
        succession = .settling(untilNanoseconds: SystemClock.bootNanoseconds() + Int64(seconds * 1e9))
        log.notice("making way for \(node.programPath); tasks go on")
        return [.drain]
    }

    /// Once nothing is under way but running tasks, becomes the installed program. Returns only when that is not to be, yet or
    /// ever.
    func succeedIfSettled() -> [Event] {
        guard case .settling(let until) = succession else { return [] }
        if supervisor.isLeaving {
            succession = .none
            return []
        }
        guard launches.isEmpty, let estate = supervisor.estate else {
            if SystemClock.bootNanoseconds() < until { return [] }
            return abandonSuccession("tasks or reports did not come to rest in time")
        }
        do throws(SystemError) {
            let ending = try trialOfInstalledProgram()
            guard ending == .exit(code: 0) else {
                return abandonSuccession("\(node.programPath) --version ended with \(ending)")
            }
            try becomeInstalledProgram(leaving: estate)
        } catch {
            return abandonSuccession("\(error)")
        }
    }

    private func abandonSuccession(_ reason: String) -> [Event] {
        succession = .none
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

    private func becomeInstalledProgram(leaving estate: NodeSupervisor.Estate) throws(SystemError) -> Never {
        let handover = Handover(
            estate: estate, running: runner.running(of: estate.tasks.map(\.number)),
            incarnation: queue.incarnationText, lock: node.lock.raw, statusPipe: runner.statusPipe,
            taskDescriptorsMax: node.taskDescriptorsMax, doneCount: done, failedCount: failed)
        runner.clearPreparations()
        services.notify("RELOADING=1", "MONOTONIC_USEC=\(SystemClock.monotonicNanoseconds() / 1000)")
        try Succession.execute(
            node.programPath, environment: Host.environment + services.takenVariables, inheritance: handover.bytes,
            keeping: handover.descriptors
        ) { descriptor in
            [node.programPath] + node.arguments.words + ["--handover", "\(descriptor)"]
        }
    }
}

/// What the program before this one handed over; nil for a first life.
func takeHandover(_ arguments: Arguments) throws(StartFailure) -> Handover? {
    guard let descriptor = arguments.handoverDescriptor else { return nil }
    let bytes = try required { () throws(SystemError) in try Succession.inheritance(from: descriptor) }
    // Without it the tasks are an earlier life's leftovers: they are ended, and run again.
    guard let handover = Handover(bytes) else {
        standardError.write("distcompd: what was handed over cannot be read; running tasks are ended and run again\n")
        return nil
    }
    return handover
}

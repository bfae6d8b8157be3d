// A launch in place of a task: `true`, by all the steps a task goes through, from its output files to its user. At the start it
// shows whether tasks can be started here at all; while the node is in trouble, whether they can again.

import LinuxSystem
import NodeSupervisor

/// What there is of trials.
struct Trials {
    struct Trial {
        let process: Int32
        let group: TaskGroup
    }

    fileprivate var current: Trial?
    /// Killed, and not reaped yet.
    fileprivate var dismissed: [Int32: TaskGroup] = [:]
    /// Groups that could not be removed at once.
    fileprivate var leftGroups: [TaskGroup] = []
    fileprivate var count = 0
    /// What was found wrong at the start and may pass.
    fileprivate(set) var troubleAtStart: NodeSupervisor.LaunchFailure?
}

extension TaskRunner {
    // MARK: At the start

    /// Starts a trial and waits for its end; what went wrong, or nil. For the start of the daemon only, when there is no loop yet that
    /// waiting could hold up. What is wrong with the place for output may be mended while the daemon runs, and is `troubleAtStart`.
    ///
    /// Some kernels cannot have processes born in a group though the C library can: then distcomp-launch joins it.
    func launchCanary(_ command: [String] = ["true"]) -> NodeSupervisor.LaunchFailure? {
        trials.troubleAtStart = nil
        if spawnsInGroup {
            if waitForTrial(command) == nil { return nil }
            spawnsInGroup = false
        }
        return waitForTrial(command)
    }

    var troubleAtStart: NodeSupervisor.LaunchFailure? { trials.troubleAtStart }

    /// For a daemon that has tasks to look after: it lives on with what would have kept it from starting.
    func noteTrouble(_ failure: NodeSupervisor.LaunchFailure) { trials.troubleAtStart = failure }

    private func waitForTrial(_ command: [String]) -> NodeSupervisor.LaunchFailure? {
        var output: TaskOutput?
        do throws(LaunchObstacle) {
            output = try makeOutput(named: trialName)
        } catch {
            trials.troubleAtStart = error.failure
        }
        do throws(LaunchObstacle) {
            let trial = try begin(command, output)
            let ending = try attempt { () throws(SystemError) in try ChildProcesses.wait(for: trial.process) }
            _ = news()  // There are no tasks yet.
            return failure(of: trial, ending)
        } catch {
            return error.failure
        }
    }

    // MARK: While the daemon runs

    /// Begins a trial. Its end is among those of `reapEnded`, unless it cannot even be begun.
    func tryLaunch() -> [Event] {
        dismissTrial()
        do throws(LaunchObstacle) {
            // What was open may be gone, or not what is there now.
            try attempt { () throws(SystemError) in try outputs.open() }
            trials.current = try begin(["true"], try makeOutput(named: trialName))
            return []
        } catch {
            return [.trialEnded(error.failure)]
        }
    }

    /// Kills the trial that is under way, if one is. It may hang in the kernel, so it is not waited for.
    func dismissTrial() {
        guard let trial = trials.current else { return }
        trials.current = nil
        ChildProcesses.kill(process: trial.process)
        trials.dismissed[trial.process] = trial.group
        outputs.removeOutput(named: trialName)
    }

    /// The same for a daemon that is about to end, or to be replaced: it waits a moment, so that nothing is left of the trial.
    func endTrial() {
        guard let trial = trials.current else { return }
        dismissTrial()
        for _ in 1...50 {
            if (try? ChildProcesses.endingIfEnded(trial.process)) != nil {
                trials.dismissed[trial.process] = nil
                return remove(trial.group)
            }
            pause(milliseconds: 10)
        }
    }

    /// The processes of trials, present and dismissed.
    var trialProcesses: Set<Int32> {
        Set(trials.dismissed.keys).union([trials.current?.process].compactMap(\.self))
    }

    func isTrial(_ process: Int32) -> Bool {
        trials.current?.process == process || trials.dismissed[process] != nil
    }

    /// A trial was reaped.
    func trialEnded(_ child: EndedChild) -> Event? {
        if let group = trials.dismissed.removeValue(forKey: child.process) {
            failures[child.process] = nil
            remove(group)
            return nil
        }
        guard let trial = trials.current else { return nil }
        trials.current = nil
        return .trialEnded(failure(of: trial, child.ending))
    }

    /// To be called now and then.
    func removeTrialGroups() {
        let groups = trials.leftGroups
        trials.leftGroups = []
        for group in groups { remove(group) }
    }

    // MARK: Steps

    /// No task is called that, and the next trial takes what one that was killed left.
    private var trialName: String { settings.trialName }

    /// - Parameter output: nil for none.
    private func begin(_ command: [String], _ output: TaskOutput?) throws(LaunchObstacle) -> Trials.Trial {
        trials.count += 1
        let group = TaskGroup(name: "\(life).trial-\(trials.count)")
        do throws(LaunchObstacle) {
            return try attempt { () throws(SystemError) in
                try groups?.create(group, limits: TaskLimits(processesMax: settings.processesMax))
                let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
                let process = try start(
                    command.map { Array($0.utf8) },
                    environment: settings.environment
                        + (output.map { [Array("DISTCOMP_OUTPUT_DIR=\($0.folderPath)".utf8)] } ?? []),
                    standardOutput: output?.standardOutput.raw ?? null.raw,
                    standardError: output?.standardError.raw ?? null.raw, in: group)
                failures[process] = nil  // That was of another process which had this number.
                return Trials.Trial(process: process, group: group)
            }
        } catch {
            remove(group)
            outputs.removeOutput(named: trialName)
            throw error
        }
    }

    private func failure(of trial: Trials.Trial, _ ending: ProcessEnding) -> NodeSupervisor.LaunchFailure? {
        outputs.removeOutput(named: trialName)
        remove(trial.group)
        func failed(_ step: String, _ code: Int32, _ message: String) -> NodeSupervisor.LaunchFailure {
            // Whatever it is, it is not a task's.
            NodeSupervisor.LaunchFailure(step: step, errno: code, message: message, fault: .node)
        }
        if let failure = failures.removeValue(forKey: trial.process) {
            let told = describe(failure)
            return failed(told.step, told.errno, told.message)
        }
        switch ending {
        case .exit(code: 0): return nil
        case .exit(let code): return failed("run a trial", 0, "it ended with exit \(code)")
        case .signal(let signal): return failed("run a trial", 0, "signal \(signal) ended it")
        }
    }

    private func remove(_ group: TaskGroup) {
        guard let groups else { return }
        // What cannot be removed is empty, and cleared with other leftovers at the next start; one that is not, is tried again.
        if (try? groups.remove(group)) == false { trials.leftGroups.append(group) }
    }
}

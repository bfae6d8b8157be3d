// One task from launch to the removal of its group. Here a reader finds every situation a task can be in, and what is
// done in each about everything that can happen; the collection of tasks is NodeSupervisor's subject.
//
//   launching -> running -> stopping -> killing -> emptying -> reported -> gone
//
// Any step may be left out: most tasks go from running to emptying, and from emptying to gone.

import TaskModel

extension NodeSupervisor {
    /// What can happen to one task.
    enum TaskEvent: Equatable {
        case launched(begunAt: Instant? = nil)
        case launchFailed(LaunchFailure)
        case exited(ExitStatus)
        case collected(Collected)
        /// The supervisor wants it ended.
        case stop(StopReason)
        /// Time has passed; perhaps not enough.
        case due
    }

    struct TaskLifecycle {
        /// Where the task stands.
        enum State: Equatable {
            /// `launch` was asked for. A reason to stop that came meanwhile is carried out once there is a process.
            case launching(stop: StopReason?)
            case running(deadline: Instant?)
            /// TERM was sent to all of it.
            case stopping(StopReason, killAt: Instant)
            /// KILL was sent to all of it, so many times; the main process has not been reaped.
            case killing(StopReason, againAt: Instant, count: Int)
            /// The main process has ended; its group is being read and removed.
            case emptying(Ending, Emptying)
            /// The report is on its way, but the group still holds something.
            case reported(Emptying)
            /// Nothing of it remains on this machine.
            case gone
        }

        /// The removal of a group that may not be empty yet.
        struct Emptying: Equatable {
            let since: Instant
            /// When what is left in the group is killed: after the rest of the grace that a TERM began, or after a short while.
            var killAt: Instant
            /// Whether what is left has been told to end.
            var isTold = false
            /// Nil while the answer to `collect` is awaited.
            var collectAt: Instant?
            var attemptCount = 0
            var isLate = false
        }

        /// How long what is left may clean up after the main process: a resource tracker its segments of shared memory, a
        /// handler its files. Only a task that leaves something waits for it.
        static let cleanUpSeconds = 0.3
        /// The first and the longest pause between two attempts at removing a group. Zombies do not hold a group, dying
        /// processes do: mostly for less than a millisecond, under load for more than a second.
        static let collectPauseNanosecondsMin: Int64 = 1_000_000
        static let collectPauseNanosecondsMax: Int64 = 100_000_000
        /// The outcome is told this long after the first kill though the group is not empty. What the task holds stays counted.
        static let reportAnywaySeconds = 5.0
        static let emptyingIsLateSeconds = 10.0
        /// A group that is killed is empty at once, save where the kernel cannot kill a group as one (before
        /// cgroup.kill) and a fork slipped through; or the process sleeps in a driver.
        static let killAgainSeconds = 1.0
        static let killingIsLateCount = 10

        let number: TaskNumber
        let task: ClaimedTask
        let timeoutSeconds: Double?
        private(set) var state: State
        /// Since when its command runs, or its launch was asked for.
        private(set) var begunAt: Instant
        /// When the queue gave it to this node; nil where an earlier daemon was given it.
        let claimedAt: Instant?
        /// When it is to be told that its time is nearly up; nil once it has been, and where it wants no word.
        private(set) var warnAt: Instant?

        init(
            number: TaskNumber, task: ClaimedTask, timeoutSeconds: Double?, claimedAt: Instant? = nil, at now: Instant,
            state: State = .launching(stop: nil)
        ) {
            self.claimedAt = claimedAt
            self.state = state
            self.number = number
            self.task = task
            self.timeoutSeconds = timeoutSeconds
            begunAt = now
        }

        init(resuming task: ReExecState.RunningTask) {
            self.init(
                number: task.number, task: task.task, timeoutSeconds: task.timeoutSeconds, at: task.begunAt,
                state: .running(deadline: task.deadline))
            warnAt = task.warnAt
        }

        /// The task as the re-executed daemon needs it; nil in any state but running.
        var runningTask: ReExecState.RunningTask? {
            guard case .running(let deadline) = state else { return nil }
            return ReExecState.RunningTask(
                number: number, task: task, timeoutSeconds: timeoutSeconds, begunAt: begunAt, deadline: deadline,
                warnAt: warnAt)
        }
    }
}

extension NodeSupervisor.TaskLifecycle {
    typealias Action = NodeSupervisor.Action
    typealias Report = NodeSupervisor.Report

    /// When the task next wants to hear `due`.
    var timer: Instant? {
        switch state {
        case .launching, .gone: nil
        case .running(let deadline): [deadline, warnAt].compactMap(\.self).min()
        case .stopping(_, let killAt): killAt
        case .killing(_, let againAt, _): againAt
        case .emptying(_, let emptying), .reported(let emptying): emptying.collectAt
        }
    }

    /// Whether its main process is there, or about to be, and nobody has asked for its end.
    var isGoingOn: Bool {
        switch state {
        case .launching(stop: nil), .running: true
        case .launching, .stopping, .killing, .emptying, .reported, .gone: false
        }
    }

    /// Whether its main process may be there, wanted or not.
    var isRunningOrStopped: Bool {
        switch state {
        case .launching, .running, .stopping, .killing: true
        case .emptying, .reported, .gone: false
        }
    }

    /// Whether its main process has ended and nothing is known to be left of it: most tasks leave nothing. What one does leave is no
    /// reason for the next to wait longer than a look takes.
    var isClosing: Bool {
        if case .emptying(_, let emptying) = state { emptying.attemptCount == 0 } else { false }
    }

    /// Whether the queue is still to hear of it.
    var isUnreported: Bool {
        switch state {
        case .launching, .running, .stopping, .killing, .emptying: true
        case .reported, .gone: false
        }
    }

    /// The table. Returns the report in the one transition that makes it.
    mutating func handle(
        _ event: NodeSupervisor.TaskEvent, at now: Instant, settings: NodeSupervisor.Settings,
        into actions: inout [Action]
    ) -> Report? {
        switch (state, event) {

        // MARK: launching

        case (.launching(let stop), .launched(let moment)):
            begunAt = min(moment ?? now, now)
            let deadline = timeoutSeconds.map { begunAt.advanced(bySeconds: $0) }
            state = .running(deadline: deadline)
            // As it begins, a task handles no signal yet, and would be ended by it: one whose time is so short has its timeout alone.
            warnAt = task.line.job?.settings.warning.flatMap { warning in
                deadline.map { $0.advanced(bySeconds: -warning.seconds) }.flatMap { $0 > begunAt ? $0 : nil }
            }
            if let stop { self.stop(because: stop, at: now, settings: settings, into: &actions) }

        case (.launching(let stop), .launchFailed(let failure)):
            // A group may have been made before the step that failed.
            empty(.init(manner: .notStarted(failure), stopped: stop, at: now), killAt: now, into: &actions)

        case (.launching(let stop), .exited(let status)):
            // It ended before its start was told.
            let killAt = stop?.killsAtOnce == true ? now : afterCleanUp(from: now)
            empty(.init(manner: .exited(status), stopped: stop, at: now), killAt: killAt, into: &actions)

        case (.launching(let earlier), .stop(let reason)):
            state = .launching(stop: max(earlier ?? reason, reason))

        case (.launching, .collected), (.launching, .due):
            break  // Nothing was collected yet, and the clock starts with the process.

        // MARK: running

        case (.running, .launchFailed(let failure)):
            // The launcher started, and failed before the command did.
            empty(.init(manner: .notStarted(failure), stopped: nil, at: now), killAt: now, into: &actions)

        case (.running, .exited(let status)):
            empty(
                .init(manner: .exited(status), stopped: nil, at: now), killAt: afterCleanUp(from: now), into: &actions)

        case (.running, .stop(let reason)):
            stop(because: reason, at: now, settings: settings, into: &actions)

        case (.running(let deadline), .due):
            if let deadline, deadline <= now {
                stop(because: .timeout, at: now, settings: settings, into: &actions)
            } else if let warnAt, warnAt <= now {
                warn(into: &actions)
            }

        case (.running, .launched), (.running, .collected):
            break  // Told twice; not asked for.

        // MARK: stopping

        case (.stopping(let reason, _), .launchFailed(let failure)):
            empty(.init(manner: .notStarted(failure), stopped: reason, at: now), killAt: now, into: &actions)

        case (.stopping(let reason, let killAt), .exited(let status)):
            // All of it was told to end, and all of it has its grace: a shell is gone at once, its child may be saving its work.
            empty(
                .init(manner: .exited(status), stopped: reason, at: now),
                killAt: max(killAt, afterCleanUp(from: now)), isTold: true, into: &actions)

        case (.stopping(let earlier, let killAt), .stop(let reason)):
            if reason.killsAtOnce {
                kill(because: max(earlier, reason), count: 1, at: now, into: &actions)
            } else {
                state = .stopping(max(earlier, reason), killAt: killAt)  // TERM was sent, and its grace stays.
            }

        case (.stopping(let reason, let killAt), .due):
            guard killAt <= now else { break }
            kill(because: reason, count: 1, at: now, into: &actions)

        case (.stopping, .launched), (.stopping, .collected):
            break  // Told twice; not asked for.

        // MARK: killing

        case (.killing(let reason, _, _), .launchFailed(let failure)):
            empty(.init(manner: .notStarted(failure), stopped: reason, at: now), killAt: now, into: &actions)

        case (.killing(let reason, _, _), .exited(let status)):
            empty(.init(manner: .exited(status), stopped: reason, at: now), killAt: now, into: &actions)

        case (.killing(let earlier, let againAt, let count), .stop(let reason)):
            state = .killing(max(earlier, reason), againAt: againAt, count: count)

        case (.killing(let reason, let againAt, let count), .due):
            guard againAt <= now else { break }
            kill(because: reason, count: count + 1, at: now, into: &actions)

        case (.killing, .launched), (.killing, .collected):
            break  // Told twice; not asked for.

        // MARK: emptying

        case (.emptying(let ending, let emptying), .collected(let collected)):
            return finish(ending, emptying, collected, at: now, settings: settings, into: &actions)

        case (.emptying(let ending, var emptying), .due):
            guard let collectAt = emptying.collectAt, collectAt <= now else { break }
            emptying.collectAt = nil
            state = .emptying(ending, emptying)
            actions.append(.collect(number))

        case (.emptying(var ending, var emptying), .stop(let reason)):
            // A task that ended by itself has ended so. One that we stopped may be wanted even less than before: it was
            // to be returned, and is now cancelled.
            if let earlier = ending.stopped { ending.stopped = max(earlier, reason) }
            if reason.killsAtOnce { emptying.killAt = min(emptying.killAt, now) }
            state = .emptying(ending, emptying)

        case (.emptying(var ending, let emptying), .launchFailed(let failure)):
            // The launcher's own word, late, says more than its exit status.
            ending.manner = .notStarted(failure)
            state = .emptying(ending, emptying)

        case (.emptying, .launched), (.emptying, .exited):
            break  // The end was told first; or twice.

        // MARK: reported

        case (.reported(let emptying), .collected(let collected)):
            if collected.removed {
                leaveNothing(emptying, at: now, into: &actions)
            } else {
                state = .reported(collectLater(emptying, at: now, into: &actions))
            }

        case (.reported(var emptying), .due):
            guard let collectAt = emptying.collectAt, collectAt <= now else { break }
            emptying.collectAt = nil
            state = .reported(emptying)
            actions.append(.collect(number))

        case (.reported, .launched), (.reported, .launchFailed), (.reported, .exited), (.reported, .stop):
            break  // The queue has been told, and only once.

        // MARK: gone

        case (.gone, .launched), (.gone, .launchFailed), (.gone, .exited), (.gone, .collected), (.gone, .stop),
            (.gone, .due):
            break  // The supervisor has forgotten it already.
        }
        return nil
    }

    // MARK: - Steps

    private mutating func stop(
        because reason: NodeSupervisor.StopReason, at now: Instant, settings: NodeSupervisor.Settings,
        into actions: inout [Action]
    ) {
        if reason.killsAtOnce { return kill(because: reason, count: 1, at: now, into: &actions) }
        state = .stopping(reason, killAt: now.advanced(bySeconds: settings.killGraceSeconds))
        actions.append(.terminate(number))
    }

    /// Its timeout is near: tells it, once.
    private mutating func warn(into actions: inout [Action]) {
        tellOfDrain(into: &actions)
        warnAt = nil
    }

    /// Its node is to leave, and it may have no more time than the grace: tells it, unless it was told that its timeout is near.
    mutating func warnOfEnd(into actions: inout [Action]) {
        if warnAt != nil || timeoutSeconds == nil { warn(into: &actions) }
    }

    /// Its node is drained, and it may go on: tells it, and does so again when its end is near.
    func tellOfDrain(into actions: inout [Action]) {
        guard case .running = state, let warning = task.line.job?.settings.warning else { return }
        actions.append(.signal(number, warning.signal))
    }

    private mutating func kill(
        because reason: NodeSupervisor.StopReason, count: Int, at now: Instant, into actions: inout [Action]
    ) {
        if count == Self.killingIsLateCount { actions.append(.log(.willNotDie(number, line: task.line.text))) }
        state = .killing(reason, againAt: now.advanced(bySeconds: Self.killAgainSeconds), count: count)
        actions.append(.kill(number))
    }

    private mutating func empty(
        _ ending: NodeSupervisor.Ending, killAt: Instant, isTold: Bool = false, into actions: inout [Action]
    ) {
        state = .emptying(ending, Emptying(since: ending.at, killAt: killAt, isTold: isTold))
        actions.append(.collect(number))
    }

    private func afterCleanUp(from now: Instant) -> Instant { now.advanced(bySeconds: Self.cleanUpSeconds) }

    /// The group was read. The outcome is told once nothing can be added to it, or after so long anyway.
    private mutating func finish(
        _ ending: NodeSupervisor.Ending, _ emptying: Emptying, _ collected: NodeSupervisor.Collected, at now: Instant,
        settings: NodeSupervisor.Settings, into actions: inout [Action]
    ) -> Report? {
        if collected.removed {
            leaveNothing(emptying, at: now, into: &actions)
        } else {
            var emptying = emptying
            // Half of it was killed for memory: what is left would only go on with what cannot be right any more.
            if collected.usage.oomKills ?? 0 > 0 { emptying.killAt = min(emptying.killAt, now) }
            emptying = collectLater(emptying, at: now, into: &actions)
            guard emptying.killAt.advanced(bySeconds: Self.reportAnywaySeconds) <= now else {
                state = .emptying(ending, emptying)
                return nil
            }
            state = .reported(emptying)
        }
        return report(ending, collected, settings: settings, into: &actions)
    }

    private mutating func leaveNothing(_ emptying: Emptying, at now: Instant, into actions: inout [Action]) {
        state = .gone
        if emptying.isLate {
            actions.append(.log(.groupEmptiedLate(number, seconds: now.seconds(since: emptying.since))))
        }
    }

    /// Tells what is left in the group to end, or kills it when its time is over; looks again after a pause that doubles.
    private func collectLater(_ earlier: Emptying, at now: Instant, into actions: inout [Action]) -> Emptying {
        var emptying = earlier
        let pause = Self.collectPauseNanosecondsMin << Int64(min(emptying.attemptCount, 16))
        emptying.attemptCount += 1
        emptying.collectAt = now.advanced(byNanoseconds: min(pause, Self.collectPauseNanosecondsMax))
        guard emptying.killAt <= now else {
            if !emptying.isTold { actions.append(.terminate(number)) }
            emptying.isTold = true
            emptying.collectAt = emptying.collectAt.map { min($0, emptying.killAt) }
            return emptying
        }
        actions.append(.kill(number))
        if !emptying.isLate, emptying.killAt.advanced(bySeconds: Self.emptyingIsLateSeconds) <= now {
            emptying.isLate = true
            actions.append(.log(.groupNotEmpty(number, seconds: now.seconds(since: emptying.since))))
        }
        return emptying
    }

    private func report(
        _ ending: NodeSupervisor.Ending, _ collected: NodeSupervisor.Collected, settings: NodeSupervisor.Settings,
        into actions: inout [Action]
    ) -> Report? {
        switch ending.verdict(for: task.line, usage: collected.usage, shortage: collected.shortage) {
        case .dropped:
            actions.append(.log(.dropped(number, line: task.line.text)))
            actions.append(.forget(number, token: task.token))
            return nil
        case .returned(let reason):
            return Report(number: number, task: task, result: .returned(reason))
        case .ended(let cause, let notes):
            var usage = collected.usage
            usage.wallSeconds = max(0, ending.at.seconds(since: begunAt))
            var outcome = TaskOutcome(
                cause: cause, usage: usage, memoryCapBytes: task.line.memoryBytes == 0 ? nil : task.line.memoryBytes,
                timeoutSeconds: timeoutSeconds, stderrTail: collected.stderrTail, stdoutPath: collected.stdoutPath,
                stderrPath: collected.stderrPath, packedOutput: collected.packedOutput, node: settings.worker,
                attempt: task.attempt,
                notes: notes + collected.notes,
                finishedAtUnixSeconds: collected.endedAtUnixSeconds)
            outcome.grownFromBytes = task.line.grownFromBytes
            if case .exited = ending.manner {
                outcome.startDelaySeconds = claimedAt.map { max(0, begunAt.seconds(since: $0)) }
            }
            return Report(number: number, task: task, result: .ended(outcome))
        }
    }
}

// When the node itself is what keeps tasks from being started: a disk that is full or may only be read, no processes left, a user
// that is gone. Whatever it took would fare the same, so it takes nothing, and what it has not begun goes back untried. From
// time to time it starts a trial in place of a task, and once that works it goes on as before. What runs is left alone.

import TaskModel

extension NodeSupervisor {
    struct LaunchTrouble {
        /// Why tasks cannot be started; nil while they can, as far as is known.
        fileprivate(set) var failure: LaunchFailure?
        /// When the next trial is made; while one is under way, when another is made in its place.
        fileprivate(set) var trialAt: Instant?
        private var pauseSeconds = pauseSecondsMin
        /// When the last trouble was over.
        fileprivate var recoveredAt: Instant?

        static let pauseSecondsMin = 1.0
        /// So that a node that was repaired takes tasks again within a minute.
        static let pauseSecondsMax = 30.0
        /// A trial takes milliseconds. One that hangs, as on a file server that does not answer, is given up.
        static let answerSecondsMax = 30.0

        /// Pauses longer each time, until a task has run.
        fileprivate mutating func pause(at now: Instant) -> Double {
            let seconds = pauseSeconds
            trialAt = now.advanced(bySeconds: seconds)
            pauseSeconds = min(seconds * 2, Self.pauseSecondsMax)
            return seconds
        }

        /// A task's command has run. One that was begun before the trouble says nothing about it; one that was begun after the last
        /// trouble was over says that this is another, such as a shortage that comes whenever many run at once.
        mutating func aTaskHasRun(begunAt: Instant) {
            if failure == nil || recoveredAt.map({ $0 <= begunAt }) ?? false { pauseSeconds = Self.pauseSecondsMin }
        }
    }

    /// What keeps this node from starting tasks, for whoever asks why it takes none; nil when nothing does.
    public var trouble: LaunchFailure? { launchTrouble.failure }

    /// A launch failed by the node's fault, or a task met what would fail the next launch.
    mutating func nodeCannotLaunch(_ failure: LaunchFailure, at now: Instant, into actions: inout [Action]) {
        guard trouble == nil else { return }  // One trouble fails all launches of a batch.
        launchTrouble.failure = failure
        actions.append(.log(.nodeCannotLaunch(failure, retrySeconds: launchTrouble.pause(at: now))))
        beatNow(at: now, into: &actions)
    }

    mutating func trialEnded(_ failure: LaunchFailure?, at now: Instant, into actions: inout [Action]) {
        guard let failure else {
            guard trouble != nil else { return }  // Told twice, or one that was given up before.
            (launchTrouble.failure, launchTrouble.trialAt, launchTrouble.recoveredAt) = (nil, nil, now)
            actions.append(.log(.nodeLaunchesAgain))
            beatNow(at: now, into: &actions)
            admission.isWanted = true
            return
        }
        guard let known = trouble else { return nodeCannotLaunch(failure, at: now, into: &actions) }
        launchTrouble.failure = failure
        let seconds = launchTrouble.pause(at: now)
        if failure == known { return }  // The same trouble is told once.
        actions.append(.log(.nodeCannotLaunch(failure, retrySeconds: seconds)))
        beatNow(at: now, into: &actions)
    }

    mutating func tickTrouble(at now: Instant, into actions: inout [Action]) {
        guard let at = launchTrouble.trialAt, at <= now else { return }
        guard !departure.isLeaving else {
            launchTrouble.trialAt = nil  // Nothing will be taken any more.
            return
        }
        launchTrouble.trialAt = now.advanced(bySeconds: LaunchTrouble.answerSecondsMax)
        actions.append(.tryLaunch)
    }
}

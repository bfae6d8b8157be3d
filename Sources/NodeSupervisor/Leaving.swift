// The ways of taking no more tasks, from the mildest: drained (until told otherwise), closing (when all is done,
// leave), stopping (after a grace tasks are stopped and go back), and left. A stronger order replaces a weaker one,
// never the other way round.

import TaskModel

extension NodeSupervisor {
    enum Departure: Equatable {
        case none
        case drained
        /// Leaves when nothing runs; `leaveAt` once only groups that will not empty, or answers, are missing.
        case closing(leaveAt: Instant?)
        /// Tasks may go on until then.
        case stopping(terminateAt: Instant)
        /// All tasks were told to end.
        case stopped(leaveAt: Instant)
        case left

        var isLeaving: Bool {
            switch self {
            case .none, .drained: false
            case .closing, .stopping, .stopped, .left: true
            }
        }

        var nextDeadline: Instant? {
            switch self {
            case .none, .drained, .left: nil
            case .closing(let leaveAt): leaveAt
            case .stopping(let terminateAt): terminateAt
            case .stopped(let leaveAt): leaveAt
            }
        }

        mutating func drain() { if self == .none { self = .drained } }
        mutating func resume() { if self == .drained { self = .none } }
        mutating func close() { if !isLeaving { self = .closing(leaveAt: nil) } }
    }

    /// The first request gives running tasks their grace; the next one ends it, and one after TERM was sent kills.
    mutating func stopRequested(at now: Instant, into actions: inout [Action]) {
        switch departure {
        case .none, .drained, .closing:
            for number in tasks.keys.sorted() { tasks[number]?.warnOfEnd(into: &actions) }
            if settings.stopGraceSeconds > 0 {
                departure = .stopping(terminateAt: now.advanced(bySeconds: settings.stopGraceSeconds))
            } else {
                stopNow(at: now, into: &actions)
            }
        case .stopping: stopNow(at: now, into: &actions)
        case .stopped: stopAll(because: .nodeStoppingAtOnce, at: now, into: &actions)
        case .left: break  // Nothing is here any more.
        }
    }

    /// Whoever wants a word before its time is up has one now: whoever drains a node may want to be rid of it.
    func tellAllOfDrain(into actions: inout [Action]) {
        for number in tasks.keys.sorted() { tasks[number]?.tellOfDrain(into: &actions) }
    }

    private mutating func stopNow(at now: Instant, into actions: inout [Action]) {
        // The bound covers the kill grace too: a process that not even KILL can end must not keep the node here.
        let leaveAt = now.advanced(bySeconds: settings.killGraceSeconds + settings.leaveWithinSeconds)
        departure = .stopped(leaveAt: leaveAt)
        stopAll(because: .nodeStopping, at: now, into: &actions)
    }

    mutating func tickDeparture(at now: Instant, into actions: inout [Action]) {
        switch departure {
        case .stopping(let terminateAt) where terminateAt <= now: stopNow(at: now, into: &actions)
        case .closing(let leaveAt?) where leaveAt <= now: leave(into: &actions)
        case .stopped(let leaveAt) where leaveAt <= now: leave(into: &actions)
        case .none, .drained, .closing, .stopping, .stopped, .left: break  // Not yet, or waiting for no time.
        }
    }

    /// Leaves when nothing is left to do, and sets the bound once all that is missing is others' answers.
    mutating func leaveIfDone(at now: Instant, into actions: inout [Action]) {
        let isAsking = admission.outstanding != nil || membership.reconciliation != nil
        if tasks.isEmpty && !isAsking { return leave(into: &actions) }
        if tasks.values.contains(where: \.isUnreported) { return }
        let leaveAt = now.advanced(bySeconds: settings.leaveWithinSeconds)
        switch departure {
        case .closing(leaveAt: nil): departure = .closing(leaveAt: leaveAt)
        case .stopping: departure = .stopped(leaveAt: leaveAt)  // Nobody is left to be given a grace.
        case .none, .drained, .closing, .stopped, .left: break  // The bound is set, or there is none.
        }
    }

    private mutating func leave(into actions: inout [Action]) {
        if !tasks.isEmpty { actions.append(.log(.leftWithout(taskCount: tasks.count))) }
        departure = .left
        actions.append(.leave)
    }
}

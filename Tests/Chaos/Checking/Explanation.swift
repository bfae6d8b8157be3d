// Why a task was executed again though it need not have been: what befell the node that had it before.

import LinuxSystem

enum Reason: Int, CaseIterable {
    case nodeKilled
    case nodeFrozen
    case nodeCutOff
    case nodeLeft
    case givenUp
    case frozenInLaunch
    case unknown

    var text: String {
        switch self {
        case .nodeKilled: "its node was killed"
        case .nodeFrozen: "its node was frozen"
        case .nodeCutOff: "its node lost its lease, cut off from Redis"
        case .nodeLeft: "its node left"
        case .givenUp: "its node gave it back or dropped it, as its log tells"
        case .frozenInLaunch: "the other was frozen between its decision to launch and the launch"
        case .unknown: "no reason found"
        }
    }

    /// The same as a name for programs.
    var word: String {
        switch self {
        case .nodeKilled: "node_killed"
        case .nodeFrozen: "node_frozen"
        case .nodeCutOff: "node_cut_off"
        case .nodeLeft: "node_left"
        case .givenUp: "given_up"
        case .frozenInLaunch: "frozen_in_launch"
        case .unknown: "unknown"
        }
    }
}

struct Explanation {
    let journal: Journal
    let logs: NodeLogs

    /// The log's times are whole seconds, and a task's first trace comes a little after its node began it.
    private static let slackSeconds = 1.5
    /// Traces have hundredths of a second, cut off. A node that is told to leave has its tasks begun elsewhere in less.
    private static let traceSeconds = 0.01

    /// Why `later` was begun although `earlier` had been, for task `number`.
    func reason(_ number: Int, _ earlier: Run, before later: Run) -> Reason {
        let end = max(earlier.startSeconds, later.startSeconds) + Self.traceSeconds
        let span = (earlier.startSeconds - Self.slackSeconds)...end
        let absences = journal.absences.filter { absence in
            absence.node == earlier.node && absence.fromSeconds <= span.upperBound
                && (absence.untilSeconds ?? .infinity) >= span.lowerBound
        }
        let losses = logs.leaseLossSeconds[earlier.node] ?? []
        if absences.contains(where: { $0.kind == .killed }) { return .nodeKilled }
        if absences.contains(where: { $0.kind == .frozen }) { return .nodeFrozen }
        if losses.contains(where: { span.contains($0) || span.contains($0 + 1) }) { return .nodeCutOff }
        if absences.contains(where: { $0.kind == .left }) { return .nodeLeft }
        if logs.givenUp.contains(number) { return .givenUp }
        // A node asks the clock before each launch; one launch can be under way when it is frozen, and it ends that task as soon as it
        // has heard of its lost lease.
        let wokeBeforeLaunch = journal.absences.contains { absence in
            absence.node == later.node && absence.kind == .frozen && absence.fromSeconds <= earlier.startSeconds
                && abs((absence.untilSeconds ?? .infinity) - later.startSeconds) < Self.slackSeconds
        }
        return wokeBeforeLaunch ? .frozenInLaunch : .unknown
    }
}

/// How often each reason was found.
struct Reasons {
    private(set) var counts: [Reason: Int] = [:]
    /// The first few tasks without one.
    private(set) var unknown: [String] = []

    var total: Int { counts.values.reduce(0, +) }

    mutating func add(_ reason: Reason, _ number: Int, _ earlier: Run, _ later: Run) {
        counts[reason, default: 0] += 1
        guard reason == .unknown, unknown.count < 5 else { return }
        unknown.append(
            "task \(number): by \(earlier.node) at \(earlier.startSeconds) to \(earlier.lastSeconds)"
                + "\(earlier.hasEnded ? ", ended" : ""), then by \(later.node) at \(later.startSeconds)")
    }
}

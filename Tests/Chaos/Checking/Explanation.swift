// Why a task was executed again though it need not have been: what befell the node that had it before.

import LinuxSystem

enum Reason: Int, CaseIterable {
    case nodeKilled
    case nodeFrozen
    case nodeCutOff
    case nodeLeft
    case givenUp
    case diskFull
    case frozenInLaunch
    case nodeLate
    case unknown

    var text: String {
        switch self {
        case .nodeKilled: "its node was killed"
        case .nodeFrozen: "its node was frozen for a lease"
        case .nodeCutOff: "its node was cut off from Redis for a lease"
        case .nodeLeft: "its node left"
        case .givenUp: "its node gave it back, as its log tells"
        case .diskFull: "its node's disk was full"
        case .frozenInLaunch: "the other was frozen between its decision to launch and the launch"
        case .nodeLate: "its node, alive and connected, did not renew its lease"
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
        case .diskFull: "disk_full"
        case .frozenInLaunch: "frozen_in_launch"
        case .nodeLate: "node_late"
        case .unknown: "unknown"
        }
    }

    /// Whether a living node's task was taken from it.
    var isUnfounded: Bool { self == .unknown || self == .nodeLate }
}

struct Explanation {
    let tasks: TaskSet
    let journal: Journal
    let logs: NodeLogs
    let renewals: Renewals
    /// When the connections of each node were cut or silenced.
    let faultSeconds: [String: [Double]]

    /// Our loop sees things a little after they happened, and a task's first trace comes a little after its node began it.
    private static let slackSeconds = 1.5
    /// Traces have hundredths of a second, cut off. A node that is told to leave has its tasks begun elsewhere in less.
    private static let traceSeconds = 0.01
    /// How exactly we know when a lease was renewed.
    private static let renewalSeconds = 0.3

    /// Why `later` was begun although `earlier` had been, for task `number`.
    func reason(_ number: Int, _ earlier: Run, before later: Run) -> Reason {
        let end = max(earlier.startSeconds, later.startSeconds) + Self.traceSeconds
        let span = (earlier.startSeconds - Self.slackSeconds)...end
        let absences = journal.absences.filter { absence in
            absence.node == earlier.node && overlaps(absence.fromSeconds, absence.untilSeconds ?? .infinity, span)
        }
        if absences.contains(where: { $0.kind == .killed }) { return .nodeKilled }
        let lapses = lapses(of: earlier.node, in: span, takenOverBy: end)
        if lapses.contains(where: wasFrozen) { return .nodeFrozen }
        if lapses.contains(where: wasCutOff) { return .nodeCutOff }
        if absences.contains(where: { $0.kind == .left }) { return .nodeLeft }
        if logs.gaveBack(number, node: earlier.node) { return .givenUp }
        if metFullDisk(number, earlier) { return .diskFull }
        // A node asks the clock before each launch; one launch can be under way when it is frozen, and it ends that task as soon as it
        // has heard of its lost lease.
        let wokeBeforeLaunch = journal.absences.contains { absence in
            absence.node == later.node && absence.kind == .frozen && absence.fromSeconds <= earlier.startSeconds
                && abs((absence.untilSeconds ?? .infinity) - later.startSeconds) < Self.slackSeconds
        }
        if wokeBeforeLaunch { return .frozenInLaunch }
        return lapses.isEmpty ? .unknown : .nodeLate
    }

    /// Whether the run may have failed because its node's disk was full, or may have been taken for such a one and given back: of a task
    /// that fails anyway nobody can tell.
    private func metFullDisk(_ number: Int, _ run: Run) -> Bool {
        failure(.noSpace, during: run) != nil && !run.hasEnded
            || tasks.kind(number).fails && [.noSpace, .noInodes].contains { failure($0, during: run) != nil }
    }

    /// Whether it failed on a full disk when the node could not have known of it yet.
    func metFillingDisk(_ run: Run) -> Bool {
        guard !run.hasEnded, let failure = failure(.noSpace, during: run) else { return false }
        return run.startSeconds < failure.fromSeconds + Self.slackSeconds
    }

    private func failure(_ trouble: DiskTrouble, during run: Run) -> Journal.DiskFailure? {
        let span = run.startSeconds...(run.lastSeconds + Self.slackSeconds)
        return journal.diskFailures.first {
            $0.node == run.node && $0.trouble == trouble && overlaps($0.fromSeconds, $0.untilSeconds, span)
        }
    }

    /// The times in which the node's lease was over, as the queue counts time, early enough for another to have what it held.
    private func lapses(of node: String, in span: ClosedRange<Double>, takenOverBy end: Double) -> [Lapse] {
        renewals.lapses.filter { lapse in
            guard lapse.node == node, overlaps(lapse.fromSeconds, lapse.untilSeconds, span) else { return false }
            let used = journal.leaseSecondsUsed(from: lapse.fromSeconds, until: min(lapse.untilSeconds, end))
            return used >= Fleet.leaseSeconds - Self.renewalSeconds
        }
    }

    private func wasFrozen(_ lapse: Lapse) -> Bool {
        journal.absences.contains {
            $0.node == lapse.node && $0.kind == .frozen
                && overlaps($0.fromSeconds, $0.untilSeconds ?? .infinity, lapse.fromSeconds...lapse.untilSeconds)
        }
    }

    private func wasCutOff(_ lapse: Lapse) -> Bool {
        (faultSeconds[lapse.node] ?? []).contains {
            $0 >= lapse.fromSeconds - Self.slackSeconds && $0 <= lapse.untilSeconds
        }
    }

    private func overlaps(_ from: Double, _ until: Double, _ span: ClosedRange<Double>) -> Bool {
        from <= span.upperBound && until >= span.lowerBound
    }
}

/// How often each reason was found.
struct Reasons {
    private(set) var counts: [Reason: Int] = [:]
    /// The first few tasks without one.
    private(set) var examples: [String] = []

    var total: Int { counts.values.reduce(0, +) }
    var unfounded: Int { counts.reduce(0) { $1.key.isUnfounded ? $0 + $1.value : $0 } }

    mutating func add(_ reason: Reason, _ number: Int, _ earlier: Run, _ later: Run) {
        counts[reason, default: 0] += 1
        guard reason.isUnfounded, examples.count < 5 else { return }
        examples.append(
            "\(reason.text): task \(number): by \(earlier.node) at \(earlier.startSeconds) to \(earlier.lastSeconds)"
                + "\(earlier.hasEnded ? ", ended" : ""), then by \(later.node) at \(later.startSeconds)")
    }
}

// One run from the first node's start to the last one's end.

import LinuxSystem
import TaskQueue

final class Campaign {
    private let tasks: TaskSet
    private let fleet: Fleet
    private let trouble: TroubleMaker
    private let troubleSeconds: Double
    private let signals: SignalQueue
    private var submitter: Submitter
    private let begunNanoseconds = SystemClock.bootNanoseconds()
    private var counts = QueueCounts()
    private(set) var renewals = Renewals()
    /// Times without an ending, though there were tasks, that were longer than any trouble explains.
    private(set) var stalls: [Double] = []
    /// When last a task was settled, or there was none to settle.
    private var settledNanoseconds = SystemClock.bootNanoseconds()
    private var shownNanoseconds = SystemClock.bootNanoseconds()

    /// An outage of nine seconds, a lease, a trial after eight, a task of five and a slow machine do not come to so much.
    private static let stallBoundNanoseconds: Int64 = 45_000_000_000
    /// No task was settled for so long: none will be.
    private static let hangBoundNanoseconds: Int64 = 180_000_000_000
    private static let stepMilliseconds: UInt32 = 10

    init(
        _ tasks: TaskSet, _ fleet: Fleet, troubleSeconds: Double, signals: consuming SignalQueue
    ) throws {
        self.tasks = tasks
        self.fleet = fleet
        self.troubleSeconds = troubleSeconds
        self.signals = signals
        if troubleSeconds <= 0 { fleet.proxy.calm() }
        submitter = Submitter(fleet, files: try tasks.writeFiles(linesPerFile: max(100, tasks.count / 20)))
        trouble = try TroubleMaker(fleet, seed: tasks.seed)
    }

    var journal: Journal { trouble.journal }
    var submissions: Int { submitter.callCount }
    var seconds: Double { Double(SystemClock.bootNanoseconds() - begunNanoseconds) / 1e9 }

    /// Makes trouble until every task is settled, or nothing goes on any more; then ends the nodes.
    func run() throws {
        defer { submitter.end() }
        while !isSettled, !isStuck { try step() }
        trouble.rest()
        fleet.proxy.calm()
        settledNanoseconds = SystemClock.bootNanoseconds()
        while !trouble.isWhole { try step() }
        // Whoever has come back may still bring something to do: the tasks of its last life.
        while !(isSettled && fleet.isServing), !isStuck { try step() }
        renewals.end(atSeconds: Journal.now)
        trouble.dismiss()
        while !trouble.isDeserted { try step() }
    }

    private var isSettled: Bool { submitter.isDone && counts.todo == 0 && counts.inProgress == 0 }

    private var isStuck: Bool {
        SystemClock.bootNanoseconds() - settledNanoseconds > Self.hangBoundNanoseconds
    }

    private func step() throws {
        try lookForSignals()
        if let failure = fleet.proxy.failure { throw ChaosError(description: "the proxy failed: \(failure)") }
        if seconds > troubleSeconds {
            trouble.rest()
            fleet.proxy.calm()
        }
        try trouble.act()
        try submitter.act(share: trouble.shareMade)
        lookAtQueue()
        pause(milliseconds: Self.stepMilliseconds)
    }

    private func lookAtQueue() {
        if let leases = fleet.leases() { renewals.note(leases, atSeconds: Journal.now) }
        guard let now = fleet.counts() else { return }
        let time = SystemClock.bootNanoseconds()
        if now.finished + now.failed != counts.finished + counts.failed || now.todo + now.inProgress == 0 {
            let stall = time - settledNanoseconds
            if stall > Self.stallBoundNanoseconds { stalls.append(Double(stall) / 1e9) }
            settledNanoseconds = time
        }
        counts = now
        guard time - shownNanoseconds > 10_000_000_000 else { return }
        shownNanoseconds = time
        standardError.write(
            "\(Int(seconds)) s: \(counts.finished + counts.failed) of \(tasks.count) settled, \(journal.absences.count) "
                + "blows to nodes, \(journal.redisAbsences.count + journal.clockSteps.count) to Redis\n")
    }

    private func lookForSignals() throws {
        if let signal = signals.next() { throw ChaosError(description: "ended by \(signal)") }
    }
}

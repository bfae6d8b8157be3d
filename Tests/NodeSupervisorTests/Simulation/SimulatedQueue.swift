// The queue of the simulation: what the Redis scripts promise, as plain arrays. It is also the judge: it knows which
// line is whose, so it sees a task lost, and a line that runs in two places.

import NodeSupervisor
import TaskModel

/// Small and fast, and the same on every machine: a seed must mean the same run everywhere.
struct SplitMix64 {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678 }

    mutating func next() -> UInt64 {
        state = state &+ 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// 0 to `bound` - 1.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    /// From `low` to `high` nanoseconds, each order of magnitude as likely as the others.
    mutating func nanoseconds(_ low: Int64, _ high: Int64) -> Int64 {
        var top = max(low, 1000)
        while top < high && !oneIn(3) { top = top &* 4 }
        return low &+ Int64(below(Int(min(top, high) &- low) &+ 1))
    }
}

struct SimulatedQueue {
    enum State: Equatable {
        case todo
        case held(incarnation: Int)
        /// Its outcome was accepted, and it has not been submitted again.
        case done
    }

    struct Line {
        let line: TaskLine
        var state = State.todo
        /// Of the attempt that holds it now, or held it last. Never used twice.
        var token = 0
        var attempt = 1
        /// The attempts that somebody took away from their holders by hand.
        var requeuedTokens: Set<Int> = []
        /// The last report taken: what makes a repeated one a duplicate.
        var acceptedToken = -1
        /// Where it was launched last, to see it run in two places.
        var lastRun: (node: Int, life: Int, number: NodeSupervisor.TaskNumber)?
    }

    struct Incarnation {
        let node: Int
        /// Grows with each registration of a node, so that one that arrives late cannot undo a later one.
        let epoch: Int64
        var leaseUntil: Instant
        /// Its lines were given back; it can do nothing any more.
        var isReaped = false
    }

    enum Answer<Value> {
        case given(Value)
        case fenced
    }

    var lines: [Line]
    var todo: [Int] = []
    var incarnations: [Incarnation] = []
    var acceptedCount = 0
    /// Lines whose outcome was accepted go back to todo, as new tasks, so that the work never ends.
    var isResubmitting = true
    private var nextToken = 0
    private let leaseSeconds: Double

    /// How often a lease was renewed that was over and that nobody had acted upon.
    private(set) var lateRenewalCount = 0
    /// It serves nobody until then.
    private(set) var awayUntil = Instant(nanoseconds: 0)

    /// Reaping begins this long after a lease has ended.
    static let reapAfterSeconds = 0.1

    init(lines: [TaskLine], leaseSeconds: Double) {
        self.lines = lines.map { Line(line: $0) }
        self.leaseSeconds = leaseSeconds
        todo = Array(lines.indices)
    }

    // MARK: - Requests

    /// Nil when a later one of the same node was there before.
    mutating func register(node: Int, epoch: Int64, at now: Instant) -> Int? {
        for index in incarnations.indices.reversed() where incarnations[index].node == node {
            if incarnations[index].epoch >= epoch { return nil }
            reap(index)
            break  // The ones before were reaped when this one came.
        }
        incarnations.append(Incarnation(node: node, epoch: epoch, leaseUntil: now.advanced(bySeconds: leaseSeconds)))
        return incarnations.count - 1
    }

    /// A lease that is over is renewed as long as nobody has acted upon its end. Whoever renews looks after the others.
    mutating func renew(_ incarnation: Int, at now: Instant) -> Bool {
        guard !incarnations[incarnation].isReaped else { return false }
        if incarnations[incarnation].leaseUntil < now { lateRenewalCount += 1 }
        incarnations[incarnation].leaseUntil = now.advanced(bySeconds: leaseSeconds)
        reapExpired(at: now)
        return true
    }

    mutating func held(by incarnation: Int, at now: Instant) -> Answer<[NodeSupervisor.ClaimedTask]> {
        guard renew(incarnation, at: now) else { return .fenced }
        let held = lines.indices.filter { lines[$0].state == .held(incarnation: incarnation) }
        return .given(held.map(claimed))
    }

    /// Gives what fits. Now and then it does not look at what fits: a node must not rely on it.
    mutating func claim(
        _ claim: NodeSupervisor.Claim, by incarnation: Int, at now: Instant, random: inout SplitMix64
    ) -> Answer<[NodeSupervisor.ClaimedTask]> {
        guard renew(incarnation, at: now) else { return .fenced }
        let isCareless = random.oneIn(200)
        var freeMemoryBytes = claim.freeMemoryBytes
        var freeMillicores = claim.freeMillicores
        var given: [NodeSupervisor.ClaimedTask] = []
        var triesLeft = claim.count &+ 4
        while given.count < claim.count, triesLeft > 0, !todo.isEmpty {
            triesLeft -= 1
            let position = random.below(todo.count)
            let index = todo[position]
            let line = lines[index].line
            if !isCareless {
                guard line.memoryBytes <= freeMemoryBytes, line.millicores <= freeMillicores else { continue }
                freeMemoryBytes -= line.memoryBytes
                freeMillicores -= line.millicores
            }
            todo.swapAt(position, todo.count - 1)
            todo.removeLast()
            nextToken += 1
            lines[index].token = nextToken
            lines[index].state = .held(incarnation: incarnation)
            given.append(claimed(index))
        }
        return .given(given)
    }

    /// What the queue says to a report; nil when it takes it.
    mutating func report(_ report: NodeSupervisor.Report, line index: Int) -> NodeSupervisor.ReportRefusal? {
        let token = Self.number(of: report.task.token)
        guard case .held = lines[index].state, lines[index].token == token else {
            return lines[index].acceptedToken == token ? .duplicate : .stale
        }
        lines[index].acceptedToken = token
        switch report.result {
        case .returned: putBack(index)
        case .ended:
            acceptedCount += 1
            lines[index].attempt = 1
            lines[index].state = .done
            if isResubmitting { putBack(index) }
        }
        return nil
    }

    // MARK: - What others do

    mutating func goAway(until instant: Instant) { awayUntil = instant }

    /// After an outage every lease looks over, so nobody acts upon that for the time of one.
    mutating func reapExpired(at now: Instant) {
        guard awayUntil.advanced(bySeconds: leaseSeconds) <= now else { return }
        for index in incarnations.indices.suffix(16) where !incarnations[index].isReaped {
            if incarnations[index].leaseUntil.advanced(bySeconds: Self.reapAfterSeconds) <= now { reap(index) }
        }
    }

    /// Somebody gives a held line to others, by hand.
    mutating func requeueByHand(_ index: Int) {
        lines[index].requeuedTokens.insert(lines[index].token)
        requeue(index)
    }

    private mutating func requeue(_ index: Int) {
        lines[index].attempt += 1
        putBack(index)
    }

    private mutating func reap(_ incarnation: Int) {
        if incarnations[incarnation].isReaped { return }
        incarnations[incarnation].isReaped = true
        for index in lines.indices where lines[index].state == .held(incarnation: incarnation) { requeue(index) }
    }

    private mutating func putBack(_ index: Int) {
        lines[index].state = .todo
        todo.append(index)
    }

    private func claimed(_ index: Int) -> NodeSupervisor.ClaimedTask {
        // The token tells the line as well, so that nobody has to look for it.
        let token = String(lines[index].token &* 1000 &+ index)
        return .init(line: lines[index].line, token: token, attempt: lines[index].attempt)
    }

    static func number(of token: String) -> Int { (Int(token) ?? -1) / 1000 }
    static func line(of token: String) -> Int { (Int(token) ?? -1) % 1000 }
}

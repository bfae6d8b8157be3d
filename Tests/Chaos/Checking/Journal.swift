// What was done to whom, and when: the checker explains by it why a task was executed more than once.

import LinuxSystem

struct Journal {
    enum Kind: Hashable { case killed, frozen, left }

    /// A time in which a node could not look after its tasks.
    struct Absence {
        let node: String
        let kind: Kind
        let fromSeconds: Double
        /// nil while it lasts.
        var untilSeconds: Double?
    }

    enum RedisKind: Hashable { case killed, frozen }

    /// A time in which Redis answered nobody.
    struct RedisAbsence {
        let kind: RedisKind
        let fromSeconds: Double
        var untilSeconds = Double.infinity
    }

    /// Redis's time of day, set forward or back.
    struct ClockStep {
        let atSeconds: Double
        let bySeconds: Double
    }

    /// A time in which a node's result_dir took nothing.
    struct DiskFailure {
        let node: String
        let trouble: DiskTrouble
        let fromSeconds: Double
        var untilSeconds = Double.infinity
    }

    private(set) var absences: [Absence] = []
    private(set) var redisAbsences: [RedisAbsence] = []
    private(set) var clockSteps: [ClockStep] = []
    private(set) var diskFailures: [DiskFailure] = []
    /// A node was started and could not reach Redis at all.
    var refusedStarts = 0
    /// Nodes that ended otherwise than they were told to.
    var crashes: [String] = []

    mutating func begin(_ kind: Kind, _ node: String) {
        absences.append(Absence(node: node, kind: kind, fromSeconds: Self.now))
    }

    mutating func end(_ node: String) {
        guard let index = absences.lastIndex(where: { $0.node == node && $0.untilSeconds == nil }) else { return }
        absences[index].untilSeconds = Self.now
    }

    mutating func beginRedis(_ kind: RedisKind) {
        redisAbsences.append(RedisAbsence(kind: kind, fromSeconds: Self.now))
    }

    mutating func endRedis() { redisAbsences[redisAbsences.count - 1].untilSeconds = Self.now }

    mutating func noteClockStep(bySeconds seconds: Double) {
        clockSteps.append(ClockStep(atSeconds: Self.now, bySeconds: seconds))
    }

    mutating func beginDisk(_ trouble: DiskTrouble, _ node: String) {
        diskFailures.append(DiskFailure(node: node, trouble: trouble, fromSeconds: Self.now))
    }

    mutating func endDisk(_ node: String) {
        guard let index = diskFailures.lastIndex(where: { $0.node == node }) else { return }
        diskFailures[index].untilSeconds = Self.now
    }

    func countRedis(_ kind: RedisKind) -> Int { redisAbsences.count { $0.kind == kind } }
    func countDisk(_ trouble: DiskTrouble) -> Int { diskFailures.count { $0.trouble == trouble } }

    func countRedisBeyondLease(_ kind: RedisKind) -> Int {
        redisAbsences.count { $0.kind == kind && $0.untilSeconds - $0.fromSeconds > Fleet.leaseSeconds }
    }

    /// How much of a time Redis was there, and its clock went on by itself or by small steps, which nobody can tell from time that has
    /// passed: by so much a lease that was renewed at its start may have been used up at its end.
    func leaseSecondsUsed(from begin: Double, until end: Double) -> Double {
        let away = redisAbsences.reduce(0.0) { sum, absence in
            sum + max(0, min(end, absence.untilSeconds) - max(begin, absence.fromSeconds))
        }
        let stepped = clockSteps.reduce(0.0) { sum, step in
            let isSmall = (0...(Fleet.leaseSeconds / 2)).contains(step.bySeconds)
            return isSmall && (begin...end).contains(step.atSeconds) ? sum + step.bySeconds : sum
        }
        return end - begin - away + stepped
    }

    func count(_ kind: Kind) -> Int { absences.count { $0.kind == kind } }

    /// How many absences of that kind lasted longer than a lease.
    func countBeyondLease(_ kind: Kind) -> Int {
        absences.count { $0.kind == kind && ($0.untilSeconds ?? .infinity) - $0.fromSeconds > Fleet.leaseSeconds }
    }

    static var now: Double { Double(SystemClock.bootNanoseconds()) / 1e9 }
}

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
        var seconds: Double { untilSeconds - fromSeconds }
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
        redisAbsences.count { $0.kind == kind && $0.seconds > Fleet.leaseSeconds }
    }

    /// By how much a lease that was renewed at `begin` may have been used up when it was last possible, until `end`, to take its node
    /// over. Redis's clock goes on while Redis is away: the queue counts what is short beside a lease, as it counts short steps, for
    /// nobody can tell that from time in which nobody asked. In return nobody is taken over soon after; see clock.lua.
    func leaseSecondsUsed(from begin: Double, until end: Double) -> Double {
        var end = end
        for absence in redisAbsences.reversed() where absence.seconds > Self.shortestSeconds {
            let quiet = absence.fromSeconds...(absence.untilSeconds + Self.quietSeconds)
            if quiet.contains(end) { end = absence.fromSeconds }
        }
        let away = redisAbsences.filter { $0.seconds > Self.gapSeconds }.reduce(0.0) { sum, absence in
            sum + max(0, min(end, absence.untilSeconds) - max(begin, absence.fromSeconds))
        }
        let stepped = clockSteps.reduce(0.0) { sum, step in
            let isSmall = (0...Self.gapSeconds).contains(step.bySeconds)
            return isSmall && step.atSeconds >= begin && step.atSeconds <= end ? sum + step.bySeconds : sum
        }
        return end - begin - away + stepped
    }

    /// What is longer is a silence to the queue, in which its clock stands.
    private static let gapSeconds = Fleet.leaseSeconds / 2
    /// What is longer begins a quiet.
    private static let shortestSeconds = Fleet.leaseSeconds / 6
    /// Two fifths of a lease, less how exactly we know when Redis was back.
    private static let quietSeconds = Fleet.leaseSeconds * 2 / 5 - 0.3

    /// A line for each, by time, in seconds of /proc/uptime.
    var text: String {
        let lines =
            absences.map {
                ($0.fromSeconds, "\($0.node) \($0.kind) until \($0.untilSeconds.map { "\($0)" } ?? "the end")")
            }
            + redisAbsences.map { ($0.fromSeconds, "Redis \($0.kind) until \($0.untilSeconds)") }
            + clockSteps.map { ($0.atSeconds, "Redis's clock stepped by \($0.bySeconds)") }
            + diskFailures.map { ($0.fromSeconds, "\($0.node) \($0.trouble.word) until \($0.untilSeconds)") }
        return lines.sorted { $0.0 < $1.0 }.map { "\($0.0) \($0.1)\n" }.joined()
    }

    func count(_ kind: Kind) -> Int { absences.count { $0.kind == kind } }

    /// How many absences of that kind lasted longer than a lease.
    func countBeyondLease(_ kind: Kind) -> Int {
        absences.count { $0.kind == kind && ($0.untilSeconds ?? .infinity) - $0.fromSeconds > Fleet.leaseSeconds }
    }

    static var now: Double { Double(SystemClock.bootNanoseconds()) / 1e9 }
}

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

    private(set) var absences: [Absence] = []
    var redisKills = 0
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

    func count(_ kind: Kind) -> Int { absences.count { $0.kind == kind } }

    /// How many absences of that kind lasted longer than a lease.
    func countBeyondLease(_ kind: Kind) -> Int {
        absences.count { $0.kind == kind && ($0.untilSeconds ?? .infinity) - $0.fromSeconds > Fleet.leaseSeconds }
    }

    private static var now: Double { Double(SystemClock.bootNanoseconds()) / 1e9 }
}

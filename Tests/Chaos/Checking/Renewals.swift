// When each node's lease was renewed: Redis was asked all the while. Who was not heard of for a lease may be taken over; nobody else.

import LinuxSystem

/// A time in which a node's lease was not renewed.
struct Lapse {
    let node: String
    let fromSeconds: Double
    let untilSeconds: Double
}

struct Renewals {
    /// When the lease of each incarnation is over, as Redis has it, in its own time.
    private var expiries: [String: Double] = [:]
    private var lastSeconds: [String: Double] = [:]
    /// Those long enough to be looked into.
    private(set) var lapses: [Lapse] = []

    private static let shortestSeconds = Fleet.leaseSeconds / 3

    /// What `distcomp:leases` says now.
    mutating func note(_ leases: [(incarnation: String, expiry: Double)], atSeconds now: Double) {
        for (incarnation, expiry) in leases where expiries.updateValue(expiry, forKey: incarnation) != expiry {
            guard expiry != 0 else { continue }  // Others begin to take it over.
            noteRenewal(of: String(incarnation.prefix { $0 != "/" }), now)
        }
    }

    /// Whoever was not heard of any more has lapsed until now.
    mutating func end(atSeconds now: Double) { for node in lastSeconds.keys { noteRenewal(of: node, now) } }

    private mutating func noteRenewal(of node: String, _ now: Double) {
        if let last = lastSeconds.updateValue(now, forKey: node), now - last >= Self.shortestSeconds {
            lapses.append(Lapse(node: node, fromSeconds: last, untilSeconds: now))
        }
    }
}

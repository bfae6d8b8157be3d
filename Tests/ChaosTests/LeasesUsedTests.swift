import Testing

@testable import distcomp_chaos

/// The checker of `make chaos` counts a lease as the queue does: see clock.lua. Leases are of three seconds there.
@Suite("Chaos: how much of a lease was used up")
struct LeasesUsedTests {
    private func used(until end: Double, away: ClosedRange<Double>...) -> Double {
        let absences = away.map {
            Journal.RedisAbsence(kind: .frozen, fromSeconds: $0.lowerBound, untilSeconds: $0.upperBound)
        }
        return Journal(redisAbsences: absences).leaseSecondsUsed(from: 100, until: end)
    }

    @Test(
        "a short outage of Redis is lease time, as it is to the queue, which cannot tell it from time in which nobody asked"
    )
    func short() {
        #expect(used(until: 103.2, away: 101...101.7) == 103.2 - 100)
    }

    @Test("in an outage that is long beside a lease the queue's clock stands")
    func long() {
        #expect(abs(used(until: 105.5, away: 101...105) - 1) < 0.01, "within the quiet after it nobody is taken over")
        #expect(abs(used(until: 107, away: 101...105) - 3) < 0.01)
    }

    @Test("after an outage of more than a sixth of a lease nobody is taken over for a while")
    func quiet() {
        #expect(abs(used(until: 103, away: 102...102.9) - 2) < 0.01)
        #expect(abs(used(until: 104, away: 102...102.9) - 4) < 0.01)
        #expect(abs(used(until: 103, away: 102...102.4) - 3) < 0.01, "one that is shorter begins no quiet")
    }

    @Test("what began just after an outage may have been taken over before it")
    func before() {
        #expect(abs(used(until: 104.5, away: 103.2...104.4) - 3.2) < 0.01)
    }
}

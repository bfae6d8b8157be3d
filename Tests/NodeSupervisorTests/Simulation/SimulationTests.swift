// Seeded runs of the simulation. A seed that fails is told in the message, and running it alone repeats it exactly.

import Testing

@Suite("Nodes in a world of trouble")
struct SimulationTests {
    @Test("keep every promise through 100,000 random events", arguments: UInt64(1)...100)
    func keepsPromises(seed: UInt64) {
        let simulation = Simulation(seed: seed)
        if let broken = simulation.run(eventCount: 100_000) { Issue.record("\(broken)") }
    }

    /// A simulation in which nothing happens would pass as well.
    @Test("meet every kind of trouble, and every kind of ending")
    func meetsEverything() {
        var tally: [String: Int] = [:]
        for seed in UInt64(1)...12 {
            let simulation = Simulation(seed: seed)
            if let broken = simulation.run(eventCount: 40_000) { Issue.record("\(broken)") }
            tally.merge(simulation.tally, uniquingKeysWith: +)
            tally["lease renewed late", default: 0] += simulation.queue.lateRenewalCount
        }
        for kind in [
            "ended: exit", "ended: signal", "ended: oom", "ended: timeout", "ended: cancelled", "ended: launch",
            "ended: memory-pressure", "returned: memory", "returned: stop", "returned: launch", "dropped",
            "no longer held", "lease lost", "out of touch", "ran twice, cut off", "lease renewed late", "queue away",
            "earlier report accepted", "earlier report stale", "memory short", "memory short, alone",
            "node cannot launch", "node launches again", "trial", "trial hangs", "forgotten",
            "given back: node in trouble", "returned: disk full",
            "given back: no room", "given back: earlier attempt", "report kept", "report repeated", "report stale",
            "report duplicate", "request failed", "claim answered short", "disconnect", "stall", "crash", "restart",
            "requeued by hand", "prefetched", "leave", "left without", "group not empty", "group emptied late",
            "will not die",
        ] {
            #expect(tally[kind, default: 0] > 0, "\(kind) never came to pass: \(tally)")
        }
    }

    @Test("go the same way for the same seed")
    func isRepeatable() {
        let runs = (0..<2).map { _ in
            let simulation = Simulation(seed: 5)
            let broken = simulation.run(eventCount: 5_000)
            return "\(String(describing: broken)) \(simulation.now) \(simulation.tally.sorted { $0.key < $1.key })"
        }
        #expect(runs[0] == runs[1])
    }
}

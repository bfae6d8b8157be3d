// Worlds of fresh seeds. One that fails is told with its seed, and with the shortest list of troubles that still makes it fail.

import Foundation
import Testing

@Suite("Nodes and a queue in a world of trouble", .serialized)
struct SimulationTests {
    /// Worlds that are known to be well. What breaks one of them is the change that was made since.
    @Test("keep every promise in the worlds of these seeds", arguments: Array(UInt64(1)...64))
    func keepsPromises(seed: UInt64) {
        let world = World(Scenario(seed: seed))
        if let broken = world.run() {
            Issue.record("seed \(seed), \(broken)\n\(Shrinking.explanation(of: world.scenario, broken))")
        }
    }

    @Test("keep every promise where tasks wait for tasks, too")
    func keepsOrder() {
        var tally: [String: Int] = [:]
        for seed in UInt64(1)...64 {
            var scenario = Scenario(seed: seed)
            scenario.tasksWait = true
            let world = World(scenario)
            if let broken = world.run() {
                Issue.record("seed \(seed), \(broken)\n\(Shrinking.explanation(of: world.scenario, broken))")
            }
            tally.merge(world.tally, uniquingKeysWith: +)
        }
        for (what, least) in [("given behind others", 100), ("failed in vain", 100), ("device", 100)] {
            #expect(tally[what, default: 0] >= least, "\(what): \(tally[what, default: 0])")
        }
    }

    /// Runs until so many events were handled, of as many worlds as that takes. What it finds beyond what docs/REDIS.md says is open is
    /// to be mended and kept as a scenario; in a run that was not asked for by a variable it is told and fails nothing.
    @Test("keep every promise, whatever the seed", .timeLimit(.minutes(60)))
    func keepsPromises() {
        let environment = ProcessInfo.processInfo.environment
        let isAskedFor = ["DISTCOMP_SIMULATION_SEED", "DISTCOMP_SIMULATION_EVENTS"].contains { environment[$0] != nil }
        if isAskedFor { return runFreshWorlds() }
        withKnownIssue("a fresh seed may find what nobody knows yet", isIntermittent: true) { runFreshWorlds() }
    }

    /// Of three worlds one has tasks that wait for others.
    private static func fresh(_ seed: UInt64) -> Scenario {
        var scenario = Scenario(seed: seed)
        scenario.tasksWait = seed.isMultiple(of: 3)
        return scenario
    }

    private func runFreshWorlds() {
        let environment = ProcessInfo.processInfo.environment
        let eventsMax = environment["DISTCOMP_SIMULATION_EVENTS"].flatMap { Int($0) } ?? 1_500_000
        let first = environment["DISTCOMP_SIMULATION_SEED"].flatMap { UInt64($0) }
        var seed = first ?? UInt64.random(in: 1...1_000_000_000)
        print("simulation: first seed \(seed), \(eventsMax) events")
        var (events, worlds, tally) = (0, 0, [String: Int]())
        var failures = 0
        repeat {
            let world = World(Self.fresh(seed))
            if environment["DISTCOMP_SIMULATION_VERBOSE"] != nil { print("world \(seed)") }
            if let broken = world.run() {
                failures += 1
                Issue.record("seed \(seed), \(broken)\n\(Shrinking.explanation(of: world.scenario, broken))")
            }
            events += world.eventCount
            worlds += 1
            tally.merge(world.tally, uniquingKeysWith: +)
            seed += 1
        } while events < eventsMax && first == nil
            || first != nil && events < eventsMax && environment["DISTCOMP_SIMULATION_EVENTS"] != nil
        print("simulation: \(events) events in \(worlds) worlds, last seed \(seed - 1), \(failures) failed")
        for (kind, count) in tally.sorted(by: { $0.key < $1.key }) { print("    \(count) \(kind)") }
    }

    /// To look into one world: DISTCOMP_SIMULATION_TRACE=SEED prints all that is said and done in it.
    @Test("(one world, told)", .enabled(if: ProcessInfo.processInfo.environment["DISTCOMP_SIMULATION_TRACE"] != nil))
    func trace() {
        let seed = ProcessInfo.processInfo.environment["DISTCOMP_SIMULATION_TRACE"].flatMap { UInt64($0) } ?? 1
        let world = World(Self.fresh(seed))
        world.isTraced = true
        print(world.run() ?? "all is well", world.tally)
    }

    @Test("go the same way for the same seed")
    func isRepeatable() {
        let runs = (0..<2).map { _ in
            let world = World(Scenario(seed: 5))
            let broken = world.run()
            return "\(String(describing: broken)) \(world.now) \(world.tally.sorted { $0.key < $1.key })"
        }
        #expect(runs[0] == runs[1])
    }
}

import Testing

@Suite("A node in a world of trouble")
struct SimulationTests {
    @Test("keeps every promise through 100,000 random events", arguments: UInt64(1)...3)
    func keepsPromises(seed: UInt64) {
        var simulation = Simulation(seed: seed)
        defer {
            print(
                simulation.tally.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", "),
                simulation.now.nanoseconds / 1_000_000_000)
        }
        if let broken = simulation.run(eventCount: 100_000) { Issue.record("\(broken)") }
    }
}

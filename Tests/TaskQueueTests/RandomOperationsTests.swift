// The queue against a plain model of it: random operations of several nodes, and after each the promises that must hold.

import RedisClient
import TaskModel
import TaskQueue
import Testing

/// splitmix64: the same numbers from the same seed on every machine.
private struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Random operations")
struct RandomOperationsTests {
    @Test("no line is ever lost, in two states, or finished twice", arguments: 1...25)
    func invariants(seed: UInt64) throws {
        var random = SeededNumbers(state: seed)
        let bench = try QueueBench()
        var nodes = try (0..<3).map { try bench.node("n\($0)") }
        var holding: [[ClaimTasks.Claimed]] = [[], [], []]
        var finishedOnce: Set<String> = []
        var known: Set<String> = []
        var life: Int64 = 1

        for _ in 0..<150 {
            let index = Int.random(in: 0..<3, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0, 1:
                let lines = (0..<Int.random(in: 1...8, using: &random)).map { _ in
                    line(
                        "t\(Int.random(in: 0..<60, using: &random))", priority: 1,
                        memory: ["0", "1", "8"][Int.random(in: 0..<3, using: &random)])
                }
                try bench.submit(lines)
                known.formUnion(lines)
            case 2, 3, 4: holding[index] += try nodes[index].claim(Int.random(in: 1...4, using: &random))
            case 5, 6:
                guard let task = holding[index].popLast() else { continue }
                if try nodes[index].finish(task) == .accepted {
                    #expect(finishedOnce.insert(task.line).inserted, "finished twice: \(task.line)")
                }
            case 7:
                guard let task = holding[index].popLast() else { continue }
                try nodes[index].fail(task, attemptsMax: 2)
            case 8:
                guard let task = holding[index].popLast() else { continue }
                try nodes[index].report(task, .returned)
            default:  // The node dies; another notices, and it comes back as a new life.
                try nodes[index].loseLease()
                try nodes[(index + 1) % 3].beat()
                life += 1
                nodes[index] = try bench.node("n\(index)", life: life)
                // Half the time its reports still come, too late.
                if Bool.random(using: &random), let task = holding[index].last {
                    let reply = try nodes[index].finish(task)
                    #expect(reply == .stale)
                }
                holding[index] = []
            }
            try checkStates(bench, known, holding)
        }
    }

    private func checkStates(_ bench: QueueBench, _ known: Set<String>, _ holding: [[ClaimTasks.Claimed]]) throws {
        func fields(_ key: String) throws -> Set<String> {
            Set((try bench.command("HKEYS", key).elements ?? []).compactMap(\.string))
        }
        let todo = try fields(bench.keys.todo)
        let running = try fields(bench.keys.inProgress)
        let finished = try fields(bench.keys.finished)
        let retrying = Set((try bench.command("SMEMBERS", bench.keys.retrying).elements ?? []).compactMap(\.string))
        let failed = try fields(bench.keys.failed).subtracting(retrying)
        #expect(todo.union(running).union(finished).union(failed) == known)
        #expect(todo.count + running.count + finished.count + failed.count == known.count)
        #expect(running == Set(holding.joined().map(\.line)))
    }
}

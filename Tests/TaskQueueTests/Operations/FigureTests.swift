// What holds of the queue's size on any machine. How fast it is, `distcomp-bench queue` measures.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("The size of the queue")
struct FigureTests {
    @Test("a queued task of 102 bytes takes at most 400 bytes of Redis")
    func memory() throws {
        let bench = try QueueBench()
        let empty = try bench.usedMemory()
        let count = 60_000  // Hash tables that are nearly full: a half empty one costs a task 30 bytes more.
        let start = "shell:1:2:1:300:./cachesim --trace /data/traces/w"
        try bench.submit(
            (0..<count).map { number in
                start + String(repeating: "x", count: 102 - start.utf8.count - "\(number)".utf8.count) + "\(number)"
            })
        #expect(try (bench.usedMemory() - empty) / count <= 400)
    }

    @Test("twenty nodes take 2,000 tasks in turn and report them, and nothing is left")
    func manyNodes() throws {
        let bench = try QueueBench()
        let nodes = try (0..<20).map { try bench.node("n\($0)") }
        try bench.submit((0..<2000).map { line("\($0)") })
        var reported = 0
        while reported < 2000 {
            for node in nodes {
                for task in try node.claim(16) {
                    #expect(try node.finish(task) == .accepted)
                    reported += 1
                }
            }
        }
        #expect(try bench.numbers == [0, 0, 2000, 0])
    }
}

extension QueueBench {
    func usedMemory() throws -> Int {
        let lines = (try command("INFO", "memory").string ?? "").split(whereSeparator: \.isNewline)
        return lines.first { $0.hasPrefix("used_memory:") }.flatMap { Int($0.dropFirst(12)) } ?? 0
    }
}

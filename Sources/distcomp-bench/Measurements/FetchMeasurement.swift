// What a node does to get a task, at more and more queued: the old worker's way, command by command, beside our claim.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct FetchMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "fetch", abstract: "The old worker's way to a task beside our claim, at 100 to a million queued.")

    @Option(help: "The most lines that are queued: sizes above are left out.")
    var queued = 1_000_000

    @Option(help: "How often each way is measured at each size.")
    var rounds = 200

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [queued, rounds] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let node = try queue.register("n")
        var loaded = 0
        var serverCosts: [Double] = []
        for size in [100, 1000, 100_000, 1_000_000] where size <= queued {
            _ = try queue.redis.load(loaded..<size)
            loaded = size
            let old = try spread { try oldFetch(queue) }
            let one = try spread { try claim(queue, node, count: 1) }
            let many = try spread { try claim(queue, node, count: 16) / 16 }
            figures.add("\(size) queued: old fetch, per task", old, "us")
            figures.add("\(size) queued: claim of 1, per task", one, "us")
            figures.add("\(size) queued: claim of 16, per task", many, "us")
            figures.add("\(size) queued: old fetch to claim of 1", old.median / one.median, "")
            figures.add("\(size) queued: old fetch to claim of 16", old.median / many.median, "")
            serverCosts.append(try serverMicroseconds(queue, node))
            figures.add("\(size) queued: Redis's time for a claim of 16", serverCosts[serverCosts.count - 1], "us")
        }
        if let first = serverCosts.first, let last = serverCosts.last {
            figures.add("Redis's time at \(loaded) queued to that at 100", last / first, "")
        }
    }

    private func spread(_ once: () throws -> Double) throws -> Spread {
        Spread(try (0..<rounds).map { _ in try once() })
    }

    /// The microseconds the old worker takes for one task: it reads all of todo when that is small, else some lines at random, and
    /// takes the best of them by HDEL, whose count decides, and HSET. Putting the task back afterwards is not counted.
    private func oldFetch(_ queue: BenchQueue) throws -> Double {
        let redis = queue.redis
        var taken: String?
        let took = try seconds {
            let count = try redis.command("HLEN", queue.keys.todo).int ?? 0
            let lines =
                count > 1000
                ? try redis.command("HRANDFIELD", queue.keys.todo, "20").elements?.compactMap(\.string)
                : try redis.command("HGETALL", queue.keys.todo).entries?.compactMap(\.key.string)
            for line in (lines ?? []).sorted(by: { Self.priority(of: $0) > Self.priority(of: $1) }) {
                guard try redis.command("HDEL", queue.keys.todo, line).int == 1 else { continue }
                _ = try redis.command("HSET", queue.keys.inProgress, line, "old")
                taken = line
                return
            }
        }
        guard let taken else { throw BenchError(description: "the old fetch found nothing") }
        _ = try redis.command("HSET", queue.keys.todo, taken, "")
        _ = try redis.command("HDEL", queue.keys.inProgress, taken)
        return took * 1e6
    }

    /// The second field of a line is its priority.
    private static func priority(of line: String) -> Int {
        line.utf8.split(separator: UInt8(ascii: ":"), maxSplits: 2).dropFirst().first.flatMap { Int(Substring($0)) }
            ?? 0
    }

    /// The microseconds one claim takes; the tasks go back to their places.
    private func claim(_ queue: BenchQueue, _ node: Incarnation, count: Int) throws -> Double {
        var tasks: [ClaimTasks.Claimed] = []
        let took = try seconds { tasks = try queue.claimed(node, count: count) }
        _ = try queue.redis.client.pipeline(tasks.map { queue.returned($0, node) })
        return took * 1e6
    }

    /// What a claim of 16 takes of the server's time, at the median.
    private func serverMicroseconds(_ queue: BenchQueue, _ node: Incarnation) throws -> Double {
        try spread {
            let before = try queue.redis.scriptStatistics().microseconds
            let tasks = try queue.claimed(node, count: 16)
            let cost = try queue.redis.scriptStatistics().microseconds - before
            _ = try queue.redis.client.pipeline(tasks.map { queue.returned($0, node) })
            return cost
        }.median
    }
}

// What people's commands take when there is very much to load, to count and to print.

import ArgumentParser
import TaskModel

struct QueueMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "queue", abstract: "`distcomp submit`, `status` and `results` at a million tasks.")

    @Option(help: "How many tasks are queued.")
    var queued = 1_000_000

    @Option(help: "How many tasks are finished, for `results`.")
    var finished = 100_000

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [queued, finished] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let before = try queue.redis.processorSeconds()
        let took = try queue.redis.load(0..<queued)
        let busy = try queue.redis.processorSeconds() - before
        figures.add("distcomp submit of a file of \(queued) lines", Double(queued) / took, "lines/s")
        figures.add("Redis's CPU per line", busy / Double(queued) * 1e6, "us")
        let statuses = try (0..<21).map { _ in try queue.redis.distcomp("status", "--json") * 1000 }
        figures.add("distcomp status at \(queued) queued", Spread(statuses), "ms")

        let count = min(finished, queued)
        _ = try SimulatedFleet(queue, nodeCount: 10).work(taskCount: count)
        let printing = try queue.redis.distcomp("results", "--format", "jsonl")
        figures.add("distcomp results of \(count) finished", Double(count) / printing, "rows/s")
    }
}

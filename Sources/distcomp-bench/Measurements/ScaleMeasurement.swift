// What very large queues cost: a node and its Redis while nothing happens, and the commands of people.

import ArgumentParser
import LinuxSystem
import TaskModel

/// More and more tasks that sleep, and then more and more that wait.
struct ScaleMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "scale", abstract: "Daemon and Redis with ever more tasks running (asleep) and queued.")

    @Option(help: "The most sleeping tasks, up to 10,000: sizes above are left out.")
    var running = 1000

    @Option(help: "The most queued tasks: sizes above are left out.")
    var queued = 1_000_000

    @Option(help: "How long each state is watched.")
    var seconds = 5

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [running, queued, seconds] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let node = try BenchNode(
            in: place, settings: #""max_task_per_worker": \#(running)"#, isDurable: false)
        pause(milliseconds: 1000)
        try add("idle", node, figures)

        var started = 0
        for size in [10, 100, 1000, 10_000] where size <= running {
            try sleep(started..<size, node)
            started = size
            try add("\(size) running", node, figures)
        }
        try measureQueued(node, started: started, figures)
    }

    /// Has as many more tasks run and sleep.
    private func sleep(_ numbers: Range<Int>, _ node: BenchNode) throws {
        try node.submit(numbers.map { "shell:1:0:0:0:sleep 10\($0)" })
        _ = try waited("the start of \(numbers.upperBound) tasks") {
            try node.launchedCount() == numbers.upperBound ? true : nil
        }
        pause(milliseconds: 1000)
    }

    /// All slots are taken, so what is queued stays queued.
    private func measureQueued(_ node: BenchNode, started: Int, _ figures: FigureTable) throws {
        // The sizes measured before need not add up to all.
        try sleep(started..<running, node)
        let empty = try node.redis.usedBytes()
        var loaded = 0
        for size in [1000, 10_000, 100_000, 1_000_000] where size <= queued {
            _ = try node.redis.load(loaded..<size)
            loaded = size
            try add("\(size) queued", node, figures)
            figures.add(
                "\(size) queued: Redis per task of 102 bytes", (try node.redis.usedBytes() - empty) / Double(size),
                "bytes")
        }
    }

    private func add(_ state: String, _ node: BenchNode, _ figures: FigureTable) throws {
        let before = try node.daemonCPUSeconds()
        pause(milliseconds: UInt32(clamping: seconds * 1000))
        let busy = try node.daemonCPUSeconds() - before
        figures.add("\(state): daemon CPU", busy * 1000 / Double(seconds), "ms/s")
        figures.add("\(state): daemon memory", try node.daemonMemoryMegabytes(), "MB")
        figures.add("\(state): Redis memory", try node.redis.usedBytes() / 1e6, "MB")
    }
}

/// `distcomp submit`, `status` and `results` at a million tasks.
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

// What a node and its Redis take while nothing happens, with more and more tasks that sleep and then more and more that wait.

import ArgumentParser
import LinuxSystem
import TaskModel

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

    func measure(in place: String, _ figures: FigureTable) throws {
        let node = try BenchNode(
            in: place, settings: #""max_task_per_worker": \#(max(1, running))"#, isDurable: false)
        pause(milliseconds: 1000)
        try add("idle", node, figures)
        let empty = try node.redis.usedBytes()

        var started = 0
        for size in [10, 100, 1000, 10_000] where size <= running {
            try node.submit((started..<size).map { "shell:1:0:0:0:sleep 10\($0)" })
            started = size
            try node.waitUntil { $0.inProgress == size && $0.todo == 0 }
            pause(milliseconds: 1000)
            try add("\(size) running", node, figures)
            figures.add("\(size) running: Redis per task", (try node.redis.usedBytes() - empty) / Double(size), "bytes")
        }
        try measureQueued(node, started: started, figures)
    }

    /// All slots are taken, so what is queued stays queued.
    private func measureQueued(_ node: BenchNode, started: Int, _ figures: FigureTable) throws {
        // The tasks measured before may all have been left out.
        if started < running {
            try node.submit((started..<running).map { "shell:1:0:0:0:sleep 10\($0)" })
            try node.waitUntil { $0.inProgress == running && $0.todo == 0 }
        }
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
    }
}

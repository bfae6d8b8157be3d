// Why tasks are handed out by scripts: the same lines put in and taken out by one command at a time, as the old manager and
// worker did, by the same commands sent together, and by our scripts.

import ArgumentParser
import RedisClient
import TaskModel
import TaskQueue

struct PipelineMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Queue work by single calls, pipelined, and by our scripts.")

    @Option(help: "How many lines are put in and taken out.")
    var tasks = 10_000

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let work = QueueWork(
            queue: try BenchQueue(in: place),
            lines: try (0..<tasks).map { try TaskLine(parsing: "shell:1:0:0:echo \($0)") })
        try compare(
            [
                ("put in by an HSETNX a call", work.putInOneByOne),
                ("put in by pipelined HSETNX", work.putInPipelined),
                ("put in by our script, \(SubmitTasks.linesMax) a call", work.submit),
            ], after: work.empty, figures)
        try compare(
            [
                ("taken by an HDEL and an HSET, a call each", work.takeOneByOne),
                ("taken by pipelined HDEL and HSET", work.takePipelined),
                ("taken by our claim, 1 a call", { try work.claim(atOnce: 1) }),
                ("taken by our claim, 16 a call", { try work.claim(atOnce: 16) }),
                ("taken by our claim, 128 a call", { try work.claim(atOnce: 128) }),
            ], after: work.fill, figures)
    }

    /// Each way in turn, three times over, with its ratio to the first; `prepare` is not counted.
    private func compare(
        _ ways: [(name: String, work: () throws -> Void)], after prepare: () throws -> Void, _ figures: FigureTable
    ) throws {
        var rates = ways.map { _ in [Double]() }
        for _ in 0..<3 {
            for (index, way) in ways.enumerated() {
                try prepare()
                rates[index].append(Double(tasks) / (try seconds { try way.work() }))
            }
        }
        for (way, own) in zip(ways, rates) {
            figures.add(way.name, median(own), "tasks/s")
            figures.add("\(way.name): ratio", median(own) / median(rates[0]), "")
        }
    }
}

/// One way each to put all lines into a queue, or to take them out.
private struct QueueWork {
    let queue: BenchQueue
    let lines: [TaskLine]

    func empty() throws { _ = try queue.redis.command("FLUSHALL") }

    func fill() throws {
        try empty()
        try submit()
    }

    func putInOneByOne() throws {
        for line in lines { _ = try queue.redis.command("HSETNX", queue.keys.todo, line.text, "") }
    }

    func putInPipelined() throws {
        _ = try queue.redis.client.pipeline(
            lines.map { .command(RedisCommand("HSETNX", queue.keys.todo, $0.text, "")) })
    }

    func submit() throws {
        var rest = lines[...]
        while !rest.isEmpty {
            _ = try SubmitTasks.parse(try queue.redis.client.call(SubmitTasks(rest, keys: queue.keys).request))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
    }

    func takeOneByOne() throws {
        for line in lines {
            _ = try queue.redis.command("HDEL", queue.keys.todo, line.text)
            _ = try queue.redis.command("HSET", queue.keys.inProgress, line.text, "n")
        }
    }

    /// No worker could: whether its HDEL took anything it would know too late.
    func takePipelined() throws {
        _ = try queue.redis.client.pipeline(
            lines.flatMap { line -> [RedisRequest] in
                [
                    .command(RedisCommand("HDEL", queue.keys.todo, line.text)),
                    .command(RedisCommand("HSET", queue.keys.inProgress, line.text, "n")),
                ]
            })
    }

    func claim(atOnce count: Int) throws {
        let node = try queue.register("n")
        var rest = lines.count
        while rest > 0 { rest -= try queue.claimed(node, count: min(rest, count)).count }
    }
}

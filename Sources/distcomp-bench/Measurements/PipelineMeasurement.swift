// Why tasks are handed out by scripts: the same lines put in and taken out as the old manager and worker did, by the same commands
// sent one at a time and together by us, and by our scripts.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct PipelineMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "pipeline", abstract: "Queue work by single calls, pipelined, and by our scripts.")

    @Option(help: "How many lines are put in and taken out.")
    var tasks = 1000

    @Option(help: "How often each way is measured; medians are printed.")
    var rounds = 9

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, rounds] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let work = QueueWork(
            queue: try BenchQueue(in: place, listensOnPort: true),
            lines: try (0..<tasks).map { try TaskLine(parsing: "shell:1:0:0:echo \($0)") }, place: place)
        try compare(
            [
                ("put in the old way (Python, TCP), an HSETNX a call", { try OldClient.run("put", work) }),
                ("put in by us, an HSETNX a call", timed(work.putInOneByOne)),
                ("put in by pipelined HSETNX", timed(work.putInPipelined)),
                ("put in by our script, \(SubmitTasks.linesMax) a call", timed(work.submit)),
            ], after: work.empty, figures)
        try compare(
            [
                ("taken the old way (Python, TCP), an HDEL and an HSET", { try OldClient.run("take", work) }),
                ("taken by us, an HDEL and an HSET, a call each", timed(work.takeOneByOne)),
                ("taken by pipelined HDEL and HSET", timed(work.takePipelined)),
                ("taken by our claim, 1 a call", timed { try work.claim(atOnce: 1) }),
                ("taken by our claim, 16 a call", timed { try work.claim(atOnce: 16) }),
                ("taken by our claim, 128 a call", timed { try work.claim(atOnce: 128) }),
            ], after: work.fill, figures)
    }

    private func timed(_ work: @escaping () throws -> Void) -> () throws -> Double {
        { try seconds { try work() } }
    }

    /// Each way in turn, round after round, with its ratio to the first two; `prepare` is not counted.
    private func compare(
        _ ways: [(name: String, work: () throws -> Double)], after prepare: () throws -> Void, _ figures: FigureTable
    ) throws {
        var rates = ways.map { _ in [Double]() }
        for _ in 0..<rounds {
            for (index, way) in ways.enumerated() {
                try prepare()
                rates[index].append(Double(tasks) / (try way.work()))
            }
        }
        for (way, own) in zip(ways, rates) {
            figures.add(way.name, median(own), "tasks/s")
            figures.add("\(way.name): to the old way", median(own) / median(rates[0]), "")
            figures.add("\(way.name): to single calls by us", median(own) / median(rates[1]), "")
        }
    }
}

/// The old system's client: Python, one command after the other over TCP, as its conf.json says. It makes its commands by hand: the old
/// system's redis-py takes half as long again, see docs/PERFORMANCE.md, and need not be installed here.
private enum OldClient {
    private static let program = """
        from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
        from sys import argv, exit
        from time import perf_counter

        port, way, count, todo, doing = int(argv[1]), argv[2], int(argv[3]), argv[4], argv[5]
        connection = create_connection(("127.0.0.1", port))
        connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

        def call(*words):
            parts = [b"*%d\\r\\n" % len(words)]
            for word in words:
                text = word.encode()
                parts.append(b"$%d\\r\\n%s\\r\\n" % (len(text), text))
            connection.sendall(b"".join(parts))
            if connection.recv(100) != b":1\\r\\n":
                exit("an unexpected reply")

        lines = [f"shell:1:0:0:echo {number}" for number in range(count)]
        start = perf_counter()
        for line in lines:
            if way == "put":
                call("HSETNX", todo, line, "")
            else:
                call("HDEL", todo, line)
                call("HSET", doing, line, "n")
        print(perf_counter() - start)
        """

    /// The seconds that its commands took.
    static func run(_ way: String, _ work: QueueWork) throws -> Double {
        let directory = try FileSystem.makeTemporaryDirectory(work.place + "/old-")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let output = try OwnedDescriptor.open(directory + "/output", [.readWrite, .create], mode: 0o600)
        let words = [
            "python3", "-c", program, "\(work.queue.redis.port)", way, "\(work.lines.count)", work.queue.keys.todo,
            work.queue.keys.inProgress,
        ]
        let process = try ChildProcesses.start("/usr/bin/env", words, descriptors: [null.raw, output.raw, 2])
        guard try ChildProcesses.wait(for: process) == .exit(code: 0) else {
            throw BenchError(description: "the old client, a Python program, failed")
        }
        let text = try FileSystem.text(of: directory + "/output")
        guard let seconds = Double(text) else { throw BenchError(description: "the old client told no time: \(text)") }
        return seconds
    }
}

/// One way each to put all lines into a queue, or to take them out.
private struct QueueWork {
    let queue: BenchQueue
    let lines: [TaskLine]
    /// For files.
    let place: String

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
            _ = try queue.redis.client.perform(SubmitTasks(rest, keys: queue.keys))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
    }

    func takeOneByOne() throws {
        for line in lines {
            _ = try queue.redis.command("HDEL", queue.keys.todo, line.text)
            _ = try queue.redis.command("HSET", queue.keys.inProgress, line.text, "n")
        }
    }

    /// A real worker cannot do this: it would learn too late whether its HDEL took anything.
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

// How long a task waits on a node that has nothing else to do: from before it is submitted to the clock it reads itself.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct LatencyMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "latency", abstract: "From submit to the first instruction of the task, on an idle node.")

    @Option(help: "How many tasks of each kind, one after the other.")
    var tasks = 200

    @Option(help: "How long the node has nothing to do before each.")
    var idleMilliseconds = 50

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, idleMilliseconds] }

    /// A command that tells the time as soon as it runs.
    private struct Clock {
        let name: String
        /// The command of a task.
        let command: String
        /// The same, to be started directly.
        let words: [String]
    }

    /// In turn with the same command started directly: the time that its own start takes is in both.
    func measure(in place: String, _ figures: FigureTable) throws {
        let clock = try program("distcomp-bench-clock")
        // bash 5 knows the time without starting a program.
        let script = "exec bash -c 'echo $EPOCHREALTIME'"
        let clocks = [
            Clock(name: "the first instruction", command: clock, words: [clock]),
            Clock(name: "a script in sh, then bash", command: script, words: ["/bin/sh", "-c", script]),
        ]
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": 2"#)
        var endedCount = 0
        for clock in clocks {
            var submitted: [Double] = []
            var spawned: [Double] = []
            for number in 0..<tasks {
                pause(milliseconds: UInt32(clamping: idleMilliseconds))
                spawned.append(try spawnedMilliseconds(clock, outputPath: place + "/clock"))
                pause(milliseconds: UInt32(clamping: idleMilliseconds))
                endedCount += 1
                submitted.append(try submittedMilliseconds(clock, number, node, endedCount: endedCount))
            }
            let (ours, bare) = (Spread(submitted), Spread(spawned))
            figures.add("submit to \(clock.name)", ours, "ms")
            figures.add("posix_spawn to \(clock.name)", bare, "ms")
            figures.add("\(clock.name): difference of the medians", ours.median - bare.median, "ms")
        }
    }

    private func submittedMilliseconds(
        _ clock: Clock, _ number: Int, _ node: BenchNode, endedCount: Int
    ) throws -> Double {
        // The number makes each a task of its own, and is an argument that is not looked at.
        let line = "shell:1:0:0:60:\(clock.command) \(number)"
        let start = SystemClock.wallNanoseconds()
        try node.submit([line])
        pause(milliseconds: 10)  // So that our polling does not keep Redis busy meanwhile.
        try node.waitUntil { $0.finished + $0.failed == endedCount }
        let value = FinishedValue(parsing: try node.redis.command("HGET", node.keys.finished, line).bytes ?? [])
        return try milliseconds(from: start, toClockIn: String(decoding: value.standardOutputJSON ?? [], as: UTF8.self))
    }

    private func spawnedMilliseconds(_ clock: Clock, outputPath: String) throws -> Double {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let file = try OwnedDescriptor.open(outputPath, [.readWrite, .create, .truncate], mode: 0o600)
        let start = SystemClock.wallNanoseconds()
        let process = try ChildProcesses.start(
            clock.words[0], Array(clock.words.dropFirst()), descriptors: [null.raw, file.raw, null.raw])
        _ = try ChildProcesses.wait(for: process)
        return try milliseconds(from: start, toClockIn: try FileSystem.text(of: outputPath))
    }

    private func milliseconds(from start: Int64, toClockIn text: String) throws -> Double {
        // Some locales write a comma instead of a point.
        let parts = text.split { !("0"..."9" ~= $0) }.compactMap { Int64($0) }
        guard parts.count >= 2 else { throw BenchError(description: "a task told no time (is bash 5 there?): \(text)") }
        return Double(parts[0] * 1_000_000 + parts[1] - start / 1000) / 1000
    }
}

// How long a task waits on a node that has nothing else to do: from before it is submitted to the clock it reads itself.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct LatencyMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "latency", abstract: "From submit to the first instruction of the task, on an idle node.")

    @Option(help: "How many tasks, one after the other.")
    var tasks = 200

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks] }

    /// In turn with the same command started by nobody but us: what the shell itself takes is in both.
    func measure(in place: String, _ figures: FigureTable) throws {
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": 2"#)
        var submitted: [Double] = []
        var spawned: [Double] = []
        for number in 0..<tasks {
            submitted.append(try submittedMilliseconds(number, node))
            spawned.append(try spawnedMilliseconds(number, outputPath: place + "/clock"))
        }
        let (ours, bare) = (Spread(submitted), Spread(spawned))
        figures.add("submit to the task's clock", ours, "ms")
        figures.add("posix_spawn of the same to its clock", bare, "ms")
        figures.add("difference of the medians", ours.median - bare.median, "ms")
    }

    /// bash 5 knows the time without starting a program.
    private func command(_ number: Int) -> String { "exec bash -c 'echo $EPOCHREALTIME' \(number)" }

    private func submittedMilliseconds(_ number: Int, _ node: BenchNode) throws -> Double {
        let line = "shell:1:0:0:60:" + command(number)
        let start = SystemClock.wallNanoseconds()
        try node.submit([line])
        pause(milliseconds: 10)  // Our questions shall not keep Redis busy meanwhile.
        try node.waitUntil { $0.finished + $0.failed == number + 1 }
        let value = FinishedValue(parsing: try node.redis.command("HGET", node.keys.finished, line).bytes ?? [])
        return try milliseconds(from: start, toClockIn: String(decoding: value.standardOutputJSON, as: UTF8.self))
    }

    private func spawnedMilliseconds(_ number: Int, outputPath: String) throws -> Double {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let file = try OwnedDescriptor.open(outputPath, [.readWrite, .create, .truncate], mode: 0o600)
        let start = SystemClock.wallNanoseconds()
        let process = try ChildProcesses.start(
            "/bin/sh", ["-c", command(number)], descriptors: [null.raw, file.raw, null.raw])
        _ = try ChildProcesses.wait(for: process)
        return try milliseconds(from: start, toClockIn: try FileSystem.text(of: outputPath))
    }

    private func milliseconds(from start: Int64, toClockIn text: String) throws -> Double {
        // In some places the seconds end with a comma.
        let parts = text.split { !("0"..."9" ~= $0) }.compactMap { Int64($0) }
        guard parts.count >= 2 else { throw BenchError(description: "a task told no time (is bash 5 there?): \(text)") }
        return Double(parts[0] * 1_000_000 + parts[1] - start / 1000) / 1000
    }
}

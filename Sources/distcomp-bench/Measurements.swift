// What is measured, each on real processes in real control groups.

import LinuxSystem
import TaskModel
import TaskQueue

/// Tasks that do nothing, from submit to report, in turn with as many under `xargs -P` with one process a core.
func measureThroughput(taskCount: Int, in place: String, _ report: FigurePrinter) throws {
    let cores = Host.coreCount
    var ours: [Double] = []
    var theirs: [Double] = []
    var costs: [Double] = []
    for round in 0..<3 {
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": \#(cores * 2)"#)
        let before = try node.daemonCPUSeconds()
        let start = SystemClock.bootNanoseconds()
        try node.submit((0..<taskCount).map { "shell:1:0:0:true \(round) \($0)" })
        try node.waitUntil { $0.finished + $0.failed == taskCount }
        ours.append(Double(taskCount) / seconds(since: start))
        costs.append((try node.daemonCPUSeconds() - before) / Double(taskCount) * 1e6)
        theirs.append(try xargsRate(taskCount: taskCount, cores: cores))
    }
    report.print("throughput", "tasks", median(ours), "/s")
    report.print("throughput", "xargs -P\(cores) sh -c true", median(theirs), "/s")
    report.print("throughput", "share of xargs", median(zip(ours, theirs).map { $0 / $1 }), "")
    report.print("throughput", "daemon CPU per task", median(costs), "us")
}

private func xargsRate(taskCount: Int, cores: Int) throws -> Double {
    let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
    let start = SystemClock.bootNanoseconds()
    let process = try ChildProcesses.start(
        "/bin/sh", ["-c", "seq \(taskCount) | xargs -P\(cores) -I{} sh -c true"],
        descriptors: [null.raw, null.raw, null.raw])
    _ = try ChildProcesses.wait(for: process)
    return Double(taskCount) / seconds(since: start)
}

/// The daemon's memory, idle and with sleeping tasks.
func measureRunning(taskCount: Int, in place: String, _ report: FigurePrinter) throws {
    let node = try BenchNode(in: place, settings: #""max_task_per_worker": \#(taskCount), "stop_grace_seconds": 0"#)
    report.print("running", "daemon memory idle", try node.daemonMemoryMegabytes(), "MB")
    try node.submit((0..<taskCount).map { "shell:1:0:0:0:sleep 10\($0)" })
    try node.waitUntil { $0.inProgress == taskCount && $0.todo == 0 }
    pause(milliseconds: 2000)
    report.print("running", "daemon memory with \(taskCount) tasks", try node.daemonMemoryMegabytes(), "MB")
    let before = try node.daemonCPUSeconds()
    pause(milliseconds: 10_000)
    report.print("running", "daemon CPU with \(taskCount) tasks", (try node.daemonCPUSeconds() - before) * 100, "ms/s")
}

/// How long after its deadline each of many tasks was over.
func measureTimeouts(taskCount: Int, in place: String, _ report: FigurePrinter) throws {
    let node = try BenchNode(in: place, settings: #""max_task_per_worker": 50"#)
    // From 1 to 2 seconds: in a sweep, too, tasks do not all end in the same instant.
    try node.submit(
        (0..<taskCount).map { #"{"command": "sleep 10\#($0)", "timeout": \#(1 + Double($0 * 7919 % 1000) / 1000)}"# })
    try node.waitUntil { $0.failed == taskCount }
    let late = try node.outcomes().filter { $0.cause == .timeout }.map {
        ($0.usage.wallSeconds - ($0.timeoutSeconds ?? 0)) * 1000
    }
    guard late.count == taskCount else { throw BenchError(description: "\(late.count) of \(taskCount) timed out") }
    report.print("timeouts", "over after the deadline", of: late, "ms")
}

/// From asking for the end of a deaf tree to its report, which comes once nothing of it is left.
func measureTree(processCount: Int, in place: String, _ report: FigurePrinter) throws {
    let node = try BenchNode(in: place, settings: #""kill_grace_seconds": 0.001, "max_task_per_worker": 1"#)
    var times: [Double] = []
    for round in 0..<5 {
        let line =
            "shell:1:0:0:0:trap '' TERM; for i in $(seq \(processCount)); do sleep 100\(round) & done; echo up; wait"
        try node.submit([line])
        try node.waitUntil { $0.inProgress == 1 }
        pause(milliseconds: 2500)  // Until all of them are there.
        let start = SystemClock.bootNanoseconds()
        _ = try CancelTask.parse(try node.client.call(CancelTask(line, keys: node.keys).request))
        try node.waitUntil { $0.failed == round + 1 }
        times.append(seconds(since: start) * 1000)
    }
    report.print("tree", "a tree of \(processCount) processes is gone after", median(times), "ms")
}

private func seconds(since nanoseconds: Int64) -> Double { Double(SystemClock.bootNanoseconds() - nanoseconds) / 1e9 }

private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }

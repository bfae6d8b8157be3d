// How late deadlines are when there are many, and how long a tree of processes that ignore TERM takes to die.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

struct TimeoutMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "timeout", abstract: "How late 1,000 deadlines are; how long a tree of processes takes to die.")

    @Option(help: "How many tasks run into their timeouts.")
    var tasks = 1000

    @Option(help: "How many processes, deaf to TERM, are in the tree.")
    var processes = 500

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, processes] }

    func measure(in place: String, _ figures: FigureTable) throws {
        try measureDeadlines(in: place, figures)
        try measureTree(in: place, figures)
    }

    /// How long after its deadline each of many tasks was over.
    private func measureDeadlines(in place: String, _ figures: FigureTable) throws {
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": 50"#)
        // From 1 to 2 seconds: in a sweep, too, tasks do not all end in the same instant.
        try node.submit(
            (0..<tasks).map { #"{"command": "sleep 10\#($0)", "timeout": \#(1 + Double($0 * 7919 % 1000) / 1000)}"# })
        try node.waitUntil { $0.failed == tasks }
        let late = try node.outcomes().filter { $0.cause == .timeout }.map {
            ($0.usage.wallSeconds - ($0.timeoutSeconds ?? 0)) * 1000
        }
        guard late.count == tasks else { throw BenchError(description: "\(late.count) of \(tasks) timed out") }
        figures.add("over after the deadline", Spread(late), "ms")
    }

    /// From the cancelling of a tree that ignores TERM to its report, which comes once nothing of it is left.
    private func measureTree(in place: String, _ figures: FigureTable) throws {
        let node = try BenchNode(in: place, settings: #""kill_grace_seconds": 0.001, "max_task_per_worker": 1"#)
        var times: [Double] = []
        for round in 0..<5 {
            let line =
                "shell:1:0:0:0:trap '' TERM; for i in $(seq \(processes)); do sleep 100\(round) & done; echo up; wait"
            try node.submit([line])
            _ = try waited("the whole tree") { try node.standardOutput(of: line) == "up" ? true : nil }
            times.append(
                try seconds {
                    _ = try node.redis.client.perform(CancelTask(line, keys: node.keys))
                    try node.waitUntil { $0.failed == round + 1 }
                } * 1000)
        }
        figures.add("a tree of \(processes) processes is gone after", Spread(times), "ms")
    }
}

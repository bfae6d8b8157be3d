// Tasks that do nothing, from submit to report, at ever more slots, in turn with as many under `xargs -P`, one process a core.

import ArgumentParser
import LinuxSystem
import TaskModel

struct ThroughputMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "throughput", abstract: "Short tasks from submit to report at 1 to 64 slots, beside `xargs -P`.")

    @Option(help: "How many tasks at each number of slots.")
    var tasks = 1000

    @Option(
        parsing: .upToNextOption, help: "How many tasks the node runs at a time, in one measurement after the other.")
    var slots = [1, 2, 4, 8, 16, 32, 64]

    @Option(help: "How often all of it is measured; medians are printed.")
    var rounds = 3

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, rounds] + slots }

    private struct Round {
        let ours: Double
        let xargs: Double
        let daemonMicroseconds: Double
    }

    func measure(in place: String, _ figures: FigureTable) throws {
        var all = slots.map { _ in [Round]() }
        for round in 0..<rounds {
            for (index, size) in slots.enumerated() { all[index].append(try measureOnce(size, round, in: place)) }
        }
        for (size, rounds) in zip(slots, all) {
            figures.add("\(size) slots: tasks", median(rounds.map(\.ours)), "/s")
            figures.add("\(size) slots: share of xargs", median(rounds.map { $0.ours / $0.xargs }), "")
            figures.add("\(size) slots: daemon CPU per task", median(rounds.map(\.daemonMicroseconds)), "us")
        }
        figures.add(
            "xargs -P\(Host.coreCount) sh -c true", median(all.flatMap { $0.map(\.xargs) }), "/s")
    }

    private func measureOnce(_ slots: Int, _ round: Int, in place: String) throws -> Round {
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": \#(slots)"#)
        let before = try node.daemonCPUSeconds()
        let took = try seconds {
            try node.submit((0..<tasks).map { "shell:1:0:0:true \(round) \($0)" })
            try node.waitUntil { $0.finished + $0.failed == tasks }
        }
        let busy = try node.daemonCPUSeconds() - before
        return Round(
            ours: Double(tasks) / took, xargs: Double(tasks) / (try xargsSeconds()),
            daemonMicroseconds: busy / Double(tasks) * 1e6)
    }

    private func xargsSeconds() throws -> Double {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        return try seconds {
            let process = try ChildProcesses.start(
                "/bin/sh", ["-c", "seq \(tasks) | xargs -P\(Host.coreCount) -I{} sh -c true"],
                descriptors: [null.raw, null.raw, null.raw])
            _ = try ChildProcesses.wait(for: process)
        }
    }
}

// What it is worth that a task is told how many cores it has. Programs that are not start a thread for each core of the machine,
// and as many of them as fit side by side get in each other's way. NumPy with OpenBLAS, as most have it.

import ArgumentParser
import LinuxSystem
import TaskModel

struct ThreadsMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "threads", abstract: "NumPy tasks side by side: untold how many cores they have, told, and pinned."
    )

    @Option(help: "How many times each is measured, in turn; the shortest counts.")
    var rounds = 3

    @Option(help: "How many products of matrices a task makes, by a hundred.")
    var products = 20

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [rounds, products] }

    private static let untold = "env " + TaskVariables.threads.map { "-u \($0)" }.joined(separator: " ") + " "

    func measure(in place: String, _ figures: FigureTable) throws {
        let cores = Host.coreCount
        try measure(
            "\(max(1, cores / 2)) tasks of 2 cores", count: max(1, cores / 2), cores: 2, size: 1000, in: place, figures)
        try measure("\(cores) tasks of 1 core", count: cores, cores: 1, size: 256, in: place, figures)
    }

    private func measure(
        _ title: String, count: Int, cores: Int, size: Int, in place: String, _ figures: FigureTable
    ) throws {
        // About as much work whatever the size.
        let repetitions = products * (size < 500 ? 100 : 2)
        let command =
            #"python3 -c "import numpy; a = numpy.ones((\#(size), \#(size))); [a @ a for _ in range(\#(repetitions))]""#
        var shortest = [Double](repeating: .infinity, count: 3)
        for round in 0..<rounds {
            for (way, (limit, prefix)) in [("weight", Self.untold), ("weight", ""), ("pin", "")].enumerated() {
                let node = try BenchNode(
                    in: place, settings: #""cpu_limit": "\#(limit)", "max_task_per_worker": \#(count)"#)
                let lines = (0..<count).map {
                    "shell:1:0:\(min(cores, Host.coreCount)):\(prefix)\(command) \(round).\($0)"
                }
                let took = try seconds {
                    try node.submit(lines)
                    try node.waitUntil { $0.finished + $0.failed == count }
                }
                guard try node.counts().finished == count else {
                    throw BenchError(description: "python3 -c 'import numpy' fails for the user whom tasks run as")
                }
                shortest[way] = min(shortest[way], took)
            }
        }
        figures.add("\(title): untold", shortest[0], "s")
        figures.add("\(title): told, to untold", shortest[1] / shortest[0], "")
        figures.add("\(title): pinned, to untold", shortest[2] / shortest[0], "")
    }
}

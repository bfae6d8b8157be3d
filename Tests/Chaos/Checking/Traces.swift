// What the tasks wrote, read back: every time a task was begun, by whom, when, and how far it came.

import LinuxSystem

/// One execution of a task.
struct Run {
    let node: String
    let process: Int
    /// On the clock of /proc/uptime.
    let startSeconds: Double
    /// Its last sign of life.
    var lastSeconds: Double
    var hasEnded = false
    /// Where its first and last lines stand in their file, which is the order of things.
    let firstLine: Int
    var lastLine: Int
}

/// The executions of every task, in the order in which they were begun.
struct Traces {
    private(set) var runs: [[Run]]
    /// Lines that cannot be: half a line, an unknown task, an end without a start.
    private(set) var strangeLines: [String] = []

    init(of tasks: TaskSet) throws {
        runs = Array(repeating: [], count: tasks.count)
        for name in try FileSystem.entries(of: tasks.traces) {
            let text = try FileSystem.text(of: tasks.traces + "/" + name, bytesMax: 64 << 20)
            for (position, line) in text.split(separator: "\n").enumerated() { read(line, at: position) }
        }
    }

    private mutating func read(_ line: Substring, at position: Int) {
        let words = line.split(separator: " ")
        guard words.count == 5, let number = Int(words[0]), runs.indices.contains(number), let process = Int(words[1]),
            let seconds = Double(words[3])
        else {
            strangeLines.append(String(line))
            return
        }
        if words[4] == "start" {
            runs[number].append(
                Run(
                    node: String(words[2]), process: process, startSeconds: seconds, lastSeconds: seconds,
                    firstLine: position, lastLine: position))
            return
        }
        // The latest of that process: numbers of processes come again.
        guard let index = runs[number].lastIndex(where: { $0.process == process && $0.node == words[2] }) else {
            strangeLines.append(String(line))
            return
        }
        runs[number][index].lastSeconds = seconds
        runs[number][index].lastLine = position
        if words[4] == "end" { runs[number][index].hasEnded = true }
    }
}

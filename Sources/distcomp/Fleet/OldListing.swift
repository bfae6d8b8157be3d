// What the old manager printed, column for column: scripts and people's eyes are used to it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct OldListing {
    let queue: QueueClient
    let include: String
    let exclude: String
    private let output = BufferedOutput()
    private let isTerminal = standardOutput.isTerminal

    /// Which parts of the listing of tasks are wanted.
    struct Parts {
        var todo: Bool
        var inProgress: Bool
        var finished: Bool
        var failed: Bool
        var reasons: Bool
        var results: Bool
    }

    init(queue: QueueClient, include: String, exclude: String) {
        self.queue = queue
        self.include = include
        self.exclude = exclude
    }

    // MARK: Tasks

    func printTasks(_ parts: Parts) throws(CommandError) {
        queue.beforeWaiting = output.flush
        defer { queue.beforeWaiting = {} }
        let keys = queue.keys
        let counts = try queue.answers(
            [keys.todo, keys.inProgress, keys.finished, keys.failed].map { .command(RedisCommand("HLEN", $0)) }
        ).map { $0.int ?? 0 }
        try output.show(
            "\(counts[0]) todo tasks, \(counts[1]) in_progress tasks, \(counts[2]) finished tasks, \(counts[3]) failed tasks\n\n"
        )
        if parts.todo { try printPart("todo task ", keys.todo, withValues: false) }
        if parts.inProgress { try printPart("in_progress task ", keys.inProgress, withValues: true) }
        if parts.finished { try printPart("finished task ", keys.finished, withValues: parts.results) }
        if parts.failed { try printPart("failed task ", keys.failed, withValues: true) }
        if parts.reasons, try queue.answers([.command(RedisCommand("HLEN", keys.failReason))]).first?.int ?? 0 > 0 {
            try printPart("task fail reason", keys.failReason, withValues: true)
        }
        try output.flush()
    }

    private func printPart(_ title: String, _ key: String, withValues: Bool) throws(CommandError) {
        let bar = String(repeating: "#", count: 48)
        try output.show("\(bar)  \(title) \(bar)\n")
        try queue.scan(key) { entries throws(CommandError) in
            for (field, value) in entries {
                let line = queue.text(field)
                guard isWanted(line) else { continue }
                let text = Self.described(line) + (withValues ? ":         \(queue.text(value))" : "")
                try output.show((isTerminal ? LogPrinter.escaped(text) : text) + "\n")
            }
        }
    }

    /// A task as the old manager wrote it out; a line that is not a task, as it is.
    static func described(_ line: String) -> String {
        guard let task = try? TaskLine(parsing: line) else { return line }
        let gigabytes = decimal(Double(task.memoryBytes) / 1_073_741_824)
        let cores = decimal(Double(task.millicores) / 1000)
        return "task_type: \(task.type.rawValue), priority: \(task.priority), min_dram_gb: \(gigabytes), "
            + "require_cpu_core: \(cores), task_params: \(task.command)"
    }

    /// Without trailing zeros: the old system knew only whole numbers.
    private static func decimal(_ number: Double) -> String {
        var text = fixed(number, places: 3)
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }

    /// As in the old manager, --exclude counts for nothing beside --include.
    private func isWanted(_ text: String) -> Bool {
        if !include.isEmpty { return text.contains(include) }
        return exclude.isEmpty || !text.contains(exclude)
    }

    // MARK: Workers

    func printWorkers() throws(CommandError) {
        let titles = [
            "cores_used", "cores_total", "mem_used (GB)", "mem_total (GB)", "n_current_task", "n_finished_tasks",
        ]
        try output.show("  worker  last_update_from_now \(titles.map { padded($0, 12) }.joined(separator: " ")) \n")
        let running = try countByWorker(queue.keys.inProgress) { $0 }
        let finished = try countByWorker(queue.keys.finished) { $0.prefix { $0 != UInt8(ascii: ":") } }
        var rows: [(name: String, fields: [String])] = []
        try queue.scan(queue.keys.workerStatus) { entries in
            for (field, value) in entries {
                let fields = queue.text(value).split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                if fields.count == 5, isWanted(queue.text(field)) { rows.append((queue.text(field), fields)) }
            }
        }
        let now = SystemClock.wallSeconds()
        for row in rows.sorted(by: { $0.name < $1.name }) {
            let age =
                Double(row.fields[0]).flatMap { Int64(exactly: $0.rounded(.down)) }.map { String(now - $0) } ?? "?"
            let cells =
                [age] + row.fields.dropFirst() + [String(running[row.name] ?? 0), String(finished[row.name] ?? 0)]
            let text = ([filled(row.name, 12)] + cells.map { padded($0, 12) }).joined(separator: " ")
            try output.show(TerminalText.escaped(text) + "\n")
        }
        try output.flush()
    }

    /// How many entries of a hash are each worker's.
    private func countByWorker(
        _ key: String, _ name: ([UInt8]) -> some Sequence<UInt8>
    ) throws(CommandError) -> [String: Int] {
        var counts: [String: Int] = [:]
        try queue.scan(key) { entries in
            for (_, value) in entries { counts[String(decoding: Array(name(value)), as: UTF8.self), default: 0] += 1 }
        }
        return counts
    }
}

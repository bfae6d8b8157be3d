// Everything known of one task: as lines for people, as an object for scripts.

import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp show TASK`: everything known of a task.
struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show everything known of a task.",
        discussion: """
            Examples:
              distcomp show 4f2a
              distcomp show 'shell:5:2G:1:10m:./cachesim lru 1G'
              distcomp show --json '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: TaskSelection

    @Flag(help: "Print one JSON object a task.")
    var json = false

    func run() throws {
        try connection.withQueue { queue in
            let files = OutputFiles(queue, stateDirectory: connection.state)
            var isFirst = true
            for task in selection.tasks {
                try queue.forEachLine(named: task) { line throws(CommandError) in
                    var details = try queue.details(of: line)
                    details.result = details.result.map { files.completed($0) }
                    if !json && !isFirst { try show("\n") }
                    isFirst = false
                    let kept = files.keptAttempts(of: line, last: details.result?.outcome)
                    try show(
                        json
                            ? ResultFormat.shown(details.json(kept: kept)) + "\n"
                            : details.text(kept: kept, columns: standardOutput.terminalColumns))
                    return true
                }
            }
        }
    }
}

extension Usage {
    /// What was seen of its GPUs, as people read it; nil for nothing.
    var gpuText: String? {
        let parts = [
            gpuMemoryPeakBytes.map { "peak \(AmountText.memory($0))" },
            gpuUtilization.map { "\(fixed($0 * 100, places: 0)) % busy" },
        ].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}

extension TaskDetails {
    /// How many lines of output are shown.
    private static let outputLinesMax = 10
    private static let nameColumns = 9

    /// A name and a value a line.
    ///
    /// - Parameter kept: the attempts whose output is on this machine.
    func text(kept: [Int], columns: Int?) -> String {
        var rows: [(String, String)] = [("task", line), ("id", TaskLine.identifier(of: line)), ("state", stateText)]
        if let task {
            if let name = task.surroundings?.name { rows.append(("name", name)) }
            rows.append(("command", task.command))
            rows.append(("asks for", request(task)))
        }
        rows += historyRows + usageRows + keptRows(kept)
        var text = rows.map { name, value in
            let row = "\(filled(name, Self.nameColumns))  \(TerminalText.escaped(value))"
            return (columns.map { TerminalText.shortened(row, to: $0) } ?? row) + "\n"
        }.joined()
        if let output = result?.standardOutputJSON.flatMap({ JSONText.unquoted($0) }) {
            let beginning = result?.outputEnd == nil ? "the first MiB of stdout" : "the beginning of stdout"
            text += block(result?.isOutputTruncated == true ? beginning : "stdout", output)
        }
        if let end = result?.outputEnd, let output = JSONText.unquoted(end.json) {
            text += block("the end of stdout, \(grouped(end.omittedBytes)) bytes further on", output)
        }
        text += block("the end of stderr", result?.outcome?.stderrTail ?? "")
        return text
    }

    private var stateText: String {
        switch state {
        case .inProgress:
            "running on \(standing.worker ?? "")"
                + (standing.copyingWorker.map { ", and a second copy on \($0)" } ?? "")
        case .todo:
            "todo" + (awaited.map { ", \($0.text)" } ?? "")
                + (standing.aheadCount.map { ", \(grouped($0)) before it" } ?? "")
        case .finished: "finished"
        case .failed: "failed: \(result?.explanation ?? "unknown")"
        case nil: "not in the queue any more"
        }
    }

    /// What its line asks for, in words.
    func request(_ task: TaskLine) -> String {
        let timeout =
            switch task.timeout {
            case .byDefault: "the default timeout"
            case .none: "no timeout"
            case .seconds(let seconds): "timeout \(AmountText.seconds(seconds))"
            }
        let memory = task.memoryBytes == 0 ? "no memory cap of its own" : AmountText.memory(task.memoryBytes)
        let cores = fixed(Double(task.millicores) / 1000, places: task.millicores % 1000 == 0 ? 0 : 3)
        let coresText = "\(cores) core\(cores == "1" ? "" : "s")"
        return "\(memory), \(coresText), \(timeout), priority \(task.priority), type \(task.type.rawValue)"
    }

    private var historyRows: [(String, String)] {
        var rows: [(String, String)] = []
        if !standing.failedOn.isEmpty { rows.append(("failed on", standing.failedOn.joined(separator: ", "))) }
        if standing.requeueCount > 0 {
            let count = standing.requeueCount
            rows.append(("went back", "to the queue as it asked, \(count) time\(count == 1 ? "" : "s")"))
        }
        if let due = standing.dueMilliseconds {
            rows.append(("next try", LocalTime(unixSeconds: Int64(due / 1000)).text))
        }
        guard let result else { return rows }
        if state == .todo || state == .inProgress { rows.append(("last try", result.explanation)) }
        if let outcome = result.outcome {
            rows.append(("attempt", "\(outcome.attempt)"))
            if let ended = outcome.finishedAtUnixSeconds {
                rows.append(("ended", LocalTime(unixSeconds: Int64(ended)).text))
            }
        }
        if !result.node.isEmpty { rows.append(("node", result.node)) }
        if let left = result.whereItsOutputIs { rows.append(("output", left)) }
        return rows
    }

    /// Where to see what earlier attempts wrote.
    private func keptRows(_ kept: [Int]) -> [(String, String)] {
        let order = "distcomp logs --attempt N \(TaskLine.identifier(of: line).prefix(8))"
        if kept.count > 1 {
            let numbers = kept.reversed().map { "\($0)" }
            let list = numbers.dropLast().joined(separator: ", ") + " and " + (numbers.last ?? "")
            return [("outputs", "attempts \(list) are kept here: \(order)")]
        }
        return attemptCount > 1 ? [("outputs", "nodes keep those of their last three attempts: \(order)")] : []
    }

    private var usageRows: [(String, String)] {
        guard let outcome = result?.outcome else { return [] }
        let usage = outcome.usage
        var rows = [("wall", AmountText.seconds(usage.wallSeconds))]
        if let seconds = usage.cpuSeconds, let user = usage.userSeconds, let system = usage.systemSeconds {
            rows.append(
                (
                    "cpu",
                    "\(AmountText.seconds(seconds)) (user \(AmountText.seconds(user)), system \(AmountText.seconds(system)))"
                ))
        }
        if let peak = usage.memoryPeakBytes {
            let cap = outcome.memoryCapBytes.map { " of \(AmountText.memory($0))" } ?? ""
            let needed = usage.memoryNeededBytes.map { $0 < peak - peak / 10 ? $0 : peak } ?? peak
            let withoutFiles =
                needed == peak ? "" : " (\(AmountText.memory(needed)) without files it read or wrote)"
            rows.append(("memory", "peak \(AmountText.memory(peak))\(cap)\(withoutFiles)"))
        }
        if let text = usage.gpuText { rows.append(("gpu", text)) }
        if let place = outcome.packedOutput, let path = place.segmentPath {
            let sizes = "\(place.stdoutBytes) bytes of stdout, then \(place.stderrBytes) of stderr"
            rows.append(("output", "\(path), from byte \(place.offset): \(sizes)"))
        }
        if !outcome.stdoutPath.isEmpty { rows.append(("stdout", outcome.stdoutPath)) }
        if !outcome.stderrPath.isEmpty { rows.append(("stderr", outcome.stderrPath)) }
        return rows
    }

    /// The last lines of some output, each escaped and behind a bar.
    private func block(_ title: String, _ output: String) -> String {
        let lines = output.split(whereSeparator: \.isNewline)
        guard !lines.isEmpty else { return "" }
        let left = lines.count > Self.outputLinesMax ? " (last \(Self.outputLinesMax) of \(lines.count) lines)" : ""
        return "\(title)\(left):\n"
            + lines.suffix(Self.outputLinesMax)
            .map { "  | \(TerminalText.shortened(TerminalText.escaped(String($0)), to: 500))\n" }.joined()
    }

    /// One object: what the line asks for, where it stands, and the fields of a result.
    func json(kept: [Int]) -> String {
        var writer = JSONObjectWriter()
        writer.field("task", line)
        writer.field("id", TaskLine.identifier(of: line))
        writer.field("state", state?.rawValue)
        writer.field("type", task?.type.rawValue)
        writer.field("priority", task?.priority)
        writer.field("memory_bytes", task?.memoryBytes)
        writer.field("cores", task.map { Double($0.millicores) / 1000 })
        if case .seconds(let seconds) = task?.timeout {
            writer.field("timeout_requested_seconds", seconds)
        } else {
            writer.field("timeout_requested_seconds", task?.timeout == TimeoutRequest.none ? 0.0 : nil)
        }
        writer.field("name", task?.surroundings?.name)
        writer.field("command", task?.command)
        writer.field("ahead", standing.aheadCount)
        writer.field("running_on", standing.worker)
        writer.field("second_copy_on", standing.copyingWorker)
        writer.field("failed_on", standing.failedOn)
        writer.field("requeues", standing.requeueCount)
        writer.field("retry_at", standing.dueMilliseconds.map { Double($0) / 1000 })
        writer.field("kept_attempts", json: Array("[\(kept.map { "\($0)" }.joined(separator: ","))]".utf8))
        writer.field("last_attempt", json: Array((result?.json ?? "null").utf8))
        return writer.text
    }
}

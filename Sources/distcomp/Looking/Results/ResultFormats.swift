// The shapes in which results leave for other programs: JSON objects, comma-separated values, and GNU parallel's job log.

import LinuxSystem
import TaskModel

/// Writes results as one of the formats of `distcomp results`.
enum ResultFormat: String, CaseIterable {
    case table, jsonl, csv, joblog

    /// `text` as it is for a file or a program, and harmless to a terminal: there nobody reads it back.
    static func shown(_ text: String) -> String {
        standardOutput.isTerminal ? LogPrinter.escaped(text) : text
    }
}

/// Comma-separated values as RFC 4180 has them: a heading, CR LF, quotes where they are needed and doubled inside.
enum ResultCSV {
    static let heading = row([
        "task", "state", "cause", "exit_code", "signal", "worker", "attempts", "wall_seconds", "cpu_seconds",
        "memory_peak_bytes", "memory_cap_bytes", "finished_at", "reason", "stdout_path", "stderr_path", "stdout",
    ])

    static func row(_ result: TaskResult) -> String {
        let outcome = result.outcome
        var exitCode: String?
        if case .exit(let code) = outcome?.cause { exitCode = String(code) }
        var signal: String?
        if case .signal(let number) = outcome?.cause { signal = String(number) }
        return row([
            result.line, result.state.rawValue, outcome?.cause.word, exitCode, signal, result.node,
            outcome.map { String($0.attempt) }, outcome.map { decimal($0.usage.wallSeconds) },
            outcome?.usage.cpuSeconds.map(decimal), outcome?.usage.memoryPeakBytes.map { String($0) },
            outcome?.memoryCapBytes.map { String($0) }, outcome?.finishedAtUnixSeconds.map(decimal), result.reason,
            outcome?.stdoutPath, outcome?.stderrPath, result.standardOutputJSON.flatMap { JSONText.unquoted($0) },
        ])
    }

    private static func row(_ fields: [String?]) -> String {
        fields.map { field($0 ?? "") }.joined(separator: ",") + "\r\n"
    }

    private static func field(_ whole: String) -> String {
        let text = ResultFormat.shown(whole)
        // Bytes are compared, since Swift takes CR LF for one Character that equals neither.
        let needsQuotes = text.utf8.contains { byte in
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\r")
                || byte == UInt8(ascii: "\n")
        }
        guard needsQuotes else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    private static func decimal(_ number: Double) -> String { fixed(number, places: 3) }
}

/// The columns of GNU parallel's --joblog, with what its tools (`--resume-failed` and people's own) read from them.
enum ResultJobLog {
    static let heading = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

    static func row(_ result: TaskResult, number: Int) -> String {
        let outcome = result.outcome
        let wallSeconds = outcome?.usage.wallSeconds ?? 0
        let (exitValue, signal) = ending(result)
        let started = max(0, (outcome?.finishedAtUnixSeconds ?? 0) - wallSeconds)
        let received = result.standardOutputJSON.flatMap { JSONText.unquoted($0) }?.utf8.count ?? 0
        let command = (try? TaskLine(parsing: result.line))?.command ?? result.line
        let fields = [
            String(number), result.node.isEmpty ? ":" : ResultFormat.shown(result.node), fixed(started, places: 3),
            padded(fixed(wallSeconds, places: 3), 10), "0", String(received), String(exitValue), String(signal),
            // As GNU parallel does, so that a line stays a line.
            ResultFormat.shown(
                command.split(separator: "\n", omittingEmptySubsequences: false).joined(separator: "\0")),
        ]
        return fields.joined(separator: "\t") + "\n"
    }

    /// Exit value and signal: -1 and SIGTERM is what GNU parallel writes for a job it stopped at its timeout.
    private static func ending(_ result: TaskResult) -> (exitValue: Int32, signal: Int32) {
        switch result.outcome?.cause {
        case .exit(let code): (code, 0)
        case .signal(let number): (0, number)
        case .oom, .memoryPressure: (0, 9)
        case .timeout, .cancelled: (-1, 15)
        case .launch: (127, 0)  // What a shell says of a command it cannot run.
        case .nodeLost: (-1, 0)
        case nil: (result.succeeded ? 0 : 1, 0)
        }
    }
}

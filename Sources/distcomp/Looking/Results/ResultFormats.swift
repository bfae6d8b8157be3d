// The shapes in which results leave for other programs: JSON objects, comma-separated values, and GNU parallel's job log.

import LinuxSystem
import TaskModel

/// One of the formats of `distcomp results`.
enum ResultFormat: String, CaseIterable {
    case table, jsonl, csv, joblog

    /// `text` as it is for a file or a program, and harmless to a terminal: there nobody reads it back.
    static func shown(_ text: String) -> String {
        standardOutput.isTerminal ? LogPrinter.escaped(text) : text
    }
}

/// Comma-separated values as RFC 4180 has them: a heading, CR LF, quotes where they are needed and doubled inside.
struct ResultCSV {
    /// What stands for each value of the sweep; nil: all are in one column, as JSON.
    let columns: [String]?

    init(columns: [String]? = nil) { self.columns = columns }

    var heading: String {
        guard let columns else { return Self.row(TaskResult.fieldNames) }
        return Self.row(TaskResult.fieldNames.flatMap { $0 == TaskResult.valuesName ? columns : [$0] })
    }

    func row(_ result: TaskResult) -> String {
        guard let columns else { return Self.row(result.fields.map(\.value.cell)) }
        let values = result.values.map { $0.map(\.value.cell) } ?? Array(repeating: nil, count: columns.count)
        return Self.row(result.fields.flatMap { $0.name == TaskResult.valuesName ? values : [$0.value.cell] })
    }

    private static func row(_ fields: [String?]) -> String {
        fields.map { field($0 ?? "") }.joined(separator: ",") + "\r\n"
    }

    private static func field(_ whole: String) -> String {
        let text = ResultFormat.shown(whole)
        // By bytes: CR LF is one Character that equals neither, and so is a quote with an accent on it.
        let needsQuotes = text.utf8.contains { byte in
            byte == UInt8(ascii: ",") || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\r")
                || byte == UInt8(ascii: "\n")
        }
        guard needsQuotes else { return text }
        let parts = text.utf8.split(separator: UInt8(ascii: "\""), omittingEmptySubsequences: false)
        return "\"" + String(decoding: Array(parts.joined(separator: "\"\"".utf8)), as: UTF8.self) + "\""
    }
}

/// The columns of GNU parallel's --joblog, with what its options (`--resume`, `--retry-failed`) and people's own tools read from them.
enum ResultJobLog {
    static let heading = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

    /// A row but for its first column, the number.
    static func row(_ result: TaskResult, outputByteCount: Int) -> String {
        let (exitValue, signal) = ending(result)
        // NUL stands for the end of a line, as parallel writes and reads it; no command holds a NUL. By bytes: CR LF is one Character.
        let command = shellCommand(result).utf8.map { $0 == UInt8(ascii: "\n") ? 0 : $0 }
        let fields = [
            host(result.node), fixed(max(0, result.startUnixSeconds ?? 0), places: 3),
            padded(fixed(result.outcome?.usage.wallSeconds ?? 0, places: 3), 10), "0", String(outputByteCount),
            String(exitValue), String(signal),
            ResultFormat.shown(String(decoding: command, as: UTF8.self)),
        ]
        return fields.joined(separator: "\t") + "\n"
    }

    /// A word, or parallel would not know the line again; it calls its own machine `:`.
    private static func host(_ node: String) -> String {
        if node.isEmpty { return ":" }
        return ResultFormat.shown(String(node.map { $0.isWhitespace ? "_" : $0 }))
    }

    /// The command as a shell would run it: `parallel --retry-failed` does.
    static func shellCommand(_ result: TaskResult) -> String {
        let task = result.task
        let command = task?.command ?? result.line
        switch task?.type {
        case .shell, nil: return command
        case .python: return "python3 " + command
        case .demo: return "echo demo " + command
        }
    }

    /// Exit value and signal: -1 and SIGTERM is what GNU parallel writes for a job it stopped at its timeout.
    private static func ending(_ result: TaskResult) -> (exitValue: Int32, signal: Int32) {
        switch result.outcome?.cause {
        case .exit(let code): (code, 0)
        case .signal(let number): (0, number)
        case .oom, .memoryPressure: (0, 9)
        case .timeout, .cancelled: (-1, 15)
        case .launch: (127, 0)  // What a shell says of a command it cannot run.
        case .nodeLost, .dependency: (-1, 0)
        case nil: (result.succeeded ? 0 : 1, 0)
        }
    }
}

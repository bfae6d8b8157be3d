// The fields of a result, in one list from which every format is made, so that they agree. A field is always there, and always of one
// type, whatever its value: programs that read tables (pandas, polars, DuckDB) guess the type of a column from what they meet first.

import TaskModel

/// A value of a result with the type it has in every format.
enum ResultValue: Sendable {
    case text(String?)
    case integer(Int?)
    /// A number that may have decimals: it is written with one even if it is whole.
    case number(Double?)
    /// Such a number as somebody wrote it.
    case numberText(String?)
    case flag(Bool?)
    /// Text that is a JSON string already.
    case textJSON([UInt8]?)
    case object([(name: String, value: ResultValue)]?)

    /// As JSON; `null` for what is not known.
    func write(as name: String, to writer: inout JSONObjectWriter) {
        switch self {
        case .text(let text): writer.field(name, text)
        case .integer(let number): writer.field(name, number)
        case .number(let number):
            writer.field(name, json: Array((number.flatMap(Self.decimal) ?? "null").utf8))
        case .numberText(let text): writer.field(name, json: Array((text ?? "null").utf8))
        case .flag(let flag): writer.field(name, flag)
        case .textJSON(let json): writer.field(name, json: json ?? Array("null".utf8))
        case .object(let fields): writer.field(name, json: fields.map(Self.object) ?? Array("null".utf8))
        }
    }

    /// As the field of a table; nil for what is not known.
    var cell: String? {
        switch self {
        case .text(let text): text
        case .integer(let number): number.map { String($0) }
        case .number(let number): number.flatMap(Self.decimal)
        case .numberText(let text): text
        case .flag(let flag): flag.map { $0 ? "true" : "false" }
        case .textJSON(let json): json.flatMap { JSONText.unquoted($0) }
        case .object(let fields): fields.map { String(decoding: Self.object($0), as: UTF8.self) }
        }
    }

    private static func object(_ fields: [(name: String, value: ResultValue)]) -> [UInt8] {
        var writer = JSONObjectWriter()
        for (name, value) in fields { value.write(as: name, to: &writer) }
        return writer.bytes
    }

    /// To microseconds; nil for what no format can say.
    private static func decimal(_ number: Double) -> String? {
        guard number.isFinite else { return nil }
        let text = AmountText.decimal(number, places: 6)
        return text.contains { $0 == "." || $0 == "e" } ? text : text + ".0"
    }
}

extension TaskResult {
    /// The field that holds the values of a sweep; a table of one job has a column for each in its place.
    static let valuesName = "values"

    static let fieldNames = emptyFields.map(\.name)

    /// Each field, with its type and without a value.
    static let emptyFields = TaskResult(line: "", succeeded: true, node: "", reason: "").fields

    /// All that is known, by the names that scripts go by. Times are seconds since 1970: under names such as `finished_at` pandas would
    /// make dates of them.
    var fields: [(name: String, value: ResultValue)] {
        let task = task
        let usage = outcome?.usage
        var launch: (step: String, errno: Int, message: String)?
        if case .launch(let step, let errno, let message) = outcome?.cause { launch = (step, Int(errno), message) }
        return [
            ("task", .text(line)), ("id", .text(TaskLine.identifier(of: line))),
            ("command", .text(task?.command ?? line)), (Self.valuesName, .object(values)),
            ("job", .text(task.map { $0.job?.name ?? Job.defaultName })), ("type", .text(task?.type.rawValue)),
            ("state", .text(state.rawValue)),
            ("cause", .text(outcome?.cause.word)), ("exit_code", .integer(exitCode)), ("signal", .integer(signal)),
            ("reason", .text(reason)), ("error", .text(errorLine)), ("worker", .text(node)),
            ("attempts", .integer(outcome?.attempt)),
            ("requeues", .integer(outcome.flatMap { $0.requeueCount > 0 ? $0.requeueCount : nil })),
            ("start", .number(startUnixSeconds)),
            ("end", .number(outcome?.finishedAtUnixSeconds)), ("wall_seconds", .number(usage?.wallSeconds)),
            ("cpu_seconds", .number(usage?.cpuSeconds)), ("user_seconds", .number(usage?.userSeconds)),
            ("system_seconds", .number(usage?.systemSeconds)), ("timeout_seconds", .number(outcome?.timeoutSeconds)),
            ("memory_peak_bytes", bytes(usage?.memoryPeakBytes)),
            ("memory_needed_bytes", bytes(usage?.memoryNeededBytes)),
            ("memory_cap_bytes", bytes(outcome?.memoryCapBytes)),
            ("memory_grown_from_bytes", bytes(outcome.flatMap { $0.grownFromBytes > 0 ? $0.grownFromBytes : nil })),
            ("memory_cap_hits", bytes(usage?.memoryCapHits)),
            ("gpu_memory_peak_bytes", bytes(usage?.gpuMemoryPeakBytes)),
            ("gpu_utilization", .number(usage?.gpuUtilization)),
            ("oom_kills", bytes(usage?.oomKills)), ("oom_anonymous_bytes", bytes(usage?.oom?.anonymousBytes)),
            ("oom_tmpfs_bytes", bytes(usage?.oom?.tmpfsBytes)), ("oom_kernel_bytes", bytes(usage?.oom?.kernelBytes)),
            ("oom_limit", .text(usage?.oom?.otherLimit)), ("launch_step", .text(launch?.step)),
            ("errno", .integer(launch?.errno)), ("launch_error", .text(launch?.message)),
            ("stdout_path", .text(path(outcome?.stdoutPath))), ("stderr_path", .text(path(outcome?.stderrPath))),
            ("output_segment", .text(outcome?.packedOutput?.segmentPath)),
            ("output_offset", .integer(outcome?.packedOutput.flatMap { $0.segment > 0 ? Int($0.offset) : nil })),
            ("stdout_bytes", .integer(outcome?.packedOutput?.stdoutBytes)),
            ("stderr_bytes", .integer(outcome?.packedOutput?.stderrBytes)),
            ("stderr_tail", .text(outcome?.stderrTail)), ("stdout_truncated", .flag(isOutputTruncated)),
            ("stdout", .textJSON(standardOutputJSON)),
            ("stdout_omitted_bytes", .integer(outputEnd?.omittedBytes)), ("stdout_tail", .textJSON(outputEnd?.json)),
            ("stdout_left_at", .number(outputLeftAtUnixSeconds.map { Double($0) })),
        ]
    }

    /// One object.
    var json: String {
        var writer = JSONObjectWriter()
        for (name, value) in fields { value.write(as: name, to: &writer) }
        return writer.text
    }

    private var exitCode: Int? {
        if case .exit(let code) = outcome?.cause { Int(code) } else { nil }
    }

    private var signal: Int? {
        if case .signal(let number) = outcome?.cause { Int(number) } else { nil }
    }

    private func bytes(_ count: UInt64?) -> ResultValue { .integer(count.map { Int(clamping: $0) }) }

    /// Empty for a task that never got so far as to write.
    private func path(_ path: String?) -> String? { path.flatMap { $0.isEmpty ? nil : $0 } }
}

// The record of an outcome, as it is kept in Redis under the task's line: one line of JSON with the names that
// `distcomp results --format jsonl` prints. Those names are a promise to scripts, so they are always there, as null
// where nothing is known; what we keep for ourselves is written only when there is something to keep.

/// Why a text is not the record of an outcome.
public struct TaskRecordError: Error, Hashable, Sendable, CustomStringConvertible {
    public let message: String

    public var description: String { "not a task record: \(message)" }
}

extension TaskOutcome {
    /// The outcome as one line of JSON. It does not name the task, whose line is the key it is stored under.
    public var record: String {
        var writer = JSONObjectWriter()
        writer.field("state", succeeded ? "finished" : "failed")
        writeFields(to: &writer)
        return writer.text
    }

    /// The fields of the record but for the state, for an object that holds more.
    public func writeFields(to writer: inout JSONObjectWriter) {
        writer.field("cause", cause.word)
        if case .exit(let code) = cause {
            writer.field("exit_code", code)
        } else {
            writer.field("exit_code", Int?.none)
        }
        if case .signal(let number) = cause {
            writer.field("signal", number)
        } else {
            writer.field("signal", Int?.none)
        }
        writer.field("worker", node)
        writer.field("attempts", attempt)
        writer.field("wall_seconds", usage.wallSeconds)
        writer.field("cpu_seconds", usage.cpuSeconds)
        writer.field("memory_peak_bytes", usage.memoryPeakBytes)
        writer.field("stdout_path", stdoutPath)
        writer.field("stderr_path", stderrPath)
        writer.field("reason", reason)
        writeDetails(to: &writer)
    }

    private func writeDetails(to writer: inout JSONObjectWriter) {
        if let seconds = usage.userSeconds { writer.field("user_seconds", seconds) }
        if let seconds = usage.systemSeconds { writer.field("system_seconds", seconds) }
        if let bytes = memoryCapBytes { writer.field("memory_cap_bytes", bytes) }
        if grownFromBytes > 0 { writer.field("memory_grown_from_bytes", grownFromBytes) }
        if requeueCount > 0 { writer.field("requeues", requeueCount) }
        if let timeoutSeconds { writer.field("timeout_seconds", timeoutSeconds) }
        if let bytes = usage.memoryNeededBytes { writer.field("memory_needed_bytes", bytes) }
        if let hits = usage.memoryCapHits { writer.field("memory_cap_hits", hits) }
        if let bytes = usage.gpuMemoryPeakBytes { writer.field("gpu_memory_peak_bytes", bytes) }
        if let part = usage.gpuUtilization { writer.field("gpu_utilization", part) }
        if let kills = usage.oomKills { writer.field("oom_kills", kills) }
        if let oom = usage.oom {
            if let bytes = oom.anonymousBytes { writer.field("oom_anonymous_bytes", bytes) }
            if let bytes = oom.tmpfsBytes { writer.field("oom_tmpfs_bytes", bytes) }
            if let bytes = oom.kernelBytes { writer.field("oom_kernel_bytes", bytes) }
            if let limit = oom.otherLimit { writer.field("oom_limit", limit) }
        }
        if !stderrTail.isEmpty { writer.field("stderr_tail", stderrTail) }
        if let finishedAtUnixSeconds { writer.field("finished_at", finishedAtUnixSeconds) }
        if case .launch(let step, let errno, let message) = cause {
            writer.field("launch_step", step)
            writer.field("errno", errno)
            writer.field("launch_error", message)
        }
        if case .dependency(let parent) = cause { writer.field("parent", parent) }
        if let packedOutput { packedOutput.write(to: &writer) }
        if !notes.isEmpty { writer.field("notes", notes) }
    }

    /// Reads a record back. Only the cause must be there; names that are missing or unknown come from other versions.
    public init(record: String) throws(TaskRecordError) { try self.init(record: Array(record.utf8)) }

    /// Reads a record back, or what `distcomp results` prints of one. Only the cause must be there; names that are missing or unknown
    /// come from other versions.
    public init(record: [UInt8]) throws(TaskRecordError) {
        let fields = try RecordFields(record)
        var usage = Usage(
            wallSeconds: fields.seconds("wall_seconds") ?? 0, userSeconds: fields.seconds("user_seconds"),
            systemSeconds: fields.seconds("system_seconds"), memoryPeakBytes: fields.unsigned("memory_peak_bytes"),
            memoryNeededBytes: fields.unsigned("memory_needed_bytes"),
            memoryCapHits: fields.unsigned("memory_cap_hits"), oomKills: fields.unsigned("oom_kills"), oom: fields.oom()
        )
        usage.gpuMemoryPeakBytes = fields.unsigned("gpu_memory_peak_bytes")
        usage.gpuUtilization = fields.part("gpu_utilization")
        self.init(
            cause: try fields.cause(), usage: usage, memoryCapBytes: fields.unsigned("memory_cap_bytes"),
            timeoutSeconds: fields.seconds("timeout_seconds"), stderrTail: fields.string("stderr_tail") ?? "",
            stdoutPath: fields.string("stdout_path") ?? "", stderrPath: fields.string("stderr_path") ?? "",
            packedOutput: fields.packedOutput(),
            node: fields.string("worker") ?? "",
            attempt: fields.integer("attempts").map { Int(min(max(1, $0), 1 << 32)) } ?? 1,
            notes: fields.strings("notes"),
            finishedAtUnixSeconds: fields.seconds("finished_at") ?? fields.seconds("end"))
        grownFromBytes = fields.unsigned("memory_grown_from_bytes") ?? 0
        requeueCount = fields.integer("requeues").map { Int(clamping: max(0, $0)) } ?? 0
    }
}

extension PackedOutput {
    fileprivate func write(to writer: inout JSONObjectWriter) {
        if let segmentPath {
            writer.field("output_segment", segmentPath)
            writer.field("output_offset", offset)
        }
        writer.field("stdout_bytes", stdoutBytes)
        writer.field("stderr_bytes", stderrBytes)
    }
}

/// The fields of a record by name; of the wrong type is as good as missing.
private struct RecordFields {
    private let fields: [String: JSONValue.Content]

    init(_ record: [UInt8]) throws(TaskRecordError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONReader.read(record)
        } catch {
            throw TaskRecordError(message: "\(error)")
        }
        guard case .object(let members) = value.content else { throw TaskRecordError(message: "no JSON object") }
        fields = Dictionary(members.map { ($0.name, $0.value.content) }, uniquingKeysWith: { $1 })
    }

    func cause() throws(TaskRecordError) -> Cause {
        switch string("cause") {
        case "exit": return .exit(code: int32("exit_code"))
        case "signal": return .signal(int32("signal"))
        case "oom": return .oom
        case "timeout": return .timeout
        case "cancelled": return .cancelled
        case "memory-pressure": return .memoryPressure
        case "node-lost": return .nodeLost
        case "launch":
            return .launch(
                step: string("launch_step") ?? "", errno: int32("errno"), message: string("launch_error") ?? "")
        case "dependency": return .dependency(on: string("parent") ?? "")
        case let word?: throw TaskRecordError(message: "the cause \(JSONText.quoted(word)) is not known")
        case nil: throw TaskRecordError(message: "it names no cause")
        }
    }

    /// Nil where none of it is there.
    func oom() -> OutOfMemory? {
        let oom = OutOfMemory(
            anonymousBytes: unsigned("oom_anonymous_bytes"), tmpfsBytes: unsigned("oom_tmpfs_bytes"),
            kernelBytes: unsigned("oom_kernel_bytes"), otherLimit: string("oom_limit"))
        return oom == OutOfMemory() ? nil : oom
    }

    /// Nil where none of it is there, or it cannot be.
    func packedOutput() -> PackedOutput? {
        PackedOutput(
            path: string("output_segment"), offset: integer("output_offset"),
            stdoutBytes: integer("stdout_bytes"), stderrBytes: integer("stderr_bytes"))
    }

    func string(_ name: String) -> String? {
        if case .string(let text) = fields[name] { text } else { nil }
    }

    func strings(_ name: String) -> [String] {
        guard case .array(let elements) = fields[name] else { return [] }
        return elements.compactMap { if case .string(let text) = $0.content { text } else { nil } }
    }

    /// Seconds, of a stretch of time or since 1970: some thirty thousand years at most. Anybody may have written a record, and whoever reads
    /// one makes whole numbers of these.
    func seconds(_ name: String) -> Double? {
        fields[name]?.double.flatMap { (0...1e12).contains($0) ? $0 : nil }
    }

    /// A part of one.
    func part(_ name: String) -> Double? { fields[name]?.double.flatMap { (0...1).contains($0) ? $0 : nil } }

    func integer(_ name: String) -> Int64? {
        if case .integer(let number) = fields[name] { number } else { nil }
    }

    func unsigned(_ name: String) -> UInt64? { integer(name).flatMap { UInt64(exactly: $0) } }

    /// A number that is missing is -1: 0 would be success for an exit code.
    private func int32(_ name: String) -> Int32 { integer(name).flatMap { Int32(exactly: $0) } ?? -1 }
}

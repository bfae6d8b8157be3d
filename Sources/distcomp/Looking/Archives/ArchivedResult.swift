// A result as an archive has it, made a result again, so that whatever can be asked of results in Redis can be asked of these.

import TaskModel

/// Makes results of the objects that `results --format jsonl` prints.
final class ArchivedResults {
    /// Of what tasks say of their jobs, the name and the type are known here, and what they might use.
    private struct JobKey: Hashable {
        let identifier: String
        let name: String
        let type: String
        let memoryBytes: UInt64
    }

    private static let jobsMax = 10_000
    private var jobs: [JobKey: Job] = [:]

    /// nil for what is no such object.
    func result(_ json: [UInt8]) -> TaskResult? {
        guard let value = try? JSONReader.read(json), case .object(let members) = value.content else { return nil }
        let fields = Dictionary(members.map { ($0.name, $0.value.content) }, uniquingKeysWith: { $1 })
        func text(_ name: String) -> String? { if case .string(let text) = fields[name] { text } else { nil } }
        func number(_ name: String) -> Int64? { if case .integer(let number) = fields[name] { number } else { nil } }
        guard let line = text("task"), let state = text("state").flatMap({ TaskState(parsing: $0) }),
            state == .finished || state == .failed
        else { return nil }
        var result = TaskResult(
            line: line, outcome: try? TaskOutcome(record: json), succeeded: state == .finished,
            node: text("worker") ?? "", reason: text("reason") ?? "",
            standardOutputJSON: text("stdout").map { Array(JSONText.quoted($0).utf8) },
            isOutputTruncated: { if case .boolean(let flag) = fields["stdout_truncated"] { flag } else { nil } }())
        result.outputEnd = text("stdout_tail").map {
            TaskResult.OutputEnd(
                omittedBytes: Int(clamping: number("stdout_omitted_bytes") ?? 0), json: Array(JSONText.quoted($0).utf8))
        }
        result.outputLeftAtUnixSeconds = fields["stdout_left_at"]?.double.flatMap { Int(exactly: $0.rounded()) }
        result.taskOfJob = task(line, text("job"), text("type"), result.outcome?.memoryCapBytes ?? 0)
        if case .object(let members) = fields[TaskResult.valuesName] {
            result.values = members.map { ($0.name, Self.value($0.value.content)) }
        }
        return result
    }

    private func task(_ line: String, _ name: String?, _ type: String?, _ memoryBytes: UInt64) -> TaskLine? {
        let identifier = Job.identifier(ofLine: line)
        guard !identifier.isEmpty else { return nil }
        let key = JobKey(identifier: identifier, name: name ?? "", type: type ?? "", memoryBytes: memoryBytes)
        let job = jobs[key] ?? Self.job(key)
        if jobs.count >= Self.jobsMax { jobs.removeAll() }
        jobs[key] = job
        return try? TaskLine(parsing: line, of: [identifier: job])
    }

    private static func job(_ key: JobKey) -> Job {
        var settings = Job.Settings()
        settings.memoryBytes = key.memoryBytes
        var definition = Job.Definition()
        if let type = TaskType(rawValue: key.type) { definition.type = type }
        return Job(identifier: key.identifier, name: key.name, settings: settings, definition: definition)
    }

    private static func value(_ content: JSONValue.Content) -> ResultValue {
        switch content {
        case .string(let text): .text(text)
        case .integer(let number): .integer(Int(clamping: number))
        case .number(let number): .numberText(number.isFinite ? "\(number)" : nil)
        case .boolean(let flag): .flag(flag)
        case .null, .array, .object: .text(nil)
        }
    }
}

extension TaskResult {
    /// What tells results apart: the same task may have been forgotten, or tried again, and have ended once more.
    var archiveKey: ArchiveKey {
        ArchiveKey(
            identifier: TaskLine.identifier(of: line),
            endedAtMicroseconds: outcome?.finishedAtUnixSeconds.flatMap { Int(exactly: ($0 * 1e6).rounded()) } ?? 0)
    }
}

struct ArchiveKey: Hashable {
    /// As a number: ten million of them are in memory at once.
    private let hash: UInt64
    private let endedAtMicroseconds: Int

    init(identifier: String, endedAtMicroseconds: Int) {
        hash = UInt64(identifier, radix: 16) ?? 0
        self.endedAtMicroseconds = endedAtMicroseconds
    }
}

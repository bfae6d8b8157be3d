// A report as a file, for a node that cannot deliver it now: a line of JSON that holds all the queue must be told, so that a later
// life of the node, or a later version of it, says it in the name of the life that ran the task. The value of what finished, which
// can be megabytes, follows the line as it is: putting it into JSON once more would hold up the daemon.

import TaskModel

/// Why a file holds no report.
public struct StoredReportError: Error, Equatable, CustomStringConvertible {
    public let description: String
}

extension ReportTask {
    /// Counts the forms of the file. One of a form we do not know is not guessed at.
    private static let storedVersion: Int64 = 2
    /// Of version 1.0.0: the value was in the JSON.
    private static let oldVersion: Int64 = 1

    /// The report as the content of its file.
    public var stored: [UInt8] { storedLine + storedValue }

    /// What follows ``storedLine`` in the file.
    public var storedValue: [UInt8] { if case .finished(let value, _, _, _) = result { value } else { [] } }

    /// The first line of the file.
    public var storedLine: [UInt8] {
        var writer = JSONObjectWriter()
        writer.field("version", Self.storedVersion)
        writer.field("key_prefix", keys.prefix)
        writer.field("incarnation", incarnation.text)
        writer.field("line", line)
        if let job { writer.field("job", job.record) }
        writer.field("token", token)
        switch result {
        case .finished(let value, let record, let memoryBytes, _):
            writer.field("result", "finished")
            writer.field("record", record)
            writer.field("value_bytes", value.count)
            if let memoryBytes { writer.field("memory_bytes", memoryBytes) }
        case .failed(let reason, let record, let attemptsMax, let retryMilliseconds, let more, let requeueAfter, _):
            writer.field("result", "failed")
            writer.field("record", record)
            writer.field("reason", reason)
            writer.field("attempts_max", attemptsMax)
            writer.field("retry_milliseconds", retryMilliseconds)
            if let more {
                writer.field("more", more.own.text)
                if let bytes = more.learnedMaxBytes { writer.field("more_max", bytes) }
            }
            if let requeueAfter { writer.field("requeue_after_milliseconds", requeueAfter) }
        case .returned:
            writer.field("result", "returned")
        }
        if let start = result.startMilliseconds { writer.field("start_milliseconds", start) }
        return writer.bytes + [UInt8(ascii: "\n")]
    }

    /// Reads back ``stored``. Everything must be there: half a report could only do harm.
    public init(stored bytes: [UInt8]) throws(StoredReportError) {
        let newline = bytes.firstIndex(of: UInt8(ascii: "\n"))
        let fields = try StoredFields(Array(bytes[..<(newline ?? bytes.endIndex)]))
        let version = try fields.integer("version")
        guard version == Self.storedVersion && newline != nil || version == Self.oldVersion else {
            throw StoredReportError(
                description: "its version is \(version), this distcompd knows \(Self.storedVersion)")
        }
        let text = try fields.text("incarnation")
        guard let incarnation = Incarnation(text: text) else {
            throw StoredReportError(description: "\(JSONText.quoted(text)) is no incarnation")
        }
        self.init(
            keys: QueueKeys(prefix: try fields.text("key_prefix")), incarnation: incarnation,
            line: try fields.text("line"), job: fields.job, token: try fields.text("token"),
            result: try fields.result(
                valueInFile: version == Self.oldVersion ? nil : newline.map { Array(bytes[($0 + 1)...]) }))
    }
}

/// The fields of the file by name.
private struct StoredFields {
    private let fields: [String: JSONValue.Content]

    init(_ bytes: [UInt8]) throws(StoredReportError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONReader.read(bytes)
        } catch {
            throw StoredReportError(description: "\(error)")
        }
        guard case .object(let members) = value.content else { throw StoredReportError(description: "no JSON object") }
        fields = Dictionary(members.map { ($0.name, $0.value.content) }, uniquingKeysWith: { $1 })
    }

    func text(_ name: String) throws(StoredReportError) -> String {
        guard case .string(let text) = fields[name] else { throw StoredReportError(description: "no text \(name)") }
        return text
    }

    /// Of the line; nil for a line of none, and where the record makes no sense: the report can be told all the same.
    var job: Job? {
        guard let line = try? text("line"), let record = try? text("job") else { return nil }
        return try? Job(identifier: Job.identifier(ofLine: line), record: Array(record.utf8))
    }

    func integer(_ name: String) throws(StoredReportError) -> Int64 {
        guard case .integer(let number) = fields[name], number >= 0 else {
            throw StoredReportError(description: "no number \(name)")
        }
        return number
    }

    /// - Parameter valueInFile: what follows the line; nil where the value is in the JSON.
    func result(valueInFile: [UInt8]?) throws(StoredReportError) -> ReportTask.Result {
        switch try text("result") {
        case "finished":
            .finished(
                value: try value(inFile: valueInFile), record: try text("record"), memoryBytes: amount("memory_bytes"),
                startMilliseconds: startMilliseconds)
        case "failed":
            .failed(
                reason: try text("reason"), record: try text("record"),
                attemptsMax: Int(clamping: try integer("attempts_max")),
                retryMilliseconds: Int(clamping: try integer("retry_milliseconds")), more: more,
                requeueAfterMilliseconds: (try? integer("requeue_after_milliseconds")).map { Int(clamping: $0) },
                startMilliseconds: startMilliseconds)
        case "returned": .returned
        case let word: throw StoredReportError(description: "the result \(JSONText.quoted(word)) is not known")
        }
    }

    /// A measurement: where there is none, or none that makes sense, the report counts all the same.
    private var startMilliseconds: Int? { (try? integer("start_milliseconds")).map { Int(clamping: $0) } }

    /// nil where there is none, or none that makes sense: then it has failed, as it has for who knows nothing of this.
    private var more: ReportTask.MoreMemory? {
        guard let own = (try? text("more")).flatMap({ OwnSettings(text: $0) }) else { return nil }
        return ReportTask.MoreMemory(own, learnedMaxBytes: amount("more_max"))
    }

    private func amount(_ name: String) -> UInt64? { (try? integer(name)).map { UInt64(clamping: $0) } }

    private func value(inFile value: [UInt8]?) throws(StoredReportError) -> [UInt8] {
        guard let value else { return Array(try text("value").utf8) }
        guard Int64(value.count) == (try integer("value_bytes")) else {
            throw StoredReportError(description: "its value is not whole")
        }
        return value
    }
}

// A report in a file says to the queue exactly what it would have said at once.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("A report as a file")
struct StoredReportTests {
    private static func report(
        _ result: ReportTask.Result, line: String = line("x"), job: Job? = nil
    ) -> ReportTask {
        ReportTask(
            keys: QueueKeys(prefix: "{q}:"), incarnation: Incarnation(name: "a.b-c_d", machine: "m-1", life: 1 << 62),
            line: line, job: job, token: "123", result: result)
    }

    private static let job = Job(identifier: "k2x", name: "sim", settings: Job.Settings(), definition: Job.Definition())

    @Test(
        "it is read back as it was, whatever the task wrote",
        arguments: [
            report(.returned), report(.returned, line: "@k2x ./sim", job: job),
            report(.finished(value: Array(#"a: "x""#.utf8), record: #"{"cause":"exit","notes":["é \"q\""]}"#)),
            report(.failed(reason: "exit 3; a\tb", record: "{}", attemptsMax: 0, retryMilliseconds: 86_400_000)),
            report(
                .failed(
                    reason: "exit 85", record: "{}", attemptsMax: 3, retryMilliseconds: 0,
                    requeueAfterMilliseconds: 61_000), line: "@k2x ./sim", job: job),
            report(.returned, line: "shell:1:0:0:printf '\\n\u{1F600}\u{7F}\u{85}' # \"'"),
            report(
                .finished(
                    value: FinishedValue.encode(worker: "a", standardOutput: Array(0...255)), record: "{}")),
        ])
    func roundTrip(report: ReportTask) throws {
        #expect(try ReportTask(stored: report.stored) == report)
    }

    @Test("a report read back is the holder's: the queue accepts it, and knows it when it comes again")
    func accepted() throws {
        let bench = try QueueBench(prefix: "p:")
        let node = try bench.node("a")
        try bench.submit(line("x"))
        let task = try #require(try node.claim().first)
        let made = ReportTask(
            keys: bench.keys, incarnation: node.incarnation, line: task.line, token: task.token,
            result: .finished(value: Array(#"a: "out""#.utf8), record: #"{"cause":"exit","exit_code":0}"#))
        let request = try ReportTask(stored: made.stored).request
        #expect(try ReportTask.parse(try bench.call(request)) == .accepted)
        #expect(try ReportTask.parse(try bench.call(request)) == .duplicate)
        #expect(try bench.numbers == [0, 0, 1, 0])
    }

    @Test(
        "a report with anything missing, of the wrong kind or of another version is refused",
        arguments: [
            (#""version":2"#, #""version":3"#), (#""version":2"#, #""version":"2""#), (#""line""#, #""lines""#),
            (#""token":"123""#, #""token":123"#), (#"m-1/4"#, #"m-1"#), (#"a.b-c_d/"#, #"a b/"#),
            (#"m-1/4"#, #"m-1/z"#),
            (#""result":"failed""#, #""result":"other""#), (#""record""#, #""rec""#),
            (#""attempts_max":3"#, #""attempts_max":-3"#), (#""attempts_max":3"#, #""attempts_max":3.5"#),
            (#""reason":"#, #""reason":[],"x":"#), (#"}"#, ""),
        ])
    func refused(part: String, replacement: String) throws {
        let whole = Self.report(.failed(reason: "exit 1", record: "{}", attemptsMax: 3, retryMilliseconds: 5)).stored
        let text = String(decoding: whole, as: UTF8.self)
        let range = try #require(text.range(of: part, last: part == "}"))
        let changed = text[..<range.lowerBound] + replacement + text[range.upperBound...]
        #expect(throws: StoredReportError.self) { try ReportTask(stored: Array(changed.utf8)) }
    }
}

extension String {
    /// Where `part` is: the first place, or the last.
    fileprivate func range(of part: String, last: Bool) -> Range<Index>? {
        let starts = indices.filter { self[$0...].hasPrefix(part) }
        guard let start = last ? starts.last : starts.first else { return nil }
        return start..<index(start, offsetBy: part.count)
    }
}

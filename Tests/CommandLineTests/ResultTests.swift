import TaskModel
import Testing

@testable import distcomp

/// A result as one test needs it.
func result(
    _ line: String, _ cause: Cause = .exit(code: 0), wallSeconds: Double = 1, peakBytes: UInt64? = nil,
    neededBytes: UInt64? = nil, finishedAt: Double? = 1_700_000_001.5, output: String? = nil, node: String = "node1"
) -> TaskResult {
    var usage = Usage(wallSeconds: wallSeconds)
    usage.memoryPeakBytes = peakBytes
    usage.memoryNeededBytes = neededBytes
    let outcome = TaskOutcome(
        cause: cause, usage: usage, node: node, attempt: 1, finishedAtUnixSeconds: finishedAt)
    return TaskResult(
        line: line, outcome: outcome, succeeded: outcome.succeeded, node: node, reason: outcome.reason,
        standardOutputJSON: output.map { Array(JSONText.quoted($0).utf8) })
}

/// A result of an old worker, which keeps no record.
private let oldResult = TaskResult(
    line: "shell:1:0:0:old", outcome: nil, succeeded: false, node: "w", reason: "it broke", standardOutputJSON: nil)

@Suite("results as other programs read them")
struct ResultFormatTests {
    @Test("comma-separated values are quoted where they must be, and a record ends with CR LF")
    func csv() {
        let plain = ResultCSV.row(result("shell:1:0:0:true", output: "ok"))
        #expect(plain == "shell:1:0:0:true,finished,exit,0,,node1,1,1.000,,,,1700000001.500,exit 0,,,ok\r\n")
        let odd = ResultCSV.row(result("shell:1:0:0:echo \"a, b\"", .signal(11), output: "1\r\n2"))
        #expect(odd.hasPrefix("\"shell:1:0:0:echo \"\"a, b\"\"\",failed,signal,,11,"))
        #expect(odd.hasSuffix(",\"1\r\n2\"\r\n"))
        #expect(ResultCSV.row(result("shell:1:0:0:true", output: "1\n2")).hasSuffix(",\"1\n2\"\r\n"))
        #expect(ResultCSV.row(oldResult) == "shell:1:0:0:old,failed,,,,w,,,,,,,it broke,,,\r\n")
        #expect(ResultCSV.heading.utf8.filter { $0 == UInt8(ascii: ",") }.count == 15)
        #expect(plain.utf8.filter { $0 == UInt8(ascii: ",") }.count == 15)
    }

    @Test("the job log has GNU parallel's columns, exit values and signals")
    func jobLog() {
        let row = ResultJobLog.row(result("shell:1:0:0:a\tb", wallSeconds: 0.25, output: "äöü\n"), number: 7)
        #expect(row == "7\tnode1\t1700000001.250\t     0.250\t0\t7\t0\t0\ta\tb\n")
        let endings: [(Cause, String)] = [
            (.exit(code: 3), "3\t0"), (.signal(11), "0\t11"), (.oom, "0\t9"), (.timeout, "-1\t15"),
            (.cancelled, "-1\t15"), (.memoryPressure, "0\t9"), (.nodeLost, "-1\t0"),
            (.launch(step: "execve x", errno: 2, message: ""), "127\t0"),
        ]
        for (cause, columns) in endings {
            let row = ResultJobLog.row(result("shell:1:0:0:c", cause), number: 1)
            #expect(row.hasSuffix("\t\(columns)\tc\n"), "\(cause): \(row)")
        }
        #expect(ResultJobLog.row(oldResult, number: 1) == "1\tw\t0.000\t     0.000\t0\t0\t1\t0\told\n")
    }

    @Test("a command of several lines stays on one line of the job log")
    func jobLogLines() {
        let row = ResultJobLog.row(result(#"{"command": "a\nb"}"#), number: 1)
        #expect(row.hasSuffix("\ta\0b\n"))
        #expect(row.filter { $0 == "\n" }.count == 1)
    }
}

@Suite("percentiles")
struct DistributionTests {
    @Test(
        "percentiles are right to a percent, the largest value exactly, whatever the scale", arguments: [1e-3, 1, 1e9])
    func percentiles(scale: Double) throws {
        var values = Distribution()
        for number in (1...10_000).reversed() { values.add(Double(number) * scale) }
        #expect(values.count == 10_000)
        #expect(values.maximum == 10_000 * scale)
        for share in [0.01, 0.5, 0.95, 0.99] {
            let found = try #require(values.percentile(share))
            #expect(abs(found - share * 10_000 * scale) < share * 10_000 * scale * 0.01)
        }
        #expect(values.percentile(1) == 10_000 * scale)
    }

    @Test("of equal values every percentile is that value; of none there is none; nonsense counts as zero")
    func edges() {
        var values = Distribution()
        #expect(values.percentile(0.5) == nil)
        for _ in 0..<3 { values.add(0.1) }
        #expect(values.percentile(0) == 0.1 && values.percentile(0.5) == 0.1 && values.percentile(1) == 0.1)
        for nonsense in [-1, .nan, .infinity, 0] { values.add(nonsense) }
        #expect(values.percentile(0.1) == 0 && values.maximum == 0.1)
    }
}

@Suite("summaries of results")
struct ResultSummaryTests {
    private func summary(_ results: [TaskResult]) -> ResultSummary {
        var summary = ResultSummary()
        for result in results { summary.add(result) }
        return summary
    }

    @Test("commands that are alike are one group; the largest comes first")
    func groups() {
        let groups = summary(
            [result("shell:1:1G:0:b 1"), result("shell:1:2G:0:a 1"), result("shell:2:1G:0:a 2"), result("no task")]
        ).groups
        #expect(groups.map(\.text) == ["a *", "b 1"])
        #expect(groups[0].taskCount == 2 && groups[0].memoryCapBytes == 2 << 30)
        #expect(groups[0].json.contains(#""command":"a *","tasks":2,"failed":0"#))
    }

    @Test(
        "the memory to ask for is a fifth above the peak, easily written",
        arguments: [
            (1, "8M"), (50, "64M"), (100, "120M"), (300, "384M"), (1024, "1.25G"), (3072, "3.75G"), (10_240, "12G"),
        ])
    func advice(peakMegabytes: UInt64, expected: String) throws {
        let peak = peakMegabytes << 20
        let group = try #require(summary([result("shell:1:1T:0:a", peakBytes: peak)]).groups.first)
        #expect(group.memoryToAskFor == expected)
        let line = try TaskLine(parsing: "shell:1:\(expected):0:a")
        #expect(line.memoryBytes == group.memoryBytesToAskFor)
        #expect(line.memoryBytes >= peak * 6 / 5)
    }

    @Test("where a cap was met, twice as much is asked for; a cap says nothing of what would have been enough")
    func cappedAdvice() throws {
        let group = try #require(
            summary([
                result("shell:1:64M:0:a 1", peakBytes: 10 << 20),
                result("shell:1:64M:0:a 2", .oom, peakBytes: 64 << 20),
            ]).groups.first)
        #expect(group.memoryToAskFor == "128M")
        #expect(group.paragraph.contains("tasks   2, 1 failed (1 oom)"))
        #expect(group.paragraph.contains("max 64 MB, cap 64 MB, ask for 128M"))
    }

    @Test("files that could have been dropped from memory are no reason to ask for more")
    func adviceWithoutFiles() throws {
        let reader = result("shell:1:1G:0:md5sum a", peakBytes: 400 << 20, neededBytes: 3 << 20)
        let group = try #require(summary([reader, result("shell:1:1G:0:md5sum b", peakBytes: 1 << 20)]).groups.first)
        #expect(group.memoryToAskFor == "8M")
        #expect(group.paragraph.contains("max 400 MB (3 MB without files it read or wrote), cap 1 GB, ask for 8M"))
        #expect(group.json.contains(#""memory_peak_bytes_max":419430400,"memory_needed_bytes_max":3145728"#))
    }

    @Test("what never ran does not make the others look small")
    func neverRan() throws {
        let launch = Cause.launch(step: "execve a", errno: 2, message: "No such file or directory")
        let group = try #require(
            summary([result("shell:1:0:0:a 1", wallSeconds: 8), result("shell:1:0:0:a 2", launch, wallSeconds: 0)])
                .groups.first)
        #expect(group.taskCount == 2 && group.failureCount == 1)
        #expect(group.wallSeconds.count == 1)
        #expect(group.memoryToAskFor == nil && !group.paragraph.contains("memory"))
    }

    @Test("more shapes than anybody reads are counted together")
    func bounded() {
        let groups = summary((0..<1200).map { result("shell:1:0:0:program\($0) x") }).groups
        #expect(groups.count == 1001)
        #expect(groups.first?.text == "(other commands)" && groups.first?.taskCount == 200)
    }
}

@Suite("moments as people name them")
struct PointInTimeTests {
    private let now: Int64 = 1_700_000_000  // 2023-11-14 22:13:20 in Greenwich

    private func parse(_ text: String) -> Double? { PointInTime.parse(text, nowUnixSeconds: now) }

    @Test("how long ago, or when, with and without a day")
    func forms() {
        #expect(parse("90s") == Double(now - 90))
        #expect(parse("1.5h") == Double(now - 5400))
        #expect(parse("2d") == Double(now - 172_800))
        #expect(parse("@1234567890.5") == 1_234_567_890.5)
        #expect(parse("2023-11-14T22:13:20Z") == Double(now))
        #expect(parse("2023-11-14 22:13Z") == Double(now - 20))
        #expect(parse("2000-02-29T00:00:00Z") == 951_782_400)
        #expect(parse("2023-11-14").flatMap { parse("2023-11-14 00:00") == $0 } == true)
    }

    @Test("a time of the day is the last that was")
    func clock() throws {
        for hour in 0..<24 {
            let time = try #require(parse("\(hour):30"))
            #expect(time <= Double(now) && time > Double(now) - 90_000)
        }
    }

    @Test(
        "what names no moment is none",
        arguments: [
            "", "yesterday", "25:00", "10:60", "2023-02-30", "2023-13-01", "2023-11-14 25:00", "10:30:40:50", "1-2-3-4",
            "-5s", "@", "@x", "0", "2023-11-14T", "12345-01-01", "10:", ":30",
        ])
    func nonsense(text: String) { #expect(parse(text) == nil) }
}

import Foundation
import TaskModel
import TaskQueue
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
        standardOutputJSON: output.map { Array(JSONText.quoted($0).utf8) },
        isOutputTruncated: output == nil ? nil : false)
}

/// A result of an old worker, which keeps no record.
private let oldResult = TaskResult(
    line: "shell:1:0:0:old", outcome: nil, succeeded: false, node: "w", reason: "it broke")

@Suite("results as other programs read them")
struct ResultFormatTests {
    /// The cells of one record of comma-separated values.
    private func cells(_ row: String) -> [String] {
        var cells = [""]
        var isQuoted = false
        var last: Unicode.Scalar?
        for character in row.dropLast().unicodeScalars {
            switch (character, isQuoted) {
            case ("\"", _):
                // Two of them inside quotes stand for one.
                if !isQuoted, last == "\"" { cells[cells.count - 1].append("\"") }
                isQuoted.toggle()
            case (",", false): cells.append("")
            default: cells[cells.count - 1].unicodeScalars.append(character)
            }
            last = character
        }
        return cells
    }

    private func cell(_ name: String, _ result: TaskResult) throws -> String {
        let index = try #require(cells(ResultCSV().heading).firstIndex(of: name), "\(name)")
        return cells(ResultCSV().row(result))[index]
    }

    @Test("comma-separated values are quoted where they must be, and a record ends with CR LF")
    func csv() throws {
        let plain = ResultCSV().row(result("shell:1:0:0:true", output: "ok"))
        #expect(plain.hasPrefix("shell:1:0:0:true,31c7db6c78bda9e2,true,,default,shell,finished,exit,0,,"), "\(plain)")
        #expect(plain.hasSuffix(",false,ok,,,\r\n"), "\(plain)")
        let odd = ResultCSV().row(result("shell:1:0:0:echo \"a, b\"", .signal(11), output: "1\r\n2"))
        #expect(odd.hasPrefix("\"shell:1:0:0:echo \"\"a, b\"\"\","), "\(odd)")
        #expect(odd.hasSuffix(",\"1\r\n2\",,,\r\n"))
        #expect(ResultCSV().row(result("shell:1:0:0:true", output: "1\n2")).hasSuffix(",\"1\n2\",,,\r\n"))
        // With an accent on it a quote is another Character, but the same byte.
        #expect(ResultCSV().row(result("shell:1:0:0:x", output: "\"\u{301}")).hasSuffix(",\"\"\"\u{301}\",,,\r\n"))
    }

    @Test("a field has its own type whatever its value: numbers that may have decimals always have one")
    func types() throws {
        let whole = result("shell:1:0:0:true", wallSeconds: 2, peakBytes: 1024, finishedAt: 1_700_000_001)
        #expect(whole.json.contains(#""start":1699999999.0,"end":1700000001.0,"wall_seconds":2.0"#), "\(whole.json)")
        #expect(whole.json.contains(#""memory_peak_bytes":1024,"#))
        #expect(try cell("start", whole) == "1699999999.0" && cell("wall_seconds", whole) == "2.0")
        #expect(try cell("wall_seconds", result("shell:1:0:0:true", wallSeconds: 0.00003)) == "0.00003")
    }

    @Test("what is not known is null in a record that has every field, also of an old worker's task")
    func unknown() throws {
        let names = cells(ResultCSV().heading)
        #expect(Set(names).count == names.count)
        for name in names { #expect(oldResult.json.contains("\"\(name)\":"), "\(name)") }
        for name in ["cause", "exit_code", "attempts", "start", "stdout", "stdout_truncated"] {
            #expect(oldResult.json.contains("\"\(name)\":null"), "\(name)")
            #expect(try cell(name, oldResult) == "")
        }
        #expect(try cell("reason", oldResult) == "it broke" && cell("worker", oldResult) == "w")
    }

    @Test("a task of a job has its command, type and job, also in a job log and a summary")
    func ofJob() throws {
        let job = Job(identifier: "t6k2x1", name: "sweep", settings: Job.Settings(), definition: Job.Definition())
        var told = result("@t6k2x1 ./sim lru: 1")
        told.taskOfJob = try TaskLine(parsing: told.line, of: [job.identifier: job])
        #expect(
            told.json.contains(#""command":"./sim lru: 1","values":null,"job":"sweep","type":"shell""#), "\(told.json)")
        #expect(try cell("job", told) == "sweep" && cell("job", result("shell:1:0:0:x")) == "default")
        #expect(ResultJobLog.row(told, outputByteCount: 0).hasSuffix("\t./sim lru: 1\n"))
        #expect(PlacesInFile(Array("\n./sim lru: 1\n".utf8)).place(of: told) == 2)
        var summary = ResultSummary()
        summary.add(told)
        #expect(summary.groups.map(\.text) == ["./sim lru: 1"])
    }

    @Test("csv and jsonl agree, field for field")
    func agreement() throws {
        var failed = result("python:1:0:0:x.py --a 'b, \"c\"'", .exit(code: 3), peakBytes: 5 << 20, output: "1\n")
        failed.outcome?.stderrTail = "Traceback\n  File \"x.py\"\nValueError: no\n"
        failed.outcome?.stdoutPath = "/r/1/stdout"
        let launch = Cause.launch(step: "execve x", errno: 2, message: "No such file or directory")
        for result in [failed, result("shell:1:0:0:x", launch), result("shell:1:0:0:x", .oom), oldResult] {
            let object = try #require(
                try JSONSerialization.jsonObject(with: Data(result.json.utf8)) as? [String: Any])
            let names = cells(ResultCSV().heading)
            #expect(Set(names) == Set(object.keys))
            for (name, cell) in zip(names, cells(ResultCSV().row(result))) {
                let value = object[name]
                switch value {
                case let text as String: #expect(cell == text, "\(name)")
                case let number as NSNumber where cell == "true" || cell == "false":
                    #expect(number.boolValue == (cell == "true"), "\(name)")
                case let number as NSNumber: #expect(number.doubleValue == Double(cell), "\(name)")
                default: #expect(value is NSNull && cell == "", "\(name): \(cell)")
                }
            }
        }
        #expect(try cell("error", failed) == "ValueError: no")
        #expect(try cell("command", failed) == "x.py --a 'b, \"c\"'" && cell("type", failed) == "python")
    }

    @Test("output that was cut has a field that says so; words that say the same are output")
    func truncated() {
        let line = Array("shell:1:0:0:x".utf8)
        let cut = TaskResult(
            finished: line, value: FinishedValue.encode(worker: "w", standardOutput: nil), record: nil)
        #expect(cut.json.contains(#""stdout_truncated":true,"stdout":null"#), "\(cut.json)")
        let words = Array("stdout is too large".utf8)
        let printed = TaskResult(
            finished: line, value: FinishedValue.encode(worker: "w", standardOutput: words), record: nil)
        #expect(
            printed.json.contains(#""stdout_truncated":false,"stdout":"stdout is too large""#), "\(printed.json)")
    }

    @Test("the job log has GNU parallel's columns, exit values and signals")
    func jobLog() {
        let row = ResultJobLog.row(result("shell:1:0:0:a\tb", wallSeconds: 0.25), outputByteCount: 7)
        #expect(row == "node1\t1700000001.250\t     0.250\t0\t7\t0\t0\ta\tb\n")
        let endings: [(Cause, String)] = [
            (.exit(code: 3), "3\t0"), (.signal(11), "0\t11"), (.oom, "0\t9"), (.timeout, "-1\t15"),
            (.cancelled, "-1\t15"), (.memoryPressure, "0\t9"), (.nodeLost, "-1\t0"),
            (.launch(step: "execve x", errno: 2, message: ""), "127\t0"),
        ]
        for (cause, columns) in endings {
            let row = ResultJobLog.row(result("shell:1:0:0:c", cause), outputByteCount: 0)
            #expect(row.hasSuffix("\t\(columns)\tc\n"), "\(cause): \(row)")
        }
        #expect(ResultJobLog.row(oldResult, outputByteCount: 0) == "w\t0.000\t     0.000\t0\t0\t1\t0\told\n")
        #expect(
            ResultJobLog.row(result("python:1:0:0:x.py 1"), outputByteCount: 0).hasSuffix("\tpython3 x.py 1\n"))
        #expect(ResultJobLog.row(result("shell:1:0:0:c", node: "a b"), outputByteCount: 0).hasPrefix("a_b\t"))
    }

    @Test(
        "a command of several lines stays on one line of the job log, as parallel writes it",
        arguments: [(#"a\nb"#, "a\0b"), (#"a\r\nb\n"#, "a\r\0b\0")])
    func jobLogLines(command: String, written: String) {
        let row = ResultJobLog.row(result(#"{"command": "\#(command)"}"#), outputByteCount: 0)
        #expect(row.hasSuffix("\t\(written)\n"))
        #expect(row.utf8.count { $0 == UInt8(ascii: "\n") } == 1)
    }
}

@Suite("folders of results")
struct ResultFoldersTests {
    @Test(
        "a command becomes a name as GNU parallel makes it; one that is too long, or no name, has the task's id",
        arguments: [
            ("echo a/b", "echo a\\_b"), ("a\tb\\c", "a\\tb\\\\c"), ("a\nb", "a\nb"), (".", ".~id"), ("..", "..~id"),
            (String(repeating: "x", count: 300), String(repeating: "x", count: 252) + "~id"),
            (String(repeating: "ä", count: 300), String(repeating: "ä", count: 126) + "~id"),
            ("a" + String(repeating: "ä", count: 300), "a" + String(repeating: "ä", count: 125) + "~id"),
        ])
    func names(command: String, name: String) {
        #expect(ResultFolders.folderName(command, identifier: "id") == name)
    }
}

@Suite("the order of results")
struct ResultOrderTests {
    @Test("a task's place is the number of its line, or of its command's, blank lines and comments counted")
    func places() {
        let places = PlacesInFile(Array("a\n\n# c\n  shell:1:0:0:b b \r\na\nlast".utf8))
        #expect(places.lineCount == 6)
        #expect(places.place(of: result("shell:5:1G:0:a")) == 1, "the first of two")
        #expect(places.place(of: result("shell:1:0:0:b b")) == 4)
        #expect(places.place(of: result("shell:2:0:0:b b")) == nil, "another line")
        #expect(places.place(of: result("shell:2:0:0:last")) == 6)
        #expect(PlacesInFile(Array("a\nb\n".utf8)).lineCount == 2 && PlacesInFile([]).lineCount == 0)
    }

    @Test("rows come out by their numbers, and those without one behind them by when they began")
    func sorted() throws {
        let spool = try RowSpool()
        func add(_ row: String, _ number: Int?, _ start: Double) throws {
            try spool.add(row, at: RowSpool.Place(number: number, startUnixSeconds: start))
        }
        let large = String(repeating: "x", count: 3 << 20)
        try add("late", nil, 9)
        try add(large, 2, 1)
        try add("first", 1, 8)
        try add("early", nil, 3)
        var rows: [String] = []
        try spool.read { _, row in
            rows.append(row)
            return true
        }
        #expect(rows == ["first", large, "early", "late"])
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

    @Test("what was wasted is told as it was asked for, and as other ways would have had it")
    func wasted() throws {
        // 99 that need 100 MB of the 400 they asked for, and one that needs twice that.
        let results = (0..<100).map { number in
            var told = result("shell:1:400M:0:a \(number)", peakBytes: number == 7 ? 200 << 20 : 100 << 20)
            told.outcome?.memoryCapBytes = 400 << 20
            return told
        }
        let group = try #require(summary(results).groups.first)
        #expect(abs((group.waste.asAsked ?? 0) - 0.7475) < 1e-9)
        let auto = try #require(group.waste.auto)
        // Of 100 x 112 and 220 MB (the bucket of 100 MB ends at 102) all is wasted that the tasks do not need.
        #expect(abs(auto.failed - 1.0 / 101) < 1e-9 && auto.wasted > 0.1 && auto.wasted < 0.13, "\(auto)")
        #expect(abs((group.waste.largest ?? 0) - (1 - 101.0 / 240)) < 0.01)
        let text = group.waste.text ?? ""
        #expect(
            text.contains(" % as asked, ") && text.contains(" % by --memory auto (1 % of attempts fail)"), "\(text)")
        #expect(summary(Array(results.prefix(4))).groups.first?.waste.auto == nil)
    }

    @Test("where a cap was met, twice as much is asked for; a cap says nothing of what would have been enough")
    func cappedAdvice() throws {
        let group = try #require(
            summary([
                result("shell:1:64M:0:a 1", peakBytes: 10 << 20),
                result("shell:1:64M:0:a 2", .oom, peakBytes: 64 << 20),
            ]).groups.first)
        #expect(group.memoryToAskFor == "128M")
        #expect(group.paragraph(.ascii).contains("tasks   2, 1 failed (1 oom)"))
        #expect(group.paragraph(.ascii).contains("max 64 MB, cap 64 MB, ask for 128M"))
    }

    @Test("files that could have been dropped from memory are no reason to ask for more")
    func adviceWithoutFiles() throws {
        let reader = result("shell:1:1G:0:md5sum a", peakBytes: 400 << 20, neededBytes: 3 << 20)
        let group = try #require(summary([reader, result("shell:1:1G:0:md5sum b", peakBytes: 1 << 20)]).groups.first)
        #expect(group.memoryToAskFor == "8M")
        #expect(
            group.paragraph(.ascii).contains("max 400 MB (3 MB without files it read or wrote), cap 1 GB, ask for 8M"))
        #expect(group.json.contains(#""memory_peak_bytes_max":419430400,"memory_needed_bytes_max":3145728"#))
    }

    @Test(
        "how times and memory are spread is drawn in a line, in blocks or plain characters, from the least to the most")
    func drawing() throws {
        let times = [1.0, 1, 1, 1, 1, 1, 1, 1, 9]
        let results = times.map { result("shell:1:0:0:a \($0)", wallSeconds: $0) }
        let group = try #require(summary(results).groups.first)
        let gap = String(repeating: " ", count: Blocks.columns - 2)
        #expect(group.paragraph(.unicode).contains("\n          1 s █\(gap)▁ 9 s\n"), "\(group.paragraph(.unicode))")
        #expect(group.paragraph(.ascii).contains("\n          1 s @\(gap). 9 s\n"))
        let equal = try #require(summary([results[0], results[1]]).groups.first)
        #expect(!equal.paragraph(.unicode).contains("█"), "there is nothing to see")
        #expect(Blocks.unicode.line([0, 1, 1_000_000, 500_000]) == " ▁█▄")
        #expect(Blocks.isUTF8 { $0 == "LANG" ? "de_DE.UTF-8" : "" })
        #expect(!Blocks.isUTF8 { ["LANG": "de_DE.UTF-8", "LC_ALL": "C"][$0] } && !Blocks.isUTF8 { _ in nil })
    }

    @Test("what never ran does not make the others look small")
    func neverRan() throws {
        let launch = Cause.launch(step: "execve a", errno: 2, message: "No such file or directory")
        let group = try #require(
            summary([result("shell:1:0:0:a 1", wallSeconds: 8), result("shell:1:0:0:a 2", launch, wallSeconds: 0)])
                .groups.first)
        #expect(group.taskCount == 2 && group.failureCount == 1)
        #expect(group.wallSeconds.count == 1)
        #expect(group.memoryToAskFor == nil && !group.paragraph(.ascii).contains("memory"))
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

    @Test("a zone may be said with a day and a time")
    func zones() {
        for (text, seconds) in [
            ("2023-11-14T23:13:20+01:00", 0), ("2023-11-14 17:13:20-0500", 0), ("2023-11-15T00:13:20+2", 0),
            ("2023-11-15T03:43:20+05:30", 0), ("2023-11-14T22:13+00:00", -20),
        ] { #expect(parse(text) == Double(now + Int64(seconds)), "\(text)") }
        for text in [
            "2023-11-14T22:13+", "2023-11-14T22:13+1:00", "2023-11-14T22:13+25:00", "2023-11-14T22:13+01:60",
            "2023-11-14T22:13Z+01:00", "2023-11-14T22:13+01:00Z", "22:13+01:00", "2023-11-14T22:13+123",
        ] { #expect(parse(text) == nil, "\(text)") }
    }

    @Test("ahead, a time of the day is the next there will be, and nothing is so long ago")
    func ahead() throws {
        for hour in 0..<24 {
            for text in ["\(hour):30", "\(hour):30Z"] {
                let time = try #require(PointInTime.parse(text, nowUnixSeconds: now, isAhead: true))
                #expect(time > Double(now) && time < Double(now) + 90_000)
            }
        }
        #expect(PointInTime.parse("22:13:20Z", nowUnixSeconds: now, isAhead: true) == Double(now + 86_400))
        #expect(PointInTime.parse("22:13:21Z", nowUnixSeconds: now, isAhead: true) == Double(now + 1))
        #expect(PointInTime.parse("90s", nowUnixSeconds: now, isAhead: true) == nil)
        #expect(PointInTime.parse("2023-11-14T22:13:20Z", nowUnixSeconds: now, isAhead: true) == Double(now))
    }

    @Test(
        "what names no moment is none",
        arguments: [
            "", "yesterday", "25:00", "10:60", "2023-02-30", "2023-13-01", "2023-11-14 25:00", "10:30:40:50", "1-2-3-4",
            "-5s", "@", "@x", "0", "2023-11-14T", "12345-01-01", "10:", ":30",
        ])
    func nonsense(text: String) { #expect(parse(text) == nil) }
}

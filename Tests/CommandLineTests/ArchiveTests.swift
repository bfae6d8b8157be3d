// Results in archives: what is written is what is read back, and a file that is damaged or somebody else's is told of.

import LinuxSystem
import TaskModel
import Testing

@testable import distcomp

@Suite("Archives of results")
struct ArchiveTests {
    /// A result with all there can be in one, or with hardly anything.
    private static let results: [TaskResult] = {
        var job = Job.Settings()
        job.memoryBytes = 1 << 30
        var definition = Job.Definition()
        definition.type = .python
        let sweep = Job(identifier: "j1", name: "sweep", settings: job, definition: definition)
        var usage = Usage(
            wallSeconds: 1.25, userSeconds: 0.5, systemSeconds: 0.25, memoryPeakBytes: 1 << 40,
            memoryNeededBytes: 7, memoryCapHits: 3, oomKills: 1,
            oom: OutOfMemory(anonymousBytes: 1, tmpfsBytes: 2, kernelBytes: 3, otherLimit: "/a.slice"))
        (usage.gpuMemoryPeakBytes, usage.gpuUtilization) = (1 << 36, 0.5)
        var full = TaskResult(
            line: "@j1 ./sim é \"1\"",
            outcome: TaskOutcome(
                cause: .oom, usage: usage, memoryCapBytes: 1 << 30, timeoutSeconds: 60.5,
                stderrTail: "a\nerror: \u{1b}[1m no\n", stdoutPath: "/r/1/stdout", stderrPath: "/r/1/stderr",
                node: "n1", attempt: 2, finishedAtUnixSeconds: 1_764_430_000.123456),
            succeeded: false, node: "n1", reason: "oom (cap 1 GB)",
            standardOutputJSON: Array(JSONText.quoted("tab\t\u{0} \"quoted\"\n").utf8), isOutputTruncated: true)
        full.outputEnd = .init(omittedBytes: 5, json: Array(#""end""#.utf8))
        full.outputLeftAtUnixSeconds = 1_764_440_000
        full.taskOfJob = try? TaskLine(parsing: full.line, of: ["j1": sweep])
        full.values = [
            ("policy", .text("lru")), ("size", .integer(3)), ("ratio", .numberText("0.0000001")), ("state", .text(nil)),
        ]
        var launch = full
        launch.outcome = TaskOutcome(
            cause: .launch(step: "exec", errno: 2, message: "no such file"), usage: Usage(wallSeconds: 0), node: "n1",
            attempt: 1, finishedAtUnixSeconds: 1_764_430_001)
        launch.values = nil
        let old = TaskResult(
            line: "shell:1:0:0:echo", succeeded: true, node: "old", reason: "exit 0",
            standardOutputJSON: Array(#""x""#.utf8), isOutputTruncated: false)
        return [full, launch, old]
    }()

    /// How many were given, and how many of them were not there before.
    @discardableResult
    private func write(_ path: String, _ results: [TaskResult]) throws -> [Int] {
        let written = try ResultArchive.write(path) { writer throws(CommandError) in
            for result in results { try writer.add(result) }
        }
        return [written.count, written.newCount]
    }

    private func read(_ path: String) throws -> [TaskResult] {
        var results: [TaskResult] = []
        try ResultArchive.read(path).forEachResult { result in
            results.append(result)
            return true
        }
        return results
    }

    private func withDirectory(_ body: (String) throws -> Void) throws {
        let directory = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-archive.")
        defer { try? FileSystem.removeTree(directory) }
        try body(directory)
    }

    @Test(
        "whatever a result has is read back, field for field, from either kind", arguments: [".sqlite", ".jsonl.zst"])
    func roundTrip(_ suffix: String) throws {
        try withDirectory { directory in
            let path = directory + "/a" + suffix
            #expect(try write(path, Self.results) == [3, 3])
            let read = try read(path)
            // A text of SQLite ends at a NUL.
            let expected = Self.results.map {
                $0.json.replacing("\\u0000", with: suffix == ".sqlite" ? "\u{FFFD}" : "\\u0000")
            }
            let numbers = expected.map { $0.replacing(#""ratio":0.0000001"#, with: #""ratio":1e-07"#) }
            #expect(read.map(\.json) == numbers)
            #expect(read[0].task?.memoryBytes == 1 << 30 && read[0].task?.type == .python)
            #expect(try FileSystem.entries(of: directory).filter { $0 != "." && $0 != ".." } == ["a" + suffix])
        }
    }

    @Test(
        "what is there is not written again, and another ending of the same task is",
        arguments: [".sqlite", ".jsonl.zst"])
    func adding(_ suffix: String) throws {
        try withDirectory { directory throws in
            let path = directory + "/a" + suffix
            #expect(try write(path, Array(Self.results.prefix(2))) == [2, 2])
            var later = Self.results[0]
            later.outcome?.finishedAtUnixSeconds = 1_764_430_009
            #expect(try write(path, Self.results + [later]) == [4, 2])
            #expect(try write(path, Self.results) == [3, 0])
            #expect(try read(path).count == 4)
        }
    }

    @Test("an output that is known later is filled in in a database")
    func laterOutput() throws {
        try withDirectory { directory in
            var without = Self.results[0]
            (without.standardOutputJSON, without.outputEnd) = (nil, nil)
            try write(directory + "/a.sqlite", [without])
            #expect(try write(directory + "/a.sqlite", [Self.results[0]]) == [1, 0])
            #expect(try write(directory + "/a.sqlite", [without]) == [1, 0])
            #expect(try read(directory + "/a.sqlite").first?.outputEnd?.omittedBytes == 5)
        }
    }

    @Test("values of the same name and of another type have a column of their own")
    func columnsOfTypes() throws {
        try withDirectory { directory in
            var (one, other) = (Self.results[0], Self.results[1])
            one.values = [("size", .integer(3)), ("Command", .integer(1))]
            other.values = [("size", .text("large")), ("size_text", .numberText("0.5"))]
            #expect(try write(directory + "/a.sqlite", [one, other]) == [2, 2])
            let read = try read(directory + "/a.sqlite")
            #expect(read.map(\.json) == [one, other].map { $0.json.replacing("\\u0000", with: "\u{FFFD}") })
        }
    }

    @Test("a file that is no archive is left alone, and one that another command writes")
    func refused() throws {
        try withDirectory { directory in
            for suffix in [".sqlite", ".jsonl.zst"] {
                let path = directory + "/a" + suffix
                try FileSystem.replace(path, with: Array("something else\n".utf8), mode: 0o644)
                #expect(throws: CommandError.self) { try write(path, Self.results) }
                #expect(throws: CommandError.self) { try read(path) }
                #expect(try FileSystem.text(of: path) == "something else")
                #expect(!FileSystem.exists(path + ".part"))
            }
            let path = directory + "/b.sqlite"
            let other = try FileReplacement(of: path)
            #expect(throws: CommandError.self) { try write(path, Self.results) }
            other.abandon()
            // What one that was killed left is written over.
            try FileSystem.replace(path + ".part", with: Array("half".utf8), mode: 0o644)
            #expect(try write(path, Self.results) == [3, 3])
            #expect(throws: CommandError.self) { try ResultArchive.read(directory + "/b.csv") }
        }
    }

    @Test("lines that end in the middle are told of, wherever they end")
    func cutShort() throws {
        try withDirectory { directory in
            let path = directory + "/a.jsonl.zst"
            try write(path, Self.results)
            let whole = try FileSystem.contents(of: path)
            for count in [1, whole.count / 2, whole.count - 1] {
                try FileSystem.replace(path, with: Array(whole[..<count]), mode: 0o644)
                #expect(throws: CommandError.self) { try read(path) }
            }
        }
    }

    @Test(
        "patterns match as those of Redis do",
        arguments: [
            ("*", "", true), ("a*c", "abbc", true), ("a*c", "abbd", false), ("a?c", "abc", true), ("a?c", "ac", false),
            ("[a-c]x", "bx", true), ("[^a-c]x", "bx", false), ("[^a-c]x", "dx", true), ("\\*", "*", true),
            ("\\*", "x", false), ("*ab*ab", "abxabab", true), ("[]", "x", false), ("a[", "a", false),
            ("é*", "éa", true),
            ("[c-a]", "b", true),
        ])
    func globs(_ pattern: String, _ text: String, _ matches: Bool) {
        #expect(GlobPattern(pattern).matches(text) == matches, "\(pattern) and \(text)")
    }
}

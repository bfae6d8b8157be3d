// Results as files for other programs, seen by those programs, and the files that results name.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("results for other programs", .aFewAtATime)
struct ResultFileTests {
    private static let parallel = ["/usr/bin/parallel", "/usr/local/bin/parallel"].first { FileSystem.isExecutable($0) }

    @Test(
        "GNU parallel goes on from our job log: what failed or was never run is run, and nothing else",
        .enabled(if: parallel != nil, "needs GNU parallel"), arguments: ["shell:1:0:0:", ""])
    func resumedByParallel(linesBeginWith start: String) async throws {
        try await withScratch { scratch in
            let done = scratch.path + "/done"
            // The third fails at first, and is tried again after all others have run: it is the last to begin.
            var commands = (1...5).map { "echo \($0) >> \(done); test \($0) != 3" }
            commands.insert("# a remark", at: 1)
            let run = try Run(scratch, commands.map { $0.hasPrefix("#") ? $0 : start + $0 })
            let ended = try await run.finished("--attempts", "2").result
            #expect(ended.status == 1, "\(ended.errors)")
            let input = try scratch.write("commands", (commands + ["echo 6 >> \(done)"]).joined(separator: "\n") + "\n")
            let log = try await run.distcomp("results", "--format", "joblog", "--order", input)
            #expect(log.outputLines.dropFirst().map { $0.split(separator: "\t").first } == ["1", "3", "4", "5", "6"])
            func resume(_ option: String) async throws -> [String] {
                try scratch.write("log", log.output)
                try scratch.write("done", "")
                let command = "\(Self.parallel ?? "") --will-cite --joblog \(scratch.path)/log \(option) < \(input)"
                let result = try await RunningProgram("/bin/sh", ["-c", command], in: scratch).result()
                #expect(!result.errors.contains("wrong"), "\(result.errors)")
                return scratch.lines("done").sorted()
            }
            #expect(try await resume("--resume") == ["6"])
            #expect(try await resume("--resume-failed") == ["3", "6"])
        }
    }

    @Test("what failed and what wrote much have their output in jsonl where the files are, cut output says so")
    func outputOfFiles() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                ["shell:3:0:0:echo failed; exit 1", "shell:2:0:0:head -c 1048577 /dev/zero | tr '\\0' x"])
            #expect(try await run.finished().result.status == 1)
            let failed = try await run.result(of: "echo")
            #expect(failed.string("stdout") == "failed\n" && failed["stdout_truncated"] as? Bool == false)
            let large = try await run.result(of: "head")
            #expect(large.string("stdout")?.utf8.count == 1 << 20 && large["stdout_truncated"] as? Bool == true)
            let log = try await run.distcomp("results", "--format", "joblog")
            #expect(Set(log.outputLines.dropFirst().map { $0.split(separator: "\t")[5] }) == ["7", "1048577"])
            #expect(log.errors.contains("--order FILE"))
            // As on another machine, which has none of the files.
            #expect(rename(run.state + "/result", scratch.path + "/elsewhere") == 0)
            let reported = try await run.result(of: "head")
            #expect(reported["stdout"] is NSNull && reported["stdout_truncated"] as? Bool == true)
            let said = try await run.distcomp("logs", "*head*")
            #expect(said.status == 1 && said.output == "", "what stands for it is not its output")
            #expect(said.errors.contains("it wrote more than a node reports"), "\(said.errors)")
        }
    }

    @Test(
        "--into lays out what tasks wrote as GNU parallel does, to the byte, and --keep-order prints in the order of the file",
        .enabled(if: parallel != nil, "needs GNU parallel"))
    func folders() async throws {
        try await withScratch { scratch in
            // The second begins last, since it is tried again.
            let commands = ["echo a/b", "echo b >&2; exit 3", #"printf 'c\\td'"#, "echo e; echo f"]
            let input = try scratch.write("commands", commands.joined(separator: "\n") + "\n")
            let run = try Run(scratch, commands.map { "shell:1:0:0:" + $0 })
            #expect(try await run.finished("--attempts", "2").result.status == 1)
            func shell(_ command: String) async throws -> String {
                try await RunningProgram("/bin/sh", ["-c", "cd \(scratch.path); " + command], in: scratch).result()
                    .output
            }
            _ = try await shell("\(Self.parallel ?? "") --will-cite --results theirs < commands")
            let said = try await run.distcomp("results", "--into", scratch.path + "/ours", "--order", input)
            #expect(said.output == "4 folders written\n" && said.errors == "", "\(said)")
            #expect(try await shell("diff -r ours theirs && find ours -type f | wc -l") == "12\n")
            let ordered = try await run.distcomp("results", "--format", "jsonl", "--keep-order", "--order", input)
            let found = try ordered.outputLines.map { try jsonObject(String($0)).string("command") ?? "" }
            #expect(found == commands)
            let table = try await run.distcomp("results", "--order", input, "--limit", "2")
            #expect(table.outputLines.count == 3 && table.outputLines[1].hasSuffix("echo a/b"), "\(table.output)")
            #expect(table.outputLines[2].contains("(exit 3: b)"))
        }
    }

    @Test(
        "a state directory that was moved, or copied, has its output where it is now, packed or large",
        arguments: [0, 100_000])
    func moved(more: Int) async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:echo out; echo err >&2; head -c \(more) /dev/zero >&2; exit 1"])
            #expect(try await run.finished().result.status == 1)
            let copy = scratch.path + "/copy"
            let copied = try await RunningProgram("/bin/cp", ["-r", run.state, copy], in: scratch).result()
            #expect(copied.status == 0, "\(copied.errors)")
            let moved = scratch.path + "/moved"
            #expect(rename(run.state, moved) == 0)
            for state in [moved, copy] {
                func distcomp(_ words: String...) async throws -> ProgramResult {
                    try await RunningProgram(Products.distcomp, words + ["--state", state], in: scratch).result()
                }
                #expect(try await distcomp("logs", "*out*").output == "out\n")
                let errors = try await distcomp("logs", "--stderr", "*out*").output
                #expect(errors.hasPrefix("err\n") && errors.utf8.count == 4 + more)
                let result = try jsonObject(try await distcomp("results", "--format", "jsonl").output)
                #expect(result.string("stdout") == "out\n")
                let shown = try await distcomp("show", "*out*").output
                if more == 0 {
                    #expect(result.string("output_segment") == state + "/result/segments/00000001", "\(result)")
                    #expect(shown.contains("output     \(state)/result/segments/00000001, from byte 64: 4 bytes"))
                } else {
                    #expect(result.string("stdout_path")?.hasPrefix(state + "/result/") == true, "\(result)")
                    #expect(text(of: result.string("stderr_path") ?? "").hasPrefix("err\n"))
                    #expect(shown.contains("stdout     \(state)/result/"))
                }
            }
        }
    }
}

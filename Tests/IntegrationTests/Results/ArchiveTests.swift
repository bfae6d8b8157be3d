// Results that leave Redis, by order into archives and by age: on real nodes, and seen by a program that is not ours.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("results that leave Redis", .aFewAtATime)
struct ArchiveTests {
    /// What python3 prints of a database.
    private func python(_ script: String, _ path: String, in scratch: Scratch) async throws -> String {
        let words = "import sqlite3; c = sqlite3.connect('\(path)'); " + script
        let result = try await RunningProgram("/usr/bin/python3", ["-c", words], in: scratch).result()
        #expect(result.status == 0, "\(result.errors)")
        return result.output
    }

    @Test(
        "a sweep goes into an archive and out of Redis, and the archive answers as the queue did",
        arguments: ["sqlite", "jsonl.zst"])
    func archiveAndForget(_ suffix: String) async throws {
        try await withScratch { scratch in
            let state = ["--state", scratch.path + "/state"]
            let path = scratch.path + "/results." + suffix
            func distcomp(_ words: String..., status: Int32 = 0) async throws -> ProgramResult {
                let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                #expect(result.status == status, "\(words): \(result.errors)")
                return result
            }
            _ = try await distcomp(
                "run", "-q", state[0], state[1], "--", "sh", "-c", "echo 'é \"{1}\"'; test {1} != 3", ":::", "1", "2",
                "3", status: 1)
            try scratch.write("lines", "shell:1:0:0:echo plain\n")
            _ = try await distcomp("run", "-q", state[0], state[1], scratch.path + "/lines")
            let before = try await distcomp("results", state[0], state[1], "--format", "jsonl").outputLines.sorted()
            let table = try await distcomp("results", state[0], state[1], "--keep-order").output
            #expect(before.count == 4)

            var said = try await distcomp("results", "sh", state[0], state[1], "--archive", path).output
            #expect(said.hasPrefix("3 results in "), "\(said)")
            // A directory that takes nothing: Redis keeps all.
            let refused = try await distcomp(
                "results", state[0], state[1], "--archive", scratch.path + "/none/a." + suffix, "--forget", status: 2)
            #expect(refused.errors.contains("No such file"), "\(refused.errors)")
            #expect(try await distcomp("results", state[0], state[1], "--json").outputLines.count == 4)
            said = try await distcomp("results", state[0], state[1], "--archive", path, "--forget", "--json").output
            let outcome = try jsonObject(said)
            #expect(
                outcome.integer("results") == 4 && outcome.integer("new") == 1 && outcome.integer("forgotten") == 4,
                "\(said)")

            #expect(try await distcomp("results", state[0], state[1], "--json").output.isEmpty)
            #expect(try await distcomp("jobs", state[0], state[1]).output == "no jobs\n")
            #expect(try await distcomp("results", "--from", path, "--json").outputLines.sorted() == before)
            #expect(try await distcomp("results", "--from", path, "--keep-order").output == table)
            #expect(try await distcomp("results", "--from", path, "--failed", "--json").outputLines.count == 1)
            #expect(try await distcomp("results", "--from", path, "default", "--json").outputLines.count == 1)
            #expect(
                try await distcomp("results", "--from", path, "--match", "*[23] != 3*", "--json").outputLines.count == 2
            )
            #expect(
                try await distcomp("results", "sh", "--from", path, "--format", "csv").output.contains(
                    ",command,value_1,job,"))
            #expect(try await distcomp("results", "--from", path, "--summary").output.contains("echo plain"))
            if suffix == "sqlite" {
                let read = try await python(
                    "print(c.execute('select count(*), sum(value_1), group_concat(distinct typeof(value_1)), max(stdout), typeof(\"end\") from tasks').fetchall(), "
                        + "c.execute('select name, finished, failed from jobs').fetchall())", path, in: scratch)
                #expect(read == "[(4, 6, 'integer,null', 'é \"3\"\\n', 'real')] [('sh', 2, 1)]\n", "\(read)")
                let copied = scratch.path + "/copy.jsonl.zst"
                _ = try await distcomp("results", "--from", path, "--archive", copied)
                #expect(try await distcomp("results", "--from", copied, "--json").outputLines.sorted() == before)
                // What another program has yet to write back belongs to this file, not to one in its place.
                let link = scratch.path + "/link.sqlite"
                #expect(symlink(path, link) == 0)
                for end in ["-wal", "-journal"] {
                    try scratch.write("results.sqlite" + end, "x")
                    for name in [path, link] {
                        let refused = try await distcomp("results", "--from", copied, "--archive", name, status: 2)
                        #expect(refused.errors.contains("(there is \(path)\(end))"), "\(refused.errors)")
                    }
                    #expect(unlink(path + end) == 0)
                }
                // One that is kept for the next time holds nothing.
                try scratch.write("results.sqlite-journal", "")
                _ = try await distcomp("results", "--from", copied, "--archive", path)
            }
        }
    }

    /// Redis's, in seconds.
    private func clock(_ fleet: Fleet) throws -> Int { try fleet.call("TIME").elements?.first?.int ?? 0 }

    @Test("an output leaves Redis by age and says where it is, then its job; asked for again it is told, not run")
    func byAge() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch
            let rule = ["results_keep_days": "0.00001"]
            let first = try await fleet.startedNode("a")
            let command = ["--", "sh", "-c", "head -c {1} /dev/zero | tr '\\0' x", ":::", "500", "2000000"]
            try #require(try await fleet.distcomp(["submit", "--name", "sweep"] + command).status == 0)
            try await fleet.submit(["shell:1:0:0:head -c 500 /dev/zero | tr '\\0' y"])
            try #require(try await fleet.distcomp("watch", "-q").status == 0)
            let cut = try await fleet.distcomp("results", "sweep", "--match", "*2000000*", "--json")
            let ends = try jsonObject(cut.output)
            #expect(
                ends["stdout_truncated"] as? Bool == true && ends.integer("stdout_omitted_bytes") == 2_000_000 - 131_072
            )
            #expect(ends.string("stdout_tail")?.utf8.count == 65_536)
            let whole = try await fleet.distcomp("logs", "*2000000*")
            #expect(whole.output.utf8.count == 2_000_000, "its node has all of it")
            try await first.stop()
            // As on another machine, which has none of the files.
            #expect(rename(scratch.path + "/result-a", scratch.path + "/elsewhere") == 0)
            let parts = try await fleet.distcomp("logs", "*2000000*")
            #expect(
                parts.output.utf8.count == 131_072 && parts.errors.contains("1,868,928 bytes are left out here"),
                "\(parts.errors)")

            // One task waits, so that the job stays.
            try #require(
                try await fleet.distcomp(["submit", "--name", "sweep", "--cores", "1000"] + command + ["7"]).status == 0
            )
            // A node looks once a minute, and the setting is a second.
            let ended = try clock(fleet)
            try await eventually("all of it is old") { try clock(fleet) > ended + 3 }
            let second = try await fleet.startedNode("b", rule)
            try await eventually("the outputs have left", second.log) {
                try fleet.hash("finished_tasks").values.allSatisfy { $0.hasPrefix("a: stdout left Redis at ") }
            }
            let old = try await fleet.distcomp("results", "sweep", "--match", "*500*", "--json")
            let left = try jsonObject(old.output)
            #expect(
                left["stdout"] is NSNull && left["stdout_left_at"] as? Double ?? 0 > 1e9
                    && left.integer("exit_code") == 0)
            #expect(try await fleet.distcomp("show", "*head -c 500 *").output.contains("left Redis on "))
            try await second.stop()

            // With it gone the job goes.
            try #require(try await fleet.distcomp("cancel", "*head -c 7 *").status == 0)
            _ = try fleet.call("DEL", "distcomp:retention")  // A pass a minute is too seldom for a test.
            let third = try await fleet.startedNode("c", rule)
            try await eventually("the job has left", third.log) {
                try fleet.count("distcomp:jobs-left") == 1
            }
            let listed = try await fleet.distcomp("jobs", "--json")
            #expect(
                listed.output.contains(#""job":"sweep""#) && listed.output.contains(#""results_left_at":1"#),
                "\(listed)")
            let job = try jsonObject(try await fleet.distcomp("status", "sweep", "--json").output)
            #expect(job.integer("finished") == 2 && job.integer("failed") == 1)
            let status = try jsonObject(try await fleet.distcomp("status", "--json").output)
            #expect(status.integer("finished") == 3 && status.integer("failed") == 1)
            let none = try await fleet.distcomp("results", "sweep", "--json")
            #expect(none.output.isEmpty && none.errors.contains("left Redis on "), "\(none.errors)")
            let shown = try await fleet.distcomp("show", "sweep")
            #expect(
                shown.status == 2 && shown.errors.contains("the results of sweep left Redis on "), "\(shown.errors)")
            let again = try await fleet.distcomp(["submit", "--name", "sweep"] + command)
            #expect(again.status == 2 && again.errors.contains("distcomp forget sweep"), "\(again.errors)")
            #expect(try await fleet.distcomp("forget", "sweep").output == "3 forgotten\n")
            try #require(try await fleet.distcomp(["submit", "--name", "sweep"] + command).status == 0)
            try #require(try await fleet.distcomp("watch", "-q", "sweep").status == 0)
            try await third.stop()
        }
    }
}

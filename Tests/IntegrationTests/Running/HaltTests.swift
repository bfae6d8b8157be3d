// Runs that end early because of their failures, and what is done at the end of a job.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("the end of a run", .aFewAtATime)
struct HaltTests {
    /// A sweep of which the first fails, and the others go on once `go` is there.
    private func sweep(_ scratch: Scratch, _ options: String...) throws -> RunningProgram {
        let (go, marks) = (scratch.path + "/go", scratch.path + "/marks")
        if !FileSystem.exists(marks) { try scratch.write("marks", "") }
        chmod(marks, 0o666)
        let command = "test {} != a || exit 3; until test -e \(go); do sleep 0.01; done; echo {} >> \(marks)"
        return try RunningProgram(
            Products.distcomp,
            ["run", "--state", scratch.path + "/state", "--slots", "1", "--name", "j"] + options
                + ["--", command, ":::", "a", "b", "c", "d"], in: scratch)
    }

    private func job(_ scratch: Scratch) async throws -> [Int?] {
        let words = ["jobs", "show", "j", "--json", "--state", scratch.path + "/state"]
        let job = try jsonObject(try await RunningProgram(Products.distcomp, words, in: scratch).result().output)
        return ["todo", "in_progress", "finished", "failed"].map { job[$0] as? Int }
    }

    @Test("--halt soon lets what runs end, begins nothing more, and leaves the rest to the next run")
    func soon() async throws {
        try await withScratch { scratch in
            let program = try sweep(scratch, "--halt", "soon,fail=1")
            try await eventually("it halts", program.errors) { program.errors.contains("nothing more is begun") }
            try scratch.write("go", "")
            let result = try await program.result()
            #expect(
                result.status == 1 && result.output.contains("1 finished, 1 failed (1 exit), 2 still to do"),
                "\(result)")
            #expect(result.errors.contains("halted (--halt soon,fail=1)"), "\(result.errors)")
            #expect(scratch.lines("marks") == ["b"])
            #expect(try await job(scratch) == [2, 0, 1, 1])
            let next = try await sweep(scratch).result()
            #expect(next.status == 1 && next.output.contains("3 finished, 1 failed"), "\(next)")
            #expect(scratch.lines("marks") == ["b", "c", "d"])
        }
    }

    @Test("--halt now stops what runs, which waits again; what had failed before the run does not count")
    func now() async throws {
        try await withScratch { scratch in
            let result = try await sweep(scratch, "--halt", "now,fail=20%", "--json").result()
            #expect(result.status == 1, "\(result)")
            #expect(try jsonObject(result.output)["halted"] as? Bool == true)
            #expect(try await job(scratch) == [3, 0, 0, 1])
            #expect(scratch.tasks(with: "marks").isEmpty)
            try scratch.write("go", "")
            let words = ["run", "--state", scratch.path + "/state", "--halt", "now,fail=1", "--json"]
            let next = try await RunningProgram(Products.distcomp, words, in: scratch).result()
            #expect(try jsonObject(next.output)["halted"] as? Bool == false, "\(next)")
            #expect(scratch.lines("marks").sorted() == ["b", "c", "d"])
        }
    }

    @Test("--on-end is told of the job and its counts, and its failure is told and changes no status")
    func onEnd() async throws {
        try await withScratch { scratch in
            let counts = "$DISTCOMP_JOB $DISTCOMP_FINISHED $DISTCOMP_FAILED $DISTCOMP_TODO"
            func run(_ words: String...) async throws -> ProgramResult {
                let state = ["--state", scratch.path + "/state"]
                return try await RunningProgram(
                    Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
                ).result()
            }
            let sweep = ["--", "test {} != 2", ":::", "1", "2", "3"]
            let failed = try await RunningProgram(
                Products.distcomp,
                [
                    "run", "--state", scratch.path + "/state", "--json", "--name", "j", "--on-end",
                    "echo told: \(counts)",
                ]
                    + sweep, in: scratch
            ).result()
            #expect(failed.status == 1 && failed.errors.contains("told: j 2 1 0\n"), "\(failed)")
            _ = try jsonObject(failed.output)  // What the command prints is not in it.
            let fine = try await run("run", "-q", "--on-end", "exit 7", "--", "true")
            #expect(fine.status == 0 && fine.errors.contains("--on-end: the command ended with exit 7"), "\(fine)")
            let watched = try await run("watch", "-q", "j", "--on-end", "echo told: \(counts); kill -9 $$")
            #expect(watched.status == 1 && watched.errors.contains("told: j 2 1 0\n"), "\(watched)")
            #expect(watched.errors.contains("ended by signal 9"))
        }
    }
}

// `distcomp run`: the main job of a person with one machine, from the file to the summary.

import Glibc
import LinuxSystem
import Testing

@Suite("distcomp run", .aFewAtATime)
struct RunTests {
    @Test("the example file gives seven finished and three failed, each with its cause, and exit status 1")
    func example() async throws {
        try await withScratch { scratch in
            let run = Run(scratch, file: Products.package + "/example/task_with_timeout")
            let (result, summary) = try await run.finished()
            #expect(result.status == 1)
            #expect(summary.integer("todo") == 0)
            #expect(summary.integer("in_progress") == 0)
            #expect(summary.integer("finished") == 7)
            #expect(summary.integer("failed") == 3)
            #expect(summary.integer("workers") == 0)
            #expect(summary["failed_by_cause"] as? [String: Int] == ["exit": 1, "oom": 1, "timeout": 1])
            #expect(try await run.result(of: "exit 3").integer("exit_code") == 3)
            #expect(try await run.result(of: "sleep 60").string("reason") == "timeout (2 s)")
            let oom = try await run.result(of: "tail /dev/zero")
            #expect(oom.string("reason")?.hasPrefix("oom (cap 64 MB") == true, "\(oom)")
            #expect(try await run.result(of: "half past").string("stdout") == "half past ten is 10:30:00\n")
        }
    }

    @Test("a program that reserves 12 GB and uses little runs under a cap of 1 GB")
    func reserves() async throws {
        try await withScratch { scratch in
            let reserve = "mmap.mmap(-1, 12<<30, flags=mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS|0x4000, prot=0)"
            let run = try Run(scratch, ["shell:1:1G:0:60:python3 -c \"import mmap; \(reserve)\""])
            #expect(try await run.finished().result.status == 0)
        }
    }

    @Test("when everything succeeds the exit status is 0, and the summary is a sentence")
    func success() async throws {
        try await withScratch { scratch in
            let program = try Run(scratch, ["shell:1:0:0:true", "demo:1:0:0:x"]).launch()
            let result = try await program.result()
            #expect(result.status == 0)
            #expect(result.output.contains("2 tasks: 2 finished, "), "\(result.output)")
        }
    }

    @Test("a number of threads that the caller's environment sets stays, the others are set to the task's cores")
    func threads() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:1:echo $OMP_NUM_THREADS $GOMAXPROCS"])
            let program = try RunningProgram(
                "/usr/bin/env", ["OMP_NUM_THREADS=7", Products.distcomp, "run", run.file, "--state", run.state],
                in: scratch)
            #expect(try await program.result().status == 0)
            #expect(try await run.result(of: "OMP").string("stdout") == "7 1\n")
        }
    }

    @Test("running again does what is left: what finished is not run again, what failed is")
    func resume() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch, ["shell:1:0:0:echo good >> \(log)", "shell:1:0:0:echo bad >> \(log); test -e \(log).mend"])
            #expect(try await run.finished().result.status == 1)
            try scratch.write("log.mend", "")
            let (second, summary) = try await run.finished()
            #expect(second.status == 0)
            #expect(summary.integer("finished") == 2)
            #expect(summary.integer("failed") == 0)
            #expect(try await run.finished().result.status == 0)
            #expect(scratch.lines("log").sorted() == ["bad", "bad", "good"])
        }
    }

    @Test("every malformed line is told with file, line and column; the rest runs; the exit status is 2")
    func malformedLines() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "# comment", "shell:1:0:0:echo fine", "ruby:1:0:0:x", "shell:high:0:0:x", "", "shell:1:much:0:x",
                    "nothing", "shell:1:0:0:echo also fine",
                ])
            let (result, summary) = try await run.finished()
            #expect(result.status == 2)
            #expect(summary.integer("finished") == 2)
            let problems = result.errorLines.filter { $0.hasPrefix(run.file + ":") }
            #expect(
                problems.map { $0.dropFirst(run.file.count).prefix(6) }.filter { $0.hasPrefix(":3:1: ") }.count == 1)
            for place in [":3:1: ", ":4:7: ", ":6:9: ", ":7:"] {
                #expect(problems.contains { $0.hasPrefix(run.file + place) }, "\(place) in \(problems)")
            }
        }
    }

    @Test("a file that is not there is one line and exit status 2")
    func missingFile() async throws {
        try await withScratch { scratch in
            let result = try await Run(scratch, file: scratch.path + "/nowhere").launch().result()
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.contains("/nowhere: No such file or directory"), "\(result.errors)")
        }
    }

    @Test("a second run on the same state is refused while the first goes on")
    func secondRun() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch, ["shell:1:0:0:echo up >> \(log); while ! test -e \(log).go; do sleep 0.05; done"])
            let first = try run.launch()
            try await eventually("the task runs", first.errors) { scratch.lines("log") == ["up"] }
            let second = try await run.launch().result()
            #expect(second.status == 2)
            #expect(second.errorLines.count == 1)
            #expect(second.errors.contains("another distcomp run uses"), "\(second.errors)")
            // A look at it is not refused.
            let status = try jsonObject(try await run.distcomp("status", "--json").output)
            #expect(status.integer("in_progress") == 1)
            try scratch.write("log.go", "")
            #expect(try await first.result().status == 0)
        }
    }

    @Test(
        "the node of a run is among the workers as soon as it runs a task")
    func worker() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch, ["shell:1:0:0:echo up >> \(log); while ! test -e \(log).go; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            let status = try jsonObject(try await run.distcomp("status", "--json").output)
            #expect(status.integer("workers") == 1)
            try scratch.write("log.go", "")
            #expect(try await program.result().status == 0)
        }
    }

    @Test("Ctrl-C stops what runs, returns it to todo, leaves nothing running, and the next run finishes it")
    func interrupt() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch,
                (1...4).map { "shell:1:0:0:echo \($0) >> \(log); while ! test -e \(log).go; do sleep 0.05; done" })
            let program = try run.launch("--slots", "2")
            try await eventually("two tasks run", program.errors) { scratch.lines("log").count == 2 }
            program.send(SIGINT)
            let result = try await program.result()
            #expect(result.status == 130)
            #expect(result.errors.contains("stopping: running tasks go back to todo"))
            #expect(scratch.processes().isEmpty)
            let status = try jsonObject(try await run.distcomp("status", "--json").output)
            #expect(status.integer("todo") == 4)
            #expect(status.integer("in_progress") == 0)
            #expect(status.integer("workers") == 0)

            try scratch.write("log.go", "")
            let (second, summary) = try await run.finished()
            #expect(second.status == 0)
            #expect(summary.integer("finished") == 4)
        }
    }

    @Test("kill -9 of a run takes its Redis, its node and its tasks along, and the next run finishes the work")
    func killed() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch,
                (1...4).map { "shell:1:0:0:echo \($0) >> \(log); while ! test -e \(log).go; do sleep 0.05; done" })
            let program = try run.launch("--slots", "2")
            try await eventually("two tasks run", program.errors) { scratch.lines("log").count == 2 }
            program.send(SIGKILL)
            try await program.result()
            try await eventually("Redis, node and tasks are gone", "\(scratch.processes())") {
                scratch.processes().isEmpty
            }
            try scratch.write("log.go", "")
            let (second, summary) = try await run.finished()
            #expect(second.status == 0)
            #expect(summary.integer("finished") == 4)
            #expect(summary.integer("failed") == 0)
            #expect(Set(scratch.lines("log")) == ["1", "2", "3", "4"])
        }
    }

    @Test("of 2,000 tasks that append their number to one file, each does so exactly once")
    func eachExactlyOnce() async throws {
        try await withScratch { scratch in
            let numbers = (1...2000).map { String($0) }
            let run = try Run(scratch, numbers.map { "shell:1:0:0:echo \($0) >> \(scratch.path)/log" })
            let (result, summary) = try await run.finished()
            #expect(result.status == 0)
            #expect(summary.integer("finished") == 2000)
            #expect(scratch.lines("log").sorted() == numbers.sorted())
        }
    }

    @Test("10,000 lines are 10,000 tasks finished, and nothing is left of them")
    func tenThousand() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, (1...10_000).map { "shell:1:0:0:true \($0)" })
            let (result, summary) = try await run.finished()
            #expect(result.status == 0)
            #expect(summary.integer("finished") == 10_000)
            #expect(summary.integer("failed") == 0)
            #expect(summary.integer("todo") == 0)
        }
    }
}

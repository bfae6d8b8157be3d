// `distcomp run --output stream`: what tasks write, line by line while they run.

import Glibc
import LinuxSystem
import Testing

@Suite("run --output stream", .aFewAtATime)
struct StreamTests {
    @Test(
        "lines come while their tasks run, standard output on ours and standard error on ours, and the summary is not among them"
    )
    func live() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let run = try Run(
                scratch,
                ["shell:1:0:0:echo begun; echo trouble >&2; while ! test -e \(go); do sleep 0.05; done; printf over"])
            let program = try run.launch("--output", "stream")
            try await eventually("the first lines", program.errors) {
                program.output == "begun\n" && program.errors.contains("trouble\n")
            }
            try scratch.write("go", "")
            let result = try await program.result()
            #expect(result.status == 0)
            #expect(result.output == "begun\nover\n", "an unfinished last line gets its newline")
            #expect(result.errors.contains("1 task: 1 finished"), "\(result.errors)")
        }
    }

    @Test(
        "lines of tasks that write at once are never mixed, each begins with its task's values, and those of one are in order"
    )
    func apart() async throws {
        try await withScratch { scratch in
            let result = try await RunningProgram(
                Products.distcomp,
                [
                    "run", "--state", scratch.path + "/state", "--slots", "8", "--output", "stream", "--tag", "--",
                    "for i in $(seq 300); do printf 'a%s ' {1}; printf '%s-{2}\\n' $i; done", ":::", "x", "y y", "z",
                    ":::",
                    "1", "2",
                ], in: scratch
            ).result()
            #expect(result.status == 0, "\(result.errors)")
            var counts: [String: Int] = [:]
            for line in result.outputLines {
                let parts = line.split(separator: "\t", omittingEmptySubsequences: false)
                let tag = String(parts[0])
                let values = tag.split(separator: " ")
                counts[tag, default: 0] += 1
                let first = values.dropLast().joined(separator: " ")
                try #require(
                    parts.count == 2 && parts[1] == "a\(first) \(counts[tag] ?? 0)-\(values.last ?? "")", "\(line)")
            }
            #expect(counts == ["x 1": 300, "x 2": 300, "y y 1": 300, "y y 2": 300, "z 1": 300, "z 2": 300])
        }
    }

    @Test("a line longer than a piece comes whole where nobody else writes, and another's line begins at the margin")
    func longLines() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let long = "head -c 200000 /dev/zero | tr '\\0' a"
            let run = try Run(
                scratch,
                [
                    "shell:2:0:0:\(long); while ! test -e \(go); do sleep 0.05; done; echo z",
                    "shell:1:0:0:while ! test -e \(go).b; do sleep 0.05; done; echo other",
                ])
            let program = try run.launch("--output", "stream", "--slots", "2")
            try await eventually("the pieces", program.errors) { program.output.utf8.count == 3 << 16 }
            try scratch.write("go.b", "")
            try await eventually("the line of the other", program.errors) { program.output.hasSuffix("\nother\n") }
            try scratch.write("go", "")
            let result = try await program.result()
            let lines = result.output.split(separator: "\n").map(String.init)
            #expect(result.status == 0)
            #expect(lines.map(\.utf8.count) == [3 << 16, 5, 200_001 - 3 << 16], "\(lines.map(\.utf8.count))")
            #expect(
                lines.joined() == String(repeating: "a", count: 3 << 16) + "other"
                    + String(repeating: "a", count: 200_000 - 3 << 16) + "z")
        }
    }

    @Test("every attempt is shown, and what a task wrote that was killed")
    func attempts() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:echo try $DISTCOMP_ATTEMPT; test $DISTCOMP_ATTEMPT = 3",
                    "shell:1:0:0:1:echo late; exec sleep 1000",
                    "shell:1:0:0:echo shot; kill -9 $$",
                ])
            let result = try await run.launch("--output", "stream", "--attempts", "3").result()
            #expect(result.status == 1)
            let lines = result.outputLines.map(String.init)
            #expect(lines.filter { $0.hasPrefix("try") } == ["try 1", "try 2", "try 3"])
            #expect(lines.filter { $0 == "shot" }.count == 3 && lines.filter { $0 == "late" }.count == 3, "\(lines)")
        }
    }

    @Test("what tasks had written when Ctrl-C stopped them is shown; going on shows only what runs then")
    func interrupted() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let run = try Run(
                scratch, ["shell:2:0:0:echo short", "shell:1:0:0:echo up; test -e \(go) || exec sleep 1000"])
            let program = try run.launch("--output", "stream", "--slots", "1")
            try await eventually("both lines", program.errors) { program.output == "short\nup\n" }
            program.send(SIGINT)
            #expect(try await program.result().status == 130)
            try scratch.write("go", "")
            let next = try await RunningProgram(
                Products.distcomp, ["run", "--state", run.state, "--output", "stream"], in: scratch
            ).result()
            #expect(next.status == 0 && next.output == "up\n", "\(next)")
        }
    }

    @Test("what tasks had written is shown when their node was killed")
    func nodeKilled() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:printf unfinished; touch \(scratch.path)/up; exec sleep 1000"])
            let program = try run.launch("--output", "stream")
            try await eventually("the task") { FileSystem.exists(scratch.path + "/up") }
            let nodes = scratch.processes(with: "distcompd --config")
            try #require(!nodes.isEmpty)
            for node in nodes { kill(node, SIGKILL) }
            let result = try await program.result()
            #expect(result.status == 1 && result.output == "unfinished\n", "\(result)")
        }
    }

    @Test("two thousand tasks that are over at once lose no line")
    func many() async throws {
        try await withScratch { scratch in
            let result = try await RunningProgram(
                Products.distcomp,
                ["run", "--state", scratch.path + "/state", "--output", "stream", "-q", "--", "echo {1}{2}", ":::"]
                    + (100...119).map { "\($0)" } + [":::"] + (100...199).map { "\($0)" }, in: scratch
            ).result()
            #expect(result.status == 0, "\(result.errors.suffix(500))")
            let lines = result.outputLines.compactMap { Int($0) }
            #expect(lines.count == 2000 && Set(lines).count == 2000)
            #expect(result.errorLines.count == 1, "the summary alone")
        }
    }

    @Test("a reader that has seen enough ends the run as Ctrl-C does")
    func readerGone() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:while echo y; do sleep 0.01; done"])
            let result = try await RunningProgram(
                "/bin/sh",
                [
                    "-c",
                    "{ \(Products.distcomp) run \(run.file) --state \(run.state) --output stream; echo status $? >&2; } | head -2",
                ],
                in: scratch
            ).result()
            #expect(result.output == "y\ny\n")
            #expect(
                result.errors.contains("nobody reads what tasks write any more") && result.errors.contains("status 1"))
            let status = try jsonObject(try await run.distcomp("status", "--json").output)
            #expect(status.integer("todo") == 1)
        }
    }

    /// A run whose standard output is a pipe that somebody has open and nobody reads.
    private func unread(_ scratch: Scratch, _ words: [String]) throws -> (run: RunningProgram, reader: RunningProgram) {
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
        let pipe = scratch.path + "/pipe"
        #expect(mkfifo(pipe, 0o600) == 0)
        // It reads when it is told to.
        let read = "exec < \(pipe); while ! test -e \(scratch.path)/read; do sleep 0.05; done; exec cat"
        let reader = try RunningProgram("/bin/sh", ["-c", read], in: scratch)
        let run = try RunningProgram(
            "/bin/sh",
            ["-c", "exec \"$@\" > \(pipe)", "sh", Products.distcomp, "run", "--state", state, "--slots", "1"] + words,
            in: scratch)
        return (run, reader)
    }

    @Test("while the reader takes nothing the tasks go on, and Ctrl-C is heard")
    func slowReader() async throws {
        try await withScratch { scratch in
            let (program, reader) = try unread(
                scratch,
                [
                    "--output", "stream", "--",
                    "seq 20000; echo {} >> \(scratch.path)/log; test {} != x || exec sleep 1000",
                    ":::", "1", "2", "3", "x",
                ])
            try await eventually("all tasks begin", program.errors) { scratch.lines("log").count == 4 }
            program.send(SIGINT)
            try await eventually("the order is heard", program.errors) { program.errors.contains("stopping:") }
            try await eventually("the node ends") { scratch.processes(with: "distcompd").isEmpty }
            program.send(SIGINT)
            #expect(try await program.result().status == 130)
            reader.send(SIGKILL)
            try await reader.result()
        }
    }

    @Test("of a task that is tried again while the reader takes nothing, every attempt is shown when it reads")
    func slowReaderOfAttempts() async throws {
        try await withScratch { scratch in
            let task = "seq 20000; echo try $DISTCOMP_ATTEMPT; echo x >> \(scratch.path)/log; exit 3"
            let (program, reader) = try unread(scratch, ["--output", "stream", "--attempts", "3", "--", task])
            try await eventually("all attempts", program.errors) { scratch.lines("log").count == 3 }
            try scratch.write("read", "")
            #expect(try await program.result().status == 1)
            let lines = try await reader.result().outputLines
            #expect(lines.filter { $0.hasPrefix("try ") } == ["try 1", "try 2", "try 3"])
            #expect(lines.count == 60_003)
        }
    }

    @Test(
        "on a terminal lines stand above the bar, which tears none, and control characters are shown",
        arguments: ["stream", "ordered"])
    func terminal(manner: String) async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let run = try Run(
                scratch,
                ["shell:2:0:0:printf 'red \\033[31m\\r\\n'; printf half"]
                    + ["shell:1:0:0:echo go on >&2; while ! test -e \(go); do sleep 0.05; done; echo last"])
            try await withTerminal(scratch, rows: 30) { terminal in
                let words = "run \(run.file) --state \(run.state) --slots 1 --output \(manner)"
                try await terminal.enter("clear; \(Products.distcomp) \(words); echo status $?")
                let screen = try await terminal.until("lines above the bar") {
                    $0.contains("half\n") && $0.contains("1 running") && (manner == "ordered" || $0.contains("go on\n"))
                }
                let lines = screen.split(separator: "\n").map(String.init)
                #expect(lines.contains("red \\x1b[31m\\r") && lines.contains("half"), "\(screen)")
                #expect(lines.last?.hasPrefix("[") == true && lines.last?.contains("1/2") == true, "\(screen)")
                try scratch.write("go", "")
                let end = try await terminal.until("the end") { $0.contains("status 0") }
                #expect(end.contains("\nlast\n") && !end.contains("running"), "\(end)")
            }
        }
    }
}

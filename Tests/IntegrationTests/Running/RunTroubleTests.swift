// `distcomp run` when something is not as it should be: its helpers die, its directory is strange, its tasks cannot be run.

import Glibc
import LinuxSystem
import Testing

@Suite("distcomp run in trouble", .aFewAtATime)
struct RunTroubleTests {
    @Test("SIGTERM stops a run as Ctrl-C does")
    func terminated() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(scratch, ["shell:1:0:0:echo up >> \(log); while true; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            program.send(SIGTERM)
            #expect(try await program.result().status == 130)
            #expect(scratch.processes().isEmpty)
        }
    }

    @Test("a second Ctrl-C does not wait for a task that ignores TERM, also where the node has not heard the first yet")
    func hurry() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(scratch, ["shell:1:0:0:trap '' TERM; echo up >> \(log); while true; do sleep 0.05; done"])
            // Without the second, it would wait for an hour.
            let settings = try scratch.write(
                "patient.json",
                """
                {"memory_caps": "best-effort", "result_dir": "\(scratch.path)/result", "kill_grace_seconds": 3600,
                 "stop_grace_seconds": 0}
                """)
            let program = try run.launch("--config", settings)
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            let node = try #require(scratch.processes(with: "--serve-parent").first)
            kill(node, SIGSTOP)
            program.send(SIGINT)
            try await eventually("the first is heard", program.errors) { program.errors.contains("stopping") }
            program.send(SIGINT)
            try await eventually("the second is heard", program.errors) { program.errors.contains("hurrying") }
            kill(node, SIGCONT)
            #expect(try await program.result().status == 130)
        }
    }

    @Test("Ctrl-C hurries a run that --halt has ended")
    func hurryHalted() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:trap '' TERM; echo up >> \(log); while true; do sleep 0.05; done",
                    "shell:1:0:0:until [ -e \(log) ]; do sleep 0.05; done; exit 1",
                ])
            let settings = try scratch.write(
                "patient.json",
                """
                {"memory_caps": "best-effort", "result_dir": "\(scratch.path)/result", "kill_grace_seconds": 3600,
                 "stop_grace_seconds": 0}
                """)
            let program = try run.launch("--config", settings, "--halt", "now,fail=1", "--attempts", "1")
            try await eventually("the run halts", program.errors) { program.errors.contains("halting") }
            program.send(SIGINT)
            #expect(try await program.result().status == 1)
        }
    }

    @Test("--attempts says how often a failing task is tried")
    func attempts() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:echo try >> \(scratch.path)/log; exit 1"])
            let (result, _) = try await run.finished("--attempts", "2")
            #expect(result.status == 1)
            #expect(scratch.lines("log").count == 2)
            #expect(try await run.result(of: "exit 1").integer("attempts") == 2)
        }
    }

    @Test("an empty file is a run of nothing, standard input is a file like any other")
    func unusualFiles() async throws {
        try await withScratch { scratch in
            let empty = try Run(scratch, file: scratch.write("empty", "")).launch()
            #expect(try await empty.result().status == 0)
            let command =
                "printf 'shell:1:0:0:true\\nshell:1:0:0:true' | \(Products.distcomp) run - --json --state state"
            let result = try await RunningProgram("/bin/sh", ["-c", command], in: scratch).result()
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: "state/node")
            #expect(result.status == 0)
            // Two lines of one text are one task.
            #expect(try jsonObject(result.output).integer("finished") == 1)
        }
    }

    @Test("a state directory that cannot be made is one line and exit status 2")
    func unusableState() async throws {
        try await withScratch { scratch in
            let file = try scratch.write("tasks", "shell:1:0:0:true\n")
            let words = ["run", file, "--state", file + "/x"]
            let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
            #expect(result.status == 2)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.contains("tasks/x: Not a directory"), "\(result.errors)")
        }
    }

    @Test("settings of the user's own apply, and wrong ones are told with their place")
    func ownSettings() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:head -c 3000000 /dev/zero"])
            let settings = try scratch.write(
                "own.json", "{\"max_output_bytes\": 1000000, \"result_dir\": \"\(scratch.path)/result\"}")
            let (result, summary) = try await run.finished("--config", settings)
            #expect(result.status == 1)
            #expect(summary["failed_by_cause"] as? [String: Int] == ["signal": 1])
            let wrong = try scratch.write("wrong.json", "{\"redis_port\": 0}")
            let refused = try await run.launch("--config", wrong).result()
            #expect(refused.status == 2)
            #expect(refused.errors.contains("wrong.json:1:16: redis_port is 0"), "\(refused.errors)")
        }
    }

    /// A run with nothing in PATH but that server, which is a script, and what a run needs.
    private func run(_ scratch: Scratch, server name: String, _ script: String) async throws -> ProgramResult {
        try FileSystem.createDirectories(scratch.path + "/bin", mode: 0o755)
        for tool in ["setpriv", "true"] {
            #expect(symlink("/usr/bin/\(tool)", scratch.path + "/bin/\(tool)") == 0)
        }
        let program = try scratch.write("bin/\(name)", "#!/bin/sh\nPATH=/usr/bin:/bin\n\(script)\n")
        #expect(chmod(program, 0o755) == 0)
        let run = try Run(scratch, ["shell:1:0:0:true"])
        let command = "PATH=\(scratch.path)/bin exec \(Products.distcomp) run \(run.file) --state \(run.state) --json"
        return try await RunningProgram("/bin/sh", ["-c", command], in: scratch).result()
    }

    @Test("where there is Valkey and no Redis, that is used")
    func valkey() async throws {
        try await withScratch { scratch in
            let result = try await run(
                scratch, server: "valkey-server", "exec $(command -v redis-server || command -v valkey-server) \"$@\"")
            #expect(result.status == 0, "\(result.errors)")
            #expect(try jsonObject(result.output).integer("finished") == 1)
        }
    }

    @Test("a Redis that is too old is told at once, and is not left behind")
    func oldRedis() async throws {
        try await withScratch { scratch in
            // Of an older one it differs in this: it does not know HELLO.
            let result = try await run(
                scratch, server: "redis-server",
                "{ cat; echo 'rename-command HELLO \"\"'; } > own.conf; exec redis-server own.conf")
            #expect(result.status == 1)
            #expect(
                result.errors.contains(
                    "/bin/redis-server cannot be used: too old: Redis 7 or newer is needed (or one whose HELLO"),
                "\(result.errors)")
        }
    }

    @Test("when its Redis is killed the run ends with status 3, and node and tasks end with it")
    func redisKilled() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(scratch, ["shell:1:0:0:echo up >> \(log); while true; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            let servers = scratch.processes(with: "redis-server")
            try #require(servers.count == 1)
            for server in servers { kill(server, SIGKILL) }
            let result = try await program.result()
            #expect(result.status == 3)
            #expect(result.errorLines.last?.hasPrefix("distcomp: ") == true, "\(result.errors)")
            try await eventually("all ends", "\(scratch.processes())") { scratch.processes().isEmpty }
        }
    }

    /// A killed run, whose one task waits for the file `go`, and whose Redis stands still.
    private func killedRun(_ scratch: Scratch) async throws -> (run: Run, redis: Int32) {
        let run = try Run(
            scratch,
            ["shell:1:0:0:echo up >> \(scratch.path)/log; until [ -e \(scratch.path)/go ]; do sleep 0.05; done"])
        let program = try run.launch()
        try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
        let redis = try #require(scratch.processes(with: "redis-server").first)
        kill(redis, SIGSTOP)
        program.send(SIGKILL)
        _ = try await program.result()
        try await eventually("only Redis is left", "\(scratch.processes())") {
            scratch.processes().map(\.process) == [redis]
        }
        return (run, redis)
    }

    @Test("a run that follows a killed one at once waits until the node of that has ended its tasks")
    func nodeOfKilledRun() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:trap '' TERM; echo up >> \(scratch.path)/log; until [ -e \(scratch.path)/go ]; do sleep 0.05; done"
                ])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            program.send(SIGKILL)
            _ = try await program.result()
            let next = try run.launch()
            try await eventually("it runs again", next.errors) { scratch.lines("log") == ["up", "up"] }
            #expect(next.errors.contains("waiting for the node of an earlier run"), "\(next.errors)")
            try scratch.write("go", "")
            #expect(try await next.result().status == 0)
        }
    }

    @Test("Ctrl-C ends a run that waits for the node of an earlier one")
    func interruptedWaiting() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:true"])
            let directory = run.state + "/node/" + Host.shortName
            try FileSystem.createDirectories(directory, mode: 0o755)
            let lock = try OwnedDescriptor.open(directory + "/lock", [.readWrite, .create], mode: 0o600)
            #expect(try lock.tryLock(subject: "lock"))
            let program = try run.launch()
            try await eventually("it waits", program.errors) {
                program.errors.contains("waiting for the node of an earlier run")
            }
            program.send(SIGINT)
            #expect(try await program.result().status == 130)
            #expect(program.errors.contains("fuser") == false)
        }
    }

    @Test("a third Ctrl-C ends a run whose node stands still, and what that ran")
    func nodeStandsStill() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:echo up >> \(scratch.path)/log; while true; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            let node = try #require(scratch.processes(with: "--serve-parent").first)
            kill(node, SIGSTOP)
            program.send(SIGINT)
            try await eventually("the first is heard", program.errors) { program.errors.contains("stopping") }
            try await eventually("it gives up", program.errors) {
                program.send(SIGINT)
                return program.errors.contains("the node has not ended: killing it")
            }
            #expect(try await program.result().status == 130)
        }
    }

    @Test("the Redis of a killed run is given time to end before another begins on its files")
    func leftover() async throws {
        try await withScratch { scratch in
            let (run, redis) = try await killedRun(scratch)
            let program = try run.launch()
            try await eventually("it says what it waits for", program.errors) {
                program.errors.contains("waiting for the Redis of an earlier run")
            }
            #expect(scratch.processes(with: "redis-server") == [redis])
            _ = try scratch.write("go", "")
            kill(redis, SIGCONT)
            #expect(try await program.result().status == 0)
            #expect(try await run.result(of: "echo up").string("state") == "finished")
        }
    }

    @Test("no Redis is begun beside one of a killed run that does not end: the run says what to do")
    func silentLeftover() async throws {
        try await withScratch { scratch in
            let (run, redis) = try await killedRun(scratch)
            let result = try await run.launch().result()
            #expect(result.status == 1)
            #expect(result.errors.contains("an earlier run has not ended, and still works in"), "\(result.errors)")
            #expect(result.errors.contains("fuser"), "\(result.errors)")
            #expect(scratch.processes(with: "redis-server") == [redis])
            kill(redis, SIGKILL)
            _ = try scratch.write("go", "")
            #expect(try await run.launch().result().status == 0)
        }
    }

    @Test(
        "when its node is killed the run says so, ends with status 1, and leaves no task running")
    func nodeKilled() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let run = try Run(scratch, ["shell:1:0:0:echo up >> \(log); while true; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("the task runs", program.errors) { scratch.lines("log") == ["up"] }
            // A child that has not become its program yet bears the same name.
            let nodes = scratch.processes(with: "--serve-parent")
            try #require(!nodes.isEmpty)
            for node in nodes { kill(node, SIGKILL) }
            #expect(try await program.result().status == 1)
        }
    }

    @Test(
        "two runs in different directories, each with the same relative --state, do not touch each other")
    func twoDirectories() async throws {
        try await withScratch { scratch in
            let log = scratch.path + "/log"
            let file = try scratch.write(
                "tasks", "shell:1:0:0:echo up >> \(log); while ! test -e \(log).go; do sleep 0.05; done\n")
            let folders = [scratch.path + "/one", scratch.path + "/two"]
            var programs: [RunningProgram] = []
            for (index, folder) in folders.enumerated() {
                try FileSystem.createDirectories(folder, mode: 0o755)
                for state in ["st", folder + "/st"] {
                    scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
                }
                programs.append(
                    try RunningProgram(
                        Products.distcomp, ["run", file, "--state", "st"], in: scratch, workingDirectory: folder))
                try await eventually("run \(index + 1)", programs[index].errors) {
                    scratch.lines("log").count == index + 1
                }
            }
            try scratch.write("log.go", "")
            for program in programs { #expect(try await program.result().status == 0) }
        }
    }

    @Test(
        "a run in a directory of any depth and any name works",
        arguments: ["we ird", "50%41", "a?b", "a#b", String(repeating: "deep/", count: 40)])
    func directories(_ name: String) async throws {
        try await withScratch { scratch in
            let file = try scratch.write("tasks", "shell:1:0:0:true\n")
            let folder = scratch.path + "/" + name
            try FileSystem.createDirectories(folder, mode: 0o755)
            for state in ["st", folder + "/st"] {
                scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
            }
            let program = try RunningProgram(
                Products.distcomp, ["run", file, "--state", "st"], in: scratch, workingDirectory: folder)
            #expect(try await program.result().status == 0, "\(program.errors)")
        }
    }

    @Test(
        "a task that no node of this size can ever take is told, and does not keep the run waiting")
    func impossible() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:1000000G:0:true", "shell:1:0:0:true"])
            let (result, summary) = try await run.finished()
            #expect(result.status == 1)
            #expect(summary.integer("finished") == 1)
        }
    }
}

// `distcomp run --background`, `distcomp attach`, and the word at the end.

import Glibc
import LinuxSystem
import Testing

@Suite("a run in the background", .aFewAtATime)
struct BackgroundTests {
    private func distcomp(_ scratch: Scratch, _ words: [String], _ variables: [String] = []) throws -> RunningProgram {
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
        return try RunningProgram(
            "/usr/bin/env", variables + [Products.distcomp] + words.prefix(1) + ["--state", state] + words.dropFirst(),
            in: scratch)
    }

    /// A task that goes on until the file `go` is there.
    private func waiting(_ scratch: Scratch) -> String {
        "echo up >> \(scratch.path)/log; while ! test -e \(scratch.path)/go; do sleep 0.05; done"
    }

    /// `distcomp attach`, when it looks on.
    private func attached(_ scratch: Scratch, _ options: String...) async throws -> RunningProgram {
        let program = try distcomp(scratch, ["attach"] + options)
        try await eventually("attach looks on", program.errors) { program.errors.hasPrefix("Ctrl-C leaves the run") }
        return program
    }

    @Test("it returns once its tasks are in the queue and says how to look; attach ends with its summary and status")
    func background() async throws {
        try await withScratch { scratch in
            let begun = try await distcomp(scratch, ["run", "--background", "--", "\(waiting(scratch)); exit 3"])
                .result()
            #expect(begun.status == 0 && begun.output.split(separator: "\n").count == 1, "\(begun)")
            for words in ["distcomp attach --state", "distcomp watch --state", "distcomp status --state", "run.log"] {
                #expect(begun.output.contains(words), "\(begun.output)")
            }
            #expect(begun.errors.contains("1 task added"))
            try await eventually("the task") { scratch.lines("log") == ["up"] }
            let second = try await distcomp(scratch, ["run", "--background", "--", "true"]).result()
            #expect(second.status == 2 && second.errors.contains("another distcomp run uses"), "\(second)")

            let attached = try await attached(scratch)
            let status = try await distcomp(scratch, ["status", "--json"]).result()
            #expect(try jsonObject(status.output).integer("in_progress") == 1)
            try scratch.write("go", "")
            let end = try await attached.result()
            #expect(end.status == 1, "\(end)")
            #expect(
                end.output.contains("1 task: 1 failed") || end.output.contains("1 task: 0 finished, 1 failed (1 exit)"),
                "\(end)")
            try await eventually("its end") { scratch.processes(with: "--tell-ready").isEmpty }
            #expect(text(of: scratch.path + "/state/run.log").contains("1 failed (1 exit)"))
            let over = try await distcomp(scratch, ["attach"]).result()
            #expect(over.status == 2 && over.errorLines.count == 1 && over.errors.contains("no run goes on"), "\(over)")
        }
    }

    @Test("what is wrong with the tasks is told at once, with its status, and nothing runs")
    func mistakes() async throws {
        try await withScratch { scratch in
            let missing = try await distcomp(scratch, ["run", "--background", scratch.path + "/nowhere"]).result()
            #expect(missing.status == 2 && missing.errors.contains("/nowhere: No such file"), "\(missing)")
            #expect(missing.output == "")
            let none = try await distcomp(scratch, ["attach"]).result()
            #expect(none.status == 2 && none.errorLines.count == 1, "\(none)")
        }
    }

    @Test("it outlives the terminal it was typed at, and reads its values from standard input")
    func hangup() async throws {
        try await withScratch { scratch in
            let state = scratch.path + "/state"
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
            let waiting = waiting(scratch)
            try await withTerminal(scratch, columns: 120) { terminal in
                let script = try scratch.write(
                    "begin", "seq 2 | \(Products.distcomp) run --background --state \(state) -- '\(waiting); echo {}'\n"
                )
                try await terminal.enter("sh \(script); echo status $?")
                try await terminal.until("its start") { $0.contains("status 0") }
                try await eventually("both tasks") { scratch.lines("log").count == 2 }
            }
            for process in scratch.processes(with: "--tell-ready") {
                #expect(getsid(process) == process, "no shell that ends takes it along")
            }
            let status = try await distcomp(scratch, ["status", "--json"]).result()
            #expect(try jsonObject(status.output).integer("in_progress") == 2)
            let attached = try await attached(scratch, "--json")
            try scratch.write("go", "")
            let end = try await attached.result()
            #expect(end.status == 0)
            #expect(try jsonObject(end.output).integer("finished") == 2)
        }
    }

    @Test("Ctrl-C ends the looking on and not the run; --stop puts running tasks back, and says so with status 130")
    func stop() async throws {
        try await withScratch { scratch in
            _ = try await distcomp(scratch, ["run", "--background", "--", waiting(scratch)]).result()
            try await eventually("the task") { scratch.lines("log") == ["up"] }
            let state = scratch.path + "/state"
            try await withTerminal(scratch, columns: 120) { terminal in
                try await terminal.enter("clear; \(Products.distcomp) attach --state \(state); echo status $?")
                try await terminal.until("the bar") { $0.contains("1 running") }
                try await terminal.press("C-c")
                let screen = try await terminal.until("its end") { $0.contains("status 130") }
                #expect(screen.contains("the run goes on") && !screen.contains("1 running"), "\(screen)")
            }
            #expect(!scratch.processes(with: "--tell-ready").isEmpty)
            let end = try await distcomp(scratch, ["attach", "--stop"]).result()
            #expect(end.status == 130 && end.output.contains("1 still to do"), "\(end)")
            try scratch.write("go", "")
            let next = try await distcomp(scratch, ["run"]).result()
            #expect(next.status == 0, "an order to stop is for one run: \(next)")
        }
    }

    @Test("attach says so when the run is killed")
    func killed() async throws {
        try await withScratch { scratch in
            _ = try await distcomp(scratch, ["run", "--background", "--", waiting(scratch)]).result()
            try await eventually("the task") { scratch.lines("log") == ["up"] }
            let attached = try await attached(scratch)
            let runs = scratch.processes(with: "--tell-ready")
            try #require(runs.count == 1)
            kill(runs[0], SIGKILL)
            let end = try await attached.result()
            #expect(end.status == 1 && end.errors.contains("without a word"), "\(end)")
        }
    }

    @Test("who only looks at a run that was killed is not taken for one that goes on")
    func lookerAfterKill() async throws {
        try await withScratch { scratch in
            _ = try await distcomp(scratch, ["run", "--background", "--", waiting(scratch)]).result()
            try await eventually("the task") { scratch.lines("log") == ["up"] }
            for process in scratch.processes(with: "--tell-ready") { kill(process, SIGKILL) }
            try await eventually("all ends", "\(scratch.processes())") { scratch.processes().isEmpty }
            let looker = try distcomp(scratch, ["watch"])
            try await eventually("it looks", looker.errors) { !scratch.processes(with: "redis-server").isEmpty }
            let attached = try await distcomp(scratch, ["attach"]).result()
            #expect(attached.status == 2 && attached.errors.contains("no run goes on"), "\(attached)")
            let run = try await distcomp(scratch, ["run", "--", "true"]).result()
            #expect(run.status == 2 && run.errors.contains("or a command that looks at it"), "\(run)")
            looker.send(SIGINT)
            _ = try await looker.result()
        }
    }

    @Test("attach says that the run was killed also where somebody looks at what is left of it first")
    func lookerBeforeAttach() async throws {
        try await withScratch { scratch in
            _ = try await distcomp(scratch, ["run", "--background", "--", waiting(scratch)]).result()
            try await eventually("the task") { scratch.lines("log") == ["up"] }
            let attached = try await attached(scratch, "--json")
            attached.send(SIGSTOP)
            for process in scratch.processes(with: "--tell-ready") { kill(process, SIGKILL) }
            try await eventually("only attach is left", "\(scratch.processes())") {
                scratch.processes().map(\.process) == [attached.process]
            }
            let looker = try distcomp(scratch, ["watch"])
            try await eventually("it looks", looker.errors) { !scratch.processes(with: "redis-server").isEmpty }
            attached.send(SIGCONT)
            let end = try await attached.result()
            #expect(end.status == 1 && end.output.isEmpty, "\(end)")
            #expect(
                end.errors.split(separator: "without a word", omittingEmptySubsequences: false).count == 2, "\(end)")
            looker.send(SIGINT)
            _ = try await looker.result()
        }
    }

    @Test("--notify tells the desktop the counts, and where there is none one line says so and nothing fails")
    func notify() async throws {
        try await withScratch { scratch in
            let program = try scratch.write("notify-send", "#!/bin/sh\nprintf '%s\\n' \"$@\" > \(scratch.path)/told\n")
            chmod(program, 0o755)
            let path = "PATH=\(scratch.path):/usr/bin:/bin"
            let words = ["--name", "j", "--notify", "--", "test {} != 2", ":::", "1", "2"]
            let told = try await distcomp(scratch, ["run"] + words, [path, "DBUS_SESSION_BUS_ADDRESS=x"]).result()
            #expect(told.status == 1)
            let lines = scratch.lines("told")
            #expect(lines.dropLast() == ["--app-name=distcomp", "--", "distcomp: j"], "\(lines)")
            #expect(lines.last?.hasPrefix("2 tasks: 1 finished, 1 failed (1 exit), ") == true, "\(lines)")

            let deaf = try await distcomp(
                scratch, ["watch", "j", "--notify"], [path, "DBUS_SESSION_BUS_ADDRESS="]
            ).result()
            #expect(deaf.status == 1 && deaf.errors.contains("--notify: there is no session bus"), "\(deaf)")
            try FileSystem.remove(program)
            let missing = try await distcomp(scratch, ["watch", "j", "--notify"], [path]).result()
            #expect(missing.status == 1, "\(missing)")
            if !FileSystem.exists("/usr/bin/notify-send") {
                #expect(missing.errors.contains("--notify: notify-send is not on the PATH"), "\(missing)")
            }
        }
    }
}

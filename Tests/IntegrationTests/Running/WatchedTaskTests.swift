// `distcomp run` by an ordinary user who has no control groups: tasks are watched instead. What they fork ends with them, what they
// hold is measured, and what they only reserve does not matter.

import Glibc
import LinuxSystem
import Testing

@Suite("Watched tasks", .aFewAtATime, .enabled(if: Host.isRoot && Products.areReachableByAnybody))
struct WatchedTaskTests {
    /// Runs lines as nobody, in a directory of its own; gives what the run said, and its results.
    private func run(
        _ lines: [String], in scratch: Scratch, _ options: String...
    ) async throws -> (result: ProgramResult, results: [[String: Any]]) {
        let program = try start(lines, in: scratch, options)
        let result = try await program.result()
        let listing = try await RunningProgram(
            Products.distcomp, ["results", "--format", "jsonl", "--state", scratch.path + "/open/st"], in: scratch
        ).result()
        return (result, try listing.outputLines.map { try jsonObject(String($0)) })
    }

    private func start(_ lines: [String], in scratch: Scratch, _ options: [String] = []) throws -> RunningProgram {
        let folder = scratch.path + "/open"
        try FileSystem.createDirectories(folder, mode: 0o777)
        chmod(folder, 0o777)
        let file = try scratch.write("tasks", lines.joined(separator: "\n") + "\n")
        let identity = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        return try RunningProgram(
            "/usr/bin/setpriv", identity + [Products.distcomp, "run", file, "--state", "st"] + options, in: scratch,
            workingDirectory: folder)
    }

    private func result(of part: String, in results: [[String: Any]]) throws -> [String: Any] {
        try #require(results.first { $0.string("task")?.contains(part) == true }, "\(results)")
    }

    private func python(_ text: String) -> String { "python3 -c \"\(text)\"" }

    @Test("one line says that this is a watch and no cap; a task above its cap is an oom, told as such, others go on")
    func aboveCap() async throws {
        try await withScratch { scratch in
            let (result, results) = try await run(
                ["shell:1:64M:0:60:exec tail /dev/zero", "shell:1:64M:0:60:echo fine"], in: scratch)
            #expect(result.status == 1)
            #expect(result.errorLines.filter { $0.contains("a watch, not a cap") }.count == 1, "\(result.errors)")
            let killed = try self.result(of: "tail", in: results)
            #expect(killed.string("cause") == "oom")
            #expect(killed.string("reason")?.contains("killed by this node's watch") == true, "\(killed)")
            #expect(killed.integer("memory_peak_bytes") ?? 0 > 64 << 20)
            #expect(try self.result(of: "fine", in: results).string("state") == "finished")
        }
    }

    @Test("what a watched task needed is told as far as it was seen")
    func usage() async throws {
        try await withScratch { scratch in
            let (_, results) = try await run(
                ["shell:1:200M:0:60:" + python("x = bytearray(100 << 20); sum(range(10 ** 6))")], in: scratch)
            let told = try #require(results.first)
            #expect(told.string("state") == "finished")
            #expect(told.integer("memory_peak_bytes") ?? 0 > 100 << 20)
            #expect(told["cpu_seconds"] as? Double ?? 0 > 0)
        }
    }

    @Test("what a task reserves and does not use does not count: 12 GB under a cap of 1 GB")
    func reserves() async throws {
        try await withScratch { scratch in
            let flags = "mmap.MAP_PRIVATE|mmap.MAP_ANONYMOUS|0x4000"
            let (result, _) = try await run(
                [
                    "shell:1:1G:0:60:" + python("import mmap; mmap.mmap(-1, 12<<30, flags=\(flags), prot=0)"),
                    "shell:1:64M:0:60:" + python("x = bytearray(40<<20)"),
                ], in: scratch)
            #expect(result.status == 0, "\(result.output)")
        }
    }

    @Test("memory shared by the processes of a task counts once, and what each has of its own adds up")
    func shared() async throws {
        try await withScratch { scratch in
            let forked = "import os, time; x = bytearray(60<<20); os.fork(); os.fork(); time.sleep(1)"
            let mapped =
                "import mmap, os, time; m = mmap.mmap(-1, 60<<20); m.write(bytes(60<<20)); os.fork(); m.find(b'x', 0); time.sleep(1)"
            let own = "import os, time; os.fork(); x = bytearray(60<<20); time.sleep(1000)"
            let (_, results) = try await run(
                [forked, mapped, own].map { "shell:1:100M:0:60:" + python($0) }, in: scratch)
            #expect(try self.result(of: "os.fork(); os.fork()", in: results).string("state") == "finished")
            #expect(try self.result(of: "mmap", in: results).string("state") == "finished")
            #expect(try self.result(of: "os.fork(); x", in: results).string("cause") == "oom")
        }
    }

    @Test("what a task leaves behind ends with it, at its end as at its timeout, whatever session it is in")
    func leftovers() async throws {
        try await withScratch { scratch in
            let (_, results) = try await run(
                [
                    "shell:1:0:0:60:sleep 6301 & exit 0", "shell:1:0:0:2:setsid sleep 6302 & sleep 6303",
                    "shell:1:0:0:60:setsid sh -c 'setsid sleep 6304 & exit 0' & sleep 0.2",
                    "shell:1:0:0:60:env -i /usr/bin/setsid --fork /usr/bin/sleep 6305; sleep 0.5",
                ], in: scratch)
            #expect(try self.result(of: "6301", in: results).string("state") == "finished")
            #expect(try self.result(of: "6302", in: results).string("cause") == "timeout")
            #expect(try self.result(of: "6304", in: results).string("state") == "finished")
            #expect(try sleepers(6301...6305).isEmpty)
        }
    }

    @Test("a process that left its session and its parent counts against its task, and ends with it")
    func daemonised() async throws {
        try await withScratch { scratch in
            // It grows when its parent has gone: what it has then is the node, its subreaper.
            let parent = "open(f\"/proc/{os.getppid()}/comm\").read().strip()"
            let orphaned = "next(None for _ in itertools.count() if \(parent) == \"distcompd\")"
            let grows = "import itertools, os, time; \(orphaned); x = bytearray(150<<20); time.sleep(6306)"
            let (_, results) = try await run(
                ["shell:1:100M:0:60:(setsid python3 -c '\(grows)' &); sleep 6307", "shell:1:100M:0:60:sleep 1"],
                in: scratch)
            #expect(try self.result(of: "6307", in: results).string("cause") == "oom")
            #expect(try self.result(of: "sleep 1", in: results).string("state") == "finished")
            #expect(try sleepers(6306...6307).isEmpty)
        }
    }

    @Test("what a node that was killed left running is ended before its tasks run again")
    func killedNode() async throws {
        try await withScratch { scratch in
            let line = "shell:1:0:0:0:echo up >> \(scratch.path)/open/log; test -e \(scratch.path)/go || sleep 6308"
            let program = try start([line], in: scratch)
            try await eventually("the task runs", program.errors) { text(of: scratch.path + "/open/log") == "up\n" }
            let node = try #require(scratch.processes(with: "--serve-parent").first)
            kill(node, SIGKILL)
            _ = try await program.result()
            try scratch.write("go", "")
            let (result, _) = try await run([line], in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            #expect(try sleepers(6308...6308).isEmpty)
        }
    }

    private func sleepers(_ seconds: ClosedRange<Int>) throws -> [ProcessEntry] {
        try ProcessEntry.all().filter { entry in
            seconds.contains { text(of: "/proc/\(entry.process)/cmdline").contains("sleep\0\($0)") }
        }
    }
}

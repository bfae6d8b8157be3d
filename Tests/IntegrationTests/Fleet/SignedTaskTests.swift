// With a key, what runs is what a submitter signed, whoever else can write to Redis.

import Glibc
import LinuxSystem
import RedisClient
import Testing

@Suite("Signed tasks", .aFewAtATime)
struct SignedTaskTests {
    /// A new key file, made as a user makes it.
    private func newKey(_ scratch: Scratch, _ name: String) async throws -> String {
        let path = scratch.path + "/" + name
        let made = try await RunningProgram(Products.distcomp, ["key", "new", path], in: scratch).result()
        try #require(made.status == 0, "\(made.errors)")
        return path
    }

    private func submit(_ fleet: Fleet, key: String?, _ line: String) async throws {
        try await submit(fleet, key: key, lines: [line])
    }

    private func submit(_ fleet: Fleet, key: String?, lines: [String]) async throws {
        let file = try fleet.scratch.write(fleet.scratch.nextName() + ".tasks", lines.joined(separator: "\n") + "\n")
        let result = try await fleet.distcomp(["submit", file] + (key.map { ["--key-file", $0] } ?? []))
        try #require(result.status == 0, "\(result.errors)")
    }

    private func reason(_ fleet: Fleet, _ line: String) async throws -> String {
        try await eventually("the failure of \(line)") {
            guard try fleet.count("todo_tasks") + fleet.count("in_progress_tasks") == 0 else { return nil }
            return try fleet.hash("task_fail_reason")[line]
        }
    }

    @Test("a signed line runs; an unsigned and an altered one fail with that reason and never run")
    func onlySigned() async throws {
        try await withFleet { fleet in
            let key = try await newKey(fleet.scratch, "task.key")
            let node = try await fleet.startedNode("a", ["task_key_file": "\"\(key)\""])
            func line(_ name: String) -> String { "shell:1:0:0:30:touch \(fleet.scratch.path)/\(name)" }
            try await submit(fleet, key: key, line("signed"))
            try await fleet.untilFinished(1)
            #expect(FileSystem.exists(fleet.scratch.path + "/signed"))

            // By distcomp without the key, and as an old manager does it.
            try await submit(fleet, key: nil, line("unsigned"))
            #expect(try await reason(fleet, line("unsigned")).contains("the line is not signed"))
            _ = try fleet.call("HSET", "todo_tasks", line("old"), "")
            #expect(try await reason(fleet, line("old")).contains("the line is not signed"))

            // Somebody who can write to Redis puts another command under a good signature.
            await #expect(throws: Never.self) { try await node.stop() }
            try await submit(fleet, key: key, line("good"))
            let signature = try #require(try fleet.hash("distcomp:signatures")[line("good")])
            _ = try fleet.call("HSET", "distcomp:signatures", line("altered"), signature)
            _ = try fleet.call("HSET", "todo_tasks", line("altered"), "")
            try await node.start()
            #expect(try await reason(fleet, line("altered")).contains("the signature is not that of this line"))
            try await fleet.untilFinished(2)

            #expect(try fleet.count("failed_tasks") == 3)
            for name in ["unsigned", "old", "altered"] { #expect(!FileSystem.exists(fleet.scratch.path + "/\(name)")) }
            try await node.logs("not run: launch failed: check the signature")
            let results = try await fleet.distcomp("results", "--failed", "--format", "jsonl")
            let causes = results.outputLines.filter { $0.contains(#""cause":"launch""#) }
            #expect(causes.count == 3, "\(results.output)\(results.errors)")
            try await node.stop()
        }
    }

    @Test("a line whose node was killed is checked again when it is taken anew")
    func takenAnew() async throws {
        try await withFleet { fleet in
            let key = try await newKey(fleet.scratch, "task.key")
            let settings = ["task_key_file": "\"\(key)\"", "lease_seconds": "1"]
            let node = try await fleet.startedNode("a", settings)
            try await submit(fleet, key: key, "shell:1:0:0:0:sleep 300")
            try await eventually("it runs") { !fleet.scratch.tasks(with: "sleep 300").isEmpty }
            try await node.kill9()
            _ = try fleet.call("HDEL", "distcomp:signatures", "shell:1:0:0:0:sleep 300")
            try await node.start()
            #expect(try await reason(fleet, "shell:1:0:0:0:sleep 300").contains("not signed"))
            try await node.stop()
        }
    }

    @Test("a node with a wrong key leaves a line to those that have the right one")
    func wrongNode() async throws {
        try await withFleet { fleet in
            let key = try await newKey(fleet.scratch, "task.key")
            let other = try await newKey(fleet.scratch, "other.key")
            let slots = ["max_task_per_worker": "2"]
            let wrong = try await fleet.startedNode("wrong", slots.merging(["task_key_file": "\"\(other)\""]) { $1 })
            let right = try await fleet.startedNode("right", slots.merging(["task_key_file": "\"\(key)\""]) { $1 })
            try await submit(fleet, key: key, lines: (1...20).map { "shell:1:0:0:30:sleep 0.1; true \($0)" })
            try await fleet.untilFinished(20)
            try await wrong.logs("not run: ")
            #expect(try fleet.count("failed_tasks") == 0)
            try await right.stop()
            try await wrong.stop()
        }
    }

    @Test("a key that is missing, short, or open to others is refused by nodes and submitters, with the remedy")
    func badKeys() async throws {
        try await withFleet { fleet in
            let short = try fleet.scratch.write("short.key", "secret\n")
            let open = try await newKey(fleet.scratch, "open.key")
            #expect(chmod(short, 0o600) == 0 && chmod(open, 0o640) == 0)
            let missing = fleet.scratch.path + "/none.key"
            let file = try fleet.scratch.write("x.tasks", "shell:1:0:0:true\n")
            for (path, problem) in [
                (short, "a key has at least 32 bytes, this has 7: distcomp key new"), (open, "chmod 600 \(open)"),
                (missing, "No such file or directory"),
            ] {
                let daemon = try await fleet.node("a", ["task_key_file": "\"\(path)\""]).launch().result()
                #expect(daemon.status == 2)
                #expect(daemon.errorLines.count == 1 && daemon.errors.contains("task_key_file: "), "\(daemon.errors)")
                #expect(daemon.errors.contains(problem), "\(daemon.errors)")
                let submitter = try await fleet.distcomp("submit", file, "--key-file", path)
                #expect(submitter.status == 2)
                #expect(submitter.errors.contains(problem), "\(submitter.errors)")
                #expect(try fleet.count("todo_tasks") == 0)
            }
            // Who only looks at the queue needs no key.
            let settings = try fleet.scratch.write("conf.json", #"{"task_key_file": "/none"}"#)
            #expect(try await fleet.distcomp("status", "--config", settings).status == 0)
        }
    }

    @Test("distcomp run signs by its settings, and runs")
    func ownRun() async throws {
        try await withScratch { scratch in
            let key = try await newKey(scratch, "task.key")
            let settings = try scratch.write(
                "conf.json",
                """
                {"task_key_file": "\(key)", "memory_caps": "best-effort", "result_dir": "\(scratch.path)/result",
                 "key_prefix": "q:", "min_dram_gb_accept_new_task": 0.02, "min_dram_gb_trigger_return": 0.01}
                """)
            let file = try scratch.write("x.tasks", "shell:1:0:0:true\n")
            let run = try await RunningProgram(
                Products.distcomp, ["run", file, "--config", settings, "--json"], in: scratch
            ).result()
            #expect(run.status == 0, "\(run.output)\(run.errors)")
            #expect(run.output.contains(#""finished":1"#))
        }
    }

    @Test("a new key is for its owner alone, does not show itself, and replaces nothing")
    func newKey() async throws {
        try await withScratch { scratch in
            let path = scratch.path + "/task.key"
            let made = try await RunningProgram(Products.distcomp, ["key", "new", path], in: scratch).result()
            #expect(made.status == 0)
            #expect(made.output.isEmpty && made.errors.isEmpty)
            #expect(try FileSystem.status(of: path).permissions == 0o600)
            let text = try FileSystem.text(of: path)
            #expect(text.utf8.count == 64)
            let again = try await RunningProgram(Products.distcomp, ["key", "new", path], in: scratch).result()
            #expect(again.status == 1)
            #expect(again.errors == "distcomp: open \(path): File exists\n")
            #expect(try FileSystem.text(of: path) == text)
        }
    }
}

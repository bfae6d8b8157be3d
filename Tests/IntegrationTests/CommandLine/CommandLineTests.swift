// What users script against: names, exit statuses, and one clear line for every mistake.

import Foundation
import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("the command line", .aFewAtATime)
struct CommandLineTests {
    private let resultKeys: Set = [
        "task", "state", "cause", "exit_code", "signal", "worker", "attempts", "wall_seconds", "cpu_seconds",
        "memory_peak_bytes", "stdout", "stdout_path", "stderr_path", "reason",
    ]

    @Test("results --format jsonl has every promised name for every ending, and the places it names hold the output")
    func results() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:echo out; echo err >&2", "shell:1:0:0:exit 9", "shell:1:0:0:kill -SEGV $$",
                    "shell:1:16M:0:60:tail /dev/zero", "shell:1:0:0:1:sleep 1000", "shell:1:0:0:/no/such/program",
                ])
            let (_, summary) = try await run.finished()
            #expect(
                summary["failed_by_cause"] as? [String: Int]
                    == ["exit": 1, "signal": 1, "oom": 1, "timeout": 1, "launch": 1])
            let results = try await run.results()
            #expect(results.count == 6)
            for result in results {
                #expect(resultKeys.isSubset(of: result.keys), "\(resultKeys.subtracting(result.keys)) in \(result)")
                #expect(result["attempts"] as? Int == 1)
                #expect(result["wall_seconds"] is Double)
                #expect((result["cause"] as? String == "exit") == (result["exit_code"] is Int))
                #expect((result["cause"] as? String == "signal") == (result["signal"] is Int))
                #expect(result.string("state") == (result.integer("exit_code") == 0 ? "finished" : "failed"))
            }
            let finished = try #require(results.first { $0.string("state") == "finished" })
            #expect(finished.string("stdout") == "out\n")
            // Where a small output stands: standard error behind standard output.
            let (segment, offset) = (finished.string("output_segment"), finished.integer("output_offset"))
            #expect(finished["stdout_path"] is NSNull && finished["stderr_path"] is NSNull)
            #expect(finished.integer("stdout_bytes") == 4 && finished.integer("stderr_bytes") == 4)
            let bytes = try FileSystem.contents(of: try #require(segment)).dropFirst(try #require(offset)).prefix(8)
            #expect(String(decoding: bytes, as: UTF8.self) == "out\nerr\n")
            let segfault = try #require(results.first { $0.string("cause") == "signal" })
            #expect(segfault.string("reason") == "signal 11 (SIGSEGV)")

            let failed = try await run.distcomp("results", "--failed", "--json")
            #expect(failed.outputLines.count == 5)
            let table = try await run.distcomp("results")
            #expect(table.outputLines.count == 7 && table.output.hasPrefix("ID "))
            #expect(table.output.contains("(exit 9)"), "\(table.output)")
        }
    }

    @Test("status --json is one object with five integers, before, between and after")
    func status() async throws {
        let integers: Set = ["todo", "in_progress", "finished", "failed", "workers"]
        try await withFleet { fleet in
            func counts() async throws -> [String: Int] {
                let result = try await fleet.distcomp("status", "--json")
                #expect(result.status == 0 && result.outputLines.count == 1)
                let object = try jsonObject(result.output)
                return object.compactMapValues { $0 as? Int }.filter { integers.contains($0.key) }
            }
            #expect(try await counts() == ["todo": 0, "in_progress": 0, "finished": 0, "failed": 0, "workers": 0])
            try await fleet.submit(["shell:1:0:0:true", "shell:1:0:0:false"])
            #expect(try await counts() == ["todo": 2, "in_progress": 0, "finished": 0, "failed": 0, "workers": 0])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "0"])
            try await fleet.untilIdle()
            #expect(try await counts() == ["todo": 0, "in_progress": 0, "finished": 1, "failed": 1, "workers": 1])
            let text = try await fleet.distcomp("status").output
            #expect(text.contains("1 node\n") && text.contains("failed by 1 exit\n"), "\(text)")
            try await node.stop()
        }
    }

    @Test("nodes are shown with what they have, --json gives an object each")
    func workers() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            _ = try fleet.call("HSET", "worker_status", "strange", "in no form at all")
            let result = try await fleet.distcomp("workers", "--json")
            let objects = try result.outputLines.map { try jsonObject(String($0)) }
            #expect(objects.map { $0.string("worker") } == ["a", "strange"])
            let keys: Set = [
                "worker", "unix_seconds", "used_cores", "total_cores", "used_memory_gb", "total_memory_gb",
            ]
            #expect(objects.allSatisfy { keys.isSubset(of: $0.keys) })
            #expect(objects[0]["alive"] as? Bool == true && objects[1]["alive"] as? Bool == false)
            #expect(objects[0]["total_cores"] as? Double == Double(Host.coreCount))
            #expect(try await fleet.distcomp("workers").output.contains("strange"))
            try await node.stop()
        }
    }

    @Test("status tells the rate, why tasks failed, and what is too large; workers tells what is asked of each node")
    func statusInFull() async throws {
        try await withFleet { fleet in
            try await fleet.submit([
                "shell:9:0:0:exit 1", "shell:9:0:0:exit 2", "shell:9:0:0:kill -9 $$", "shell:9:0:0:true",
            ])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.untilIdle()
            try await fleet.submit(["shell:9:0.25:0.5:sleep 1000", "shell:9:9999:0:large 1", "shell:9:0:4000:large 2"])
            try await eventually("one running") { try fleet.count("in_progress_tasks") == 1 }
            let status = try jsonObject(try await fleet.distcomp("status", "--json").output)
            #expect(status["failed_by_cause"] as? [String: Int] == ["exit": 2, "signal": 1])
            #expect(status.integer("too_large") == 2 && status.integer("live_workers") == 1)
            #expect(try #require(status["rate_per_second"] as? Double) > 0)
            #expect(try #require(status["eta_seconds"] as? Double) > 0)
            #expect(status["paused"] as? Bool == false && status["closing"] as? Bool == false)
            _ = try fleet.call("SET", "distcomp:paused", "1")
            let text = try await fleet.distcomp("status").output
            for part in [
                "failed by 2 exit, 1 signal\n", "2 waiting ask for what no live node has",
                "tasks/s, all over in about",
                "the queue is paused",
            ] {
                #expect(text.contains(part), "\(part) in \(text)")
            }
            let node1 = try jsonObject(try await fleet.distcomp("workers", "--json").output)
            #expect(node1.integer("running") == 1 && node1.integer("asked_memory_bytes") == 1 << 28)
            #expect(node1["asked_cores"] as? Double == 0.5)
            try await node.stop()
        }
    }

    @Test("submitting says what was added, what was there, and what is no task; a file twice adds nothing")
    func submit() async throws {
        try await withFleet { fleet in
            let file = try fleet.scratch.write("tasks", "shell:1:0:0:true\nshell:1:0:0:true 2\n\n# no\noops\n")
            let first = try await fleet.distcomp("submit", file)
            #expect(first.status == 2)
            #expect(first.output == "2 tasks added, 1 line not understood\n")
            #expect(first.errorLines.count == 1 && first.errors.hasPrefix(file + ":5:"), "\(first.errors)")
            let second = try await fleet.distcomp("submit", file, "--json")
            #expect(second.status == 2)
            let expected = ["added": 0, "in_todo": 2, "in_progress": 0, "finished": 0, "errors": 1]
            #expect(try jsonObject(second.output) as? [String: Int] == expected)
            let missing = try await fleet.distcomp("submit", "/no/such/file")
            #expect(missing.status == 2)
            #expect(missing.errorLines.count == 1 && missing.output.isEmpty)
            let directory = try await fleet.distcomp("submit", "/tmp")
            #expect(directory.status == 2)
            #expect(directory.errorLines.count == 1, "\(directory.errors)")
        }
    }

    @Test(
        "a reader that closes the pipe early ends results quietly")
    func closedPipe() async throws {
        try await withFleet { fleet in
            let fields = (1...5000).flatMap { ["shell:1:0:0:echo \($0)", "a: \"\($0)\\n\""] }
            _ = try fleet.call("DEL", "finished_tasks")
            let client = try fleet.redis.client()
            _ = try client.call(.command(.init("HSET", ["finished_tasks"] + fields)))
            for form in ["--format jsonl", "--format table"] {
                let command =
                    "\(Products.distcomp) results \(form) --redis \(fleet.url(.watcher)) | head -1; echo ${PIPESTATUS[0]}"
                let result = try await RunningProgram("/bin/bash", ["-c", command], in: fleet.scratch).result()
                #expect(result.errors.isEmpty, "\(result.errors)")
                #expect(result.outputLines.count == 2)
                #expect(result.outputLines.last == "0", "\(result.output)")
            }
            let all = try await fleet.distcomp("results", "--json")
            #expect(all.outputLines.count == 5000)
            #expect(all.status == 0)
        }
    }

    @Test(
        "a full disk under the output of results is a failure, not silence")
    func fullOutput() async throws {
        try await withFleet { fleet in
            _ = try fleet.call("HSET", "finished_tasks", "shell:1:0:0:x", "a: \"\"")
            let command = "\(Products.distcomp) results --json --redis \(fleet.url(.watcher)) >/dev/full; echo $?"
            let result = try await RunningProgram("/bin/sh", ["-c", command], in: fleet.scratch).result()
            #expect(result.output != "0\n", "exit status of a lost output")
        }
    }

    @Test(
        "without Redis every command is one clear line and exit status 3", arguments: ["status", "workers", "results"])
    func redisDown(_ command: String) async throws {
        try await withScratch { scratch in
            let url = "unix://\(scratch.path)/none.sock"
            let result = try await RunningProgram(Products.distcomp, [command, "--redis", url], in: scratch).result()
            #expect(result.status == 3)
            #expect(result.output.isEmpty)
            #expect(result.errorLines.count == 1)
            #expect(result.errors.hasPrefix("distcomp: ") && result.errors.contains("/none.sock"), "\(result.errors)")
        }
    }

    @Test("a Redis that wants a password, or none of this one, is one line and exit status 3")
    func wrongPassword() async throws {
        let redis = try RedisServerFixture(listening: .port, password: "right")
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            for user in ["", ":wr0ng@"] {
                let url = "redis://\(user)127.0.0.1:\(port)"
                let result = try await RunningProgram(Products.distcomp, ["status", "--redis", url], in: scratch)
                    .result()
                #expect(result.status == 3)
                #expect(result.errorLines.count == 1)
                #expect(result.errors.contains("password") && !result.errors.contains("wr0ng"), "\(result.errors)")
            }
            let url = "redis://:right@127.0.0.1:\(port)/3"
            let result = try await RunningProgram(Products.distcomp, ["status", "--redis", url], in: scratch).result()
            #expect(result.status == 0)
        }
    }

    @Test("a URL that is none is one line and exit status 2")
    func wrongURL() async throws {
        try await withScratch { scratch in
            for url in ["http://x", "redis://", "redis://h:notaport"] {
                let result = try await RunningProgram(Products.distcomp, ["status", "--redis", url], in: scratch)
                    .result()
                #expect(result.status == 2, "\(url): \(result.errors)")
                #expect(result.errorLines.count == 1)
            }
        }
    }

    @Test("help is printed for every command, with exit status 0 and nothing on standard error")
    func help() async throws {
        try await withScratch { scratch in
            let commands: [[String]] = [[], ["run"], ["submit"], ["status"], ["workers"], ["results"]]
            for command in commands {
                for words in [command + ["--help"], ["help"] + command] {
                    let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                    #expect(result.status == 0, "\(words)")
                    #expect(result.errors.isEmpty)
                    #expect(result.output.contains("USAGE: distcomp"), "\(result.output)")
                }
            }
        }
    }

    @Test("a mistyped command is told what it may have meant; what is typed cannot act on the terminal")
    func mistyped() async throws {
        try await withScratch { scratch in
            func errors(_ words: String...) async throws -> String {
                let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                #expect(result.status == 2 && result.output.isEmpty)
                return result.errors
            }
            #expect(
                try await errors("stauts", "--json")
                    == "distcomp: there is no `distcomp stauts`; did you mean `distcomp status`?\n")
            #expect(try await errors("xyzzy").contains("distcomp --help lists what there is"))
            #expect(try await errors("results", "--cuase", "oom").contains("--cause"))
            for words in [
                ["\u{1b}[2J"], ["status", "\u{1b}[2J"], ["tasks", "--cause", "\u{1b}[2J"],
                ["results", "--since", "\u{9b}2J"],
            ] {
                let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                #expect(result.status == 2)
                #expect(!result.errors.contains("\u{1b}") && !result.errors.contains("\u{9b}"), "\(result.errors)")
            }
        }
    }

    @Test("a run has no timeout but the one that was given")
    func timeouts() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:true unlimited", "shell:1:0:0:90:true limited"])
            _ = try await run.finished("-j", "1")
            #expect(try await run.result(of: "true unlimited")["timeout_seconds"] as? Int == nil)
            #expect(try await run.result(of: "true limited").integer("timeout_seconds") == 90)
        }
    }

    @Test(
        "an option by the name another system has for it is answered with ours",
        arguments: [
            ("run --jobs 4 tasks", "--slots"), ("run --mem=4G -- true", "--memory"),
            ("submit --time 2h -- true", "--timeout"), ("submit --cpus-per-task 2 -- true", "--cores"),
            ("submit --chdir=/srv -- true", "--cwd"), ("run --workdir /srv -- true", "--cwd"),
            ("submit --export A=1 -- true", "--env"), ("submit --input in -- cat", "--stdin"),
        ])
    func foreignOptions(words: String, own: String) async throws {
        try await withScratch { scratch in
            let result = try await RunningProgram(
                Products.distcomp, words.split(separator: " ").map { String($0) }, in: scratch
            ).result()
            #expect(result.status == 2)
            #expect(result.errorLines.first?.hasSuffix("did you mean \(own)?") == true, "\(result.errors)")
            #expect(result.errorLines.first?.hasPrefix("distcomp: there is no --") == true, "\(result.errors)")
        }
    }

    @Test("an argument that is not UTF-8 is refused, and not altered", arguments: ["run --", "submit --dry-run --"])
    func foreignEncoding(words: String) async throws {
        try await withScratch { scratch in
            let command = "exec '\(Products.distcomp)' \(words) wc -c \"$(printf 'caf\\351.txt')\""
            let result = try await RunningProgram("/bin/sh", ["-c", command], in: scratch).result()
            #expect(result.status == 2)
            #expect(result.output.isEmpty)
            #expect(
                result.errorLines.first?.hasPrefix("distcomp: the argument `caf\\xe9.txt` is not UTF-8") == true,
                "\(result.errors)")
        }
    }

    @Test("what a sweep means is shown before it is submitted, and said when it is")
    func sweep() async throws {
        try await withFleet { fleet in
            let words = [
                "submit", "--memory", "2G", "--cores", "1", "--timeout", "10m", "--priority", "5", "--redis",
                fleet.redisURL,
                "--", "./cachesim", "{1}", "{2}", ":::", "lru", "fifo", "s3fifo", ":::", "1G", "4G",
            ]
            func run(_ words: [String]) async throws -> ProgramResult {
                try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result()
            }
            let lines = ["lru", "fifo", "s3fifo"].flatMap { policy in
                ["1G", "4G"].map { "shell:5:2G:1:10m:./cachesim \(policy) \($0)" }
            }
            let dry = try await run([words[0], "--dry-run"] + words.dropFirst())
            #expect(dry.output == lines.joined(separator: "\n") + "\n")
            #expect(try fleet.count("todo_tasks") == 0)
            #expect(try await run(words).output == "job cachesim: 6 tasks added\n")
            let identifier = try #require(try fleet.hash("distcomp:job-names")["cachesim"])
            let hash = "distcomp:job:\(identifier):"
            let own = lines.map { "@\(identifier) " + ($0.split(separator: ":", maxSplits: 5).last ?? "") }
            #expect(Set(try fleet.hash(hash + "todo_tasks").keys) == Set(own))
            _ = try fleet.call("HDEL", hash + "todo_tasks", own[0], own[1])
            _ = try fleet.call("HSET", hash + "in_progress_tasks", own[0], "w")
            _ = try fleet.call("HSET", hash + "finished_tasks", own[1], "w: \"\"")
            #expect(
                try await run(words).output
                    == "job cachesim: 0 tasks added, 1 finished before, 4 already in todo, 1 already running\n")
            let quiet = try await run(["submit", "-q", "--redis", fleet.redisURL, "--", "true # one"])
            #expect(quiet.status == 0 && quiet.output.isEmpty && quiet.errors.isEmpty)
            #expect(try fleet.hash("distcomp:job-names").keys.sorted() == ["cachesim", "true"])
        }
    }

    @Test("a run takes a command or a sweep as it takes a file")
    func runSweep() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, [])
            let result = try await RunningProgram(
                Products.distcomp,
                [
                    "run", "--state", run.state, "--json", "--", "echo {} > $DISTCOMP_OUTPUT_DIR/out; exit {2}", ":::",
                    "a b", "c", ":::+", "0", "3",
                ],
                in: scratch
            ).result()
            #expect(result.status == 1, "\(result.errors)")
            let summary = try jsonObject(result.output)
            #expect(summary.integer("finished") == 1 && summary.integer("failed") == 1)
            #expect(try await run.result(of: "'a b'").string("state") == "finished")
            #expect(try await run.result(of: "exit 3").integer("exit_code") == 3)
        }
    }

    @Test("bad usage is told on standard error with exit status 2")
    func badUsage() async throws {
        try await withScratch { scratch in
            let usages = [
                ["frobnicate"], ["run"], ["submit"], ["submit", "x", "--", "y"], ["submit", "--memory", "1G", "x"],
                ["submit", "--memory", "much", "--", "x"], ["submit", "--", "x", ":::"],
                ["results", "--since", "soon"],
                ["results", "--state", "todo"], ["tasks", "--cause", "bad"], ["top", "--interval", "0"], ["show"],
                ["status", "--frob"], ["results", "--format", "xml"],
                ["run", "x", "--slots", "0"], ["run", "x", "--attempts", "0"], ["status", "--state", "none"],
            ]
            for words in usages {
                let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                #expect(result.status == 2, "\(words)")
                #expect(!result.errors.isEmpty && result.output.isEmpty, "\(words)")
            }
        }
    }

    @Test("the node of a run starts tasks where the caller is, and without a terminal draws nothing")
    func plainOutput() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:pwd"])
            let result = try await run.launch().result()
            #expect(!result.errors.contains("\u{1b}") && !result.output.contains("\u{1b}"))
            #expect(try await run.result(of: "pwd").string("stdout") == scratch.path + "\n")
        }
    }

    @Test("a Redis without memory refuses a submit in clear words, and the queue drains all the same")
    func outOfMemory() async throws {
        try await withFleet { fleet in
            try await fleet.submit((1...50).map { "shell:1:0:0:true \($0)" })
            // Less than any Redis has, whatever it takes for as many clients as the descriptors of this machine allow.
            _ = try fleet.call("CONFIG", "SET", "maxmemory", "1kb")
            let file = try fleet.scratch.write("more", "shell:1:0:0:true more\n")
            let refused = try await fleet.distcomp("submit", file)
            #expect(refused.status == 1 || refused.status == 3)
            #expect(refused.errorLines.count == 1)
            #expect(refused.errors.contains("memory"), "\(refused.errors)")
            #expect(try fleet.count("todo_tasks") == 50)
            let node = try await fleet.startedNode("a")
            try await fleet.untilFinished(50)
            try await node.stop()
        }
    }
}

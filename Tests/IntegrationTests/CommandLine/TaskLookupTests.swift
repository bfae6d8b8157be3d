// Finding one task among many, and what is said of it: on a real queue, with real nodes.

import Glibc
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("finding and explaining tasks", .aFewAtATime)
struct TaskLookupTests {
    @Test("tasks are listed by state, node, cause and glob, a row or an object each")
    func listing() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:9:0:0:exit 3", "shell:8:0:0:echo hello", "shell:7:0:0:sleep 1000 # x"])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:6:500:0:echo too large"])
            try await eventually("one running, one finished, one failed") {
                try fleet.count("finished_tasks") == 1 && fleet.count("failed_tasks") == 1
                    && fleet.count("in_progress_tasks") == 1
            }
            func states(_ words: String...) async throws -> [String] {
                let result = try await fleet.distcomp(["tasks", "--json"] + words)
                #expect(result.status == 0, "\(result.errors)")
                return try result.outputLines.map { try jsonObject(String($0)).string("state") ?? "" }.sorted()
            }
            #expect(try await states() == ["failed", "finished", "in_progress", "todo"])
            #expect(try await states("--state", "running", "--state", "waiting") == ["in_progress", "todo"])
            #expect(try await states("--cause", "exit") == ["failed"])
            #expect(try await states("--cause", "oom").isEmpty)
            #expect(try await states("--node", "a") == ["failed", "finished", "in_progress"])
            #expect(try await states("--node", "b").isEmpty)
            #expect(try await states("--match", "*echo*") == ["finished", "todo"])
            #expect(try await states("--since", "1h") == ["failed", "finished"])
            #expect(try await states("--limit", "2").count == 2)
            let table = try await fleet.distcomp("tasks").output
            #expect(table.contains("running   a             sleep 1000 # x\n"), "\(table)")
            #expect(table.contains("exit 3  (exit 3)\n"), "\(table)")
            try await node.stop()
        }
    }

    @Test("a task is named by its line, by the first digits of its id, or by a glob")
    func naming() async throws {
        try await withFleet { fleet in
            let lines = (1...40).map { "shell:1:0:0:echo \($0)" }
            try await fleet.submit(lines)
            for name in [lines[6], "  " + lines[6], TaskLine.identifier(of: lines[6]), "*echo 7"] {
                let shown = try await fleet.distcomp("show", "--json", name)
                #expect(shown.status == 0, "\(name): \(shown.errors)")
                #expect(try jsonObject(shown.output).string("task") == lines[6])
            }
            let digits = String(TaskLine.identifier(of: lines[6]).prefix(8))
            #expect(try await fleet.distcomp("show", digits).output.hasPrefix("task       \(lines[6])\n"))
            #expect(try await fleet.distcomp("show", "--json", "*echo 1?").outputLines.count == 10)

            let unknown = try await fleet.distcomp("show", "0123456789abcdef")
            #expect(unknown.status == 2)
            #expect(unknown.errors.hasPrefix("distcomp: no such task: 0123456789abcdef"), "\(unknown.errors)")
            // Two of forty share their first digits, whatever those are, when no more than the first were asked for.
            let common = Dictionary(grouping: lines) { TaskLine.identifier(of: $0).prefix(4) }.first {
                $0.value.count > 1
            }
            if let common {
                let several = try await fleet.distcomp("show", String(common.key))
                #expect(several.status == 2)
                #expect(several.errors.contains("begins the ids of several tasks"), "\(several.errors)")
            }
        }
    }

    @Test("a task that has a name is found by it, of a job or of none, and a job that has no such task says so")
    func names() async throws {
        try await withFleet { fleet in
            let named = [
                #"{"name": "first one", "command": "echo 1"}"#, #"{"name":"größe","command":"echo 2"}"#,
                #"{"name":"other","env":{"name":"first one"},"command":"echo 3"}"#,
            ]
            try await fleet.submit(named)
            let path = try fleet.scratch.write("job", named.joined(separator: "\n") + "\n")
            #expect(try await fleet.distcomp("submit", "--name", "j", path).status == 0)
            for (name, command) in [("first one", "echo 1"), ("größe", "echo 2"), ("other", "echo 3")] {
                let shown = try await fleet.distcomp("show", "--json", name)
                let tasks = try shown.outputLines.map { try jsonObject(String($0)) }
                #expect(tasks.count == 2 && tasks.allSatisfy { $0.string("command") == command }, "\(shown)")
                #expect(tasks.allSatisfy { $0.string("name") == name })
            }
            #expect(try await fleet.distcomp("show", "first one").output.contains("name       first one\n"))
            #expect(try await fleet.distcomp("why", "größe").outputLines.count == 2)
            #expect(try await fleet.distcomp("show", "first").status == 2)
            let refused = try await fleet.distcomp("requeue", "j")
            #expect(refused.status == 2)
            #expect(refused.errors.contains("the job j has no task that runs (see distcomp status j)"), "\(refused)")
        }
    }

    @Test("show tells everything of a task that failed, as text and as an object")
    func show() async throws {
        try await withFleet { fleet in
            let line = "shell:3:1G:0.5:30:echo out; echo '\u{1b}[31mred' >&2; exit 7"
            try await fleet.submit([line])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await eventually("its end") {
                try fleet.count("failed_tasks") == 1 && fleet.count("in_progress_tasks") == 0
            }
            let text = try await fleet.distcomp("show", line).output
            for part in [
                "state      failed: exit 7: \\x1b[31mred\n",
                "asks for   1 GB, 0.500 cores, timeout 30 s, priority 3, type shell\n",
                "failed on  a\n", "attempt    1\n", "node       a\n", "wall       ",
                "the end of stderr:\n  | \\x1b[31mred\n",
            ] {
                #expect(text.contains(part), "\(part) in \(text)")
            }
            #expect(!text.contains("\u{1b}"))
            let object = try jsonObject(try await fleet.distcomp("show", "--json", line).output)
            #expect(object.string("state") == "failed" && object.integer("memory_bytes") == 1 << 30)
            #expect(object["failed_on"] as? [String] == ["a"])
            let last = try #require(object["last_attempt"] as? [String: Any])
            #expect(last.integer("exit_code") == 7 && last.string("reason") == "exit 7")
            try await node.stop()
        }
    }

    @Test(
        "why says what a task waits for: no node, a larger one, its turn, its retry, a queue that is paused or closing")
    func why() async throws {
        try await withFleet { fleet in
            func because(_ task: String) async throws -> String? {
                try jsonObject(try await fleet.distcomp("why", "--json", task).output).string("because")
            }
            try await fleet.submit(["shell:1:0:0:sleep 1000", "shell:0:0:0:second", "shell:0:5000:0:large"])
            #expect(try await because("*second") == "no-node")
            let node = try await fleet.startedNode(
                "a", ["max_task_per_worker": "1", "max_retry_per_task": "2", "retry_delay_seconds": "600"])
            try await eventually("the first running") { try fleet.count("in_progress_tasks") == 1 }
            #expect(try await because("*sleep*") == "running")
            #expect(try await because("*large") == "too-large")
            let sentence = try await fleet.distcomp("why", "*large").output
            #expect(sentence.contains("No live node is large enough: it asks for 4.88 TB"), "\(sentence)")
            _ = try fleet.call("SET", "distcomp:paused", "1")
            #expect(try await because("*second") == "paused")
            _ = try fleet.call("DEL", "distcomp:paused")

            try await fleet.distcomp("cancel", "*sleep*")
            try await eventually("the second's first failure") {
                try fleet.hash("failed_tasks")["shell:0:0:0:second"] != nil
            }
            #expect(try await because("*second") == "retry")
            let again = try await fleet.distcomp("why", "*second").output
            #expect(again.contains("it failed on a (launch failed: execve"), "\(again)")
            #expect(try await because("*sleep*") == "failed")
            try await node.stop()
        }
    }

    @Test("the output of a task is read from its file where it ran, and from what was reported elsewhere")
    func logs() async throws {
        try await withFleet { fleet in
            let line = "shell:1:0:0:echo out; printf 'bad\\033[2J' >&2"
            try await fleet.submit([line, "shell:1:0:0:echo fail; echo why >&2; exit 1"])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.untilFinished(1)
            try await fleet.untilIdle()
            #expect(try await fleet.distcomp("logs", line).output == "out\n")
            #expect(
                try await fleet.distcomp("logs", "--stderr", line).output == "bad\u{1b}[2J", "no terminal, no change")
            #expect(try await fleet.distcomp("logs", "*fail*").output == "fail\n")

            // As on another machine, whose node is gone: the files are not there.
            try await node.stop()
            #expect(rename("\(fleet.scratch.path)/result-a", "\(fleet.scratch.path)/elsewhere") == 0)
            #expect(try await fleet.distcomp("logs", line).output == "out\n")
            let reported = try await fleet.distcomp("logs", "--stderr", "*fail*")
            #expect(reported.output == "why\n")
            #expect(reported.errors.contains("as a reported"), "\(reported.errors)")
            #expect(reported.errors.contains(" failed: exit 1: why\n"), "\(reported.errors)")
            let lost = try await fleet.distcomp("logs", "*fail*")
            #expect(lost.status == 1)
            #expect(lost.errors.contains("stays on its node"), "\(lost.errors)")
        }
    }

    @Test("a running task is followed until it has ended")
    func follow() async throws {
        try await withFleet { fleet in
            let go = fleet.scratch.path + "/go"
            let command = "echo first; while [ ! -e \(go) ]; do sleep 0.05; done; echo last"
            try await fleet.submit(["shell:1:0:0:" + command])
            let node = try await fleet.startedNode("a", ["node_name": "\"a\""])
            let log = try RunningProgram(
                Products.distcomp,
                ["logs", "-f", "*first*", "--redis", fleet.url(.watcher), "--config", node.configurationPath],
                in: fleet.scratch)
            try await eventually("its first line") { log.output == "first\n" }
            try fleet.scratch.write("go", "")
            let result = try await log.result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output == "first\nlast\n")
            try await node.stop()
        }
    }

    @Test("following waits for a Redis that is restarted")
    func followThroughRestart() async throws {
        try await withFleet(redis: ["appendonly yes", "appendfsync always"]) { fleet in
            let go = fleet.scratch.path + "/go"
            try await fleet.submit(["shell:1:0:0:echo first; while [ ! -e \(go) ]; do sleep 0.05; done; echo last"])
            let node = try await fleet.startedNode("a", ["node_name": "\"a\""])
            let log = try RunningProgram(
                Products.distcomp,
                ["logs", "-f", "*first*", "--redis", fleet.url(.watcher), "--config", node.configurationPath],
                in: fleet.scratch)
            try await eventually("its first line") { log.output == "first\n" }
            fleet.redis.kill9()
            try await eventually("word of it", log.errors) { log.errors.contains("trying again") }
            try fleet.redis.start()
            try fleet.scratch.write("go", "")
            let result = try await log.result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output == "first\nlast\n")
            try await node.stop()
        }
    }

    @Test("who may only look can use every command that only looks, and none that changes anything")
    func watcher() async throws {
        try await withFleet { fleet in
            try await fleet.submit([
                "shell:1:0:0:exit 1", "shell:1:0:0:echo true", "shell:1:0:0:sleep 1000", "shell:0:9999:0:x",
            ])
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1", "max_task_per_worker": "4"])
            try await eventually("an ending of each kind") {
                try fleet.count("finished_tasks") == 1 && fleet.count("failed_tasks") == 1
                    && fleet.count("in_progress_tasks") == 1
            }
            let rules =
                ["ACL", "SETUSER", "looker", "reset", "on", ">secret"] + QueueAccess.watcher.rules(keys: QueueKeys())
            let client = try fleet.redis.client()
            #expect(try client.call(.command(RedisCommand(rules[0], Array(rules.dropFirst())))).string == "OK")
            let settings = """
                {"redis_url": "\(fleet.redisURL)", "redis_user": "looker", "redis_pass": "secret"}
                """
            let path = try fleet.scratch.write("looker.json", settings)
            func run(_ words: String) async throws -> ProgramResult {
                try await RunningProgram(
                    Products.distcomp, words.split(separator: " ").map(String.init) + ["--config", path],
                    in: fleet.scratch
                ).result()
            }
            for words in [
                "status", "workers", "tasks", "tasks --match *true*", "show *", "why *", "logs *true", "results",
                "results --summary", "results --format csv",
            ] {
                let result = try await run(words)
                #expect(result.status == 0 && !result.output.isEmpty, "\(words): \(result.errors)")
            }
            #expect(try await run("cancel *sleep*").status != 0)
            #expect(try fleet.count("in_progress_tasks") == 1)
            try await fleet.distcomp("cancel", "*sleep*")
            try await fleet.distcomp("cancel", "shell:0:9999:0:x")
            try await fleet.untilIdle()
            #expect(try await run("watch").status == 1)
            try await node.stop()
        }
    }

    @Test("listings of many tasks begin at once: the first row takes a few small reads of Redis, not all of it")
    func firstRow() async throws {
        try await withFleet { fleet in
            let file = try fleet.scratch.write("many", (1...60_000).map { "shell:1:0:0:true \($0)\n" }.joined())
            try await fleet.distcomp("submit", file)
            let client = try fleet.redis.client()
            for start in stride(from: 0, to: 60_000, by: 1000) {
                let fields = (start..<start + 1000).flatMap { ["shell:2:0:0:done \($0)", "a: \"\""] }
                _ = try client.call(.command(RedisCommand("HSET", ["finished_tasks"] + fields)))
            }
            for words in ["tasks", "tasks --json", "results", "results --format csv"] {
                _ = try fleet.call("CONFIG", "RESETSTAT")
                let command = "\(Products.distcomp) \(words) --redis \(fleet.url(.watcher)) | head -3 | wc -l"
                let result = try await RunningProgram("/bin/sh", ["-c", command], in: fleet.scratch).result()
                #expect(result.output.contains("3"), "\(words): \(result.output)")
                #expect(try scanCount(fleet) <= 20, "\(words)")
            }
            #expect(try await fleet.distcomp("tasks", "--match", "*true 4?").outputLines.count == 11)
        }
    }

    @Test("the rate is told from a few small reads of Redis, also where no record tells a time")
    func rate() async throws {
        try await withFleet { fleet in
            let records = """
                for number = 1, 100000 do
                    redis.call('HSET', 'distcomp:outcomes', 'shell:1:0:0:' .. number, '1700000000000000 {"cause":"exit"}')
                end
                redis.call('HSET', 'in_progress_tasks', 'shell:1:0:0:true', 'node')
                """
            _ = try fleet.call("EVAL", records, "0")
            _ = try fleet.call("CONFIG", "RESETSTAT")
            #expect(try await fleet.distcomp("status").status == 0)
            #expect(try scanCount(fleet) <= 20)
        }
    }

    /// How often hashes were read by the page, since this was last set to nothing.
    private func scanCount(_ fleet: Fleet) throws -> Int {
        let statistics = try fleet.call("INFO", "commandstats").string ?? ""
        let calls = statistics.split(separator: "cmdstat_hscan:calls=").last?.prefix { $0 != "," }
        return try #require(calls.flatMap { Int($0) }, "\(statistics)")
    }
}

// Everything people and scripts read, as it is printed: help, listings, messages. The queue is a real one; what happened in it is told
// by a node of ours that runs nothing, so that times and amounts are the same each time.

import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Golden", .aFewAtATime)
struct GoldenTests {
    private static let commands = [
        "run", "attach", "submit", "web", "watch", "status", "top", "tasks", "show", "why", "logs", "results",
        "workers", "scale",
        "cancel", "retry", "requeue", "forget", "pause", "resume", "drain", "cleanup", "stop-workers", "reset",
        "manager", "config", "acl",
        "key", "doctor",
    ]

    @Test("help, of all and of each command, and of the daemon")
    func help() async throws {
        try await withScratch { scratch in
            func help(_ program: String, _ words: [String], _ name: String) async throws {
                let result = try await RunningProgram(program, words, in: scratch).result()
                #expect(result.status == 0 && result.errors == "", "\(name)")
                try GoldenFile.expect(result.output, toBe: "help-\(name)")
            }
            try await help(Products.distcomp, ["--help"], "distcomp")
            for command in Self.commands { try await help(Products.distcomp, ["help", command], command) }
            try await help(Products.distcompd, ["--help"], "distcompd")
            let all = try await RunningProgram(Products.distcomp, ["--help"], in: scratch).result().output
            let listed = all.split(separator: "\n").filter {
                $0.hasPrefix("  ") && $0.dropFirst(2).first?.isLetter == true
            }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
            #expect(Set(Self.commands).isSubset(of: listed))
        }
    }

    @Test("mistakes: one line each that says what to do")
    func mistakes() async throws {
        try await withFleet { fleet in
            var text = ""
            func note(_ words: String...) async throws {
                let result = try await fleet.distcomp(words)
                text +=
                    "$ distcomp \(words.joined(separator: " "))\n\(result.output)\(result.errors)exit status \(result.status ?? -1)\n\n"
            }
            try await note("statsu")
            try await note("submit", "no-such-file")
            try await note("submit", "--memory", "2Q", "--", "true")
            try await note("tasks", "--state", "finishd")
            try await note("tasks", "--limit", "many")
            try await note("show", "ffff")
            try await note("cancel", "\u{1B}[2Jx")
            try await note("retry", "--cause", "hunger")
            try await note("forget")
            try await note("drain", "nobody")
            try await note("reset")
            try await note("manager", "--task", "initRedis&sleep")
            let file = try fleet.scratch.write(
                "tasks.txt", "shell:1:0:0:true\nshel:1:0:0:true\nshell:x:8Q::\n\u{1B}[31m\n")
            try await note("submit", file)
            try GoldenFile.expect(masked(text, fleet), toBe: "mistakes")
        }
    }

    @Test("a queue in the middle of its work, in every listing and form, and what orders to it answer")
    func listings() async throws {
        try await withFleet { fleet in
            try prepare(fleet)
            var text = ""
            func note(_ words: String...) async throws {
                let result = try await fleet.distcomp(words)
                text += "$ distcomp \(words.joined(separator: " "))\n\(result.output)\(result.errors)\n"
            }
            try await note(
                "submit", "--dry-run", "--memory", "2G", "--timeout", "10m", "--", "./sim {1} {2}", ":::", "lru",
                "fifo", ":::", "1G", "4G")
            try await note("submit", "--", "echo", "a b", "c")
            try await note("submit", "--", "echo", "a b", "c")
            for form in [[], ["--json"]] {
                for command in [
                    ["status"], ["tasks"], ["workers"], ["why", "./sim huge"], ["why", "./sim waits"],
                    ["show", "./sim oom"],
                ] {
                    let words =
                        command.first == "why" || command.first == "show"
                        ? [command[0], "*" + command[1] + "*"] : command
                    let result = try await fleet.distcomp(words + form)
                    text += "$ distcomp \((words + form).joined(separator: " "))\n\(result.output)\(result.errors)\n"
                }
            }
            for form in ["table", "jsonl", "csv", "joblog"] { try await note("results", "--format", form) }
            try await note("results", "--summary")
            try await note("tasks", "--state", "failed", "--cause", "oom")
            try await note("logs", "*sim lru*")
            try await note("pause")
            try await note("status")
            try await note("resume")
            try await note("cancel", "*sim waits*")
            try await note("retry", "--cause", "oom")
            try await note("forget", "--finished")
            try await note("requeue", "*sim runs*")
            try await note("drain", "node1")
            try await note("workers")
            try await note("resume", "node1", "--json")
            try addNodeInTrouble(fleet)
            try await note("submit", "--memory", "32G", "--", "./sim", "large")
            for form in [[], ["--json"]] {
                for command in [["status"], ["workers"], ["why", "*sim large*"]] {
                    let result = try await fleet.distcomp(command + form)
                    text += "$ distcomp \((command + form).joined(separator: " "))\n\(result.output)\(result.errors)\n"
                }
            }
            try GoldenFile.expect(masked(text, fleet), toBe: "listings")
        }
    }

    @Test("what nodes are wanted, of the shapes there are and of others, for people and for programs")
    func scale() async throws {
        try await withFleet { fleet in
            try prepare(fleet)
            var text = ""
            for words in [
                [], ["--shape", "small=4G,2", "--shape", "huge=1024G,64,gpu=2,label=ssd,min=1,max=3"],
                ["--shape", "other=2G,1,max=1"],
            ] {
                for form in [[], ["--json"]] {
                    let all = ["scale"] + words + form
                    let result = try await fleet.distcomp(all)
                    text += "$ distcomp \(all.joined(separator: " "))\n\(result.output)\(result.errors)\n"
                }
            }
            try GoldenFile.expect(masked(text, fleet), toBe: "scale")
        }
    }

    /// Two tasks have finished, two have failed, one runs on node1, one waits and one is too large for any.
    private func prepare(_ fleet: Fleet) throws {
        let client = try client(fleet)
        let keys = QueueKeys()
        let lines =
            ["runs", "oom", "exit", "fifo", "lru"].enumerated()
            .map { "shell:\($0 + 5):1G:1:60:./sim \($1)" } + [
                "shell:1:1G:1:60:./sim waits", "shell:1:900G:1:60:./sim huge",
            ]
        let tasks = try lines.map { try TaskLine(parsing: $0) }
        _ = try client.perform(SubmitTasks(tasks[...], keys: keys))
        let node = Incarnation(name: "node1", machine: "m", life: 1)
        let report = NodeReport(
            unixSeconds: SystemClock.wallSeconds(), usedCores: 1, totalCores: 8, usedMemoryGB: 2, totalMemoryGB: 16)
        let description = NodeDescription(memoryBytes: 12 << 30, millicores: 8000, version: "1.0.0")
        let registered = try client.perform(
            RegisterNode(
                keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, status: report.text, node: description))
        let claim = ClaimTasks(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, count: 5, freeMemoryBytes: 12 << 30,
            freeMillicores: 8000, silence: registered.silence)
        for task in try client.perform(claim).tasks {
            let name = String(task.line.split(separator: " ").last ?? "")
            guard let result = result(of: name) else { continue }
            let report = ReportTask(keys: keys, incarnation: node, line: task.line, token: task.token, result: result)
            _ = try client.perform(report)
        }
    }

    /// A second node, the largest, that can launch nothing; what ails it holds what a terminal would obey.
    private func addNodeInTrouble(_ fleet: Fleet) throws {
        let report = NodeReport(
            unixSeconds: SystemClock.wallSeconds(), usedCores: 0, totalCores: 4, usedMemoryGB: 1, totalMemoryGB: 64)
        let description = NodeDescription(
            memoryBytes: 60 << 30, millicores: 4000, version: "1.0.0", address: "10.0.0.2:40312",
            trouble: "create /srv/\u{1b}[2Jresult/x: Read-only file system")
        _ = try client(fleet).perform(
            RegisterNode(
                keys: QueueKeys(), incarnation: Incarnation(name: "node2", machine: "m2", life: 1),
                leaseMilliseconds: 3_600_000, status: report.text, node: description))
    }

    private func client(_ fleet: Fleet) throws -> BlockingRedisClient {
        var options = RedisServerFixture.patientOptions
        options.session.scripts = QueueScripts.all
        return try BlockingRedisClient(fleet.redis.endpoint, options: options)
    }

    private func result(of name: String) -> ReportTask.Result? {
        let usage = Usage(
            wallSeconds: 12.5, userSeconds: 10.25, systemSeconds: 0.5, memoryPeakBytes: 800 << 20,
            oomKills: name == "oom" ? 1 : 0)
        let cause: Cause
        switch name {
        case "lru", "fifo": cause = .exit(code: 0)
        case "exit": cause = .exit(code: 3)
        case "oom": cause = .oom
        default: return nil
        }
        let outcome = TaskOutcome(
            cause: cause, usage: usage, memoryCapBytes: 1 << 30, timeoutSeconds: 60,
            stderrTail: cause == .exit(code: 3) ? "no such trace\n" : "",
            stdoutPath: "/srv/result/\(name)/stdout", stderrPath: "/srv/result/\(name)/stderr", node: "node1",
            attempt: 1,
            finishedAtUnixSeconds: 1_750_000_000.25)
        if outcome.succeeded {
            return .finished(
                value: FinishedValue.encode(worker: "node1", standardOutput: Array("misses \(name.count)\n".utf8)),
                record: outcome.record)
        }
        return .failed(reason: outcome.reason, record: outcome.record, attemptsMax: 1, retryMilliseconds: 0)
    }

    /// Without what differs from one run to the next: where and when it was.
    private func masked(_ text: String, _ fleet: Fleet) -> String {
        text.replacing(fleet.scratch.path, with: "SCRATCH")
            .replacing(#/\d+(\.\d+|:\d\d)? (s|ms|min|h) ago/#, with: "T ago")
            .replacing(#/\d\d\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d+)?Z?/#, with: "TIME")
            .replacing(#/about \d+ d/#, with: "about T")
            .replacing(#/"(eta_seconds|lease_seconds_left|heard_seconds_ago|unix_seconds)":[0-9.]+/#) {
                "\"\($0.output.1)\":T"
            }
    }
}

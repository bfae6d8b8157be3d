// A daemon replaced in place, under tasks that go on.

import Foundation
import Glibc
import LinuxSystem
import TaskModel
import Testing

@Suite("A daemon that executes itself anew", .aFewAtATime)
struct ReExecTests {
    private let keep = ["restart_mode": "\"keep\"", "health_report_interval": "0.2"]

    /// SIGHUP, and the program that follows: it logs that it is connected once more.
    private func replace(_ node: Node) async throws {
        func lives() -> Int { node.log.split(separator: "\n").count { $0.contains(" connected") } }
        let before = lives()
        node.program?.send(SIGHUP)
        try await eventually("the next program", node.log) { lives() > before }
    }

    @Test("a task that spans three replacements runs once, to its end, with its output whole")
    func spans() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", keep)
            let gate = fleet.scratch.path + "/gate"
            let line = "shell:1:64M:1:600:echo begin; until [ -e \(gate) ]; do sleep 0.02; done; echo end"
            try await fleet.submit([line])
            try await eventually("it runs") { try fleet.count("in_progress_tasks") == 1 }
            let process = node.process
            for _ in 1...3 { try await replace(node) }
            #expect(node.process == process)
            #expect(node.program?.hasEnded == false)
            #expect(try fleet.count("in_progress_tasks") == 1)

            try fleet.scratch.write("gate", "")
            try await fleet.untilIdle()
            #expect(try fleet.hash("finished_tasks")[line] == #"a: "begin\nend\n""#)
            let result = try await fleet.distcomp("results", "--format", "jsonl").output
            #expect(result.contains(#""attempts":1"#), "\(result)")
            try await fleet.submit(["shell:1:0:0:0:true"])
            try await fleet.untilFinished(1)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("tasks that end, and time out, across replacements are each reported once with their cause")
    func manyTasks() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode(
                "a", keep.merging(["max_task_per_worker": "20", "max_retry_per_task": "1"]) { $1 })
            let marks = fleet.scratch.path + "/marks"
            try await fleet.submit((1...60).map { "shell:1:0:0:0:echo \($0) >> \(marks); sleep 0.\($0 % 7)" })
            // Failures of launches that are under way reach the next program through the pipe it inherits.
            try await fleet.submit((1...20).map { "shell:1:0:0:0:/nonexistent/\($0)" })
            try await fleet.submit(["shell:2:0:0:2:exec sleep 300"])
            for _ in 1...4 { try await replace(node) }
            try await fleet.untilFinished(60)
            try await fleet.untilIdle()
            #expect(fleet.scratch.lines("marks").count == 60)
            #expect(try fleet.hash("task_fail_reason")["shell:2:0:0:2:exec sleep 300"]?.contains("timeout") == true)
            let reasons = try fleet.hash("task_fail_reason").values
            #expect(reasons.count { $0.contains("execve") } == 20, "\(reasons)")
            #expect(try fleet.count("failed_tasks") == 21)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test(
        "a task in a group that held others is told without sums it cannot know, and no group is left for the next program",
        .enabled(if: Host.isRoot, "needs root"))
    func groupUsedBefore() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", keep.merging(["max_task_per_worker": "1"]) { $1 })
            let gate = fleet.scratch.path + "/gate"
            // So quickly after the others that it is launched in one of their groups, where groups are used again.
            let line = "shell:1:0:0:600:until [ -e \(gate) ]; do sleep 0.02; done"
            try await fleet.submit((1...40).map { "shell:2:0:0:true \($0)" } + [line])
            try await eventually("it runs") { !fleet.scratch.processes(with: "until [ -e").isEmpty }
            let group = try #require(try fleet.scratch.taskGroupsInUse().first)
            let isOfAnother = try !group.hasSuffix(TaskLine(parsing: line).identifier) && !group.contains(".standby-")
            try await replace(node)
            #expect(!node.log.contains("cleared"), "\(node.log)")
            try fleet.scratch.write("gate", "")
            try await fleet.untilIdle()
            let results = try await fleet.distcomp("results", "--format", "jsonl").outputLines
            let last = try jsonObject(String(try #require(results.first { $0.contains("until") })))
            #expect(last.string("cause") == "exit")
            if isOfAnother {
                #expect(last["cpu_seconds"] is NSNull && last["memory_peak_bytes"] is NSNull, "\(last)")
            }
            try await node.stop()
        }
    }

    @Test("a launch that fails right after a replacement is told with its step")
    func launchFailure() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", keep.merging(["max_retry_per_task": "1"]) { $1 })
            try await replace(node)
            try await fleet.submit(["shell:1:0:0:0:/nonexistent/program"])
            try await fleet.untilIdle()
            let reason = try fleet.hash("task_fail_reason")["shell:1:0:0:0:/nonexistent/program"] ?? ""
            #expect(reason.contains("execve"), "\(reason)")
            try await node.stop()
        }
    }

    @Test("settings that will not do keep the program that runs, and its tasks")
    func badSettings() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", keep)
            try await fleet.submit(["shell:1:0:0:0:sleep 300"])
            try await eventually("it runs") { try fleet.count("in_progress_tasks") == 1 }
            try FileSystem.replace(node.configurationPath, with: Array(#"{"redis_port": 0}"#.utf8), mode: 0o644)
            node.program?.send(SIGHUP)
            try await eventually("the refusal", node.log) { node.log.contains("the new settings are not used") }
            #expect(!node.log.contains("making way"))
            #expect(try fleet.count("in_progress_tasks") == 1)
            try await node.stop()
        }
    }

    @Test(
        "an installed program that does not work is not taken, and trying it holds up nothing",
        arguments: [
            ("exec sleep 987", "did not end within 10 s"), ("exit 3", "ended with exit(code: 3)"),
        ])
    func brokenProgram(script: String, reason: String) async throws {
        try await withFleet { fleet in
            let folder = fleet.scratch.path + "/bin"
            try FileSystem.createDirectories(folder, mode: 0o755)
            for name in ["distcompd", "distcomp-launch"] {
                let source = Products.distcompd.dropLast("distcompd".count) + name
                let words = ["/bin/cp", String(source), folder + "/" + name]
                try await RunningProgram(words[0], Array(words[1...]), in: fleet.scratch).result()
            }
            let node = try fleet.node("a", keep.merging(["max_retry_per_task": "1"]) { $1 })
            node.command = [folder + "/distcompd"]
            try await node.start()
            let timed = "shell:1:0:0:3:exec sleep 654"
            try await fleet.submit([timed, "shell:1:0:0:600:exec sleep 653"])
            try await eventually("both run") { try fleet.count("in_progress_tasks") == 2 }
            try FileSystem.replace(folder + "/distcompd", with: Array("#!/bin/sh\n\(script)\n".utf8), mode: 0o755)
            node.program?.send(SIGHUP)
            try await eventually("it is tried", node.log) { node.log.contains("making way") }
            if script.contains("sleep") {
                // The loop goes on meanwhile: a deadline holds.
                try await eventually("the timeout", node.log) { try fleet.hash("task_fail_reason")[timed] != nil }
                #expect(!node.log.contains("not replaced"))
            }
            try await eventually("it is given up", node.log) {
                node.log.contains("not replaced: \(folder)/distcompd --version \(reason)")
            }
            try await eventually("and ended") { fleet.scratch.processes(with: "sleep 987").isEmpty }
            try await fleet.submit(["shell:1:0:0:60:true"])
            try await fleet.untilFinished(1)
            #expect(fleet.scratch.tasks(with: "sleep 653").count == 1)
            try await node.stop()
        }
    }

    @Test("while Redis is away a replacement waits, and goes on with what runs when it is back")
    func withoutRedis() async throws {
        try await withFleet(redis: ["appendonly yes", "appendfsync always"]) { fleet in
            let node = try await fleet.startedNode("a", keep)
            try await fleet.submit(["shell:1:0:0:0:sleep 300"])
            try await eventually("it runs") { try fleet.count("in_progress_tasks") == 1 }
            fleet.redis.kill9()
            try await eventually("the loss", node.log) { node.log.contains("retrying in") }
            node.program?.send(SIGHUP)
            try await eventually("the next program tries to connect", node.log) {
                let words = node.log.split(separator: "memory caps by")
                return words.count == 3 && words[2].contains("retrying in")
            }
            #expect(fleet.scratch.tasks(with: "sleep 300").count == 1)
            try fleet.redis.restart()
            try await eventually("it is back", node.log) { node.log.split(separator: " connected").count >= 3 }
            #expect(fleet.scratch.tasks(with: "sleep 300").count == 1)
            try await node.stop()
        }
    }
}

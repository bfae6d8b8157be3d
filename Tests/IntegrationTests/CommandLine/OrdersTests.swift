// What people order of the queue, with the real programs.

import LinuxSystem
import RedisServerFixture
import Testing

@Suite("orders to the queue", .aFewAtATime)
struct OrdersTests {
    @Test("pause holds everything back but what runs, resume lets it go on, and status tells")
    func pause() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            #expect(try await fleet.distcomp("pause", "--json").output == "{\"paused\":true}\n")
            try await fleet.submit(["shell:1:0:0:echo x"])
            let status = try await fleet.distcomp("status", "--json").output
            #expect(status.contains(#""paused":true"#), "\(status)")
            #expect(try fleet.count("todo_tasks") == 1)
            #expect(try await fleet.distcomp("resume", "--json").output == "{\"paused\":false}\n")
            try await fleet.untilFinished(1)
            #expect(try await fleet.distcomp("pause").output.hasPrefix("paused: "))
            #expect(try await fleet.distcomp("resume").output == "tasks are given out again\n")
            try await node.stop()
        }
    }

    @Test("retry and requeue take the tasks of a file, and tell what is no task")
    func files() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let lines = ["shell:9:0:0:exit 1", "shell:8:0:0:exit 2", "shell:7:0:0:0:sleep 300"]
            try await fleet.submit(lines)
            try await eventually("one runs, two have failed", node.log) {
                try fleet.count("failed_tasks") == 2 && fleet.count("in_progress_tasks") == 1
            }
            try await fleet.distcomp("pause")
            let file = try fleet.scratch.write(
                "some.tasks", "# a comment\n\(lines[0])\nnonsense\n\(lines[2])\nshell:1:0:0:unknown\n")
            let retried = try await fleet.distcomp("retry", "--file", file, "--json")
            #expect(retried.output == "{\"queued\":1,\"hastened\":0}\n")
            #expect(retried.status == 2 && retried.errorLines.count == 1)
            #expect(retried.errors.contains("some.tasks:3:"), "\(retried.errors)")
            let requeued = try await fleet.distcomp("requeue", "--file", file)
            #expect(requeued.output == "1 back in todo\n" && requeued.status == 2)
            #expect(try fleet.hash("todo_tasks").keys.sorted() == [lines[2], lines[0]])
            #expect(try fleet.hash("failed_tasks").keys.sorted() == [lines[1]])
            let missing = try await fleet.distcomp("retry", "--file", fleet.scratch.path + "/none")
            #expect(missing.status == 2 && missing.errorLines.count == 1)
            try await node.stop()
        }
    }

    @Test("retry queues what failed by its cause, by name, or all of it; what has not failed is left alone")
    func retry() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:0:0:exit 1", "shell:1:0:0:1s:sleep 9", "shell:1:0:0:true"])
            try await fleet.untilIdle()
            try await node.stop()
            let byCause = try await fleet.distcomp("retry", "--cause", "timeout", "--json")
            #expect(byCause.output == "{\"queued\":1,\"hastened\":0}\n")
            #expect(try fleet.hash("todo_tasks").keys.sorted() == ["shell:1:0:0:1s:sleep 9"])
            let all = try await fleet.distcomp("retry", "--all-failed")
            #expect(all.output == "1 queued again\n")
            #expect(try fleet.hash("todo_tasks").count == 2)
            #expect(try fleet.count("failed_tasks") == 0)
            let missed = try await fleet.distcomp("retry", "shell:1:0:0:true")
            #expect(missed.status == 2)
            #expect(try await fleet.distcomp("retry").status == 2)
            #expect(try await fleet.distcomp("retry", "--cause", "weather").errors.contains("timeout"))
        }
    }

    @Test("requeue takes a task from its node, which stops it, and it runs again")
    func requeue() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let line =
                "shell:1:0:0:0:echo run >> \(fleet.scratch.path)/log; [ $(wc -l < \(fleet.scratch.path)/log) -gt 1 ] || sleep 300"
            try await fleet.submit([line])
            try await eventually("it runs", node.log) { fleet.scratch.lines("log").count == 1 }
            #expect(try await fleet.distcomp("requeue", "--node", "a").output == "1 back in todo\n")
            try await fleet.untilFinished(1)
            #expect(fleet.scratch.lines("log").count == 2)
            #expect(try fleet.count("failed_tasks") == 0)
            try await node.stop()
        }
    }

    @Test("forget removes results, by state and by pattern")
    func forget() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:0:0:exit 1", "shell:1:0:0:echo a", "shell:1:0:0:echo b"])
            try await fleet.untilIdle()
            #expect(try await fleet.distcomp("forget", "--finished", "--match", "*echo a").output == "1 forgotten\n")
            #expect(try fleet.hash("finished_tasks").keys.sorted() == ["shell:1:0:0:echo b"])
            #expect(try await fleet.distcomp("forget", "--failed", "--json").output == "{\"forgotten\":1}\n")
            #expect(try fleet.count("failed_tasks") == 0)
            #expect(try fleet.count("task_fail_reason") == 0)
            #expect(try await fleet.distcomp("forget").status == 2)
            // What an old worker may have left: no UTF-8.
            let command = ["HSET", "finished_tasks"].map { Array($0.utf8) } + [[0xFF], []]
            _ = try fleet.redis.client().call(.command(.init(bytes: command)))
            #expect(try await fleet.distcomp("forget", "--finished").output == "2 forgotten\n")
            try await node.stop()
        }
    }
}

// What people order of the queue, and what each kind of Redis user may do, with the real programs.

import LinuxSystem
import RedisServerFixture
import Testing

@Suite("orders to the queue", .aFewAtATime)
struct OrdersTests {
    @Test("pause holds everything back but what runs, resume lets it go on, and status tells")
    func pause() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            #expect(try await fleet.distcomp("pause").status == 0)
            try await fleet.submit(["shell:1:0:0:echo x"])
            let status = try await fleet.distcomp("status", "--json").output
            #expect(status.contains(#""paused":true"#), "\(status)")
            #expect(try fleet.count("todo_tasks") == 1)
            #expect(try await fleet.distcomp("resume").status == 0)
            try await fleet.untilFinished(1)
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
            try await node.stop()
        }
    }

    @Test("each kind of user that distcomp acl prints can do its work, and not that of another")
    func users() async throws {
        try await withFleet { fleet in
            let printed = try await RunningProgram(Products.distcomp, ["acl"], in: fleet.scratch).result().outputLines
            #expect(printed.count == 3)
            for line in printed {
                let words = line.split(separator: " ").map { $0 == ">PASSWORD" ? ">secret" : String($0) }
                let reply = try fleet.redis.client().call(.command(.init(words[0], Array(words.dropFirst()))))
                #expect(reply.string == "OK", "\(line): \(reply)")
            }
            func distcomp(_ user: String, _ words: String...) async throws -> ProgramResult {
                let url = "unix://distcomp-\(user):secret@\(fleet.redis.socketPath)"
                return try await RunningProgram(Products.distcomp, words + ["--redis", url], in: fleet.scratch).result()
            }
            let node = try fleet.node(
                "a", ["redis_user": "\"distcomp-node\"", "redis_pass": "\"secret\"", "max_retry_per_task": "1"])
            try await node.start()
            let file = try fleet.scratch.write(
                "tasks", "shell:1:0:0:echo x\nshell:1:0:0:exit 3\nshell:1:0:0:0:sleep 300\n")
            #expect(try await distcomp("submitter", "submit", file).status == 0)
            try await fleet.untilFinished(1)
            try await eventually("the failure") { try fleet.count("failed_tasks") == 1 }
            for words in [
                ["retry", "--all-failed"], ["cancel", "*sleep*"], ["pause"], ["resume"], ["requeue", "--all"],
            ] {
                let url = "unix://distcomp-submitter:secret@\(fleet.redis.socketPath)"
                let result = try await RunningProgram(
                    Products.distcomp, words + ["--redis", url], in: fleet.scratch
                ).result()
                #expect(result.status == 0, "\(words): \(result.errors)")
            }
            try await fleet.untilIdle()
            for words in [
                ["status", "--json"], ["workers"], ["results"], ["tasks"], ["show", "*echo*"], ["why", "*echo*"],
            ] {
                let url = "unix://distcomp-watcher:secret@\(fleet.redis.socketPath)"
                let result = try await RunningProgram(
                    Products.distcomp, words + ["--redis", url], in: fleet.scratch
                ).result()
                #expect(result.status == 0, "\(words): \(result.errors)")
            }
            let refused = try await distcomp("watcher", "submit", file)
            #expect(refused.status == 3, "\(refused.errors)")
            #expect(refused.errors.contains("this user lacks a permission"), "\(refused.errors)")
            #expect(try await distcomp("submitter", "forget", "--finished").status == 0)
            try await node.stop()
        }
    }
}

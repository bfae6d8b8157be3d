// The old manager's interface, for the scripts that call it, and what an operator does to a queue as a whole.

import Glibc
import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("the old manager and the upkeep of a queue", .aFewAtATime)
struct ManagerTests {
    /// `distcomp manager` on a queue at a port, asked as the old scripts ask.
    private func withOldQueue(
        _ body: (Scratch, BlockingRedisClient, (String...) async throws -> ProgramResult) async throws -> Void
    ) async throws {
        let redis = try RedisServerFixture(listening: .port, password: "secret")
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let client = try redis.client()
            let options = [
                "--redis_host", "127.0.0.1", "--redis_port", "\(port)", "--redis_pass", "secret", "--redis_db", "0",
            ]
            try await body(scratch, client) { words in
                try await RunningProgram(Products.distcomp, ["manager"] + options + words, in: scratch).result()
            }
        }
    }

    private func set(_ client: BlockingRedisClient, _ key: String, _ fields: String...) throws {
        _ = try client.call(.command(RedisCommand("HSET", [key] + fields)))
    }

    private let bar = String(repeating: "#", count: 48)

    @Test("initRedis&loadTask empties this queue, and nothing else, and loads the file")
    func load() async throws {
        try await withOldQueue { scratch, client, manager in
            _ = try client.call(.command(RedisCommand("SET", "somebody", "else's")))
            try set(client, "todo_tasks", "shell:1:0:0:old", "")
            try set(client, "finished_tasks", "shell:1:0:0:done", "w: \"\"")
            try set(client, "distcomp:outcomes", "x", "y")
            try set(client, "other:distcomp:outcomes", "x", "y")
            try scratch.write("task", "shell:5:8:2:echo hello\nshell:4:1:1:60:echo bye\n# no\n")
            let loaded = try await manager("--task", "initRedis&loadTask")
            #expect(loaded.status == 0 && loaded.output.isEmpty, "\(loaded.errors)")
            #expect(loaded.errors.contains("redis initialized: 3 keys of this queue deleted, all others left alone"))
            #expect(loaded.errors.contains("load 2 tasks, add 2 task\n"), "\(loaded.errors)")
            let keys = try client.call(.command(RedisCommand("KEYS", "*"))).elements?.compactMap(\.string) ?? []
            #expect(keys.contains("somebody") && keys.contains("other:distcomp:outcomes"))
            #expect(try client.call(.command(RedisCommand("HLEN", "todo_tasks"))).int == 2)
            #expect(try client.call(.command(RedisCommand("EXISTS", "finished_tasks"))).int == 0)
            let again = try await manager("--task", "loadTask", "--taskfile", scratch.path + "/task")
            #expect(again.errors.contains("load 2 tasks, add 0 task\n"), "\(again.errors)")
        }
    }

    @Test("checkTask prints what the old one printed, part by part, filtered and not")
    func checkTask() async throws {
        try await withOldQueue { _, client, manager in
            try set(client, "todo_tasks", "shell:5:8:2:./sim a", "")
            try set(client, "in_progress_tasks", "shell:4:0:1:60:./sim b", "w1")
            try set(client, "finished_tasks", "python:3:0.5:0:x.py c", #"w2: "out\n""#)
            try set(client, "failed_tasks", "demo:2:0:0:d", "w1,w2,")
            try set(client, "task_fail_reason", "demo:2:0:0:d", "exit 3")
            let all = try await manager("--task", "checkTask")
            let expected = """
                1 todo tasks, 1 in_progress tasks, 1 finished tasks, 1 failed tasks

                \(bar)  todo task  \(bar)
                task_type: shell, priority: 5, min_dram_gb: 8, require_cpu_core: 2, task_params: ./sim a
                \(bar)  in_progress task  \(bar)
                task_type: shell, priority: 4, min_dram_gb: 0, require_cpu_core: 1, task_params: ./sim b:         w1
                \(bar)  finished task  \(bar)
                task_type: python, priority: 3, min_dram_gb: 0.5, require_cpu_core: 0, task_params: x.py c:         w2: "out\\n"
                \(bar)  failed task  \(bar)
                task_type: demo, priority: 2, min_dram_gb: 0, require_cpu_core: 0, task_params: d:         w1,w2,
                \(bar)  task fail reason \(bar)
                task_type: demo, priority: 2, min_dram_gb: 0, require_cpu_core: 0, task_params: d:         exit 3

                """
            #expect(all.output == expected)
            let few = try await manager(
                "--task", "checkTask", "--todo", "False", "--in_progress", "0", "--failed", "no", "--failed_reason",
                "off",
                "--print_result", "n")
            #expect(
                few.output == """
                    1 todo tasks, 1 in_progress tasks, 1 finished tasks, 1 failed tasks

                    \(bar)  finished task  \(bar)
                    task_type: python, priority: 3, min_dram_gb: 0.5, require_cpu_core: 0, task_params: x.py c

                    """)
            let included = try await manager("--task", "checkTask", "--include", "sim a")
            #expect(included.output.contains("./sim a\n") && !included.output.contains("./sim b"))
            let excluded = try await manager("--task", "checkTask", "--exclude", "sim a")
            #expect(!excluded.output.contains("./sim a") && excluded.output.contains("./sim b"))
        }
    }

    @Test("checkWorker prints the old table, with what each worker runs and has finished")
    func checkWorker() async throws {
        try await withOldQueue { _, client, manager in
            let now = SystemClock.wallSeconds()
            try set(client, "worker_status", "node1", "\(now - 5):1.50:8.00:3.25:15.62", "node0", "\(now - 65):0:4:1:7")
            try set(client, "in_progress_tasks", "shell:1:0:0:a", "node1", "shell:1:0:0:b", "node1")
            try set(client, "finished_tasks", "shell:1:0:0:c", "node1: \"x\"")
            let lines = try await manager("--task", "checkWorker").output.split(separator: "\n")
            #expect(
                lines.first.map { String($0) }
                    == "  worker  last_update_from_now   cores_used  cores_total mem_used (GB) mem_total (GB) "
                    + "n_current_task n_finished_tasks ")
            #expect(lines.count == 3)
            let cells = lines.dropFirst().map { $0.split(separator: " ").map(String.init) }
            #expect(cells.map { $0[0] } == ["node0", "node1"])
            #expect(Array(cells[1].dropFirst(2)) == ["1.50", "8.00", "3.25", "15.62", "2", "1"])
            #expect(try #require(Int(cells[1][1])) >= 5)
            #expect(lines.dropFirst().allSatisfy { $0.count == 12 + 7 * 13 })
            let one = try await manager("--task", "checkWorker", "--include", "node0")
            #expect(one.output.split(separator: "\n").count == 2)
        }
    }

    @Test("the old orders move tasks as they did, through the new queue")
    func orders() async throws {
        try await withOldQueue { _, client, manager in
            func count(_ key: String) throws -> Int? { try client.call(.command(RedisCommand("HLEN", key))).int }
            try set(client, "finished_tasks", "shell:1:0:0:a", "w: \"\"", "shell:1:0:0:b", "w: \"\"")
            try set(client, "in_progress_tasks", "shell:1:0:0:c", "w")
            try set(client, "failed_tasks", "shell:1:0:0:d", "w,", "shell:1:0:0:e", "w,")
            try set(client, "task_fail_reason", "shell:1:0:0:d", "x", "shell:1:0:0:e", "y")
            #expect(try await manager("--task", "removeFinishedTask").status == 0)
            #expect(try count("finished_tasks") == 0)
            #expect(try await manager("--task", "moveInProgressTaskToTodo&moveFailedTaskToTodo").status == 0)
            #expect(try count("in_progress_tasks") == 0 && count("failed_tasks") == 0 && count("task_fail_reason") == 0)
            #expect(try count("todo_tasks") == 3)
        }
    }

    @Test("what is no task of the manager, or no truth, is told before anything is done")
    func mistakes() async throws {
        try await withOldQueue { _, client, manager in
            try set(client, "todo_tasks", "shell:1:0:0:a", "")
            let unknown = try await manager("--task", "initRedis&frobnicate")
            #expect(unknown.status == 2)
            #expect(unknown.errors.contains("initRedis, loadTask, checkTask"), "\(unknown.errors)")
            #expect(try client.call(.command(RedisCommand("HLEN", "todo_tasks"))).int == 1)
            #expect(try await manager("--task", "checkTask", "--todo", "maybe").status == 2)
            #expect(try await manager().status == 2)
        }
    }

    @Test("a password on the command line does not stay in the list of processes")
    func hiddenPassword() async throws {
        try await withFleet { fleet in
            fleet.redis.pause()
            let program = try RunningProgram(
                Products.distcomp,
                ["manager", "--task", "checkTask", "--redis", fleet.redisURL, "--redis_pass", "s3cret"],
                in: fleet.scratch)
            try await eventually("the hidden password") {
                let words = (try? FileSystem.contents(of: "/proc/\(program.process)/cmdline")) ?? []
                let text = String(decoding: words, as: UTF8.self)
                return text.contains("--redis_pass") && !text.contains("s3cret")
            }
            fleet.redis.resume()
            try await program.result()
        }
    }

    @Test("cleanup puts back what dead nodes ran, ours and old ones, and leaves the living alone")
    func cleanup() async throws {
        try await withFleet { fleet in
            let now = SystemClock.wallSeconds()
            _ = try fleet.call("HSET", "worker_status", "dead", "\(now - 5000):0:4:1:7", "old", "\(now - 100):0:4:1:7")
            try fleet.claim(["shell:1:0:0:a": "dead", "shell:1:0:0:b": "old", "shell:1:0:0:c": "nobody"])
            try await fleet.submit(["shell:9:0:0:sleep 1000"])
            let node = try await fleet.startedNode("alive")
            try await eventually("it running") {
                try fleet.hash("in_progress_tasks")["shell:9:0:0:sleep 1000"] == "alive"
            }
            _ = try fleet.call("SET", "distcomp:paused", "1")
            let object = try jsonObject(try await fleet.distcomp("cleanup", "--json").output)
            #expect(object["removed_workers"] as? [String] == ["dead"] && object.integer("requeued") == 2)
            #expect(Set(try fleet.hash("worker_status").keys) == ["alive", "old"])
            #expect(try fleet.hash("in_progress_tasks").values.sorted() == ["alive", "old"])
            #expect(Set(try fleet.hash("todo_tasks").keys) == ["shell:1:0:0:a", "shell:1:0:0:c"])
            #expect(try await fleet.distcomp("cleanup").output == "0 nodes removed; 0 back in todo\n")
            try await node.stop()
        }
    }

    @Test("stop-workers ends the nodes once they are done, and --undo lets new ones start")
    func stopWorkers() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            #expect(try await fleet.distcomp("stop-workers").status == 0)
            try await eventually("the node's end") { node.program?.hasEnded == true }
            #expect(try fleet.hash("todo_tasks") == ["WORKER_COMMAND_CLOSE": ""])
            #expect(try await fleet.distcomp("stop-workers", "--undo").output == "WORKER_COMMAND_CLOSE is taken back\n")
            #expect(try await fleet.distcomp("stop-workers", "--undo").output == "WORKER_COMMAND_CLOSE was not set\n")
            #expect(try fleet.count("todo_tasks") == 0)
        }
    }

    @Test(
        "a drained node finishes what it runs and takes nothing new, over a restart too, until it is resumed; workers, status and why say so"
    )
    func drain() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let gate = fleet.scratch.path + "/gate"
            try await fleet.submit(["shell:9:0:0:until [ -e \(gate) ]; do sleep 0.05; done"])
            try await eventually("it running") { try fleet.count("in_progress_tasks") == 1 }
            let refused = try await fleet.distcomp("drain", "a", "b")
            #expect(refused.output == "a: drained, 1 running, to their end\n" && refused.status == 2)
            #expect(refused.errors == "distcomp: no node \"b\": distcomp workers lists them\n")
            try await fleet.submit(["shell:1:0:0:echo later"])
            #expect(try await fleet.distcomp("why", "shell:1:0:0:echo later").output.contains("distcomp resume a"))
            #expect(try await fleet.distcomp("workers").output.contains(", draining"))
            #expect(try await fleet.distcomp("status").output.contains("1 node, 1 drained"))

            let waiting = try fleet.start(["drain", "a", "--wait", "--json"])
            try fleet.scratch.write("gate", "")
            let waited = try await waiting.result()
            #expect(waited.output.hasPrefix(#"{"worker":"a","drained":true,"running":"#) && waited.status == 0)
            #expect(try fleet.count("finished_tasks") == 1 && fleet.count("todo_tasks") == 1)
            try await node.stop()
            try await node.start()
            try await eventually("it says so", node.log) { node.log.contains("drained by order") }
            #expect(try fleet.count("todo_tasks") == 1)
            #expect(try await fleet.distcomp("resume", "a").output == "a: takes tasks again\n")
            try await fleet.untilFinished(2)
            try await node.stop()
        }
    }

    @Test("reset deletes this queue alone, and asks; nodes stop what they run and go on with what comes")
    func reset() async throws {
        try await withFleet { fleet in
            _ = try fleet.call("SET", "somebody", "else's")
            try await fleet.submit(["shell:9:0:0:sleep 1000 # first", "shell:1:0:0:true"])
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1"])
            try await eventually("it running") { try fleet.count("in_progress_tasks") == 1 }
            let unasked = try await fleet.distcomp("reset")
            #expect(unasked.status == 2)
            #expect(unasked.errors == "distcomp: nobody is there to be asked: say --yes\n")
            #expect(try fleet.count("in_progress_tasks") == 1)
            #expect(try await fleet.distcomp("reset", "--yes").status == 0)
            #expect(try fleet.call("GET", "somebody").string == "else's")
            try await eventually("the end of what ran") { fleet.scratch.tasks(with: "sleep 1000").isEmpty }
            try await fleet.submit(["shell:1:0:0:echo anew"])
            try await fleet.untilFinished(1)
            #expect(try fleet.hash("finished_tasks") == ["shell:1:0:0:echo anew": "a: \"anew\\n\""])
            #expect(try fleet.count("in_progress_tasks") == 0 && fleet.count("todo_tasks") == 0)
            try await node.stop()
        }
    }

    @Test("reset deletes nothing before every living node has heard that it is to stop what it runs")
    func resetWaits() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a", "shell:1:0:0:b"])
            let node = try PretendedNode("a", on: fleet)
            try #require(try node.claim(1).count == 1)
            let reset = try fleet.start(["reset", "--yes"])
            try await eventually("it is told to stop one") { try fleet.count("in_progress_tasks") == 0 }
            #expect(try fleet.count("todo_tasks") == 2 && node.claim(2).isEmpty)
            #expect(try node.takeCancellations().count == 1)
            let result = try await reset.result()
            #expect(
                result.status == 0 && result.output.hasSuffix(" keys deleted; the queue is empty\n"), "\(result.errors)"
            )
            #expect(try fleet.call("DBSIZE").int == 0)
        }
    }

    @Test("a living node that does not hear of it keeps reset from deleting anything")
    func resetUnheard() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a", "shell:1:0:0:b"])
            try #require(try PretendedNode("a", on: fleet).claim(1).count == 1)
            let result = try await fleet.distcomp("reset", "--yes")
            #expect(result.status == 1 && result.output.isEmpty)
            #expect(
                result.errors.hasPrefix(
                    "distcomp: a has not heard that it is to stop what it runs: nothing was deleted"))
            #expect(try fleet.count("todo_tasks") == 2)
            #expect(try fleet.call("EXISTS", "distcomp:paused").int == 1)
        }
    }
}

extension Fleet {
    /// Lines in progress with the node that has each.
    fileprivate func claim(_ nodes: [String: String]) throws {
        for (line, node) in nodes { _ = try call("HSET", "in_progress_tasks", line, node) }
    }
}

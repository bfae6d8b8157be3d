// Nodes, a queue between them, and everything that can happen to either.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("a fleet", .aFewAtATime)
struct FleetTests {
    /// A task that says it has started, and ends when the test says so.
    private func held(_ name: String, _ fleet: Fleet) -> String {
        let log = fleet.scratch.path + "/log"
        return "shell:1:0:0:echo \(name) >> \(log); while ! test -e \(log).go; do sleep 0.05; done; echo \(name) done"
    }

    private func release(_ fleet: Fleet) throws { try fleet.scratch.write("log.go", "") }

    private func makeLog(_ fleet: Fleet) throws {
        try fleet.scratch.write("log", "")
        chmod(fleet.scratch.path + "/log", 0o666)
    }

    private func started(_ fleet: Fleet) -> [String] { fleet.scratch.lines("log") }

    @Test("two nodes share a queue of 500 tasks: both take part, each task runs once")
    func shared() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let first = try await fleet.startedNode("a")
            let second = try await fleet.startedNode("b")
            let numbers = (1...500).map { String($0) }
            try await fleet.submit(numbers.map { "shell:1:0:0:echo \($0) >> \(fleet.scratch.path)/log" })
            try await fleet.untilFinished(500)
            #expect(started(fleet).sorted() == numbers.sorted())
            let workers = Set(try fleet.hash("finished_tasks").values.map { String($0.prefix(3)) })
            #expect(workers == ["a: ", "b: "])
            #expect(try await first.stop().status == 0)
            #expect(try await second.stop().status == 0)
        }
    }

    @Test("SIGTERM stops a node cleanly: its tasks are back in todo, worker_status is empty, the exit status is 0")
    func terminate() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a")
            try await fleet.submit([held("one", fleet), held("two", fleet)])
            try await eventually("both run", node.log) { started(fleet).count == 2 }
            #expect(Set(try fleet.hash("in_progress_tasks").values) == ["a"])
            let result = try await node.stop()
            #expect(result.status == 0)
            #expect(try fleet.count("todo_tasks") == 2)
            #expect(try fleet.count("in_progress_tasks") == 0)
            #expect(try fleet.count("failed_tasks") == 0)
            #expect(try fleet.count("worker_status") == 0)
            #expect(try fleet.scratch.controlGroups().isEmpty)

            // Without a mark: the next node runs them as if for the first time.
            try release(fleet)
            let next = try await fleet.startedNode("b")
            try await fleet.untilFinished(2)
            let records = try await fleet.distcomp("results", "--json").outputLines.map { try jsonObject(String($0)) }
            #expect(records.map { $0.integer("attempts") } == [1, 1])
            try await next.stop()
        }
    }

    @Test("with stop_grace_seconds a stopping node lets its tasks finish")
    func drain() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["stop_grace_seconds": "60"])
            try await fleet.submit([held("one", fleet)])
            try await eventually("it runs", node.log) { started(fleet).count == 1 }
            node.program?.send(SIGTERM)
            try release(fleet)
            #expect(try #require(await node.program?.result()).status == 0)
            #expect(try fleet.count("finished_tasks") == 1)
        }
    }

    @Test("WORKER_COMMAND_CLOSE stops a node after what it runs, and it takes nothing more")
    func close() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1"])
            try await fleet.submit([held("one", fleet)])
            try await eventually("it runs", node.log) { started(fleet).count == 1 }
            _ = try fleet.call("HSET", "todo_tasks", "WORKER_COMMAND_CLOSE", "")
            try await fleet.submit(["shell:9:0:0:true"])
            try release(fleet)
            let result = try #require(await node.program?.result())
            #expect(result.status == 0)
            #expect(try fleet.count("finished_tasks") == 1)
            #expect(try fleet.hash("todo_tasks").keys.sorted() == ["WORKER_COMMAND_CLOSE", "shell:9:0:0:true"])
            #expect(try fleet.count("worker_status") == 0)
        }
    }

    @Test("with one slot tasks run by priority, and in the order of their lines within one")
    func priority() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let log = fleet.scratch.path + "/log"
            let order = [("low", 1), ("high", 9), ("middle", 5), ("second", 5), ("negative", -3), ("top", 100)]
            try await fleet.submit(order.map { "shell:\($0.1):0:0:echo \($0.0) >> \(log)" })
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1"])
            try await fleet.untilFinished(order.count)
            #expect(started(fleet) == ["top", "high", "middle", "second", "low", "negative"])
            try await node.stop()
        }
    }

    @Test("a failed task is tried on the other node, then stays failed with both names and its reason")
    func retry() async throws {
        try await withFleet { fleet in
            let first = try await fleet.startedNode("a", ["max_retry_per_task": "2"])
            let second = try await fleet.startedNode("b", ["max_retry_per_task": "2"])
            try await fleet.submit(["shell:1:0:0:exit 7"])
            try await fleet.untilIdle()
            let workers = try #require(try fleet.hash("failed_tasks")["shell:1:0:0:exit 7"])
            #expect(["a,b,", "b,a,"].contains(workers))
            #expect(try fleet.hash("task_fail_reason")["shell:1:0:0:exit 7"] == "exit 7")
            #expect(try fleet.count("finished_tasks") == 0)
            try await first.stop()
            try await second.stop()
        }
    }

    @Test("the tasks of a node killed with -9 run again elsewhere; what it left is cleared when it starts again")
    func nodeKilled() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let lease = ["lease_seconds": "1"]
            let first = try await fleet.startedNode("a", lease)
            try await fleet.submit([held("one", fleet), held("two", fleet)])
            try await eventually("both run", first.log) { started(fleet).count == 2 }
            let orphans = fleet.scratch.tasks(with: "log.go")
            #expect(orphans.count == 2)
            try await first.kill9()

            let second = try await fleet.startedNode("b", lease)
            try await eventually("both run again", second.log) { started(fleet).count == 4 }
            #expect(fleet.scratch.tasks(with: "log.go").count == 4, "nobody has cleared yet")
            try await first.start()
            try await eventually("the orphans are gone") {
                Set(fleet.scratch.tasks(with: "log.go")).isDisjoint(with: orphans)
            }
            // Two tasks, and perhaps the group in which a launch waited for the next.
            try await eventually("it is told", first.log) { first.log.contains(/cleared [23] task groups/) }
            try release(fleet)
            try await fleet.untilFinished(2)
            #expect(started(fleet).count == 4)
            #expect(Set(try fleet.hash("finished_tasks").values.map { String($0.prefix(3)) }) == ["b: "])
            try await first.stop()
            try await second.stop()
        }
    }

    @Test("a node that was killed and starts again at once takes its own tasks back without waiting for its lease")
    func nodeRestarted() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["lease_seconds": "3600"])
            try await fleet.submit([held("one", fleet)])
            try await eventually("it runs", node.log) { started(fleet).count == 1 }
            try await node.kill9()
            try release(fleet)
            try await node.start()
            try await fleet.untilFinished(1)
            #expect(started(fleet) == ["one", "one"])
            try await node.stop()
        }
    }

    @Test("a machine that rebooted is a node again at once, whatever its last life's clock said of the time since boot")
    func reboot() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["lease_seconds": "600"])
            try await node.kill9()
            let lease = try #require(try fleet.call("ZRANGE", "distcomp:leases", "0", "-1").elements?.first?.string)
            // As a machine would have it that had been up for a thousand days before it went down.
            let life = String(1000 * 86_400 * 1_000_000_000, radix: 16)
            let earlier = lease.dropLast(16) + String(repeating: "0", count: 16 - life.count) + life
            _ = try fleet.call("ZADD", "distcomp:leases", "9999999999999", String(earlier))
            let lives = fleet.scratch.path + "/state/a/lives"
            let known = String(decoding: try FileSystem.contents(of: lives), as: UTF8.self)
            try FileSystem.replace(lives, with: Array((earlier + "\n" + known).utf8), mode: 0o600)
            try await node.start()
            try await fleet.submit(["shell:1:0:0:true"])
            try await fleet.untilFinished(1)
            try await node.stop()
        }
    }

    @Test(
        "a node asleep beyond its lease wakes to find its tasks elsewhere: its late report is refused, none counts twice"
    )
    func asleep() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let lease = ["lease_seconds": "1"]
            let first = try await fleet.startedNode("a", lease)
            try await fleet.submit([held("one", fleet), held("two", fleet)])
            try await eventually("both run", first.log) { started(fleet).count == 2 }
            first.pause()
            let second = try await fleet.startedNode("b", lease)
            try await eventually("both run elsewhere", second.log) { started(fleet).count == 4 }
            // All four end now, those of the sleeper first or not: only b's may count.
            try release(fleet)
            try await fleet.untilFinished(2)
            first.resume()
            try await eventually("the sleeper notices", first.log) { first.log.contains("the lease is lost") }
            try await eventually("it is back", first.log) { try fleet.hash("worker_status")["a"] != nil }
            #expect(Set(try fleet.hash("finished_tasks").values.map { String($0.prefix(3)) }) == ["b: "])
            #expect(try fleet.count("failed_tasks") == 0)
            #expect(try fleet.count("todo_tasks") == 0)
            try await first.stop()
            try await second.stop()
        }
    }

    @Test("a Redis killed and started again while tasks run: they go on, and each finishes once")
    func redisKilled() async throws {
        let persistent = ["appendonly yes", "appendfsync always"]
        try await withFleet(redis: persistent) { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "3"])
            try await fleet.submit((1...5).map { held("\($0)", fleet) })
            try await eventually("three run", node.log) { started(fleet).count == 3 }
            let before = Set(fleet.scratch.tasks(with: "log.go"))
            fleet.redis.kill9()
            try await eventually("the node notices", node.log) { node.log.contains("tasks go on") }
            #expect(Set(fleet.scratch.tasks(with: "log.go")) == before)
            try fleet.redis.start()
            try release(fleet)
            try await fleet.untilFinished(5)
            #expect(started(fleet).sorted() == ["1", "2", "3", "4", "5"])
            try await node.stop()
        }
    }

    @Test("tasks that end while Redis is away are reported when it is back, and the log says when it was away")
    func redisAway() async throws {
        let persistent = ["appendonly yes", "appendfsync always"]
        try await withFleet(redis: persistent) { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["lease_seconds": "60"])
            try await fleet.submit([held("one", fleet), held("two", fleet)])
            try await eventually("both run", node.log) { started(fleet).count == 2 }
            fleet.redis.terminate()
            try release(fleet)
            try await eventually("both have ended", node.log) { fleet.scratch.tasks(with: "log.go").isEmpty }
            try await eventually("several tries", node.log) {
                node.log.split(separator: "\n").count { $0.contains("; retrying in ") } >= 3
            }
            try fleet.redis.start()
            try await fleet.untilFinished(2)
            #expect(started(fleet).sorted() == ["one", "two"])
            #expect(node.log.split(separator: "\n").count { $0.contains(" connected ") } == 2, "\(node.log)")
            try await node.stop()
        }
    }

    @Test("with when_cut_off kill a Redis that answers nothing for a lease has tasks killed, and nothing is lost")
    func redisPaused() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a", ["lease_seconds": "0.5", "when_cut_off": "\"kill\""])
            try await fleet.submit((1...20).map { "shell:1:0:0:echo \($0) >> \(fleet.scratch.path)/log" })
            fleet.redis.pause()
            try await eventually("the node gives its lease up", node.log) { node.log.contains("the lease is lost") }
            fleet.redis.resume()
            try await fleet.untilFinished(20)
            #expect(Set(started(fleet)).count == 20)
            #expect(try fleet.count("failed_tasks") == 0)
            try await node.stop()
        }
    }

    @Test("SCRIPT FLUSH again and again, and no task is lost")
    func scriptFlush() async throws {
        try await withFleet { fleet in
            try makeLog(fleet)
            let node = try await fleet.startedNode("a")
            let numbers = (1...100).map { String($0) }
            try await fleet.submit(numbers.map { "shell:1:0:0:echo \($0) >> \(fleet.scratch.path)/log" })
            try await eventually("all finished", node.log) {
                _ = try fleet.call("SCRIPT", "FLUSH")
                return try fleet.count("finished_tasks") == 100
            }
            #expect(started(fleet).sorted() == numbers.sorted())
            try await node.stop()
        }
    }

    @Test("a line that an old manager adds runs; one that is malformed ends failed with a reason")
    func oldManager() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            _ = try fleet.call("HSET", "todo_tasks", "shell:1:0:0:echo old", "")
            _ = try fleet.call("HSET", "todo_tasks", "ruby:x:0:0:no", "")
            _ = try fleet.call("HSET", "todo_tasks", " shell:1:0:0:echo blank", "")
            try await fleet.untilIdle()
            let blank = "shell:1:0:0:echo blank"  // White space around a line is no part of it.
            #expect(
                try fleet.hash("finished_tasks")
                    == ["shell:1:0:0:echo old": "a: \"old\\n\"", blank: "a: \"blank\\n\""])
            #expect(try fleet.hash("failed_tasks").keys.sorted() == ["ruby:x:0:0:no"])
            let reason = try #require(try fleet.hash("task_fail_reason")["ruby:x:0:0:no"])
            #expect(reason.hasPrefix("not a task line: "), "\(reason)")
            #expect(reason.contains("type") && reason.contains("priority"), "\(reason)")
            try await node.stop()
        }
    }

    @Test("finished_tasks holds the worker and its output as a JSON string; over 1 MiB it says so")
    func finishedValues() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let exact = "shell:1:0:0:head -c 1048576 /dev/zero | tr '\\0' x"
            let over = "shell:1:0:0:head -c 1048577 /dev/zero | tr '\\0' x"
            try await fleet.submit([#"shell:1:0:0:printf 'a"b\\c\n\t'"#, "shell:1:0:0:true", exact, over])
            try await fleet.untilFinished(4)
            let values = try fleet.hash("finished_tasks")
            #expect(values[#"shell:1:0:0:printf 'a"b\\c\n\t'"#] == #"a: "a\"b\\c\n\t""#)
            #expect(values["shell:1:0:0:true"] == "a: \"\"")
            #expect(values[exact]?.utf8.count == 1_048_576 + 5)
            #expect(values[over] == "a: stdout is too large")
            try await node.stop()
        }
    }

    @Test("worker_status is in the old form: unix time, cores used and in all, GB used and in all")
    func workerStatus() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let value = try #require(try fleet.hash("worker_status")["a"])
            let fields = value.split(separator: ":").map { Double($0) }
            #expect(fields.count == 5 && !fields.contains(nil), "\(value)")
            let now = Double(SystemClock.wallSeconds())
            #expect(abs((fields[0] ?? 0) - now) < 60)
            #expect(fields[2] == Double(Host.coreCount))
            try await node.stop()
        }
    }

    @Test("a node that runs out of descriptors gives back what it cannot start, says so, and loses nothing")
    func outOfDescriptors() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "30", "max_retry_per_task": "1"])
            // Room for a task or two beside what an idle node has open, which differs from host to host.
            let used = Set(try FileSystem.entries(of: "/proc/\(node.process)/fd").compactMap { Int($0) })
            let bound = try #require((0..<1024).filter { !used.contains($0) }.dropFirst(10).first)
            let limit = try RunningProgram(
                "/usr/bin/prlimit", ["--pid", "\(node.process)", "--nofile=\(bound)"], in: fleet.scratch)
            #expect(try await limit.result().status == 0)
            try await fleet.submit((1...60).map { "shell:1:0:0:30:sleep 0.1; echo \($0)" })
            try await fleet.untilFinished(60)
            #expect(try fleet.count("failed_tasks") == 0)
            try await node.logs("Too many open files")
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("doctor finds nothing missing on a machine that can be a node, and names what is")
    func doctor() async throws {
        try await withFleet { fleet in
            let well = try RunningProgram(
                Products.distcomp, ["doctor", "--redis", fleet.url(.node)], in: fleet.scratch)
            let found = try await well.result()
            #expect(found.status == 0, "\(found.output)")
            for check in ["kernel", "memory caps", "launch", "redis"] {
                #expect(found.output.contains("ok       \(check)"))
            }

            let url = "unix://\(fleet.scratch.path)/none.sock"
            let ill = try RunningProgram(Products.distcomp, ["doctor", "--redis", url, "--json"], in: fleet.scratch)
            let lacking = try await ill.result()
            #expect(lacking.status == 2)
            let line = lacking.outputLines.first { $0.contains(#""check":"redis""#) }
            #expect(line?.contains(#""verdict":"missing""#) == true)
        }
    }
}

// What `watch` and `run` do when Redis loses what they wait for, with a real Redis that is flushed, killed, and given an older state.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("waiting for a queue that Redis loses", .aFewAtATime)
struct WatchTests {
    /// `distcomp watch` that has looked at the queue. It says that no node is alive when it has.
    private func watching(_ fleet: Fleet, _ words: String...) async throws -> RunningProgram {
        let watch = try fleet.start(["watch"] + words)
        try await eventually("it watches", watch.errors) { watch.errors.contains("no node is alive") }
        return watch
    }

    private func expectGone(_ watch: RunningProgram, saying text: String) async throws {
        let result = try await watch.result()
        #expect(result.status == 3, "\(result.errors)")
        #expect(result.output.isEmpty)
        #expect(result.errorLines.last?.hasPrefix("distcomp: \(text)") == true, "\(result.errors)")
    }

    @Test("a flushed queue ends it with status 3 and what to do")
    func flushed() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a", "shell:1:0:0:b"])
            let watch = try await watching(fleet)
            _ = try fleet.call("FLUSHALL")
            try await expectGone(
                watch, saying: "the queue is gone: it was reset, or Redis was flushed or came back without its data")
            #expect(watch.errors.contains("submit the tasks again\n"))
        }
    }

    @Test("what runs when the queue is flushed finishes once, and its result is there for who asks")
    func flushedWhileRunning() async throws {
        try await withFleet { fleet in
            let log = try fleet.scratch.write("log", "")
            #expect(chmod(log, 0o666) == 0)
            let line = "shell:1:0:0:0:echo begun >> \(log); until [ -e \(log).go ]; do sleep 0.05; done; echo done"
            let node = try await fleet.startedNode("a")
            try await fleet.submit([line, "shell:0:9999:0:waits"])
            try await eventually("it runs", node.log) { fleet.scratch.lines("log") == ["begun"] }
            let watch = try fleet.start(["watch"])
            try await lookedAgain(fleet)
            _ = try fleet.call("FLUSHALL")
            try await expectGone(watch, saying: "the queue is gone: ")
            try fleet.scratch.write("log.go", "")
            try await eventually("its result", node.log) {
                try fleet.hash("finished_tasks")[line] == #"a: "done\n""#
            }
            #expect(fleet.scratch.lines("log") == ["begun"], "it ran once")
            #expect(try await fleet.distcomp("results").outputLines.count == 2)
            try await node.stop()
        }
    }

    @Test("a Redis that comes back empty ends it with status 3")
    func emptied() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a"])
            let watch = try await watching(fleet)
            try fleet.redis.restart()
            try await expectGone(
                watch, saying: "the queue is gone: it was reset, or Redis was flushed or came back without its data")
        }
    }

    @Test("it waits for a Redis that is restarted with its data, says so once, and ends as if nothing had been")
    func restarted() async throws {
        try await withFleet(redis: ["appendonly yes", "appendfsync always"]) { fleet in
            try await fleet.submit(["shell:1:0:0:true"])
            let watch = try await watching(fleet)
            fleet.redis.kill9()
            try await eventually("it notices", watch.errors) { watch.errors.contains("; trying again for 1:00 min\n") }
            try fleet.redis.start()
            let node = try await fleet.startedNode("a")
            let result = try await watch.result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.output.hasPrefix("1 task: 1 finished, "))
            #expect(result.errorLines.count { $0.contains("trying again") } == 1, "\(result.errors)")
            #expect(!result.errors.contains("had lost"), "\(result.errors)")
            try await node.stop()
        }
    }

    @Test("tasks that an older state of Redis does not know are missed, and it ends with status 3")
    func shrunken() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a", "shell:1:0:0:b", "shell:1:0:0:c"])
            _ = try fleet.call("SAVE")
            try await fleet.submit(["shell:1:0:0:d", "shell:1:0:0:e"])
            let watch = try await watching(fleet)
            fleet.redis.kill9()
            try fleet.redis.start()
            try await expectGone(
                watch, saying: "Redis came back with an older state of the queue: 2 of 5 tasks are missing.")
        }
    }

    @Test("tasks whose end an older state of Redis does not know run again, which it says, and waits for them")
    func rolledBack() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:9:0:0:echo 1", "shell:8:0:0:echo 2", "shell:1:9999:0:too large for now"])
            _ = try fleet.call("SAVE")
            let watch = try await watching(fleet)
            let first = try await fleet.startedNode("a")
            try await fleet.untilFinished(2)
            // What it has seen last is what it misses. And no node is quicker than it is.
            try await lookedAgain(fleet)
            try await first.stop()
            fleet.redis.kill9()
            try fleet.redis.start()
            try await eventually("it says so", watch.errors) {
                watch.errors.contains("2 tasks that had ended run again")
            }
            let second = try await fleet.startedNode("b")
            try await fleet.distcomp("cancel", "*too large*")
            let result = try await watch.result()
            #expect(result.status == 1, "\(result.errors)")
            #expect(result.outputLines.last?.hasPrefix("3 tasks: 2 finished, 1 failed (1 cancelled), ") == true)
            #expect(result.errorLines.count { $0.contains("Redis had lost a part of the queue: ") } == 1)
            try await second.stop()
        }
    }

    @Test("what nodes run and put back into an older state of Redis is told, and waited for")
    func putBack() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a", "shell:1:0:0:b", "shell:1:0:0:c"])
            _ = try fleet.call("SAVE")
            let watch = try await watching(fleet)
            let tasks = try PretendedNode("a", on: fleet).claim(3)
            try #require(tasks.count == 3)
            try await lookedAgain(fleet)
            fleet.redis.kill9()
            try fleet.redis.start()
            let node = try PretendedNode("a", life: 2, on: fleet)
            #expect(try node.restore(tasks) == [.restored, .restored, .restored])
            #expect(try node.restore(tasks) == [.held, .held, .held])
            for task in tasks { try node.finish(task) }
            let result = try await watch.result()
            #expect(result.status == 0, "\(result.errors)")
            let lost = "Redis had lost a part of the queue: 3 tasks that run were taken up again by their nodes\n"
            #expect(result.errors.contains(lost), "\(result.errors)")
        }
    }

    @Test("another queue in its place ends it with status 3")
    func replaced() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:a"])
            let watch = try await watching(fleet)
            // In one, or the empty queue between them might be seen.
            let script = """
                redis.call('FLUSHALL')
                redis.call('HSET', 'distcomp:queue', 'id', '0123456789abcdef0123456789abcdef')
                redis.call('HSET', 'finished_tasks', 'shell:1:0:0:a', 'w: ""')
                """
            _ = try fleet.call("EVAL", script, "0")
            try await expectGone(watch, saying: "the queue is gone: ")
            #expect(watch.errors.contains("; it holds another queue now, of 1 task. "), "\(watch.errors)")
        }
    }

    /// Waits until the watch has asked twice: at least the second answer is of what is there now. Nodes do not use SCARD.
    private func lookedAgain(_ fleet: Fleet) async throws {
        func looks() throws -> Int {
            let statistics = try fleet.call("INFO", "commandstats").string ?? ""
            let calls = statistics.split(separator: "cmdstat_scard:calls=").last?.prefix { $0 != "," }
            return calls.flatMap { Int($0) } ?? 0
        }
        let before = try looks()
        try await eventually("two more looks") { try looks() >= before + 2 }
    }

    @Test("a run whose Redis is flushed ends with status 3, and leaves nothing running")
    func flushedRun() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:echo begun; sleep 1000", "shell:1:0:0:echo later"])
            let program = try run.launch("--slots", "1")
            try await eventually("it runs", program.errors) { !scratch.tasks(with: "sleep 1000").isEmpty }
            let words = [
                "-s", run.state + "/redis/sock", "--no-auth-warning", "-a", text(of: run.state + "/redis/password"),
            ]
            let flushed = try await RunningProgram("/usr/bin/redis-cli", words + ["FLUSHALL"], in: scratch).result()
            #expect(flushed.output == "OK\n")
            let result = try await program.result()
            #expect(result.status == 3, "\(result.errors)")
            #expect(result.errorLines.last?.hasPrefix("distcomp: the queue of this run is gone") == true)
            let again = try await run.distcomp("status", "--json")
            #expect(try jsonObject(again.output).integer("in_progress") == 0)
        }
    }
}

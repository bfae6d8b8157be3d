// A fleet that is moved over one node at a time: an old worker beside a node of ours, on one queue.

import Glibc
import RedisClient
import RedisServerFixture
import Testing

@Suite("the old system beside ours", .aFewAtATime)
struct OldSystemFleetTests {
    /// As the old workers do: HDEL, whose count decides, then HSET; and the same backwards when the task is over.
    private struct OldWorker {
        let client: BlockingRedisClient

        private func command(_ words: String...) throws -> RESPValue {
            try client.call(.command(RedisCommand(words[0], Array(words.dropFirst()))))
        }

        /// Nil when there is nothing to do.
        func runOne() throws -> String? {
            for line in (try command("HKEYS", "todo_tasks").elements ?? []).compactMap(\.string) {
                guard try command("HDEL", "todo_tasks", line).int == 1 else { continue }
                _ = try command("HSET", "in_progress_tasks", line, "old")
                _ = try command("HSET", "worker_status", "old", "1700000000:1.0:4:2.5:16")
                _ = try command("HSET", "finished_tasks", line, #"old: "ran\n""#)
                _ = try command("HDEL", "in_progress_tasks", line)
                return line
            }
            return nil
        }
    }

    @Test("an old worker and a node share 400 lines, old ones and ours: each runs once, and all are told of")
    func shared() async throws {
        try await withFleet { fleet in
            let log = try fleet.scratch.write("log", "")
            chmod(log, 0o666)
            let lines = (1...400).map { "shell:1:0:0:echo \($0) >> \(log)" }
            let client = try fleet.redis.client()
            for line in lines[200...] { _ = try client.call(.command(RedisCommand("HSETNX", "todo_tasks", line, ""))) }
            try await fleet.submit(Array(lines[..<200]))
            let worker = OldWorker(client: client)
            var theirs = try (0..<100).compactMap { _ in try worker.runOne() }
            let node = try await fleet.startedNode("a")
            try await eventually("the node has had some", node.log) { !fleet.scratch.lines("log").isEmpty }
            // The old worker takes some more while the node works; the rest is left to the node.
            theirs += try (0..<50).compactMap { _ in try worker.runOne() }
            try await fleet.untilFinished(400)

            let ours = fleet.scratch.lines("log").map { "shell:1:0:0:echo \($0) >> \(log)" }
            #expect((ours + theirs).sorted() == lines.sorted())
            let status = try jsonObject(try await fleet.distcomp("status", "--json").output)
            #expect(status.integer("finished") == 400 && status.integer("todo") == 0 && status.integer("workers") == 2)
            let workers = try await fleet.distcomp("results", "--json").outputLines.map {
                try jsonObject(String($0)).string("worker") ?? ""
            }
            #expect(workers.count { $0 == "old" } == theirs.count && workers.count { $0 == "a" } == ours.count)
            try await node.stop()
        }
    }

    @Test(
        "while an old worker is alive, lines at which it would end are refused unless that is forced; what it runs is told"
    )
    func protected() async throws {
        try await withFleet { fleet in
            _ = try fleet.call("HSET", "worker_status", "old", "\(time(nil)):1.0:4:2.5:16")
            let scratch = fleet.scratch
            for (index, line) in ["shell:1:0:0:60:true", "shell:1:512M:0:true", "shell:1:0:0:echo 10:30"].enumerated() {
                let path = try scratch.write("new\(index)", line + "\n")
                let refused = try await fleet.distcomp("submit", path)
                #expect(
                    refused.status == 2 && refused.errors.contains("old is a worker of the old system"),
                    "\(refused.errors)")
            }
            #expect(try fleet.call("HLEN", "todo_tasks").int == 0)
            let old = try scratch.write("old", "shell:1:0:0:true\n")
            #expect(try await fleet.distcomp("submit", old).status == 0)
            #expect(try await fleet.distcomp("submit", "--force", scratch.path + "/new0").status == 0)
            #expect(try fleet.call("HLEN", "todo_tasks").int == 2)

            _ = try fleet.call("HDEL", "todo_tasks", "shell:1:0:0:true")
            _ = try fleet.call("HSET", "in_progress_tasks", "shell:1:0:0:true", "old")
            let cancelled = try await fleet.distcomp("cancel", "shell:1:0:0:true")
            #expect(cancelled.status == 2 && cancelled.errors.contains("is run by old, a worker of the old system"))
        }
    }
}

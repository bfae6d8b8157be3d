// The users of Redis that `distcomp acl` makes. That their rights suffice, every test of this target shows: its programs are these
// users (see Fleet). Here is what is printed, and that nobody has more.

import LinuxSystem
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("who may do what in Redis", .aFewAtATime)
struct AccessTests {
    @Test("what distcomp acl prints, redis-cli takes, for any key_prefix", arguments: ["", "lab:\"a\\b[c]*?'"])
    func printed(prefix: String) async throws {
        try await withFleet { fleet in
            let words = ["acl"] + (prefix.isEmpty ? [] : ["--prefix", prefix])
            let lines = try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result().outputLines
            let kinds = QueueAccess.allCases.map(\.rawValue)
            #expect(lines.map { $0.split(separator: " ").dropFirst(2).first } == kinds.map { "distcomp-\($0)" })
            let file = try fleet.scratch.write("acl", lines.joined(separator: "\n") + "\n")
            let command = "redis-cli -s \(fleet.redis.socketPath) < \(file)"
            let taken = try await RunningProgram("/bin/sh", ["-c", command], in: fleet.scratch).result()
            #expect(taken.outputLines == ["OK", "OK", "OK"], "\(taken.output)")
            let url = "unix://distcomp-watcher:PASSWORD@\(fleet.redis.socketPath)"
            let settings = try fleet.scratch.write("c.json", "{\"key_prefix\": \(JSONText.quoted(prefix))}")
            let status = try await RunningProgram(
                Products.distcomp, ["status", "--redis", url, "--config", settings], in: fleet.scratch
            ).result()
            #expect(status.status == 0, "\(status.errors)")
        }
    }

    @Test("one kind alone, and as objects")
    func kinds() async throws {
        try await withScratch { scratch in
            func acl(_ words: String...) async throws -> ProgramResult {
                try await RunningProgram(Products.distcomp, ["acl"] + words, in: scratch).result()
            }
            #expect(try await acl("node", "watcher").outputLines.count == 2)
            let object = try jsonObject(try await acl("node", "--json").output)
            #expect(object.string("user") == "distcomp-node")
            #expect(try await acl("king").status == 2)
        }
    }

    @Test("who may only look is refused every order, in one line, and nothing changes")
    func watcher() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:3:0:0:exit 3", "shell:2:0:0:0:sleep 300", "shell:1:9999:0:true"])
            try await eventually("one runs, one has failed", node.log) {
                try fleet.count("failed_tasks") == 1 && fleet.count("in_progress_tasks") == 1
            }
            let before = try await fleet.distcomp("status", "--json").output
            let file = try fleet.scratch.write("more", "shell:1:0:0:true\n")
            for words in [
                ["submit", file], ["retry", "--all-failed"], ["cancel", "*sleep*"], ["cancel", "*true"],
                ["requeue", "--all"], ["forget", "--failed"], ["pause"], ["resume"],
            ] {
                let result = try await RunningProgram(
                    Products.distcomp, words + ["--redis", fleet.url(.watcher)], in: fleet.scratch
                ).result()
                #expect(result.status == 3, "\(words): \(result.output)\(result.errors)")
                #expect(result.errorLines.count == 1, "\(result.errors)")
                #expect(result.errors.contains("this user lacks a permission"), "\(result.errors)")
            }
            let after = try await fleet.distcomp("status", "--json").output
            for name in ["todo", "in_progress", "finished", "failed"] {
                #expect(try jsonObject(after).integer(name) == jsonObject(before).integer(name), "\(name)")
            }
            try await node.stop()
        }
    }

    @Test("a node that is another kind of user does not start, and says why", arguments: ["submitter", "watcher"])
    func notANode(kind: String) async throws {
        try await withFleet { fleet in
            let settings = ["redis_user": "\"distcomp-\(kind)\"", "redis_pass": "\"secret\""]
            let result = try await fleet.node("a", settings).launch().result()
            #expect(result.status == 3)
            let told = result.errorLines.filter { $0.hasPrefix("distcompd: ") }
            #expect(told.count == 1 && told[0].contains("this user lacks a permission"), "\(result.errors)")
        }
    }
}

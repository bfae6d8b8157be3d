// New settings for a daemon that runs, and the commands that look at settings.

import Glibc
import LinuxSystem
import Testing

@Suite("Settings in use", .aFewAtATime)
struct SettingsTests {
    /// The node's settings with one replaced, written as an editor does: a new file in the old one's place.
    private func edit(_ node: Node, _ old: String, _ new: String) throws {
        let text = try FileSystem.text(of: node.configurationPath)
        try #require(text.contains(old))
        let edited = text.split(separator: old, omittingEmptySubsequences: false).joined(separator: new)
        try FileSystem.replace(node.configurationPath, with: Array(edited.utf8), mode: 0o644)
    }

    @Test("a changed file is taken at once, and what needs a restart is named")
    func fileChanges() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1", "lease_seconds": "30"])
            try await fleet.submit((1...3).map { "shell:1:0:0:0:sleep 300 # \($0)" })
            try await eventually("one task running") { try fleet.count("in_progress_tasks") == 1 }
            try edit(node, #""lease_seconds": 30"#, #""lease_seconds": 40"#)
            try await eventually("the lease is for the next start", node.log) {
                node.log.contains("used from the next start on: lease_seconds")
            }
            try edit(node, #""max_task_per_worker": 1"#, #""max_task_per_worker": 3"#)
            try await eventually("three tasks running", node.log) { try fleet.count("in_progress_tasks") == 3 }
            try await node.logs("new settings: max_task_per_worker")
            try await node.stop()
        }
    }

    @Test("a file that will not do is told with all its mistakes, and what runs stays")
    func badFile() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1"])
            try edit(node, #""max_task_per_worker": 1"#, #""max_task_per_worker": 0, "redis_port": 99999"#)
            try await eventually("the refusal", node.log) { node.log.contains("the new settings are not used") }
            try await node.logs("max_task_per_worker is 0; allowed")
            try await node.logs("redis_port is 99999; allowed")
            try await fleet.submit(["shell:1:0:0:0:true"])
            try await fleet.untilFinished(1)

            try edit(node, #""max_task_per_worker": 0, "redis_port": 99999"#, #""max_task_per_worker": 2"#)
            try await eventually("the good file", node.log) { node.log.contains("new settings: max_task_per_worker") }
            try await node.stop()
        }
    }

    @Test("SIGHUP reads the file again, also one that has gone")
    func hangup() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            #expect(unlink(node.configurationPath) == 0)
            node.program?.send(SIGHUP)
            try await eventually("the refusal", node.log) { node.log.contains("the new settings are not used") }
            try await fleet.submit(["shell:1:0:0:0:true"])
            try await fleet.untilFinished(1)
            try await node.stop()
        }
    }

    @Test("a FIFO in the place of the settings, or of a password, holds up neither SIGHUP nor TERM nor a start")
    func fifo() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            #expect(unlink(node.configurationPath) == 0 && mkfifo(node.configurationPath, 0o644) == 0)
            node.program?.send(SIGHUP)
            try await eventually("the refusal", node.log) { node.log.contains("it is no plain file") }
            try await fleet.submit(["shell:1:0:0:0:true"])
            try await fleet.untilFinished(1)
            #expect(try await node.stop().status == 0)
            #expect(try await node.launch().result().status == 2)
            let words = ["status", "--config", node.configurationPath]
            #expect(try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result().status == 2)

            let password = fleet.scratch.path + "/fifo"
            #expect(mkfifo(password, 0o600) == 0)
            let other = try fleet.node("b", ["redis_pass_file": "\"\(password)\""])
            let refused = try await other.launch().result()
            #expect(refused.status == 2)
            #expect(refused.errors.contains("redis_pass_file: open (it is no plain file)"), "\(refused.errors)")
        }
    }

    @Test(
        "settings that are a link into a directory that is a link, as of a Kubernetes ConfigMap, are taken when that is swapped"
    )
    func configMap() async throws {
        try await withFleet { fleet in
            let node = try fleet.node("a", ["max_task_per_worker": "1"])
            let text = try FileSystem.text(of: node.configurationPath)
            let folder = fleet.scratch.path + "/map"
            for (name, text) in [
                ("one", text),
                ("two", text.replacing(#""max_task_per_worker": 1"#, with: #""max_task_per_worker": 3"#)),
            ] {
                try FileSystem.createDirectories(folder + "/" + name, mode: 0o755)
                try FileSystem.replace("\(folder)/\(name)/a.json", with: Array(text.utf8), mode: 0o644)
            }
            #expect(symlink("one", folder + "/..data") == 0)
            #expect(symlink("..data/a.json", folder + "/a.json") == 0)
            #expect(unlink(node.configurationPath) == 0 && symlink("map/a.json", node.configurationPath) == 0)
            try await node.start()
            try await fleet.submit((1...3).map { "shell:1:0:0:0:sleep 300 # \($0)" })
            try await eventually("one task running") { try fleet.count("in_progress_tasks") == 1 }
            #expect(symlink("two", folder + "/..data_tmp") == 0)
            #expect(rename(folder + "/..data_tmp", folder + "/..data") == 0)
            try await eventually("three tasks running", node.log) { try fleet.count("in_progress_tasks") == 3 }
            try await node.stop()
        }
    }

    @Test("config check tells every mistake and ends with 2; a good file ends with 0")
    func check() async throws {
        try await withScratch { scratch in
            let bad = try scratch.write(
                "bad.json", "{\"redis_port\": 0,\n \"log_level\": \"loud\", \"redis_hots\": \"h\"}")
            let refused = try await RunningProgram(Products.distcomp, ["config", "check", bad], in: scratch).result()
            #expect(refused.status == 2)
            #expect(refused.errors.contains("bad.json:1:16: redis_port is 0; allowed: a whole number from 1 to 65535"))
            #expect(refused.errors.contains("bad.json:2:15: log_level is \"loud\"; allowed: "))

            let good = try scratch.write("good.json", "{\"redis_hots\": \"h\"}")
            let accepted = try await RunningProgram(Products.distcomp, ["config", "check", good], in: scratch).result()
            #expect(accepted.status == 0)
            #expect(accepted.output == "\(good) is good\n")
            #expect(accepted.errors.contains("did you mean redis_host?"))
        }
    }

    @Test("config show tells each value and its origin, and no secret")
    func showSettings() async throws {
        try await withScratch { scratch in
            let path = try scratch.write("c.json", "{\"redis_pass\": \"s3cret\", \"redis_port\": 6400}")
            let shown = try await RunningProgram(
                Products.distcomp, ["config", "show", "--json", "--config", path], in: scratch
            ).result()
            #expect(shown.status == 0)
            #expect(shown.output.contains(#"{"setting":"redis_port","value":6400,"from":"\#(path):1","live":false"#))
            #expect(shown.output.contains(#""setting":"kill_grace_seconds","value":5,"from":"default","live":true"#))
            #expect(!(shown.output + shown.errors).contains("s3cret"))
        }
    }
}

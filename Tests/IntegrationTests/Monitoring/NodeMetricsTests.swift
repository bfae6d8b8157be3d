// The file of metrics that a node writes for node_exporter, where its settings name one.

import Glibc
import LinuxSystem
import Testing

@Suite("a node's own metrics", .aFewAtATime)
struct NodeMetricsTests {
    /// The number behind these words in the file; nil where there is none.
    private func value(_ series: String, in path: String) -> Double? {
        let line = text(of: path).split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    @Test("it tells what runs and has run here, is whole at any moment, and goes when the node stops")
    func file() async throws {
        try await withFleet { fleet in
            let path = fleet.scratch.path + "/a.prom"
            let node = try await fleet.startedNode(
                "a", ["metrics_textfile": "\"\(path)\"", "max_retry_per_task": "1", "max_task_per_worker": "8"])
            try await fleet.submit(
                (0..<5).map { "shell:1:0.05:0:echo \($0)" } + [
                    "shell:1:0:0:exit 3", #"{"command": "true", "cwd": "/nowhere/at/all"}"#,
                    "shell:1:0.05:0.5:sleep 300",
                ])
            func ended(_ state: String) -> Double? {
                value("distcomp_node_tasks_ended_total{node=\"a\",state=\"\(state)\"}", in: path)
            }
            try await eventually("it tells of all", text(of: path) + node.log) {
                let text = text(of: path)
                #expect(text.isEmpty || text.hasSuffix("\n") && text.contains("distcomp_node_loop_busy_seconds_total{"))
                return ended("finished") == 5 && ended("failed") == 2
                    && value("distcomp_node_tasks_running{node=\"a\"}", in: path) == 1
            }
            func number(_ name: String) -> Double? { value("distcomp_node_\(name){node=\"a\"}", in: path) }
            #expect(value("distcomp_node_launches_failed_total{node=\"a\",step=\"chdir\"}", in: path) == 1)
            #expect(number("asked_cores") == 0.5)
            #expect(number("asked_memory_bytes").map { $0 > 50e6 && $0 < 60e6 } == true)
            #expect(
                number("capacity_memory_bytes").map { $0 > 1e8 } == true
                    && number("capacity_cores").map { $0 >= 0.5 } == true)
            #expect(number("available_memory_bytes").map { $0 > 1e6 } == true)
            #expect(number("redis_connected") == 1 && number("trouble") == 0 && number("drained") == 0)
            #expect(
                number("loop_rounds_total").map { $0 > 10 } == true
                    && number("loop_busy_seconds_total").map { $0 > 0 } == true)
            #expect(try FileSystem.status(of: path).permissions & 0o777 == 0o644)
            if hasPrometheus {
                let copy = try fleet.scratch.write("copy", text(of: path))
                let check = try await RunningProgram(
                    "/bin/sh", ["-c", "promtool check metrics < \(copy)"], in: fleet.scratch
                ).result()
                #expect(
                    check.status == 0 && check.output.isEmpty && check.errors.isEmpty, "\(check.output)\(check.errors)")
            }
            #expect(try await fleet.distcomp("drain", "a").status == 0)
            try await eventually("it tells that it is drained") { number("drained") == 1 }
            fleet.redis.pause()
            // Redis is silent for longer than a node waits for it.
            try await eventually("it tells that it has no connection", node.log) {
                number("redis_connected") == 0 && number("redis_connections_lost_total").map { $0 >= 1 } == true
            }
            fleet.redis.resume()
            try await eventually("it has one again") { number("redis_connected") == 1 }
            #expect(try await node.stop().status == 0)
            #expect(!FileSystem.exists(path) && !FileSystem.exists(path + ".new"))
        }
    }

    @Test("where it cannot be written the node goes on, says so once, and says when it can be again")
    func unwritable() async throws {
        try await withFleet { fleet in
            let folder = fleet.scratch.path + "/not-yet"
            let node = try await fleet.startedNode("a", ["metrics_textfile": "\"\(folder)/a.prom\""])
            try await fleet.submit(["shell:1:0:0:true"])
            try await fleet.untilFinished(1)
            try await node.logs("are not written (metrics_textfile)")
            mkdir(folder, 0o755)
            try await node.logs("the metrics of this node are written again")
            #expect(FileSystem.exists(folder + "/a.prom"))
            #expect(node.log.split(separator: "\n").filter { $0.contains("(metrics_textfile)") }.count == 1)
            try await node.stop()
        }
    }

    @Test("root writes through no link that another user made", .enabled(if: Host.isRoot, "needs root"))
    func links() async throws {
        try await withFleet { fleet in
            let nobody = try #require(Account(named: "nobody"))
            let (folder, target) = (fleet.scratch.path + "/theirs", fleet.scratch.path + "/roots")
            mkdir(folder, 0o755)
            mkdir(target, 0o755)
            let precious = try fleet.scratch.write("roots/a.prom", "precious\n")
            // As the file itself, as the one beside it, and as the directory.
            symlink(precious, folder + "/a.prom")
            symlink(precious, folder + "/a.prom.new")
            symlink(target, fleet.scratch.path + "/way")
            for path in [folder, folder + "/a.prom", folder + "/a.prom.new", fleet.scratch.path + "/way"] {
                lchown(path, nobody.userIdentifier, nobody.groupIdentifier)
            }
            let node = try await fleet.startedNode("a", ["metrics_textfile": "\"\(folder)/a.prom\""])
            let other = try await fleet.startedNode("b", ["metrics_textfile": "\"\(fleet.scratch.path)/way/a.prom\""])
            try await other.logs("root does not follow it")
            try await eventually("the link is replaced by a file", node.log) {
                try FileSystem.contents(of: folder + "/a.prom").count > 500
            }
            #expect(text(of: precious) == "precious\n")
            #expect(try FileSystem.status(of: folder + "/a.prom").ownerIdentifier == nobody.userIdentifier)
            try await node.stop()
            try await other.stop()
        }
    }
}

// `distcomp metrics` on a queue in use, and what the programs of Prometheus make of it, of the alerts and of the board.

import Foundation
import LinuxSystem
import Monitoring
import RedisServerFixture
import TaskQueue
import Testing

@Suite("metrics, as Prometheus has them", .aFewAtATime)
struct MetricsCommandTests {
    private static let folder = Products.package + "/docs/monitoring"

    /// The values of the samples of a text, by what stands before them.
    private func samples(_ text: String) -> [String: Double] {
        var samples: [String: Double] = [:]
        for line in text.split(separator: "\n") where !line.hasPrefix("#") {
            guard let blank = line.lastIndex(of: " ") else { continue }
            samples[String(line[..<blank])] = Double(line[line.index(after: blank)...])
        }
        return samples
    }

    /// The names of series, of buckets and the like too.
    private func names(_ text: String) -> Set<String> {
        Set(samples(text).keys.map { String($0.prefix { $0 != "{" }) })
    }

    private func promtool(_ words: String, _ scratch: Scratch) async throws -> ProgramResult {
        try await RunningProgram("/bin/sh", ["-c", "promtool " + words], in: scratch).result()
    }

    @Test("a node that has run tasks of every ending: the counts are right, and a watcher may ask")
    func counts() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let endings = [
                "true", "true", "true", "exit 3", "kill -SEGV $$", "sleep 60", "/nowhere/is/this",
            ]
            let lines = endings.enumerated().map { index, command in
                command == "sleep 60" ? "shell:1:0.1:0:1:\(command)" : "shell:1:0.1:0:\(command); # \(index)"
            }
            try await fleet.submit(lines)
            try await fleet.untilIdle()
            try await fleet.submit(["shell:1:0.1:0:sleep 300", "shell:1:99999:0:too large"])
            try await eventually("one runs") { try fleet.count("in_progress_tasks") == 1 }

            let result = try await fleet.distcomp("metrics")
            #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
            let samples = samples(result.output)
            func value(_ name: String) -> Double? { samples["distcomp_queue_" + name] }
            #expect(value(#"tasks_ended_total{state="finished",cause="exit"}"#) == 3)
            #expect(value(#"tasks_ended_total{state="failed",cause="exit"}"#) == 2, "127 is an exit too")
            #expect(value(#"tasks_ended_total{state="failed",cause="signal"}"#) == 1)
            #expect(value(#"tasks_ended_total{state="failed",cause="timeout"}"#) == 1)
            #expect(value(#"tasks{state="running"}"#) == 1 && value(#"tasks{state="waiting"}"#) == 1)
            #expect(value(#"tasks{state="finished"}"#) == 3 && value(#"tasks{state="failed"}"#) == 4)
            #expect(value(#"task_wait_seconds_bucket{le="+Inf"}"#) == 8, "each had not been tried before")
            #expect(value("task_start_delay_seconds_count") == 7 && value("task_run_seconds_count") == 7)
            #expect(value("task_run_seconds_sum").map { $0 >= 1 } == true)
            #expect(value("task_memory_asked_bytes_count") == 7)
            #expect(value("task_memory_asked_bytes_sum").map { abs($0 - 0.7 * Double(1 << 30)) < 10_000 } == true)
            #expect(value(#"nodes{state="ready"}"#) == 1)
            #expect(value("asked_memory_bytes").map { abs($0 - 0.1 * Double(1 << 30)) < 10_000 } == true)
            #expect(value("redis_memory_used_bytes").map { $0 > 100_000 } == true)
            #expect(value("oldest_waiting_seconds").map { $0 >= 0 } == true)
            #expect(samples["distcomp_exporter_read_seconds"].map { $0 > 0 } == true)

            let open = try await fleet.distcomp("metrics", "--open-metrics", "--metrics-by-job", "5")
            #expect(
                open.output.hasSuffix("# EOF\n") && open.output.contains("# TYPE distcomp_queue_tasks_ended counter"))
            #expect(try await fleet.distcomp("metrics", "--metrics-by-job", "5000").status == 2)
            try await node.stop()
        }
    }

    @Test(
        "promtool finds nothing to say of it, nor of the alerts, which fire when they should",
        .enabled(if: hasPrometheus, needsPrometheus))
    func promtoolIsContent() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let job = try await fleet.distcomp(
                "submit", "--name", "one.two", "--memory", "50M", "--", "sh", "-c", "exit 4")
            #expect(job.status == 0, "\(job.errors)")
            try await fleet.submit((0..<20).map { "shell:1:0:0:echo \($0)" })
            try await fleet.untilIdle()
            let url = fleet.url(.watcher)
            let file = try fleet.scratch.write(
                "page",
                try await RunningProgram(
                    Products.distcomp, ["metrics", "--metrics-by-job", "3", "--redis", url], in: fleet.scratch
                ).result().output)
            #expect(text(of: file).contains("distcomp_queue_job_tasks{"))
            let check = try await promtool("check metrics < \(file)", fleet.scratch)
            #expect(check.status == 0 && check.output.isEmpty && check.errors.isEmpty, "\(check.output)\(check.errors)")
            let rules = try await promtool("check rules \(Self.folder)/alerts.yml", fleet.scratch)
            #expect(rules.status == 0 && rules.output.contains("5 rules found"), "\(rules.output)\(rules.errors)")
            let tests = try await promtool("test rules \(Self.folder)/alerts-test.yml", fleet.scratch)
            #expect(tests.status == 0, "\(tests.output)\(tests.errors)")
            try await node.stop()
        }
    }

    /// What the board and the alerts ask for, `$__rate_interval` put in.
    private func queries() throws -> [(what: String, query: String)] {
        let board = try jsonObject(text(of: Self.folder + "/grafana.json"))
        var queries: [(String, String)] = []
        for panel in board["panels"] as? [[String: Any]] ?? [] {
            for target in panel["targets"] as? [[String: Any]] ?? [] {
                let query = try #require(target["expr"] as? String)
                queries.append((panel["title"] as? String ?? "", query.replacing("$__rate_interval", with: "5m")))
            }
        }
        return queries
    }

    /// The series that a query names.
    private func series(in query: String) -> [String] {
        query.split { !($0.isLetter || $0.isNumber || $0 == "_") }.map(String.init).filter { $0.hasPrefix("distcomp_") }
    }

    @Test(
        "a real Prometheus reads both formats alike, and every query of the board finds what it asks for",
        .enabled(if: hasPrometheus, needsPrometheus))
    func board() async throws {
        try await withFleet(redis: ["maxmemory 512mb", "maxmemory-policy noeviction"]) { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "2"])
            try await fleet.submit((0..<30).map { "shell:1:0.01:0:echo \($0)" } + ["shell:1:0:0:exit 3"])
            try await fleet.untilIdle()
            let pages = try await MetricsPages(in: fleet.scratch)
            func show() async throws -> String {
                let old = try await fleet.distcomp("metrics").output
                try pages.show(old, as: "queue")
                try pages.show(try await fleet.distcomp("metrics", "--open-metrics").output, as: "queue.openmetrics")
                return old
            }
            let known = names(try await show())
            let server = try await PrometheusServer(
                scraping: pages, [("queue", [:]), ("queue.openmetrics", [:])], in: fleet.scratch)
            try await eventually("both were scraped twice") {
                try server.query("min(count_over_time(distcomp_queue_paused[1h])) >= 2").count == 1
                    && server.query("distcomp_queue_paused").count == 2
            }
            // More comes to pass between two scrapes, so that rates are not of nothing.
            try await fleet.submit((100..<130).map { "shell:1:0.01:0:echo \($0)" } + ["shell:1:0:0:exit 4"])
            try await fleet.untilIdle()
            _ = try await show()
            try await eventually("the pages of now were scraped") {
                try server.query(#"distcomp_queue_tasks_ended_total{state="finished"} == 60"#).count == 2
            }
            let counted = try server.query(#"count by (__name__) ({__name__=~"distcomp_.*"})"#)
            #expect(Set(counted.compactMap { $0.labels["__name__"] }) == known)
            // All but one are of the queue: whoever tells them says the same.
            let differing = try server.query(
                #"count by (__name__) ({__name__=~"distcomp_queue_.*", job="queue"}) unless count by (__name__) ({__name__=~"distcomp_queue_.*", job="queue.openmetrics"})"#
            )
            #expect(differing.isEmpty)
            let once = try server.query(#"max without (instance, job) (distcomp_queue_tasks{state="finished"})"#)
            #expect(once.map(\.value) == [60], "two exporters do not double it")

            let queries = try queries()
            #expect(queries.count > 20)
            for (title, query) in queries {
                for name in series(in: query) { #expect(known.contains(name), "\(title): there is no \(name)") }
                let found = try server.query(query)
                #expect(!found.isEmpty, "\(title): \(query)")
                #expect(found.allSatisfy { $0.labels["instance"] == nil && $0.labels["job"] == nil }, "\(title)")
            }
            let rules = text(of: Self.folder + "/alerts.yml")
            for name in series(in: rules) { #expect(known.contains(name), "the alerts name \(name)") }
            let described = text(of: Products.package + "/docs/MONITORING.md")
            for name in known where !["_bucket", "_sum", "_count"].contains(where: name.hasSuffix) {
                let part = name.replacing("distcomp_queue", with: "")
                #expect(
                    described.contains(name) || described.contains("`\(part)`"),
                    "MONITORING.md does not tell of \(name)")
            }
            try await node.stop()
            try await server.stop()
            try await pages.stop()
        }
    }

    @Test(
        "all five alerts fire in a real Prometheus, and none on a queue that is well",
        .enabled(if: hasPrometheus, needsPrometheus))
    func alerts() async throws {
        try await withScratch { scratch in
            var well = MetricsSnapshot()
            well.tasks = [.waiting: 5, .running: 3, .finished: 100]
            well.oldestWaitingSeconds = 12
            well.redis = MetricsRedis(usedBytes: 1 << 30, maxBytes: 4 << 30)
            well.nodes.counts[.ready] = 3
            well.totals.finished = 100
            var stuck = well
            stuck.oldestWaitingSeconds = 7201
            stuck.redis = MetricsRedis(usedBytes: 15 << 28, maxBytes: 4 << 30)
            var failing = well
            let pages = try await MetricsPages(in: scratch)
            func show() throws {
                try pages.show(well.render(as: .prometheusText), as: "well")
                try pages.show(stuck.render(as: .openMetrics), as: "stuck.openmetrics")
                try pages.show(failing.render(as: .openMetrics), as: "failing.openmetrics")
            }
            try show()
            // As they are, but for how long a state must last.
            let rules = text(of: Self.folder + "/alerts.yml").split(separator: "\n").map { line in
                line.hasPrefix("        for: ") ? "        for: 0s" : line
            }
            let file = try scratch.write("rules.yml", rules.joined(separator: "\n") + "\n")
            let server = try await PrometheusServer(
                scraping: pages,
                [
                    ("well", ["queue": "well"]), ("stuck.openmetrics", ["queue": "stuck"]),
                    ("failing.openmetrics", ["queue": "failing"]),
                ], rules: file, in: scratch)
            try await eventually("all was scraped") { try server.query("distcomp_queue_paused").count == 3 }
            var firing: [String: Set<String>] = [:]
            try await eventually("all five fire, each for its queue", "\(firing)") {
                well.totals.finished += 10
                failing.totals.finished += 8
                failing.totals.failed["oom", default: 0] += 2
                failing.totals.leasesLost += 1
                try show()
                firing = try server.firing().mapValues { Set($0.map { $0["queue"] ?? "" }) }
                // As long as no two different numbers were seen, nothing has ended in any of them.
                return firing == [
                    "DistCompTasksWaitLong": ["stuck"], "DistCompRedisNearlyFull": ["stuck"],
                    "DistCompTasksWaitAndNothingEnds": ["stuck"], "DistCompTasksFail": ["failing"],
                    "DistCompNodeLostOrInTrouble": ["failing"],
                ]
            }
            try await server.stop()
            try await pages.stop()
        }
    }
}

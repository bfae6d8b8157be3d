// The text that scrapers read, and the arithmetic of histograms. What promtool and a real Prometheus make of it is in IntegrationTests.

import Monitoring
import Testing

@Suite("Metrics as text")
struct MetricsTextTests {
    private func snapshot() -> MetricsSnapshot {
        var snapshot = MetricsSnapshot()
        snapshot.tasks = [.waiting: 3, .running: 2, .finished: 12_345_678_901]
        snapshot.totals.finished = 7
        snapshot.totals.failed["oom"] = 2
        snapshot.totals.wait.counts[0] = 4
        snapshot.totals.wait.counts[2] = 1
        snapshot.totals.wait.counts[13] = 2
        snapshot.totals.wait.sum = 1234.5
        snapshot.redis = MetricsRedis(usedBytes: 5 << 30, maxBytes: 0)
        snapshot.jobs = [
            MetricsJob(identifier: "mhx3k2a", name: "a \"b\" \\ c\nd", tasks: [.waiting: 1, .running: 5])
        ]
        snapshot.readSeconds = 0.0125
        return snapshot
    }

    private func lines(_ format: MetricsFormat) -> [String] {
        snapshot().render(as: format).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    }

    @Test("samples are the same in both formats; above them stand help, type and, in OpenMetrics, the unit")
    func families() {
        let (old, new) = (lines(.prometheusText), lines(.openMetrics))
        #expect(old.last == "" && new.suffix(2) == ["# EOF", ""])
        #expect(old.filter { !$0.hasPrefix("#") } == new.filter { !$0.hasPrefix("#") })
        #expect(old.contains("# TYPE distcomp_queue_tasks_ended_total counter"))
        #expect(new.contains("# TYPE distcomp_queue_tasks_ended counter"))
        #expect(new.contains("# UNIT distcomp_queue_task_wait_seconds seconds"))
        #expect(!old.contains { $0.hasPrefix("# UNIT") })
        #expect(old.contains(#"distcomp_queue_tasks{state="waiting"} 3"#))
        #expect(old.contains(#"distcomp_queue_tasks{state="finished"} 12345678901"#))
        #expect(old.contains(#"distcomp_queue_tasks{state="failed"} 0"#))
        #expect(old.contains(#"distcomp_queue_tasks_ended_total{state="finished",cause="exit"} 7"#))
        #expect(old.contains(#"distcomp_queue_tasks_ended_total{state="failed",cause="oom"} 2"#))
        #expect(old.contains(#"distcomp_queue_tasks_ended_total{state="failed",cause="other"} 0"#))
        #expect(old.contains("distcomp_queue_redis_memory_used_bytes 5368709120.0"))
        #expect(old.contains("distcomp_exporter_read_seconds 0.0125"))
    }

    @Test("the buckets of a histogram hold all that is below them, and the last holds all")
    func histogram() {
        let wait = lines(.openMetrics).filter { $0.hasPrefix("distcomp_queue_task_wait_seconds") }
        #expect(wait.count == 16)
        #expect(
            wait.prefix(4) == [
                #"distcomp_queue_task_wait_seconds_bucket{le="0.1"} 4"#,
                #"distcomp_queue_task_wait_seconds_bucket{le="0.3"} 4"#,
                #"distcomp_queue_task_wait_seconds_bucket{le="1.0"} 5"#,
                #"distcomp_queue_task_wait_seconds_bucket{le="3.0"} 5"#,
            ])
        #expect(
            wait.suffix(3) == [
                #"distcomp_queue_task_wait_seconds_bucket{le="+Inf"} 7"#, "distcomp_queue_task_wait_seconds_sum 1234.5",
                "distcomp_queue_task_wait_seconds_count 7",
            ])
    }

    @Test("what a user called a job cannot become another line, label or sample")
    func escaping() {
        let jobs = lines(.openMetrics).filter { $0.hasPrefix("distcomp_queue_job_tasks") }
        #expect(jobs.count == 6)
        #expect(
            jobs.first
                == #"distcomp_queue_job_tasks{job_id="mhx3k2a",job_name="a \"b\" \\ c\nd",state="waiting"} 1"#)
    }

    @Test(
        "every family is told once, with its help, before its samples; counters end with _total, and units with their names"
    )
    func order() {
        for format in [MetricsFormat.openMetrics, .prometheusText] {
            var (seen, current, kind): (Set<String>, String, String) = ([], "", "")
            for line in lines(format) where !line.isEmpty && line != "# EOF" {
                let words = line.split(separator: " ").map(String.init)
                if line.hasPrefix("# HELP ") {
                    current = words[2]
                    #expect(seen.insert(current).inserted, "\(current) twice")
                    #expect(words.count > 5)
                } else if line.hasPrefix("# TYPE ") {
                    #expect(words[2] == current)
                    kind = words[3]
                } else if line.hasPrefix("# UNIT ") {
                    #expect(words[2] == current && current.hasSuffix("_" + words[3]))
                } else {
                    let name = String(line.prefix { $0 != "{" && $0 != " " })
                    let suffixes = kind == "histogram" ? ["_bucket", "_sum", "_count"] : ["", "_total"]
                    #expect(suffixes.contains { name == current + $0 }, "\(line) in \(current)")
                    #expect((kind == "counter") == name.hasSuffix("_total"), "\(name)")
                    #expect(Double(words.last ?? "") != nil, "\(line)")
                    #expect(name.hasPrefix("distcomp_"))
                }
            }
            #expect(seen.count > 20)
        }
    }

    @Test(
        "nothing is said of the oldest where something waits and nobody knows since when; where nothing waits it is 0")
    func oldest() {
        var snapshot = MetricsSnapshot()
        #expect(snapshot.render(as: .openMetrics).contains("\ndistcomp_queue_oldest_waiting_seconds 0.0\n"))
        snapshot.tasks[.waiting] = 1
        #expect(!snapshot.render(as: .openMetrics).contains("oldest_waiting_seconds"))
        snapshot.oldestWaitingSeconds = 1.5
        #expect(snapshot.render(as: .openMetrics).contains("\ndistcomp_queue_oldest_waiting_seconds 1.5\n"))
    }

    @Test(
        "a scraper is given what it asks for",
        arguments: [
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;q=0.5",
                true
            ),
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", false), ("*/*", false), ("", false),
            ("Application/OpenMetrics-Text", true), ("application/openmetrics-text;q=0, text/plain", false),
        ])
    func accept(header: String, isOpenMetrics: Bool) {
        let isSo = if case .openMetrics = MetricsFormat(accept: header) { true } else { false }
        #expect(isSo == isOpenMetrics)
    }

    @Test("a quantile is where histogram_quantile has it")
    func quantiles() {
        var histogram = MetricsHistogram(bounds: [1, 2, 4])
        #expect(histogram.quantile(0.5) == nil)
        histogram.counts = [2, 2, 4, 0]
        #expect(histogram.quantile(0.5) == 2)
        #expect(histogram.quantile(0.25) == 1)
        #expect(histogram.quantile(0.75) == 3)
        #expect(histogram.quantile(1) == 4)
        histogram.counts = [0, 0, 1, 9]
        #expect(histogram.quantile(0.9) == 4, "above the last bound nobody knows more")
    }
}

// What it costs that jobs and tasks wait for others: to load a file of tasks that do, to let in what waits for one, and for the jobs for
// which nobody waits.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// Tasks that wait for tasks, and jobs for jobs.
struct AfterMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "after", abstract: "A file whose tasks wait for each other; a hundred thousand that wait for one.")

    @Option(help: "For how many tasks those of the file wait together.")
    var edges = 100_000

    @Option(help: "How many wait for one.")
    var children = 100_000

    @Option(help: "How many reports are measured of either job.")
    var reports = 10_000

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [edges, children, reports] }

    func measure(in place: String, _ figures: FigureTable) throws {
        try measureFile(in: place, figures)
        try measureFanOut(in: place, ends: "finished", figures)
        try measureFanOut(in: place, ends: "failed", figures)
        try measureReports(in: place, figures)
    }

    /// Each task but the first waits for two of those before it.
    private func measureFile(in place: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let path = try FileSystem.makeTemporaryDirectory(place + "/tasks-") + "/dag.jsonl"
        var text = ""
        for number in 0...edges / 2 {
            let after = number == 0 ? "" : ",\"after\":[\"t\(number - 1)\",\"t\(number / 2)\"]"
            text += "{\"name\":\"t\(number)\",\"command\":\"./cachesim --trace /data/traces/w\(number)\"\(after)}\n"
        }
        try FileSystem.replace(path, with: Array(text.utf8), mode: 0o644)
        let used = try queue.redis.usedBytes()
        let (begin, longest) = (try queue.redis.processorSeconds(), try Longest(queue))
        figures.add("distcomp submit of \(edges) edges", try queue.redis.distcomp("submit", "--quiet", path), "s")
        figures.add("- of that Redis's CPU", try queue.redis.processorSeconds() - begin, "s")
        figures.add("- the longest call", try longest.milliseconds(), "ms")
        figures.add("- Redis per task", (try queue.redis.usedBytes() - used) / Double(edges / 2), "bytes")
    }

    private func measureFanOut(in place: String, ends: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let (node, job) = (try queue.register("n"), try open("fan", in: queue))
        let parent = try TaskLine(command: "first", of: job)
        let tasks =
            try [DependentTask(parent, after: [])]
            + (0..<children).map { number in
                DependentTask(try TaskLine(command: "./cachesim \(number)", of: job), after: [parent.text])
            }
        for operation in SubmitDependent.operations(tasks, keys: queue.keys) {
            _ = try queue.redis.client.perform(operation)
        }
        let first = try queue.claimed(node, count: 1)[0]
        let (begin, longest) = (try queue.redis.processorSeconds(), try Longest(queue))
        if ends == "finished" {
            _ = try queue.redis.client.call(queue.finished(first, node))
        } else {
            let report = ReportTask(
                keys: queue.keys, incarnation: node, line: first.line, token: first.token,
                result: .failed(reason: "exit 1", record: "{}", attemptsMax: 1, retryMilliseconds: 0))
            _ = try queue.redis.client.perform(report)
        }
        var calls = 1
        while try queue.redis.command("EXISTS", "distcomp:telling").int == 1 {
            _ = try queue.redis.client.call(queue.claim(node, count: 0))
            calls += 1
        }
        let seconds = try queue.redis.processorSeconds() - begin
        figures.add("\(children) wait for one that has \(ends): calls", Double(calls), "")
        figures.add("- Redis's CPU per call", seconds / Double(calls) * 1e3, "ms")
        figures.add("- the longest call", try longest.milliseconds(), "ms")
        figures.add("- Redis's CPU per task", seconds / Double(children) * 1e6, "us")
    }

    /// In turn, so that what else the machine does is in both.
    private func measureReports(in place: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let (node, jobs) = (try queue.register("n"), [try open("alone", in: queue), try open("awaited", in: queue)])
        _ = try queue.redis.client.perform(
            GateJob(try open("after", in: queue).identifier, after: [(jobs[1].identifier, .ok)], keys: queue.keys))
        var reports = [[RedisRequest]](repeating: [], count: 2)
        for (index, job) in jobs.enumerated() {
            var rest = try (0..<self.reports).map { try TaskLine(command: "./cachesim \($0)", of: job) }[...]
            while !rest.isEmpty {
                _ = try queue.redis.client.perform(SubmitTasks(rest, keys: queue.keys))
                rest = rest.dropFirst(SubmitTasks.linesMax)
            }
            while reports[index].count < self.reports {
                for task in try queue.claimed(node, count: min(100, self.reports - reports[index].count)) {
                    reports[index].append(queue.finished(task, node))
                }
            }
        }
        var seconds = [0.0, 0.0]
        for first in stride(from: 0, to: self.reports, by: 100) {
            for index in 0..<2 {
                let begin = try queue.redis.processorSeconds()
                let end = min(first + 100, self.reports)
                _ = try queue.redis.client.pipeline(Array(reports[index][first..<end]))
                seconds[index] += try queue.redis.processorSeconds() - begin
            }
        }
        figures.add(
            "a report of a job that nobody waits for: Redis's CPU", seconds[0] / Double(self.reports) * 1e6, "us")
        figures.add("a report of a job that another waits for: the same", seconds[1] / Double(self.reports) * 1e6, "us")
    }

    private func open(_ name: String, in queue: BenchQueue) throws -> Job {
        var settings = Job.Settings()
        settings.fingerprint = name
        let reply = try queue.redis.client.perform(
            OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: queue.keys))
        guard case .opened(let identifier, let name, _) = reply else {
            throw BenchError(description: "the job \(name) was not opened")
        }
        return Job(identifier: identifier, name: name, settings: settings, definition: .init())
    }

    /// The longest call that Redis has noted since.
    private struct Longest {
        private let queue: BenchQueue

        init(_ queue: BenchQueue) throws {
            self.queue = queue
            _ = try queue.redis.command("CONFIG", "SET", "slowlog-log-slower-than", "200")
            _ = try queue.redis.command("CONFIG", "SET", "slowlog-max-len", "100000")
            _ = try queue.redis.command("SLOWLOG", "RESET")
        }

        func milliseconds() throws -> Double {
            let entries = try queue.redis.command("SLOWLOG", "GET", "-1").elements ?? []
            return Double(entries.compactMap { $0.elements?.dropFirst(2).first?.int }.max() ?? 0) / 1000
        }
    }
}

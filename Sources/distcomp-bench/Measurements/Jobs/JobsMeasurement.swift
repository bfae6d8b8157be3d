// What jobs cost beside lines of none: to add and to take tasks, in memory, and to look at one of many.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// As many tasks, once as lines of a file, once in jobs.
struct JobsMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "jobs", abstract: "A million tasks in a thousand jobs beside as many lines of none.")

    @Option(help: "How many jobs there are.")
    var jobs = 1000

    @Option(help: "How many tasks each has.")
    var tasks = 1000

    @Option(help: "How many claims of 16 are measured of either.")
    var claims = 2000

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [jobs, tasks, claims] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let (lines, queue) = (try BenchQueue(in: place), try BenchQueue(in: place))
        let count = jobs * tasks
        // In turn, so that what else the machine does is in both.
        var (plain, own) = (Cost(), Cost())
        for job in 0..<jobs {
            let commands = (0..<tasks).map { Self.command(job * tasks + $0) }
            try plain.add(lines) {
                try Self.submit(try commands.map { try TaskLine(parsing: Self.line($0)) }, to: lines)
            }
            try own.add(queue) { try Self.submit(commands, job: job, to: queue) }
        }
        figures.add("submit, lines of none: Redis's CPU per task", plain.processorSeconds / Double(count) * 1e6, "us")
        figures.add("submit, of jobs: Redis's CPU per task", own.processorSeconds / Double(count) * 1e6, "us")
        figures.add("submit: tasks a second of jobs to those of none", plain.seconds / own.seconds, "")
        figures.add("lines of none: Redis per task of 102 bytes", plain.usedBytes / Double(count), "bytes")
        figures.add("of jobs: Redis per the same task", own.usedBytes / Double(count), "bytes")

        let looks = try (0..<21).map { _ in try queue.redis.distcomp("jobs", "--json") * 1000 }
        figures.add("distcomp jobs of \(jobs)", Spread(looks), "ms")
        let statuses = try (0..<21).map { _ in try queue.redis.distcomp("status", "job\(jobs / 2)", "--json") * 1000 }
        figures.add("distcomp status of one of them", Spread(statuses), "ms")

        let nodes = (try lines.register("n"), try queue.register("n"))
        (plain, own) = (Cost(), Cost())
        let rounds = min(claims, count / 16)
        for _ in 0..<rounds {
            try plain.add(lines) { _ = try lines.claimed(nodes.0, count: 16) }
            try own.add(queue) { _ = try queue.claimed(nodes.1, count: 16) }
        }
        figures.add("a claim of 16, lines of none: Redis's CPU", plain.processorSeconds / Double(rounds) * 1e6, "us")
        figures.add("a claim of 16, of jobs: Redis's CPU", own.processorSeconds / Double(rounds) * 1e6, "us")
        figures.add("a claim of 16: of jobs to lines of none", own.seconds / plain.seconds, "")
    }

    /// What some requests took.
    private struct Cost {
        var seconds = 0.0
        var processorSeconds = 0.0
        var usedBytes = 0.0

        mutating func add(_ queue: BenchQueue, _ work: () throws -> Void) throws {
            let (processor, used) = (try queue.redis.processorSeconds(), try queue.redis.usedBytes())
            let begin = SystemClock.bootNanoseconds()
            try work()
            seconds += Double(SystemClock.bootNanoseconds() - begin) / 1e9
            processorSeconds += try queue.redis.processorSeconds() - processor
            usedBytes += try queue.redis.usedBytes() - used
        }
    }

    /// With what stands before it in a line of none, 102 bytes.
    private static func command(_ number: Int) -> String {
        let (start, digits) = ("./cachesim --trace /data/traces/w", String(number))
        return start + String(repeating: "x", count: 86 - start.utf8.count - digits.utf8.count) + digits
    }

    private static func line(_ command: String) -> String { "shell:1:2:1:300:" + command }

    private static func submit(_ lines: [TaskLine], to queue: BenchQueue) throws {
        var rest = lines[...]
        while !rest.isEmpty {
            _ = try queue.redis.client.perform(SubmitTasks(rest, keys: queue.keys))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
    }

    private static func submit(_ commands: [String], job number: Int, to queue: BenchQueue) throws {
        var settings = Job.Settings()
        (settings.memoryBytes, settings.millicores, settings.timeout) = (2 << 30, 1000, .seconds(300))
        settings.priority = 1
        (settings.command, settings.fingerprint) = ("./cachesim --trace {} ::: ...", "\(number)")
        let reply = try queue.redis.client.perform(
            OpenJob(
                name: "job\(number)", isNameChosen: false, settings: settings, definition: .init(), keys: queue.keys))
        guard case .opened(let identifier, let name, _) = reply else {
            throw BenchError(description: "job \(number) was not opened")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        try submit(try commands.map { try TaskLine(command: $0, of: job) }, to: queue)
    }
}

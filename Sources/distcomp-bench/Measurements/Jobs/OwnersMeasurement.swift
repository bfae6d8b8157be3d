// What it costs to be fair: the same jobs, once all of one owner, once of a hundred.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct OwnersMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "owners", abstract: "A million tasks in a thousand jobs of a hundred owners beside those of one.")

    @Option(help: "How many owners there are.")
    var owners = 100

    @Option(help: "How many jobs there are.")
    var jobs = 1000

    @Option(help: "How many sizes their tasks have.")
    var shapes = 20

    @Option(help: "How many tasks each has.")
    var tasks = 1000

    @Option(help: "How many claims of 16, and reports of these, are measured.")
    var claims = 1000

    @Option(help: "How many tasks the fleet runs meanwhile.")
    var running = 1600

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [owners, jobs, shapes, tasks, claims, running] }

    func measure(in place: String, _ figures: FigureTable) throws {
        var (one, many) = (try Side(in: place, owners: 1), try Side(in: place, owners: owners))
        for job in 0..<jobs {
            try one.submit(tasks: tasks, job: job, shapes: shapes)
            try many.submit(tasks: tasks, job: job, shapes: shapes)
        }
        // In turn, so that what else the machine does is in both.
        let fill = running / 16
        for round in 0..<min(fill + claims, jobs * tasks / 16) {
            try one.claim(isMeasured: round >= fill)
            try many.claim(isMeasured: round >= fill)
        }
        figures.add("a claim of 16, of one owner: Redis's time", one.claims.microseconds, "us")
        figures.add("a claim of 16, of \(owners): Redis's time", many.claims.microseconds, "us")
        figures.add("a claim of 16: of \(owners) owners to one", many.claims.microseconds / one.claims.microseconds, "")
        figures.add("a report, of one owner: Redis's time", one.reports.microseconds, "us")
        figures.add("a report, of \(owners): Redis's time", many.reports.microseconds, "us")
        figures.add("a report: of \(owners) owners to one", many.reports.microseconds / one.reports.microseconds, "")
        figures.add("owners of what runs in the end: fewest tasks", Double(many.runningCounts.min() ?? 0), "")
        figures.add("owners of what runs in the end: most tasks", Double(many.runningCounts.max() ?? 0), "")
    }

    /// What a request took of the server's time: the median of all, since what else the machine does is in the mean.
    private struct Cost {
        private var each: [Double] = []

        var microseconds: Double { each.isEmpty ? 0 : each.sorted()[each.count / 2] }

        mutating func add(_ queue: BenchQueue, _ work: () throws -> Void) throws {
            let before = try queue.redis.scriptStatistics()
            try work()
            let after = try queue.redis.scriptStatistics()
            each.append((after.microseconds - before.microseconds) / max(1, after.calls - before.calls))
        }
    }

    /// One of the two queues.
    private struct Side {
        let queue: BenchQueue
        let node: Incarnation
        let owners: Int
        private var running: [ClaimTasks.Claimed] = []
        private var ownerOfJob: [String: Int] = [:]
        private(set) var claims = Cost()
        private(set) var reports = Cost()

        init(in place: String, owners: Int) throws {
            queue = try BenchQueue(in: place)
            node = try queue.register("n")
            self.owners = owners
        }

        mutating func submit(tasks: Int, job number: Int, shapes: Int) throws {
            var settings = Job.Settings()
            settings.memoryBytes = UInt64(1 + number % shapes % 5) << 30
            settings.millicores = 1000 * (1 + number % shapes / 5)
            settings.owner = "user\(number % owners)"
            settings.fingerprint = "\(number)"
            let reply = try queue.redis.client.perform(
                OpenJob(
                    name: "job\(number)", isNameChosen: false, settings: settings, definition: .init(),
                    keys: queue.keys))
            guard case .opened(let identifier, let name, _) = reply else {
                throw BenchError(description: "job \(number) was not opened")
            }
            ownerOfJob[identifier] = number % owners
            let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
            var rest = try (0..<tasks).map { try TaskLine(command: "./simulate --seed \($0)", of: job) }[...]
            while !rest.isEmpty {
                _ = try queue.redis.client.perform(SubmitTasks(rest, keys: queue.keys))
                rest = rest.dropFirst(SubmitTasks.linesMax)
            }
        }

        /// Claims 16, and reports as many of those that run longest.
        mutating func claim(isMeasured: Bool) throws {
            guard isMeasured else {
                running += try queue.claimed(node, count: 16)
                return
            }
            let ended = running.prefix(16)
            running.removeFirst(ended.count)
            try reports.add(queue) {
                for task in ended {
                    _ = try ReportTask.parse(try queue.redis.client.call(queue.finished(task, node)))
                }
            }
            var given: [ClaimTasks.Claimed] = []
            try claims.add(queue) { given = try queue.claimed(node, count: 16) }
            running += given
        }

        /// Of each owner.
        var runningCounts: [Int] {
            var counts = Array(repeating: 0, count: owners)
            for task in running { counts[ownerOfJob[Job.identifier(ofLine: task.line)] ?? 0] += 1 }
            return counts
        }
    }
}

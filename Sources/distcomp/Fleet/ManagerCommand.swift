// The manager of the old system, redisManager.py, for the scripts that call it: the same arguments and the same layout of its output.
// The work itself is done as the new commands do it.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct ManagerCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "manager",
        abstract: "Be the old system's redisManager.py, for scripts that call it.",
        discussion: """
            initRedis deletes this queue only, never the rest of the Redis. What the old tasks are called now: loadTask: submit; \
            checkTask: status, tasks, results; checkWorker: workers; removeFinishedTask: forget --finished; \
            moveInProgressTaskToTodo: requeue --all; moveFailedTaskToTodo: retry --all-failed.

            Examples:
              distcomp manager --task 'initRedis&loadTask' --taskfile task
              distcomp manager --task checkTask --finished false --todo false
              distcomp manager --task 'checkTask&checkWorker' --print_result false
            """)

    /// What it can be asked to do.
    enum Job: String, CaseIterable {
        case initRedis, loadTask, checkTask, checkWorker, cleanup, removeFinishedTask, moveInProgressTaskToTodo,
            moveFailedTaskToTodo
    }

    @Option(
        help: .init(
            "What to do, several joined by &: \(Job.allCases.map(\.rawValue).joined(separator: ", ")).",
            valueName: "tasks"))
    var task: String

    @Option(help: .init("The file that loadTask loads.", valueName: "file"))
    var taskfile = "task"

    @Option(help: .init("Show only what holds this text.", valueName: "text"))
    var include = ""

    @Option(help: .init("Show only what does not hold this text.", valueName: "text"))
    var exclude = ""

    @Option(help: .init("Show waiting tasks (true or false).", valueName: "bool"))
    var todo = OldTruth.yes

    @Option(name: .customLong("in_progress"), help: .init("Show running tasks.", valueName: "bool"))
    var inProgress = OldTruth.yes

    @Option(help: .init("Show finished tasks.", valueName: "bool"))
    var finished = OldTruth.yes

    @Option(help: .init("Show failed tasks.", valueName: "bool"))
    var failed = OldTruth.yes

    @Option(name: .customLong("failed_reason"), help: .init("Show why tasks failed.", valueName: "bool"))
    var failedReason = OldTruth.yes

    @Option(name: .customLong("print_result"), help: .init("Show what finished tasks printed.", valueName: "bool"))
    var printResult = OldTruth.yes

    @Option(name: .customLong("redis_host"), help: .init("Instead of conf.json's.", valueName: "host"))
    var redisHost: String?

    @Option(name: .customLong("redis_port"), help: .init("Instead of conf.json's.", valueName: "port"))
    var redisPort: Int?

    @Option(name: .customLong("redis_pass"), help: .init("Instead of conf.json's.", valueName: "password"))
    var redisPassword: String?

    @Option(name: .customLong("redis_db"), help: .init("Instead of conf.json's.", valueName: "number"))
    var redisDatabase: Int?

    @OptionGroup var server: ServerOptions

    private var jobs: [Job?] {
        task.split(separator: "&", omittingEmptySubsequences: false).map { Job(rawValue: String($0)) }
    }

    func validate() throws {
        if jobs.contains(where: { $0 == nil }) {
            let known = Job.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--task \(TerminalText.escaped(task)): expected \(known), joined by &")
        }
    }

    func run() throws {
        try server.withQueue(stateDirectory: nil, changing: override) { queue in
            for job in jobs.compactMap(\.self) { try perform(job, queue) }
        }
    }

    private func override(_ configuration: inout Configuration) {
        if redisHost != nil || redisPort != nil || redisDatabase != nil { configuration.redisURL = nil }
        if let redisHost { configuration.redisHost = redisHost }
        if let redisPort { configuration.redisPort = redisPort }
        if let redisDatabase { configuration.redisDatabase = redisDatabase }
        if let redisPassword { configuration.redisPassword = redisPassword.isEmpty ? nil : redisPassword }
    }

    private func perform(_ job: Job, _ queue: QueueClient) throws {
        let listing = OldListing(queue: queue, include: include, exclude: exclude)
        switch job {
        case .initRedis:
            let count = try queue.reset()
            say("redis initialized: \(count) keys of this queue deleted, all others left alone")
        case .loadTask:
            let submission = try Submission.submit(
                TaskInput(source: .taskFiles([taskfile])), to: queue, isForFleet: true)
            let reply = submission.reply
            say("load \(reply.added + reply.inTodo + reply.inProgress + reply.finished) tasks, add \(reply.added) task")
            if submission.hasErrors { throw CommandError.reported }
        case .checkTask:
            let parts = OldListing.Parts(
                todo: todo.isTrue, inProgress: inProgress.isTrue, finished: finished.isTrue, failed: failed.isTrue,
                reasons: failedReason.isTrue, results: printResult.isTrue)
            try listing.printTasks(parts)
        case .checkWorker: try listing.printWorkers()
        case .cleanup:
            _ = try queue.cleanUp(silenceSecondsMax: queue.settings.healthReportIntervalSeconds * 20)
        case .removeFinishedTask:
            try forEachBatch(of: queue.keys.finished, queue) { lines throws(CommandError) in
                _ = try queue.perform(ForgetTasks(.finished, lines[...], keys: queue.keys))
            }
        case .moveInProgressTaskToTodo:
            try forEachBatch(of: queue.keys.inProgress, queue) { lines throws(CommandError) in
                _ = try queue.requeue(lines.map(queue.text))
            }
        case .moveFailedTaskToTodo:
            try forEachBatch(of: queue.keys.failed, queue) { lines throws(CommandError) in
                _ = try queue.retry(lines.map(queue.text))
            }
        }
    }

    private func forEachBatch(
        of key: String, _ queue: QueueClient, _ act: @escaping ([[UInt8]]) throws(CommandError) -> Void
    ) throws(CommandError) {
        var batch = LineBatch(act)
        try queue.scan(key) { entries throws(CommandError) in
            for (line, _) in entries { try batch.add(line) }
        }
        try batch.flush()
    }

    /// The old manager logged to standard error; so what it prints can be read by scripts alone.
    private func say(_ text: String) {
        let clock = LocalTime(unixSeconds: SystemClock.wallSeconds()).clockText
        standardError.write("\(clock): INFO [distcomp manager]: \t\(text)\n")
    }
}

/// A truth value in the words that the old manager took.
struct OldTruth: ExpressibleByArgument {
    let isTrue: Bool

    static let yes = OldTruth(isTrue: true)

    private init(isTrue: Bool) { self.isTrue = isTrue }

    init?(argument: String) {
        switch argument.lowercased() {
        case "y", "yes", "t", "true", "on", "1": isTrue = true
        case "n", "no", "f", "false", "off", "0": isTrue = false
        default: return nil
        }
    }

    var defaultValueDescription: String { isTrue ? "true" : "false" }
}

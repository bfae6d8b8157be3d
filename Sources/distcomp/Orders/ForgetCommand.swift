import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp forget`: removes results.
struct ForgetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "forget",
        abstract: "Forget a job, or how tasks ended, as if they had never been submitted; files on the nodes stay.",
        discussion: """
            Examples:
              distcomp forget cachesim
              distcomp forget --finished
              distcomp forget --failed --match '*cachesim*'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("This job: all of it, or with --finished and --failed only that.", valueName: "job"))
    var job: String?

    @Flag(help: "What has finished.")
    var finished = false

    @Flag(help: "What has failed; what waits for another try is left alone.")
    var failed = false

    @Option(help: .init("Only tasks whose line matches.", valueName: "glob"))
    var match: String?

    @OptionGroup var caution: OrderCaution

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        if !finished && !failed && job == nil {
            throw ValidationError("name a job, or say --finished, --failed, or both")
        }
        if !finished && !failed && match != nil { throw ValidationError("--match goes with --finished or --failed") }
    }

    func run() throws {
        var count = 0
        let agrees = try connection.withQueue { queue in
            try queue.select(job)
            var filter = TaskFilter()
            filter.pattern = match
            // Of a whole job it is all that has ended.
            filter.states = Set((finished ? [.finished] : []) + (failed ? [.failed] : []))
            let agrees = try caution.agrees(to: "forget", asJSON: json) { use throws(CommandError) in
                try queue.forEachResult(filter) { result throws(CommandError) in try use(result.line) }
            }
            guard agrees else { return false }
            if let job, !finished, !failed {
                if job == Job.defaultName {
                    throw CommandError.usage(
                        "`\(job)` stands for the tasks that are of no job: say --finished, --failed, or both")
                }
                count += try forgetAll(of: job, queue)
                return true
            }
            if finished { count += try forget(.finished, \.finished, queue) }
            if failed { count += try forget(.failed, \.failed, queue) }
            return true
        }
        guard agrees else { return }
        if json {
            var writer = JSONObjectWriter()
            writer.field("forgotten", count)
            return try show(writer.text + "\n")
        }
        try show("\(grouped(count)) forgotten\n")
    }

    /// A job with all that is known of its tasks; how many these were.
    private func forgetAll(of name: String, _ queue: QueueClient) throws(CommandError) -> Int {
        let counts = try queue.counts()
        let job = try queue.orderedJob(name)
        var reply = try queue.perform(ForgetJob(job, keys: queue.keys))
        while reply == .telling { reply = try queue.perform(ForgetJob(job, keys: queue.keys)) }
        switch reply {
        case .changed, .unknown, .taken, .telling: return counts.finished + counts.failed
        case .busy:
            throw .failed(
                "of \(job.name) \(grouped(counts.todo)) wait and \(grouped(counts.inProgress)) run: nothing was forgotten; "
                    + "`distcomp cancel \(job.name)` takes them back")
        }
    }

    private func forget(
        _ state: ForgetTasks.State, _ hash: KeyPath<QueueKeys, String>, _ queue: QueueClient
    ) throws(CommandError) -> Int {
        var count = 0
        _ = try queue.scanEach(hash, pattern: match) { keys, entries throws(CommandError) in
            let jobs = try queue.job(keys.job).map { [$0.identifier: $0] } ?? [:]
            var rest = entries.map(\.field)[...]
            while !rest.isEmpty {
                count += try queue.perform(ForgetTasks(state, rest, keys: keys, jobs: jobs))
                rest = rest.dropFirst(SubmitTasks.linesMax)
            }
            return true
        }
        return count
    }
}

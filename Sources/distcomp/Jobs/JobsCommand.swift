import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp jobs`: which jobs there are.
struct JobsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List jobs: what one `submit` or `run` of a command added, and how it stands.",
        usage: "distcomp jobs [<options>]\n       distcomp jobs show [<options>] <job>",
        discussion: """
            The NAME names a job in other commands, such as `distcomp status NAME`. `default` are the tasks of task files.

            Examples:
              distcomp jobs
              distcomp jobs --json | jq -r '.[] | select(.failed > 0).job'
              distcomp jobs show cachesim
            """,
        subcommands: [JobsListCommand.self, JobsShowCommand.self], defaultSubcommand: JobsListCommand.self)
}

struct JobsListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all jobs.", usage: "distcomp jobs [<options>]", shouldDisplay: false)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON array.")
    var json = false

    func run() throws {
        let jobs = try connection.withQueue { try $0.listedJobs() }
        if json {
            let objects = jobs.map { $0.object.bytes }
            return try show(
                "[" + String(decoding: Array(objects.joined(separator: ",\n ".utf8)), as: UTF8.self) + "]\n")
        }
        if jobs.isEmpty { return try show("no jobs\n") }
        var table = TextTable(
            [
                ("NAME", .left), ("STATE", .left), ("TODO", .right), ("RUNNING", .right), ("FINISHED", .right),
                ("FAILED", .right), ("OWNER", .left), ("COMMAND", .left),
            ], endsWithCommands: true)
        for job in jobs {
            table.append([
                job.name, job.state, grouped(job.todo), grouped(job.inProgress), grouped(job.finished),
                grouped(job.failed), job.job?.settings.owner ?? "", job.job?.settings.command ?? "",
            ])
        }
        try show(table.rendered(columns: standardOutput.terminalColumns))
    }
}

struct JobsShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all that is known of a job.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("The job's name.", valueName: "job"))
    var name: String

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let (listed, awaited) = try connection.withQueue { queue in
            try queue.select(name)
            let listed = try queue.listedJobs().first { queue.selection == .one($0.identifier) }
            return (listed, try listed?.job.flatMap { job throws(CommandError) in try queue.awaited(job) })
        }
        guard let listed else { throw CommandError.noSuchTask("there are no tasks that are of no job") }
        if json {
            var object = listed.object
            object.field("waits", awaited?.text)
            return try show(object.text + "\n")
        }
        let lines = (listed.facts + (awaited.map { [("after", $0.text)] } ?? [])).map {
            filled($0.0, 10) + TerminalText.escaped($0.1) + "\n"
        }
        try show(lines.joined())
    }
}

/// A job in a listing, or what is of none.
struct ListedJob {
    let job: Job?
    let isPaused: Bool
    var isHalted = false
    let todo: Int
    let inProgress: Int
    let finished: Int
    let failed: Int
    /// How many of todo wait until others have ended.
    var waitsForOthers = 0
    /// When it may begin; nil: at once.
    var beginsAtUnixSeconds: Double?
    /// When the records of its tasks left Redis; nil: they are there.
    var leftAtUnixSeconds: Int?

    var identifier: String { job?.identifier ?? "" }
    var name: String { job?.name ?? Job.defaultName }

    /// A word for people and scripts.
    var state: String {
        if inProgress > 0 { return "running" }
        if todo > 0, beginsAtUnixSeconds != nil { return "scheduled" }
        if todo > 0, waitsForOthers == todo { return "blocked" }
        if todo > 0 { return isHalted ? "halted" : isPaused ? "paused" : "waiting" }
        return failed > 0 ? "failed" : "finished"
    }

    var object: JSONObjectWriter {
        var writer = JSONObjectWriter()
        writer.field("job", name)
        writer.field("id", identifier)
        writer.field("owner", job?.settings.owner)
        writer.field("state", state)
        writer.field("todo", todo)
        writer.field("in_progress", inProgress)
        writer.field("finished", finished)
        writer.field("failed", failed)
        writer.field("waits_for_others", waitsForOthers)
        writer.field("not_before", beginsAtUnixSeconds)
        writer.field("paused", isPaused)
        writer.field("results_left_at", leftAtUnixSeconds)
        writer.field("command", job?.settings.command)
        writer.field("host", job?.settings.host)
        writer.field("submitted_at", job?.settings.submittedAtUnixSeconds)
        writer.field("memory_bytes", job?.settings.memoryBytes)
        writer.field("cores", job.map { Double($0.settings.millicores) / 1000 })
        writer.field("timeout_seconds", job?.settings.timeout.seconds)
        writer.field("priority", job?.settings.priority)
        writer.field("halt", job.flatMap { $0.settings.halt.isEmpty ? nil : $0.settings.halt })
        writer.field("signal", job?.settings.warning?.text)
        let codes = (job?.settings.requeueCodes.codes ?? []).map { "\($0)" }
        writer.field("requeue_exit_codes", json: Array("[\(codes.joined(separator: ","))]".utf8))
        writer.field("where", job?.settings.nodeLabels?.text)
        writer.field("idempotent", job?.settings.isIdempotent)
        writer.field("resources", json: (job?.settings.resources ?? ResourceRequest()).json)
        writer.field(
            "memory_max_bytes", job.flatMap { $0.settings.memoryMaxBytes > 0 ? $0.settings.memoryMaxBytes : nil })
        writer.field("on_oom", job?.settings.onOom?.text)
        writer.field("memory_auto", job?.settings.learnsMemory)
        return writer
    }

    /// For a person.
    var facts: [(String, String)] {
        var facts = [
            ("job", name), ("state", state), ("todo", grouped(todo)), ("running", grouped(inProgress)),
            ("finished", grouped(finished)), ("failed", grouped(failed)),
        ]
        if waitsForOthers > 0 { facts.insert(("of todo", "\(grouped(waitsForOthers)) wait for others"), at: 3) }
        if let time = beginsAtUnixSeconds {
            facts.append(("not before", LocalTime(unixSeconds: Int64(time)).text))
        }
        if let left = leftAtUnixSeconds {
            facts.append(("results", "left Redis on " + LocalTime(unixSeconds: Int64(left)).text))
        }
        guard let job else { return facts }
        let settings = job.settings
        facts += [
            ("command", settings.command),
            ("owner", settings.owner + (settings.host.isEmpty ? "" : " on \(settings.host)")),
            ("submitted", LocalTime(unixSeconds: Int64(settings.submittedAtUnixSeconds)).text),
            ("memory", settings.memoryBytes == 0 ? "no cap of its own" : AmountText.memory(settings.memoryBytes)),
            ("cores", settings.millicores == 0 ? "none asked for" : oneDecimal(Double(settings.millicores) / 1000)),
            ("timeout", settings.timeout.text), ("priority", "\(settings.priority)"), ("id", job.identifier),
        ]
        if !settings.halt.isEmpty { facts.append(("halt", settings.halt)) }
        if let warning = settings.warning { facts.append(("signal", warning.words)) }
        if settings.requeueCodes != .byDefault {
            let codes = settings.requeueCodes.codes
            facts.append(
                (
                    "goes back",
                    codes.isEmpty
                        ? "with no exit code" : "with exit " + codes.map { "\($0)" }.joined(separator: " or ")
                ))
        }
        if let labels = settings.nodeLabels { facts.append(("nodes", labels.text)) }
        if settings.isIdempotent { facts.append(("copies", "a task may be run twice at once")) }
        if !settings.resources.isEmpty { facts.append(("resources", settings.resources.words)) }
        if settings.learnsMemory {
            facts.append(("memory is", "what 19 of 20 of its tasks needed and a tenth, once that is known"))
        }
        if let words = settings.oomWords { facts.append(("on oom", words)) }
        return facts
    }
}

extension Job.Settings {
    /// What a task gets that runs out of memory; nil where it fails.
    fileprivate var oomWords: String? {
        guard memoryMaxBytes > 0 || onOom != nil || learnsMemory else { return nil }
        let most = memoryMaxBytes > 0 ? ", up to \(AmountText.memory(memoryMaxBytes))" : ""
        return (onOom ?? .byDefault).words + most
    }
}

extension TimeoutRequest {
    /// nil where there is none, or the nodes' default applies.
    fileprivate var seconds: Double? { if case .seconds(let seconds) = self { seconds } else { nil } }

    fileprivate var text: String {
        switch self {
        case .byDefault: "not given: the nodes' setting decides; none on one machine"
        case .none: "none"
        case .seconds(let seconds): AmountText.seconds(seconds)
        }
    }
}

extension QueueClient {
    /// Every job, and what is of none where there is any of that.
    func listedJobs() throws(CommandError) -> [ListedJob] {
        let counts = try perform(ReadCounts(keys: keys))
        let own = ListedJob(
            job: nil, isPaused: counts.isPaused, todo: counts.todo, inProgress: counts.inProgress,
            finished: counts.finished, failed: counts.failed)
        let hasOwn = own.todo + own.inProgress + own.finished + own.failed > 0
        return (hasOwn ? [own] : [])
            + (try jobRows()).map { row in
                ListedJob(
                    job: row.job, isPaused: row.isPaused || counts.isPaused, isHalted: row.isHalted, todo: row.todo,
                    inProgress: row.inProgress,
                    finished: row.finished, failed: row.failed,
                    waitsForOthers: row.gate == .open || row.beginsAtUnixSeconds != nil ? row.dependent : row.todo,
                    beginsAtUnixSeconds: row.beginsAtUnixSeconds,
                    leftAtUnixSeconds: row.leftAtUnixSeconds)
            }
    }
}

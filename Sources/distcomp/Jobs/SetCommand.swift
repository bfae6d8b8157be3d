import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp set JOB`: other settings for all of a job that waits.
struct SetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set",
        abstract:
            "Give a job other memory, cores or another timeout: all of it that waits takes them, what runs does not.",
        discussion: """
            Examples:
              distcomp set cachesim --memory 4G
              distcomp set cachesim --timeout 2h --cores 2
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("The job's name.", valueName: "job"))
    var job: String

    @OptionGroup var sizes: SizeOptions

    @Option(
        help: .init(
            "What a task that runs out of memory may come to have, as `submit --memory-max` has it; 0: what it has.",
            valueName: "amount"))
    var memoryMax: String?

    @Option(help: .init("What such a one is tried with, as `submit --on-oom` has it.", valueName: "xN|amount"))
    var onOom: OomRule?

    @Option(help: .init("When it is halted, as `submit --halt` has it; none: never.", valueName: "rule"))
    var halt: String?

    @Option(
        help: .init(
            "What its tasks are told before their timeout, as `submit --signal` has it; none: nothing.",
            valueName: "signal"))
    var signal: String?

    @Option(
        name: .customLong("where"),
        help: .init("Which nodes it is for, as `submit --where` has it; any: all.", valueName: "labels"))
    var nodeLabels: String?

    @OptionGroup var resources: ResourceOptions

    @Flag(help: "Its tasks need nothing of a node but memory and cores.")
    var noResources = false

    @Option(
        help: .init(
            "With which exit codes its tasks go back to the queue, as `submit --requeue-exit-codes` has it.",
            valueName: "codes"))
    var requeueExitCodes: RequeueCodes?

    @Option(
        help: .init(
            "For which job it waits from now on, as `submit --after` has it; none: for nothing. May be repeated.",
            valueName: "job[:way]"))
    var after: [AfterOption] = []

    @Option(
        help: .init(
            "When it may begin, as `submit --not-before` has it: what runs goes on; none: at once.",
            valueName: "time|+delay"))
    var notBefore: NotBeforeOption?

    private static let anyNode = "any"

    func validate() throws {
        let isEmpty = memoryMax == nil && onOom == nil && halt == nil && signal == nil && requeueExitCodes == nil
        if try sizes.change().isEmpty, isEmpty, nodeLabels == nil, after.isEmpty, notBefore == nil,
            !resources.areGiven, !noResources
        {
            throw ValidationError(
                """
                say --memory, --memory-max, --on-oom, --cores, --timeout, --halt, --signal, --requeue-exit-codes, --where, --gpus, \
                --resources, --after or --not-before
                """)
        }
        if noResources, resources.areGiven {
            throw ValidationError("say either --no-resources, or which its tasks need")
        }
        if let memoryMax, AmountText.memoryBytes(memoryMax) == nil {
            throw ValidationError(
                "--memory-max \(TerminalText.escaped(memoryMax)): expected an amount such as 16G, or 0")
        }
        if let signal, signal != "none", DeadlineWarning(argument: signal) == nil {
            throw ValidationError(
                "--signal \(TerminalText.escaped(signal)): expected \(DeadlineWarning.expected) or none")
        }
        if let nodeLabels, nodeLabels != Self.anyNode, LabelExpression(text: nodeLabels) == nil {
            throw ValidationError(
                "--where \(TerminalText.escaped(nodeLabels)): expected \(LabelExpression.expected), or any")
        }
        if after.contains(where: { $0.way == .each }) {
            throw ValidationError("--after: what each task waits for is said when it is submitted")
        }
        if let halt, halt != "none", HaltRule(argument: halt) == nil {
            throw ValidationError("--halt \(TerminalText.escaped(halt)): expected soon,fail=3 or now,fail=5% or none")
        }
    }

    func run() throws {
        let name = try connection.withQueue { queue in
            let job = try queue.orderedJob(job)
            var settings = try sizes.change().applied(to: job.settings)
            if let halt { settings.halt = halt == "none" ? "" : halt }
            if let memoryMax { settings.memoryMaxBytes = AmountText.memoryBytes(memoryMax) ?? 0 }
            if let onOom { settings.onOom = onOom }
            if let signal { settings.warning = DeadlineWarning(text: signal) }
            if let requeueExitCodes { settings.requeueCodes = requeueExitCodes }
            if let nodeLabels {
                settings.nodeLabels = nodeLabels == Self.anyNode ? nil : LabelExpression(text: nodeLabels)
            }
            if let request = resources.request { settings.resources = request }
            if noResources { settings.resources = ResourceRequest() }
            if signal != nil || sizes.timeout != nil,
                let problem = settings.warning?.problem(withTimeout: settings.timeout)
            {
                throw CommandError.usage("\(job.name): --signal \(problem)")
            }
            if memoryMax != nil || sizes.memory != nil, settings.memoryMaxBytes > 0,
                settings.memoryMaxBytes <= settings.memoryBytes
            {
                throw CommandError.usage(
                    "\(job.name): --memory-max \(AmountText.memory(settings.memoryMaxBytes)) is not more than its memory, "
                        + "\(AmountText.memory(settings.memoryBytes)); --memory-max 0 takes it away")
            }
            let isNone = after == [AfterOption(argument: "none")]
            let parents = try after.isEmpty ? nil : isNone ? [] : queue.jobs(after: after)
            // First: what is let in by what follows has its new settings by then.
            let order = ChangeJob(
                job.identifier, settings: settings, forAll: try givenParts(),
                after: (parents ?? []).map { ($0.job.identifier, $0.way) }, keys: queue.keys)
            switch try queue.change(order) {
            case .changed: break
            case .circle(let identifiers): throw try queue.circle(identifiers)
            case .unknown(let identifier):
                let name = parents?.first { $0.job.identifier == identifier }?.job.name ?? job.name
                throw CommandError.noSuchTask("the job \(name) has been forgotten meanwhile")
            // It was given no name, and was asked for until it had all.
            case .taken, .going: throw CommandError.noSuchTask("the job \(job.name) could not be changed")
            }
            if !after.isEmpty || notBefore != nil {
                try queue.gate(job, after: parents, notBefore: notBefore?.time)
                let dependent =
                    try isNone ? queue.perform(ReadCounts(keys: queue.keys.of(job: job.identifier))).dependent : 0
                if dependent > 0 {
                    standardError.write(
                        "distcomp: \(grouped(dependent)) of its tasks wait for other tasks, each for its own (JOB:each, or \"after\" in "
                            + "their file): that stays; submit them without it to let them go on\n")
                }
            }
            return job.name
        }
        try show("changed: what waits of \(name) has these settings, what runs keeps its own\n")
    }
}

extension SetCommand {
    /// What it says, of what single tasks may have of their own.
    private func givenParts() throws -> Set<ChangeJob.Part> {
        let change = try sizes.change()
        var parts: Set<ChangeJob.Part> = []
        if change.memoryBytes != nil { parts.insert(.memory) }
        if change.millicores != nil { parts.insert(.cores) }
        if change.timeout != nil { parts.insert(.timeout) }
        if memoryMax != nil { parts.insert(.memoryMax) }
        return parts
    }
}

/// What tasks that are there are given in place of what they had.
struct SizeOptions: ParsableArguments {
    @Option(help: .init("The memory a task may use, such as 2G; 0: no cap.", valueName: "amount"))
    var memory: String?

    @Option(help: .init("The cores a task asks for, such as 1 or 0.5.", valueName: "count"))
    var cores: String?

    @Option(help: .init("How long a task may run, such as 90s, 10m, 2h; 0: no limit.", valueName: "time"))
    var timeout: String?

    func validate() throws { _ = try change() }

    func change() throws -> SizeChange {
        var parts = TaskLine.Parts(command: "true")
        if let memory { parts.memory = memory }
        if let cores { parts.cores = cores }
        parts.timeout = timeout
        let task: TaskLine
        do {
            task = try TaskLine(of: parts)
        } catch {
            throw ValidationError(error.problems.map { "--\($0)" }.joined(separator: "; "))
        }
        return SizeChange(
            memoryBytes: memory.map { _ in task.memoryBytes }, millicores: cores.map { _ in task.millicores },
            timeout: timeout.map { _ in task.timeout })
    }
}

/// What tasks may use from now on; nil: what they could before.
struct SizeChange: Equatable {
    var memoryBytes: UInt64?
    var millicores: Int?
    var timeout: TimeoutRequest?

    var isEmpty: Bool { self == SizeChange() }

    func applied(to settings: Job.Settings) -> Job.Settings {
        var settings = settings
        settings.memoryBytes = memoryBytes ?? settings.memoryBytes
        // Who says how much does not want it to be learned.
        if memoryBytes != nil { settings.learnsMemory = false }
        settings.millicores = millicores ?? settings.millicores
        settings.timeout = timeout ?? settings.timeout
        return settings
    }

    func applied(to own: OwnSettings) -> OwnSettings {
        var given = OwnSettings(
            memoryBytes: memoryBytes ?? own.memoryBytes, millicores: millicores ?? own.millicores,
            timeout: timeout ?? own.timeout)
        given.memoryMaxBytes = own.memoryMaxBytes
        return given
    }
}

/// `distcomp rename JOB NAME`.
struct RenameCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rename", abstract: "Give a job another name.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("The job's name.", valueName: "job"))
    var job: String

    @Argument(help: .init("Its new name.", valueName: "name"))
    var name: String

    func validate() throws { if let problem = Job.problem(withName: name) { throw ValidationError(problem) } }

    func run() throws {
        try connection.withQueue { queue in
            let job = try queue.orderedJob(job)
            switch try queue.change(ChangeJob(job.identifier, name: name, keys: queue.keys)) {
            case .changed: break
            case .taken: throw CommandError.usage("there is a job \(name) already")
            case .unknown, .circle, .going:
                throw CommandError.noSuchTask("the job \(job.name) has been forgotten meanwhile")
            }
        }
    }
}

extension QueueClient {
    /// The job of this name, for an order that only jobs take.
    func orderedJob(_ name: String) throws(CommandError) -> Job {
        try select(name)
        guard case .one(let identifier) = selection, let job = try job(identifier) else {
            throw .usage("`\(Job.defaultName)` stands for the tasks that are of no job: this order is for jobs only")
        }
        return job
    }
}

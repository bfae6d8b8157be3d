// `distcomp run FILE`: everything at once on one machine, with nothing to set up. A private Redis, one node, the file's
// tasks, and at the end what came of them. Run again, it goes on where it was.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct RunCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run tasks on this machine, and wait for them.",
        usage: TaskArguments.usage("run"),
        discussion: """
            Needs no Redis and no daemon: a private one of each serves this run and ends with it. Their state is kept in \
            --state, so a run that was interrupted is resumed by giving the same command again: tasks that finished are not \
            run again, those that failed are. Without a file or a command, all that waits there is run, and nothing that failed.

            \(OutputOptions.help)

            \(TaskArguments.commandHelp)

            Examples:
              distcomp run sweep.txt
              distcomp run sweep.txt --slots 4 --attempts 3
              distcomp run \(TaskArguments.sweepExample)
              find . -name '*.gz' -print0 | distcomp run -0 -- './count {} > {.}.txt'
              distcomp run --gpus 1 -- ./train --seed {} ::: 1 2 3
              distcomp run cmds.txt --resume-joblog parallel.log
              distcomp run cmds.txt --output ordered > all.txt
              distcomp run sweep.txt --background        and then distcomp attach
              distcomp run                               goes on with what waits
              distcomp status --state .distcomp          afterwards, from any terminal
            """)

    @OptionGroup var tasks: TaskArguments

    static let usualState = ".distcomp"

    @Option(help: "The directory that keeps the run's queue, log and output.")
    var state = Self.usualState

    @Option(help: "Settings for the node (default: made for a run).")
    var config: String?

    @Option(name: [.long, .customShort("j")], help: "How many tasks run at once (default: one per core).")
    var slots: Int?

    @Option(help: "How often a task that fails is tried in all.")
    var attempts = 1

    @Option(
        help: .init(
            "After so many failures, or that share of all tasks: soon: begin nothing more; now: stop what runs too. The rest waits.",
            valueName: "soon|now,fail=N|N%"))
    var halt: HaltRule?

    @OptionGroup var output: OutputOptions

    @Flag(help: "Leave the terminal as soon as the tasks are in the queue; distcomp attach shows how it goes.")
    var background = false

    /// Of the run in the background that was started for --background.
    @Option(name: .customLong(BackgroundRun.readyOption), help: .hidden)
    var readyDescriptor: Int32?

    @OptionGroup var end: EndOptions

    @Option(
        help: .init(
            "Whom root's tasks run as (default: who called sudo, the owner of this directory, distcomp, nobody).",
            valueName: "name"))
    var user: String?

    @Option(
        help: .init(
            "Serve pages of the run while it goes on: at a port of this machine, 0 for any that is free, or unix:PATH.",
            valueName: "place"))
    var web: String?

    @Flag(help: "End with one JSON object instead of a summary.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, only the summary.")
    var quiet = false

    func validate() throws {
        if let slots, !(1...100_000).contains(slots) { throw ValidationError("--slots must be from 1 to 100000") }
        if !(1...1000).contains(attempts) { throw ValidationError("--attempts must be from 1 to 1000") }
        if json, output.shown != .none {
            throw ValidationError(
                "--json prints its object where --output prints what tasks write: take one of them (distcomp status --json counts too)"
            )
        }
    }

    func run() throws {
        if background, readyDescriptor == nil, !tasks.dryRun {
            return try BackgroundRun.start(Array(CommandLine.arguments.dropFirst()), state: state)
        }
        var starter = try readyDescriptor.map { try BackgroundRun.starter($0) }
        let input = tasks.isEmpty ? nil : try tasks.input()
        if tasks.dryRun {
            guard let input else { throw CommandError.usage(TaskArguments.nothingGiven) }
            return try input.printLines()
        }
        if input == nil { try requireWhatWaits() }
        Host.forbidTracing()  // Tasks of the same user are not to read the password of the queue here.
        // The run's node reads the same file, and no environment variables.
        let settings = try config.map { try loadSettings($0, environment: []).configuration }
        let taskUser = try TaskUser.chosen(named: user ?? settings?.taskUser)
        let signals = try SignalQueue(blocking: [.interrupt, .terminate, .child])
        guard let directory = try StateDirectory.tryOpen(state, create: true) else {
            throw CommandError.usage(
                "another distcomp run uses \(state), or a command that looks at it (\(LockHolder.hint(state + "/lock")) tells its process): wait for its end, "
                    + "or give this one another --state")
        }
        let redis = try PrivateRedis(in: directory) {
            while let signal = signals.next() { if signal != .child { return true } }
            return false
        }
        defer { redis.stop() }
        let queue = try QueueClient(.server(redis.endpoint))
        queue.keyFile = settings?.taskKeyFile
        let order = output.shown == .ordered ? try WaitingOrder(queue) : nil
        let submission = try input.map {
            try Submission.submit($0, to: queue, isForFleet: false, isQuiet: quiet || json, notingIn: order)
        }
        // What the job waits for runs as well.
        let jobs =
            try submission.map { ($0.awaited?.isJobWaiting == true ? nil : $0.onlyJob, $0.summary) }
            ?? queue.waitingJobs()
        try queue.confine(to: jobs.0)
        defer { try? queue.confine(to: nil) }
        if input == nil { try order?.addAllThatWaits() }
        if !json && !quiet {
            standardError.write((taskUser.map { $0.notice + "\n" } ?? "") + jobs.1 + "\n")
        }

        let pages = try web.map { try RunPages(ofRunIn: state, listeningAt: $0) }
        defer { pages?.stop() }
        var record = RunRecord()
        record.job = jobs.0
        _ = record.takeStopOrder(in: directory.files)  // That was for an earlier run.
        record.write(in: directory.files)
        if let told = starter { try BackgroundRun.detach(in: directory, from: told) }
        starter = nil  // Whoever started it has gone.
        let resultDirectory = settings?.resultDirectory ?? directory.path + "/result"
        do {
            try work(
                queue, in: directory, signals, taskUser, try outputOfRun(queue, order, resultDirectory), &record)
            if submission?.hasErrors == true { throw CommandError.reported }
            if record.hasFailures { throw CommandError.tasksFailed }
        } catch {
            record.exitStatus = (error as? CommandError)?.exitStatus ?? 1
            record.message = (error as? CommandError).map { $0.message ?? "" } ?? "\(error)"
            record.write(in: directory.files)
            throw error
        }
        record.exitStatus = 0
        record.write(in: directory.files)
    }

    /// Without tasks there must be some that wait.
    private func requireWhatWaits() throws(CommandError) {
        if !FileSystem.exists(state + "/lock") {
            throw .usage(
                "\(TaskArguments.nothingGiven): there is no run in \(TerminalText.escaped(state)) to go on with")
        }
        // Whoever comes from parallel or xargs writes `< FILE`, and would be told that nothing waits.
        if let status = try? FileSystem.status(of: "/dev/stdin"), status.isRegular, status.sizeBytes > 0 {
            throw .usage(
                "standard input is a file, but only `distcomp run -` reads it; to go on with what waits, say < /dev/null"
            )
        }
    }

    /// What shows what tasks write; nil where it is not to be shown.
    private func outputOfRun(
        _ queue: QueueClient, _ order: WaitingOrder?, _ resultDirectory: String
    ) throws(CommandError) -> (any OutputOfRun)? {
        let merger = LineMerger(keepsLinesApart: output.shown == .stream, isTagged: output.tag)
        let tags = TaskTags(queue, isOn: output.tag)
        switch output.shown {
        case .stream: return try StreamedOutput(merger, tags, resultDirectory: resultDirectory)
        case .ordered: return order.map { OrderedOutput(merger, tags, $0, queue, stateDirectory: state) }
        case .none: return nil
        }
    }

    /// From the start of the node to what is said at the end.
    private func work(
        _ queue: QueueClient, in directory: StateDirectory, _ signals: consuming SignalQueue, _ taskUser: TaskUser?,
        _ output: (any OutputOfRun)?, _ record: inout RunRecord
    ) throws(CommandError) {
        let start = bootSeconds()
        let failedBefore = try queue.counts().failed
        let node = try EmbeddedNode(
            in: directory,
            options: .init(
                configurationPath: config, attemptsMax: attempts, slots: slots, taskUser: taskUser?.argument ?? user,
                notes: output?.notes, findsDevices: try queue.someTaskNeedsDevice()))
        let begun = record
        let watch = RunWatch(
            queue: queue, node: node, signals: signals, showsProgress: !json && !quiet, halt: halt,
            failedBefore: failedBefore, output: output, isToldToStop: { begun.takeStopOrder(in: directory.files) })
        let ending = try watched(watch)

        var summary = try RunSummary(queue, seconds: bootSeconds() - start)
        summary.hintOfPermission = taskUser?.hint
        summary.isHalted = if case .halted = ending { true } else { false }
        (record.summary, record.summaryJSON) = (summary.text(columns: 80), summary.json)
        record.hasFailures = summary.counts.failed > 0
        if output != nil {
            standardError.write(summary.text(columns: standardError.terminalColumns))
        } else {
            try show(json ? summary.json + "\n" : summary.text(columns: standardOutput.terminalColumns))
        }
        try finish(ending, summary, of: queue)
    }

    /// How it came to an end, when nothing runs any more and all has been shown that is to be.
    private func watched(_ watch: RunWatch) throws(CommandError) -> RunWatch.Ending {
        let ending: RunWatch.Ending
        do throws(CommandError) {
            ending = try watch.untilOver()
            try watch.stopNode()
        } catch .readerGone {
            try watch.stopNode()
            throw .failed("nobody reads what tasks write any more: running tasks went back to todo, as by Ctrl-C")
        } catch .interrupted {
            throw .interrupted  // Whoever pressed Ctrl-C again does not want the rest, which nobody reads.
        } catch {
            try? watch.finishOutput()  // What ended the run is told.
            throw error
        }
        try watch.finishOutput()
        return ending
    }

    /// What is to be done and said at the end of this run.
    private func finish(
        _ ending: RunWatch.Ending, _ summary: RunSummary, of queue: QueueClient
    ) throws(CommandError) {
        if case .interrupted = ending { throw .interrupted }
        if case .halted = ending, !quiet {
            let rule = halt.map { " (--halt \($0.text))" } ?? ""
            standardError.write(
                "distcomp: halted\(rule): what has not been done waits; the same command without --halt goes on with it\n"
            )
        }
        try end.tell(of: queue, summary)
        guard case .stuck(let misfits) = ending else { return }
        let example = TerminalText.escaped(misfits.example)
        if let labels = misfits.labels {
            throw .failed(
                "\(grouped(misfits.count)) task\(misfits.count == 1 ? " is" : "s are") for nodes that this machine is not "
                    + "(--where '\(labels.text)'; its labels are those of --config), such as \(example)")
        }
        if let resources = misfits.resources {
            let had = resources.had.isEmpty ? "has nothing of that" : "has \(resources.had)"
            let place = config == nil ? "" : " (\"resources\" of --config)"
            throw .failed(
                "\(grouped(misfits.count)) task\(misfits.count == 1 ? " asks" : "s ask") for \(resources.asked.words), and this machine \(had)"
                    + "\(place): \(misfits.count == 1 ? "" : "such as ")\(example)")
        }
        throw .failed(
            misfits.count == 1
                ? "1 task asks for more than this machine has: \(example)"
                : "\(grouped(misfits.count)) tasks ask for more than this machine has, such as \(example)")
    }
}

extension QueueClient {
    /// Whether any of what is to be done asks for a GPU.
    fileprivate func someTaskNeedsDevice() throws(CommandError) -> Bool {
        try jobRows().contains { row in
            row.todo + row.inProgress > 0 && row.job.settings.resources.thousandths[ResourceRequest.gpu] != nil
        }
    }

    /// The identifier of the job, "" for none, of which alone something waits, or nil for several; and what to say of it.
    fileprivate func waitingJobs() throws(CommandError) -> (String?, String) {
        let waiting = try listedJobs().filter { $0.todo + $0.inProgress > 0 }
        let count = waiting.reduce(0) { $0 + $1.todo + $1.inProgress }
        let tasks = "\(grouped(count)) task\(count == 1 ? "" : "s")"
        let names = waiting.map(\.name).prefix(5).joined(separator: ", ") + (waiting.count > 5 ? ", ..." : "")
        if waiting.isEmpty { return (nil, "nothing waits") }
        return (waiting.count == 1 ? waiting[0].identifier : nil, "going on with \(names): \(tasks) to do")
    }
}

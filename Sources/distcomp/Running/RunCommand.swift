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

            \(TaskArguments.commandHelp)

            Examples:
              distcomp run sweep.txt
              distcomp run sweep.txt --slots 4 --attempts 3
              distcomp run \(TaskArguments.sweepExample)
              find . -name '*.gz' -print0 | distcomp run -0 -- './count {} > {.}.txt'
              distcomp run cmds.txt --resume-joblog parallel.log
              distcomp run                               goes on with what waits
              distcomp status --state .distcomp          afterwards, from any terminal
            """)

    @OptionGroup var tasks: TaskArguments

    @Option(help: "The directory that keeps the run's queue, log and output.")
    var state = ".distcomp"

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

    @Option(
        help: .init(
            "Run this by sh -c at the end, with DISTCOMP_JOB, _FINISHED, _FAILED and _TODO in its environment.",
            valueName: "command"))
    var onEnd: String?

    @Option(
        help: .init(
            "Whom root's tasks run as (default: who called sudo, the owner of this directory, distcomp, nobody).",
            valueName: "name"))
    var user: String?

    @Flag(help: "End with one JSON object instead of a summary.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, only the summary.")
    var quiet = false

    func validate() throws {
        if let slots, !(1...100_000).contains(slots) { throw ValidationError("--slots must be from 1 to 100000") }
        if !(1...1000).contains(attempts) { throw ValidationError("--attempts must be from 1 to 1000") }
    }

    func run() throws {
        let input = tasks.isEmpty ? nil : try tasks.input()
        if tasks.dryRun {
            guard let input else { throw CommandError.usage(TaskArguments.nothingGiven) }
            return try input.printLines()
        }
        if input == nil, !FileSystem.exists(state + "/lock") {
            throw CommandError.usage(
                "\(TaskArguments.nothingGiven): there is no run in \(TerminalText.escaped(state)) to go on with")
        }
        // Whoever comes from parallel or xargs writes `< FILE`, and would be told that nothing waits.
        if input == nil, let status = try? FileSystem.status(of: "/dev/stdin"), status.isRegular, status.sizeBytes > 0 {
            throw CommandError.usage(
                "standard input is a file, but only `distcomp run -` reads it; to go on with what waits, say < /dev/null"
            )
        }
        Host.forbidTracing()  // Tasks of the same user are not to read the password of the queue here.
        // The run's node reads the same file, and no environment variables.
        let settings = try config.map { try loadSettings($0, environment: []).configuration }
        let taskUser = try TaskUser.chosen(named: user ?? settings?.taskUser)
        let signals = try SignalQueue(blocking: [.interrupt, .terminate, .child])
        guard let directory = try StateDirectory.tryOpen(state, create: true) else {
            throw CommandError.usage(
                "another distcomp run uses \(state); wait for it, or give this one another --state")
        }
        let redis = try PrivateRedis(in: directory)
        defer { redis.stop() }
        let queue = try QueueClient(.server(redis.endpoint))
        queue.keyFile = settings?.taskKeyFile
        let submission = try input.map {
            try Submission.submit($0, to: queue, isForFleet: false, isQuiet: quiet || json)
        }
        let jobs = try submission.map { ($0.onlyJob, $0.summary) } ?? queue.waitingJobs()
        try queue.confine(to: jobs.0)
        defer { try? queue.confine(to: nil) }
        if !json && !quiet {
            standardError.write((taskUser.map { $0.notice + "\n" } ?? "") + jobs.1 + "\n")
        }

        let start = bootSeconds()
        let failedBefore = try queue.counts().failed
        let node = try EmbeddedNode(
            in: directory,
            options: .init(
                configurationPath: config, attemptsMax: attempts, slots: slots, taskUser: taskUser?.argument ?? user))
        let watch = RunWatch(
            queue: queue, node: node, signals: signals, showsProgress: !json && !quiet, halt: halt,
            failedBefore: failedBefore)
        let ending = try watch.untilOver()
        try watch.stopNode()

        var summary = try RunSummary(queue, seconds: bootSeconds() - start)
        summary.hintOfPermission = taskUser?.hint
        summary.isHalted = if case .halted = ending { true } else { false }
        try show(json ? summary.json + "\n" : summary.text(columns: standardOutput.terminalColumns))
        try finish(ending, summary, of: queue)
        if submission?.hasErrors == true { throw CommandError.reported }
        if summary.counts.failed > 0 { throw CommandError.tasksFailed }
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
        if let onEnd { EndCommand(text: onEnd).run(job: try queue.selectedJobName(), summary.counts) }
        guard case .stuck(let misfits) = ending else { return }
        let example = TerminalText.escaped(misfits.example)
        throw .failed(
            misfits.count == 1
                ? "1 task asks for more than this machine has: \(example)"
                : "\(grouped(misfits.count)) tasks ask for more than this machine has, such as \(example)")
    }
}

extension QueueClient {
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

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
            run again, those that failed are.

            \(TaskArguments.commandHelp)

            Examples:
              distcomp run sweep.txt
              distcomp run sweep.txt --slots 4 --attempts 3
              distcomp run \(TaskArguments.sweepExample)
              distcomp status --state .distcomp          afterwards, from any terminal
            """)

    @OptionGroup var tasks: TaskArguments

    @Option(help: "The directory that keeps the run's queue, log and output.")
    var state = ".distcomp"

    @Option(help: "Settings for the node (default: made for a run).")
    var config: String?

    @Option(help: "How many tasks run at once (default: one per core).")
    var slots: Int?

    @Option(help: "How often a task that fails is tried in all.")
    var attempts = 1

    @Flag(help: "End with one JSON object instead of a summary.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, only the summary.")
    var quiet = false

    func validate() throws {
        if let slots, !(1...100_000).contains(slots) { throw ValidationError("--slots must be from 1 to 100000") }
        if !(1...1000).contains(attempts) { throw ValidationError("--attempts must be from 1 to 1000") }
    }

    func run() throws {
        if tasks.dryRun { return try tasks.printLines() }
        let signals = try SignalQueue(blocking: [.interrupt, .terminate])
        guard let directory = try StateDirectory.tryOpen(state, create: true) else {
            throw CommandError.usage(
                "another distcomp run uses \(state); wait for it, or give this one another --state")
        }
        let redis = try PrivateRedis(in: directory)
        defer { redis.stop() }
        let queue = try QueueClient(.server(redis.endpoint))
        // The run's node reads the same file, and no environment variables.
        if let config { queue.keyFile = try loadSettings(config, environment: []).configuration.taskKeyFile }
        let submission = try Submission.submit(tasks, to: queue, isQuiet: quiet || json)
        if !json && !quiet { standardError.write(submission.summary + "\n") }

        let start = bootSeconds()
        let node = try EmbeddedNode(
            in: directory, socketPath: directory.socketPath,
            options: .init(configurationPath: config, attemptsMax: attempts, slots: slots))
        let watch = RunWatch(queue: queue, node: node, signals: signals, showsProgress: !json && !quiet)
        let ending = try watch.untilOver()
        node.askToStop()
        node.waitUntilEnded()

        let summary = try RunSummary(queue, seconds: bootSeconds() - start)
        try show(json ? summary.json + "\n" : summary.text(columns: standardOutput.terminalColumns))
        if case .interrupted = ending { throw CommandError.interrupted }
        if case .stuck(let misfits) = ending {
            let example = TerminalText.escaped(misfits.example)
            throw CommandError.failed(
                "\(grouped(misfits.count)) tasks ask for more than this machine has, such as \(example)")
        }
        if submission.hasErrors { throw CommandError.reported }
        if summary.counts.failed > 0 { throw CommandError.tasksFailed }
    }
}

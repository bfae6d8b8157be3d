import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// `distcomp attach`: looks on at a run that goes on, to its end.
struct AttachCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attach",
        abstract: "Show the progress of a `distcomp run` that goes on, and end as it does.",
        discussion: """
            For a run in the background (distcomp run --background) or in another terminal: shows its progress, and ends with its \
            summary and its exit status. Ctrl-C ends the looking on, not the run. Where no run goes on, the status is 2.

            Examples:
              distcomp run sweep.txt --background && distcomp attach && ./plot
              distcomp attach --stop                     running tasks go back to todo
              distcomp attach --state /srv/sweep
            """)

    @Option(help: "The directory that keeps the run's queue, log and output.")
    var state = RunCommand.usualState

    @Flag(help: "Stop the run, as Ctrl-C in its terminal does; what has not been done waits for the next one.")
    var stop = false

    @Flag(help: "End with one JSON object instead of a summary.")
    var json = false

    @Flag(name: .shortAndLong, help: "No progress, only the summary.")
    var quiet = false

    func run() throws {
        let signals = try SignalQueue(blocking: [.interrupt, .terminate])
        let run = try RunOnLook(state)
        if !quiet, !stop {
            let place = BackgroundRun.option(ofState: state)
            standardError.write("Ctrl-C leaves the run going on; distcomp attach\(place) --stop stops it\n")
        }
        if stop {
            do {
                try run.record.orderStop(in: run.files)
            } catch {
                throw CommandError.failed("cannot stop the run: \(error)")
            }
        }
        let end = try run.followed(signals, showsProgress: !json && !quiet)
        try show(json ? end.summaryJSON + "\n" : LogPrinter.escaped(end.summary))
        if !end.message.isEmpty { standardError.write("distcomp: \(TerminalText.escaped(end.message))\n") }
        if let status = end.exitStatus, status != 0 { exitProcess(status) }
    }
}

/// A run of another process.
private struct RunOnLook {
    let record: RunRecord
    let files: GuardedDirectory
    private let state: String
    private let queue: QueueClient

    init(_ state: String) throws(CommandError) {
        self.state = state
        let place = BackgroundRun.option(ofState: state)
        let shown = TerminalText.escaped(state)
        guard FileSystem.exists(state + "/lock") else {
            throw .usage("no run has been started in \(shown): `distcomp run FILE\(place)` starts one")
        }
        let noRun = CommandError.usage(
            "no run goes on in \(shown): `distcomp run\(place)` goes on with what waits there, `distcomp status\(place)` counts it"
        )
        do throws(SystemError) {
            files = try GuardedDirectory(path: state)
        } catch {
            throw .usage("cannot look at the run in \(shown): \(error)")
        }
        guard try !StateDirectory.isFree(files) else { throw noRun }
        // Somebody may only be looking at a run that is over.
        guard let record = RunRecord(in: files), record.exitStatus == nil else { throw noRun }
        self.record = record
        queue = try QueueClient(ofRunGoingOnIn: state)
        if let job = record.job { queue.selection = .one(job) }
    }

    /// Shows its progress until it has ended.
    func followed(_ signals: borrowing SignalQueue, showsProgress: Bool) throws -> RunRecord {
        let counts = try? queue.counts()
        let display = ProgressDisplay(
            isQuiet: !showsProgress,
            bar: ProgressBar(
                startedSeconds: bootSeconds(), endedAtStart: counts.map { Progress($0).ended } ?? 0))
        defer { display.clear() }
        var end: RunRecord?
        let start = bootSeconds()
        while true {
            // Its Redis ends a moment before it does.
            let counts = try? queue.counts()
            if let said = end {
                // Whoever reads of the end may begin the next run at once: the directory has to be free by then.
                let isFree = try StateDirectory.isFree(files)
                if isFree || RunRecord(in: files)?.identifier != said.identifier { return said }
            } else {
                end = try ended(mayBeOver: counts == nil)
                if end != nil { continue }
            }
            if let counts { display.show(Progress(counts), nowSeconds: bootSeconds()) }
            let pauseMilliseconds =
                end == nil ? lookPause(after: bootSeconds() - start, share: 0.01, milliseconds: 10...200) : 10
            if try DescriptorWait.until(
                signals.descriptor, readable: true, writable: false, atMostMilliseconds: pauseMilliseconds)
            {
                display.clear()
                if let end { return end }
                standardError.write("distcomp: the run goes on\n")
                throw CommandError.interrupted
            }
        }
    }

    /// What it said at its end; nil while it goes on.
    private func ended(mayBeOver: Bool) throws(CommandError) -> RunRecord? {
        // Looked at first: whoever lets go of the directory has said how it ended.
        let isOver = mayBeOver ? try StateDirectory.isFree(files) : false
        guard let now = RunRecord(in: files) else { throw .failed("the run's \(state)/run.json is gone") }
        guard now.identifier == record.identifier else {
            throw .failed(
                "the run has ended, and another has begun: distcomp attach\(BackgroundRun.option(ofState: state))")
        }
        if now.wasKilled { throw .failed(RunRecord.messageOfKilled(state)) }
        if now.exitStatus != nil { return now }
        guard isOver else { return nil }
        throw .failed(RunRecord.messageOfKilled(state))
    }
}

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp watch`: waits until all is done.
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show a progress bar until nothing waits or runs any more.",
        discussion: """
            Ends with status 0 when all tasks of the job, or else of the queue, have finished, with 1 when some have failed, and with 3 when the tasks are \
            gone from Redis. It ends with status 1 too when the job was halted (submit --halt). It ends with the first of those that failed, and why. The tasks are not touched by Ctrl-C.

            Examples:
              distcomp submit sweep.txt && distcomp watch && ./plot
              distcomp watch cachesim && ./plot
              distcomp watch cachesim --notify --on-end 'mail -s "$DISTCOMP_FAILED failed" me < /dev/null'
              distcomp watch --quiet || distcomp results --failed
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: JobArgument

    @Flag(help: "End with one JSON object instead of the failures and a sentence.")
    var json = false

    @Flag(name: .shortAndLong, help: "Show nothing; the status tells.")
    var quiet = false

    @OptionGroup var end: EndOptions

    func run() throws {
        try connection.withQueue { queue in
            // Not before: until there is a queue, Ctrl-C ends it as it ends any program.
            let signals = try SignalQueue(blocking: [.interrupt, .terminate])
            try queue.select(selection.job)
            let start = bootSeconds()
            let watcher = try QueueWatcher(queue, isQuiet: quiet, showsProgress: !json && !quiet)
            defer { watcher.display.clear() }
            while try !watcher.look() {
                let milliseconds = lookPause(after: bootSeconds() - start, share: 0.02, milliseconds: 50...500)
                if try DescriptorWait.until(
                    signals.descriptor, readable: true, writable: false, atMostMilliseconds: milliseconds)
                {
                    throw CommandError.interrupted
                }
            }
            watcher.display.clear()
            if watcher.isHalted, !quiet {
                let job = try queue.selectedJobName() ?? ""
                standardError.write(
                    "distcomp: so many have failed that the job was halted: distcomp resume \(job) lets it go on\n")
            }
            let overview = try queue.overview()
            let summary = try RunSummary(queue, watched: overview, seconds: bootSeconds() - start)
            if !quiet {
                try show(json ? summary.json + "\n" : summary.text(columns: standardOutput.terminalColumns))
            }
            try end.tell(of: queue, summary)
            if overview.counts.failed > 0 { throw CommandError.tasksFailed }
        }
    }
}

/// Looks at a queue again and again, and says what a person should know meanwhile.
private final class QueueWatcher {
    let display: ProgressDisplay
    private let queue: QueueClient
    private let isQuiet: Bool
    private let showsProgress: Bool
    private var watched: WatchedQueue
    private var absence = Absence()
    private var lastRemark = ""
    /// Nothing more of the job is given out, since so many have failed.
    private(set) var isHalted = false

    init(_ queue: QueueClient, isQuiet: Bool, showsProgress: Bool) throws(CommandError) {
        self.queue = queue
        self.isQuiet = isQuiet
        self.showsProgress = showsProgress
        let counts = try queue.counts()
        watched = WatchedQueue(WatchedQueue.Look(counts))
        display = ProgressDisplay(
            isQuiet: !showsProgress,
            bar: ProgressBar(startedSeconds: bootSeconds(), endedAtStart: Progress(counts).ended))
    }

    /// Whether all is done.
    func look() throws(CommandError) -> Bool {
        do throws(CommandError) {
            if try absence.isOver(queue) { watched.reconnected(nowSeconds: bootSeconds()) }
            let counts = try queue.counts()
            if let news = try watched.take(WatchedQueue.Look(counts), nowSeconds: bootSeconds()), !isQuiet { say(news) }
            let progress = Progress(counts)
            if progress.isOver { return watched.isSettled }
            if progress.running == 0, case .one(let job) = queue.selection, !job.isEmpty {
                isHalted = try queue.perform(ReadJobHalted(job, keys: queue.keys))
                if isHalted { return true }
            }
            if progress.running == 0, showsProgress { try remark() }
            display.show(progress, nowSeconds: bootSeconds())
        } catch .unreachable(let message) {
            if let news = try absence.begins(message), !isQuiet { say(news) }
        }
        return false
    }

    /// Says once why nothing runs.
    private func remark() throws(CommandError) {
        let fleet = try queue.fleet(countingTasks: false)
        var text = ""
        if fleet.isClosing { text = "WORKER_COMMAND_CLOSE is set: no node takes tasks" }
        if fleet.isPaused { text = "the queue is paused: distcomp resume lets it go on" }
        if fleet.alive.isEmpty { text = "no node is alive; the tasks wait" }
        if let node = fleet.inTrouble.first, fleet.inTrouble.count == fleet.alive.count {
            text = "every node is in trouble; \(node.name): \(node.trouble ?? "")"
        }
        guard text != lastRemark else { return }
        lastRemark = text
        if !text.isEmpty { say(TerminalText.escaped(text)) }
    }

    private func say(_ text: String) {
        display.clear()
        standardError.write("distcomp: \(text)\n")
    }
}

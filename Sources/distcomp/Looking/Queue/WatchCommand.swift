import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp watch`: waits until all is done.
struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show a progress bar until nothing waits or runs any more.",
        discussion: """
            Ends with status 0 when all tasks of the queue have finished, with 1 when some have failed. The tasks are not touched by \
            Ctrl-C.

            Examples:
              distcomp submit sweep.txt && distcomp watch && ./plot
              distcomp watch --quiet || distcomp results --failed
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "End with one JSON object instead of a sentence.")
    var json = false

    @Flag(name: .shortAndLong, help: "Show nothing; the status tells.")
    var quiet = false

    func run() throws {
        let signals = try SignalQueue(blocking: [.interrupt, .terminate])
        try connection.withQueue { queue in
            let start = bootSeconds()
            let display = ProgressDisplay(
                isQuiet: json || quiet,
                bar: ProgressBar(startedSeconds: start, endedAtStart: try queue.progress().ended))
            defer { display.clear() }
            var lastRemark = ""
            while true {
                let progress = try queue.progress()
                if progress.isOver { break }
                if progress.running == 0, !json, !quiet { try remark(queue, display, &lastRemark) }
                display.show(progress, nowSeconds: bootSeconds())
                // Short waits at first: somebody who watches ten tasks of one second wants to know at once.
                let milliseconds: Int32 = bootSeconds() - start < 5 ? 100 : 500
                if try DescriptorWait.until(
                    signals.descriptor, readable: true, writable: false, atMostMilliseconds: milliseconds)
                {
                    throw CommandError.interrupted
                }
            }
            display.clear()
            let overview = try queue.overview()
            let summary = RunSummary(overview, seconds: bootSeconds() - start)
            if !quiet { try show(json ? summary.json + "\n" : summary.sentence + "\n") }
            if overview.counts.failed > 0 { throw CommandError.tasksFailed }
        }
    }

    /// Says once why nothing runs.
    private func remark(_ queue: QueueClient, _ display: ProgressDisplay, _ last: inout String) throws(CommandError) {
        let fleet = try queue.fleet(countingTasks: false)
        var text = ""
        if fleet.isClosing { text = "WORKER_COMMAND_CLOSE is set: no node takes tasks" }
        if fleet.isPaused { text = "the queue is paused: distcomp resume lets it go on" }
        if fleet.alive.isEmpty { text = "no node is alive; the tasks wait" }
        guard text != last else { return }
        last = text
        display.clear()
        if !text.isEmpty { standardError.write("distcomp: \(text)\n") }
    }
}

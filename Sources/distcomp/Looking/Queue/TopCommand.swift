import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp top`: the queue, live, on the whole screen.
struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show nodes, running tasks and recent endings, live on the whole screen.",
        discussion: """
            Keys: q ends it, s sorts by the next column, / filters by text (enter keeps the filter, esc drops it), the arrows \
            scroll. RUNNING is how long a task has been seen to run.
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var selection: JobArgument

    @Option(help: .init("Seconds between two looks.", valueName: "seconds"))
    var interval = 1.0

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else {
            throw ValidationError("--interval must be from 0.1 to 3600 seconds")
        }
    }

    func run() throws {
        guard standardOutput.takesEscapeCodes else {
            throw CommandError.usage(
                "top needs a terminal, and TERM to name its kind; status, workers and tasks print the same once")
        }
        try connection.withQueue { queue in
            try queue.select(selection.job)
            // Blocked before the terminal is changed, so that no signal ends us without restoring it.
            let signals = try SignalQueue(blocking: [
                .interrupt, .terminate, .hangup, .quit, .windowChange, .terminalStop,
            ])
            let source = TopSource(queue)
            var model = TopModel()
            model.nowSeconds = bootSeconds()
            model.snapshot = try source.snapshot(nowSeconds: model.nowSeconds)
            let screen = TopScreen(try RawTerminal(), model)
            defer { screen.close() }
            try screen.run(source, signals, intervalSeconds: interval)
        }
    }
}

/// The terminal while `top` has it.
private final class TopScreen {
    private let terminal: RawTerminal
    private var model: TopModel
    private let bar: ProgressBar

    init(_ terminal: RawTerminal, _ model: TopModel) {
        self.terminal = terminal
        self.model = model
        bar = ProgressBar(startedSeconds: model.nowSeconds, endedAtStart: model.snapshot.progress.ended)
    }

    func close() { terminal.restore() }

    func run(_ source: TopSource, _ signals: borrowing SignalQueue, intervalSeconds: Double) throws {
        var loop = try EventLoop()
        try loop.add(terminal.descriptor, for: .readable, token: 0)
        try loop.add(signals.descriptor, for: .readable, token: 1)
        var nextLookSeconds = bootSeconds() + intervalSeconds
        while true {
            try draw()
            let wait = Int32(clamping: Int((max(0, nextLookSeconds - bootSeconds()) * 1000).rounded(.up)))
            for ready in try loop.wait(atMostMilliseconds: wait) {
                if ready.token == 0, try take(keys: terminal.typed()) == .quit { return }
            }
            while let signal = signals.next() {
                switch signal {
                case .windowChange: break  // The next drawing asks for the size.
                case .terminalStop: try terminal.stopUntilContinued()
                case .interrupt, .terminate, .hangup, .quit: throw CommandError.interrupted
                case .child, .user1: break  // Not blocked, so never queued here.
                }
            }
            if bootSeconds() >= nextLookSeconds {
                let began = bootSeconds()
                model.snapshot = try source.snapshot(nowSeconds: began)
                model.nowSeconds = began
                // A queue that takes long to look at is looked at less often.
                nextLookSeconds = bootSeconds() + max(intervalSeconds, 10 * (bootSeconds() - began))
            }
        }
    }

    /// No bytes at all mean that the terminal has gone.
    private func take(keys bytes: [UInt8]) -> TopModel.Answer {
        if bytes.isEmpty { return .quit }
        for key in TopKey.parse(bytes) where model.handle(key) == .quit { return .quit }
        return .goOn
    }

    private func draw() throws(SystemError) {
        let (rows, columns) = terminal.size
        let lines = TopView(rows: rows, columns: columns, style: .screen).render(model, bar: bar)
        // Each line is cleared behind its text, so nothing flickers; the last is not ended, or the screen would scroll.
        try terminal.draw("\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n"))
    }
}

// Between the start of a run and its end: progress for the person, Ctrl-C, and a node that must not end by itself.

import LinuxSystem
import TaskModel
import TaskQueue

/// Watches one run until its queue is empty or somebody stops it.
final class RunWatch {
    private let queue: QueueClient
    private let node: EmbeddedNode
    private let signals: SignalQueue
    private let showsProgress: Bool
    private let halt: HaltRule?
    private let failedBefore: Int
    /// Nil where what tasks write is not shown.
    private let output: (any OutputOfRun)?
    /// Whether somebody has asked for an end from elsewhere, since last asked.
    private let isToldToStop: () -> Bool
    private var isHalting = false
    private var isUnread = false
    private var stopRequests = 0
    private var signalCount = 0
    /// When the node was asked to hurry.
    private var hurriedSeconds: Double?
    private var isKilled = false
    private var idleSinceSeconds: Double?
    /// When nothing had run for a while.
    private var countsAtRest: QueueCounts?

    /// - Parameter failedBefore: how many tasks had failed before the node was started.
    init(
        queue: QueueClient, node: EmbeddedNode, signals: consuming SignalQueue, showsProgress: Bool,
        halt: HaltRule? = nil, failedBefore: Int = 0, output: (any OutputOfRun)? = nil,
        isToldToStop: @escaping () -> Bool
    ) {
        self.output = output
        self.isToldToStop = isToldToStop
        self.halt = halt
        self.failedBefore = failedBefore
        self.queue = queue
        self.node = node
        self.signals = signals
        self.showsProgress = showsProgress
    }

    enum Ending {
        case over, interrupted
        /// As many have failed as ``HaltRule`` bears.
        case halted
        case stuck(Misfits)
    }

    /// How it came to an end; throws when the node ended though nobody asked it to.
    func untilOver() throws(CommandError) -> Ending {
        let start = bootSeconds()
        var counts = try queue.counts()
        var watched = WatchedQueue(WatchedQueue.Look(counts))
        let display = ProgressDisplay(
            isQuiet: !showsProgress, bar: ProgressBar(startedSeconds: start, endedAtStart: Progress(counts).ended))
        defer { display.clear() }
        output?.merger.beforeWriting = { display.clear() }
        output?.merger.whileWaiting = { [unowned self] () throws(CommandError) in try waitForReader() }
        while true {
            let hasMoreOutput = try showOutput()
            counts = try queue.counts()
            let progress = Progress(counts)
            do throws(CommandError) {
                _ = try watched.take(WatchedQueue.Look(counts), nowSeconds: bootSeconds())
            } catch .queueGone {
                try stopNode()
                throw .queueGone(
                    "the queue of this run is gone: something has flushed its Redis. Give the same command again to begin anew"
                )
            }
            if try isHalted(progress, display) { return .halted }
            if progress.isOver { return .over }
            if try isStandingStill(progress) {
                if let misfits = try queue.misfits() { return .stuck(misfits) }
                try requireChange(counts)
            }
            display.show(progress, nowSeconds: bootSeconds())
            takeSignals(display)
            if let ending = node.endingIfEnded() {
                clearAfterKill()
                if stopRequests > 0 { return .interrupted }
                display.clear()
                node.clearLeftovers()
                throw ending == .exit(code: 2)
                    ? .usage(node.lastMessage) : .failed("the node ended: \(node.lastMessage)")
            }
            try wait(milliseconds: hasMoreOutput ? 0 : pauseMilliseconds(after: bootSeconds() - start))
        }
    }

    /// What is begun between a failure and the look that finds it is begun in spite of a rule.
    private func pauseMilliseconds(after seconds: Double) -> Int32 {
        halt != nil ? 10 : lookPause(after: seconds, share: 0.01, milliseconds: output == nil ? 10...200 : 10...50)
    }

    /// Whether so many have failed that the run is over, and what ran meanwhile has ended, where it may.
    private func isHalted(_ progress: Progress, _ display: ProgressDisplay) throws(CommandError) -> Bool {
        guard let halt, halt.isReached(progress, failedBefore: failedBefore), !progress.isOver else { return false }
        switch halt.manner {
        case .now:  // Who asks the node to stop has it put back what it runs.
            display.clear()
            if showsProgress { standardError.write("halting: running tasks go back to todo (Ctrl-C to hurry)\n") }
            return true
        case .soon:
            if !isHalting {
                isHalting = true
                try queue.giveOutNothing()
                display.clear()
                if showsProgress { standardError.write("halting: nothing more is begun\n") }
            }
            return progress.running == 0
        }
    }

    /// Throws where all that is left waits for others, and nothing has come of it since the last look: nobody else works here.
    private func requireChange(_ counts: QueueCounts) throws(CommandError) {
        guard counts.dependent == counts.todo, counts.todo > 0, counts == countsAtRest else {
            countsAtRest = counts
            return
        }
        throw .failed("all that is left waits for others that are not done here: distcomp jobs, distcomp why")
    }

    /// Whether nothing has run for a while, though something waits.
    private func isStandingStill(_ progress: Progress) throws(CommandError) -> Bool {
        guard progress.running == 0 else {
            idleSinceSeconds = nil
            return false
        }
        let since = idleSinceSeconds ?? bootSeconds()
        idleSinceSeconds = since
        guard bootSeconds() - since > 2 else { return false }
        idleSinceSeconds = bootSeconds()  // The next look is only after another while.
        return true
    }

    /// Stops the node and waits until it has ended; Ctrl-C hurries it here too.
    func stopNode() throws(CommandError) {
        node.askToStop()
        stopRequests += 1
        // The end of a child wakes; the bound is for what tasks write, and for what `distcomp attach --stop` asks.
        while true {
            takeSignals()
            if node.endingIfEnded() != nil {
                clearAfterKill()
                return
            }
            let hasMoreOutput = try showOutput()
            try wait(milliseconds: hasMoreOutput ? 0 : 200)
        }
    }

    // MARK: What tasks write

    /// Whether there may be more at once.
    private func showOutput() throws(CommandError) -> Bool {
        guard let output, !isUnread else { return false }
        do throws(CommandError) {
            return try output.look()
        } catch .readerGone {
            isUnread = true
            throw .readerGone
        }
    }

    /// Shows all that is left, when nothing runs any more.
    func finishOutput() throws(CommandError) {
        guard let output, !isUnread else { return }
        do throws(CommandError) {
            try output.finish()
        } catch .readerGone {
            isUnread = true  // What came of the tasks is told all the same.
        }
    }

    /// While nobody reads what we write, signals are heard; one that comes when nothing runs any more is about the reader.
    private func waitForReader() throws(CommandError) {
        let earlierCount = signalCount
        takeSignals()
        if signalCount > earlierCount, node.endingIfEnded() != nil { throw .interrupted }
        try output?.lookWhileWaiting()
    }

    private func takeSignals(_ display: ProgressDisplay? = nil) {
        while let signal = signals.next() {
            guard signal != .child else { continue }
            stop("stopping", display)
        }
        if isToldToStop() { stop("stopping, as distcomp attach --stop asks", display) }
    }

    private func clearAfterKill() {
        guard isKilled else { return }
        isKilled = false
        node.clearLeftovers()
    }

    private func stop(_ word: String, _ display: ProgressDisplay?) {
        stopRequests += 1
        signalCount += 1
        display?.clear()
        // One that is told to hurry ends within a moment, unless it stands still.
        if let hurriedSeconds, bootSeconds() - hurriedSeconds > 2 {
            isKilled = true
            standardError.write("the node has not ended: killing it and its tasks, which the next run begins again\n")
            return node.kill()
        }
        node.askToStop()
        if stopRequests == 1 { return standardError.write("\(word): running tasks go back to todo (again to hurry)\n") }
        hurriedSeconds = hurriedSeconds ?? bootSeconds()
        standardError.write("hurrying\n")
    }

    private func wait(milliseconds: Int32) throws(CommandError) {
        do {
            _ = try DescriptorWait.until(
                signals.descriptor, readable: true, writable: false, atMostMilliseconds: milliseconds)
        } catch {
            throw .failed("\(error)")
        }
    }
}

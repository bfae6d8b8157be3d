// Whether the queue that a command waits for is still the same one. A queue that was flushed, or a Redis that came back without its
// data, leaves nothing that waits or runs, just as a queue that is done. Pure: counts and the time in, sentences out.

/// What is known of a queue that is watched.
struct WatchedQueue {
    /// One look at it.
    struct Look {
        /// Empty for a queue that only old managers and workers have used.
        var identity = ""
        var taskCount = 0
        var endedCount = 0
        /// How many running tasks nodes have put back into a queue that had lost them.
        var restoredCount = 0
    }

    /// Redis was away, and may have come back with an older state.
    private struct Doubt {
        let sinceSeconds: Double
        /// What was there before.
        let before: Look
    }

    /// For so long tasks may be missing after Redis was away: as soon as their nodes are connected again, those that run come back.
    static let missingSecondsMax = 15.0
    /// Nodes come back one after the other; what they put back is counted until it has stayed the same for so long.
    static let settlingSeconds = 1.0
    /// Whatever nodes put back within this time of Redis's return was lost then.
    private static let returningSecondsMax = 60.0

    private var last: Look
    private var doubt: Doubt?
    private var reconnectedSeconds: Double?
    /// What Redis was found to have lost and nobody has been told.
    private var endingsLost = 0
    private var tasksRestored = 0
    private var changedSeconds = 0.0

    init(_ look: Look) { last = look }

    /// Whether the counts can be relied on: nothing is missing that may come back, and what was lost has been told.
    var isSettled: Bool { doubt == nil && endingsLost == 0 && tasksRestored == 0 }

    /// To be called when the connection had to be made anew, before the next look.
    mutating func reconnected(nowSeconds: Double) {
        reconnectedSeconds = nowSeconds
        if doubt == nil { doubt = Doubt(sinceSeconds: nowSeconds, before: last) }
    }

    /// Takes in what is there now.
    ///
    /// - Returns: a sentence, when there is something that a person should know.
    /// - Throws: when it is not the queue any more.
    mutating func take(_ look: Look, nowSeconds: Double) throws(CommandError) -> String? {
        guard last.identity.isEmpty ? look.taskCount > 0 || last.taskCount == 0 : look.identity == last.identity else {
            throw .queueGone(
                "the queue is gone: it was reset, or Redis was flushed or came back without its data\(replaced(by: look)). "
                    + "What still runs is finished and its result kept; submit the tasks again"
            )
        }
        noteLosses(look, nowSeconds: nowSeconds)
        last = look
        if let doubt {
            let missing = doubt.before.taskCount - look.taskCount
            if missing <= 0 { self.doubt = nil }
            if missing > 0, nowSeconds - doubt.sinceSeconds >= Self.missingSecondsMax {
                throw .queueGone(
                    "Redis came back with an older state of the queue: \(grouped(missing)) of \(tasks(doubt.before.taskCount)) "
                        + "\(missing == 1 ? "is" : "are") missing. Submit them again; what is there is not added twice"
                )
            }
        }
        guard doubt == nil, !isSettled, nowSeconds - changedSeconds >= Self.settlingSeconds else { return nil }
        defer { (endingsLost, tasksRestored) = (0, 0) }
        return sentence
    }

    private mutating func noteLosses(_ look: Look, nowSeconds: Double) {
        guard let reconnectedSeconds, nowSeconds - reconnectedSeconds < Self.returningSecondsMax else { return }
        if doubt != nil, look.endedCount < last.endedCount {
            endingsLost += last.endedCount - look.endedCount
            changedSeconds = nowSeconds
        }
        // The count of what was put back may be an older one itself.
        if look.restoredCount > last.restoredCount {
            tasksRestored += look.restoredCount - last.restoredCount
            changedSeconds = nowSeconds
        }
    }

    private var sentence: String {
        var parts: [String] = []
        if tasksRestored == 1 { parts.append("1 task that runs was taken up again by its node") }
        if tasksRestored > 1 { parts.append("\(tasks(tasksRestored)) that run were taken up again by their nodes") }
        if endingsLost > 0 {
            parts.append("\(tasks(endingsLost)) that had ended run\(endingsLost == 1 ? "s" : "") again")
        }
        return "Redis had lost a part of the queue: " + parts.joined(separator: ", ")
    }

    private func replaced(by look: Look) -> String {
        look.taskCount == 0 ? "" : "; it holds another queue now, of \(tasks(look.taskCount))"
    }

    private func tasks(_ count: Int) -> String { count == 1 ? "1 task" : "\(grouped(count)) tasks" }
}

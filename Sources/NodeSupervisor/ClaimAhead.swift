// Tasks claimed before there is room for them, so that one that ends is followed by the next without a word with the queue in
// between. Only as many as are likely to begin within hundredths of a second, going by how quickly tasks have been ending; and what
// has not begun after a tenth of one goes back, for a node that is idle may have it at once.

import DequeModule
import TaskModel

extension NodeSupervisor {
    struct ClaimAhead {
        struct Waiting {
            let task: ClaimedTask
            let since: Instant
        }

        /// In the order in which the queue gave them.
        var waiting: Deque<Waiting> = []
        private(set) var memoryBytes: UInt64 = 0
        private(set) var millicores = 0
        /// What was given back would come again at once.
        private var pausedUntil: Instant?
        private var lastEndAt: Instant?
        /// Seconds from one end of a task to the next, of late.
        private var gapSeconds = ClaimAhead.gapSecondsMax

        static let countMax = 64
        /// For how long the tasks claimed ahead should last.
        static let horizonSeconds = 0.02
        static let waitSecondsMax = 0.1
        static let pauseSeconds = 1.0
        private static let gapSecondsMax = 1.0

        var nextDeadline: Instant? { waiting.first?.since.advanced(bySeconds: Self.waitSecondsMax) }

        mutating func taskEnded(at now: Instant) {
            let gap = lastEndAt.map { min(max(0, now.seconds(since: $0)), Self.gapSecondsMax) } ?? Self.gapSecondsMax
            gapSeconds += (gap - gapSeconds) / 8
            lastEndAt = now
        }

        /// How many tasks there is reason to have waiting.
        func countMax(at now: Instant) -> Int {
            if let until = pausedUntil, now < until { return 0 }
            return Int(min(Double(Self.countMax), Self.horizonSeconds / max(gapSeconds, 1e-6)))
        }

        mutating func pause(at now: Instant) { pausedUntil = now.advanced(bySeconds: Self.pauseSeconds) }

        mutating func append(_ task: ClaimedTask, at now: Instant) {
            waiting.append(Waiting(task: task, since: now))
            memoryBytes = memoryBytes.addingReportingOverflow(task.line.memoryBytes).partialValue
            millicores &+= max(0, task.line.millicores)
        }

        mutating func remove(at index: Int) -> Waiting {
            let gone = waiting.remove(at: index)
            memoryBytes &-= gone.task.line.memoryBytes
            millicores &-= max(0, gone.task.line.millicores)
            return gone
        }
    }

    /// Whether tasks wait here for the end of others. Then nothing is lost if the queue hears of an ending a moment later.
    public var hasTasksAhead: Bool { !ahead.waiting.isEmpty }

    /// Begins what waited, in its order, as far as there is room now, and gives back what has waited too long.
    mutating func useTasksAhead(at now: Instant, into actions: inout [Action]) {
        while let next = ahead.waiting.first {
            if departure == .none, memory.victim == nil, hasRoom(for: next.task.line) {
                _ = ahead.remove(at: 0)
                begin(next.task, at: now, into: &actions)
            } else if departure != .none || now >= next.since.advanced(bySeconds: ClaimAhead.waitSecondsMax) {
                ahead.pause(at: now)
                giveBack(ahead.remove(at: 0), into: &actions)
            } else {
                return
            }
        }
    }

    /// The order about a line reaches the queue's script with the task: there it becomes cancelled.
    mutating func giveBackAhead(line: String, into actions: inout [Action]) {
        while let index = ahead.waiting.firstIndex(where: { $0.task.line.text == line }) {
            giveBack(ahead.remove(at: index), into: &actions)
        }
    }

    /// Forgets the tasks ahead but those the queue still holds for ours; nothing is to be said of the others.
    mutating func keepTasksAhead(heldBy tokens: Set<String>) {
        for index in ahead.waiting.indices.reversed() where !tokens.contains(ahead.waiting[index].task.token) {
            _ = ahead.remove(at: index)
        }
    }

    private mutating func giveBack(_ waiting: ClaimAhead.Waiting, into actions: inout [Action]) {
        send(Report(number: newTaskNumber(), task: waiting.task, result: .returned(.noRoom)), into: &actions)
    }
}

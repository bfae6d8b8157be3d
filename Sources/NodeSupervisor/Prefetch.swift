// Tasks claimed before there is room for them, so that one that ends is followed by the next without a word with the queue in
// between. Only while tasks end within a tenth of a second, only as many as should begin within hundredths of one, and no larger than
// what such tasks hold; and what has not begun after a tenth of a second goes back, so that a node that is idle may have it.

import DequeModule
import TaskModel

extension NodeSupervisor {
    struct Prefetch {
        struct Waiting {
            let task: ClaimedTask
            let since: Instant
        }

        /// What so many tasks request together.
        struct Room: Equatable {
            var count = 0
            var memoryBytes: UInt64 = 0
            var millicores = 0

            // Each task was found to fit the node, so no sum over those of one node overflows.
            mutating func add(_ line: TaskLine) {
                count += 1
                memoryBytes += line.memoryBytes
                millicores += max(0, line.millicores)
            }

            mutating func subtract(_ line: TaskLine) {
                assert(count > 0 && memoryBytes >= line.memoryBytes, "more given back than was requested")
                count -= 1
                memoryBytes -= line.memoryBytes
                millicores -= max(0, line.millicores)
            }

            /// An equal share for each of `countMax` tasks, where there are more.
            func limited(to countMax: Int) -> Room {
                guard count > countMax else { return self }
                return Room(
                    count: countMax, memoryBytes: memoryBytes / UInt64(count) * UInt64(countMax),
                    millicores: millicores / count * countMax)
            }
        }

        /// In the order in which the queue gave them.
        private(set) var waiting: Deque<Waiting> = []
        /// What those request.
        private(set) var requested = Room()
        /// When short tasks ended, in the last `windowSeconds`, oldest first.
        private var ends: Deque<Instant> = []
        /// What was given back would come again at once.
        private var pausedUntil: Instant?

        static let countMax = 64
        /// A task that took longer is none of those that end in milliseconds.
        static let shortSeconds = 0.1
        static let waitSecondsMax = 0.1
        static let pauseSeconds = 1.0
        /// Ends are counted over this long, and tasks claimed for a fifth of it.
        static let windowSeconds = 0.1
        static let horizonsPerWindow = 5

        /// When the first of them has waited long enough.
        var nextDeadline: Instant? { waiting.first?.since.advanced(bySeconds: Self.waitSecondsMax) }

        mutating func taskEnded(after seconds: Double, at now: Instant) {
            guard seconds < Self.shortSeconds else { return }
            if ends.count >= Self.countMax * Self.horizonsPerWindow { ends.removeFirst() }
            ends.append(now)
        }

        /// How many tasks are likely to end within the next hundredths of a second.
        mutating func expectedCount(at now: Instant) -> Int {
            while let first = ends.first, first.advanced(bySeconds: Self.windowSeconds) < now { ends.removeFirst() }
            if let pausedUntil, now < pausedUntil { return 0 }
            return ends.count / Self.horizonsPerWindow
        }

        /// Prefetches nothing for a while.
        mutating func pause(at now: Instant) { pausedUntil = now.advanced(bySeconds: Self.pauseSeconds) }

        mutating func append(_ task: ClaimedTask, at now: Instant) {
            waiting.append(Waiting(task: task, since: now))
            requested.add(task.line)
        }

        mutating func remove(token: String) {
            if let index = waiting.firstIndex(where: { $0.task.token == token }) { _ = remove(at: index) }
        }

        mutating func remove(at index: Int) -> ClaimedTask {
            let task = waiting.remove(at: index).task
            requested.subtract(task.line)
            return task
        }
    }

    /// Whether tasks wait here for the end of others. Then nothing is lost if the queue hears of an ending a moment later.
    public var hasPrefetched: Bool { !prefetch.waiting.isEmpty }

    /// What tasks hold that may be among the next `count` to end: those that have not run for long.
    func roomAboutToBeFree(_ count: Int, at now: Instant) -> Prefetch.Room {
        var room = Prefetch.Room()
        guard count > 0 else { return room }
        for task in tasks.values where now.seconds(since: task.begunAt) < Prefetch.shortSeconds {
            room.add(task.task.line)
        }
        return room.limited(to: count)
    }

    /// Begins what waited, in its order, as far as there is room now; what has waited too long, or will not begin here, goes back.
    /// Without a connection it cannot, and waits on for room.
    mutating func usePrefetched(at now: Instant, into actions: inout [Action]) {
        guard hasPrefetched else { return }
        let mayBegin = mayBeginPrefetched(at: now, into: &actions)
        var index = 0
        while index < prefetch.waiting.count {
            let next = prefetch.waiting[index]
            let isLate = now >= next.since.advanced(bySeconds: Prefetch.waitSecondsMax)
            if mayBegin, hasRoom(for: next.task.line), !taken.lines.contains(next.task.line.text) {
                begin(prefetch.remove(at: index), claimedAt: next.since, at: now, into: &actions)
            } else if departure != .none || trouble != nil || isLate && membership.isConnected {
                prefetch.pause(at: now)
                giveBack(prefetch.remove(at: index), into: &actions)
            } else {
                index += 1
            }
        }
    }

    /// The same that a claim for them would ask.
    private mutating func mayBeginPrefetched(at now: Instant, into actions: inout [Action]) -> Bool {
        guard departure == .none, trouble == nil, admission.pausedUntil == nil,
            let leaseUntil = membership.leaseUntil, now < leaseUntil, memory.victim == nil
        else { return false }
        guard memory.isFresh(at: now), !memory.isAwaited(at: now) else {
            measureMemory(at: now, into: &actions)
            return false
        }
        return memoryIsEnough
    }

    /// The order about a line reaches the queue's script with the task: there it becomes cancelled.
    mutating func giveBackPrefetched(line: String, into actions: inout [Action]) {
        while let index = prefetch.waiting.firstIndex(where: { $0.task.line.text == line }) {
            giveBack(prefetch.remove(at: index), into: &actions)
        }
    }

    /// Forgets the prefetched tasks but those the queue still holds for ours; nothing is to be said of the others.
    mutating func keepPrefetched(heldBy tokens: Set<String>) {
        for index in prefetch.waiting.indices.reversed() where !tokens.contains(prefetch.waiting[index].task.token) {
            _ = prefetch.remove(at: index)
        }
    }

    private mutating func giveBack(_ task: ClaimedTask, into actions: inout [Action]) {
        let reason = trouble.map { ReturnReason.launch($0) } ?? .noRoom
        actions.append(.report(Report(number: newTaskNumber(), task: task, result: .returned(reason))))
    }
}

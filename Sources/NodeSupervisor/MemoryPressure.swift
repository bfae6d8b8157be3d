// When memory runs short. A task's own cap is the kernel's business; this is about the whole machine, where tasks
// within their caps, and programs that are not ours, may still use it up.

import TaskModel

extension NodeSupervisor {
    struct MemoryWatch {
        private(set) var availableBytes: UInt64 = 0
        private(set) var measuredAt: Instant?
        /// When `measureMemory` was asked for, while it is not answered.
        var askedAt: Instant?
        /// The task being stopped for want of memory. One at a time: what it frees may be enough.
        var victim: TaskNumber?

        /// A measurement older than this says nothing about taking more.
        static let validSeconds = 1.0

        mutating func set(availableBytes: UInt64, at now: Instant) {
            self.availableBytes = availableBytes
            measuredAt = now
            askedAt = nil
        }

        func isFresh(at now: Instant) -> Bool { Self.isYoung(measuredAt, at: now) }

        /// Whether an answer may still come. A reading that failed has none, and is tried again.
        func isAwaited(at now: Instant) -> Bool { Self.isYoung(askedAt, at: now) }

        private static func isYoung(_ instant: Instant?, at now: Instant) -> Bool {
            guard let instant else { return false }
            return now <= instant.advanced(bySeconds: validSeconds)
        }
    }

    mutating func measureMemory(at now: Instant, into actions: inout [Action]) {
        if memory.isAwaited(at: now) { return }
        memory.askedAt = now
        actions.append(.measureMemory)
    }

    /// Whether the machine has memory for another task, by a fresh measurement. Without one it is asked for, and the
    /// question comes again with the answer; while there is too little, at every idle poll.
    mutating func memoryAllowsMore(at now: Instant, into actions: inout [Action]) -> Bool {
        guard memory.victim == nil else { return false }
        if memory.isFresh(at: now) {
            if memory.availableBytes >= settings.memoryBytesMinToAccept { return true }
        } else {
            measureMemory(at: now, into: &actions)
        }
        if admission.pollAt == nil { admission.pollAt = now.advanced(bySeconds: settings.idlePollSeconds) }
        return false
    }

    /// Under the limit the newest task goes: it has the least to lose. It is killed at once and goes back without a
    /// mark; alone here, it would meet the same end again, so it fails.
    mutating func measured(availableBytes: UInt64, at now: Instant, into actions: inout [Action]) {
        memory.set(availableBytes: availableBytes, at: now)
        if availableBytes < settings.memoryBytesMinToAccept { actions.append(.takeBackMemory) }
        guard availableBytes < settings.memoryBytesMinToKeep, memory.victim == nil,
            let newest = tasks.values.lazy.filter(\.isGoingOn).map(\.number).max()
        else { return }
        let isAlone = tasks.count == 1
        memory.victim = newest
        actions.append(.log(.memoryShort(newest, availableBytes: availableBytes, isAlone: isAlone)))
        advance(newest, .stop(isAlone ? .memoryShortAlone : .memoryShort), at: now, into: &actions)
    }

    /// The victim has freed what it could. Whether that was enough is measured, not guessed.
    mutating func victimMayBeGone(_ number: TaskNumber, at now: Instant, into actions: inout [Action]) {
        guard memory.victim == number else { return }
        memory.victim = nil
        measureMemory(at: now, into: &actions)
    }
}

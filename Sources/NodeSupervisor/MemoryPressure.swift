// When memory runs short. A task's own cap is the kernel's business; this is about the whole machine, where tasks
// within their caps, and programs that are not ours, may still use it up.

import TaskModel

extension NodeSupervisor {
    /// Memory that ended tasks left in use: files of a tmpfs, segments of shared memory. It stays theirs until somebody removes them.
    public struct Leftovers: Hashable, Sendable, CustomStringConvertible {
        public let bytes: UInt64
        /// The largest of them, as far as they can be told from others'.
        public let names: String

        public init(bytes: UInt64 = 0, names: String = "") {
            self.bytes = bytes
            self.names = names
        }

        /// As `1.6 GB of files in /dev/shm left by ended tasks: /dev/shm/a (1 GB), ...; whoever removes them has it back`.
        public var description: String {
            "\(AmountText.memory(bytes)) of files in /dev/shm or another tmpfs left by ended tasks"
                + (names.isEmpty ? "" : ": \(names)") + "; removing them gives it back"
        }
    }

    struct MemoryWatch {
        private(set) var availableBytes: UInt64 = 0
        private(set) var measuredAt: Instant?
        /// When `measureMemory` was asked for, while it is not answered.
        var askedAt: Instant?
        /// The task being stopped for want of memory. One at a time: what it frees may be enough.
        var victim: TaskNumber?

        /// What ended tasks left.
        var leftovers = Leftovers()

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
            if memoryIsEnough { return true }
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

    // MARK: - What ended tasks left

    /// Whether there is memory for another task, by the last measurement. Where not even a tenth of what tasks may use is left to
    /// them, one more would only wait for memory that does not come.
    var memoryIsEnough: Bool {
        memory.availableBytes >= settings.memoryBytesMinToAccept
            && memory.leftovers.bytes <= settings.memoryBytes - settings.memoryBytes / 10
    }

    /// Whether they keep tasks from this node, or large ones at least: it would have enough without them.
    private var leftoversHinder: Bool {
        let bytes = memory.leftovers.bytes
        guard bytes > 0 else { return false }
        if bytes >= settings.memoryBytes / 4 { return true }
        return memory.measuredAt != nil && memory.availableBytes < settings.memoryBytesMinToAccept
            && memory.availableBytes &+ bytes >= settings.memoryBytesMinToAccept
    }

    /// Why this node takes no task, or none of its size, for whoever asks; nil while nothing hinders it.
    public var hindrance: String? {
        if let trouble { return "\(trouble)" }
        return leftoversHinder ? "\(memory.leftovers)" : nil
    }

    /// It is left out of what is offered. The log is told of each that is news, and when all is gone.
    mutating func found(_ leftovers: Leftovers, at now: Instant, into actions: inout [Action]) {
        let hinderedBefore = hindrance
        let isNamedNow = !leftovers.names.isEmpty && memory.leftovers.names.isEmpty
        if leftovers.bytes > memory.leftovers.bytes || isNamedNow {
            actions.append(.log(.leftInMemory(leftovers)))
        } else if leftovers.bytes == 0, memory.leftovers.bytes > 0 {
            actions.append(.log(.leftoversGone))
        }
        memory.leftovers = leftovers
        admission.isWanted = true  // There may be more room than before.
        if hindrance != hinderedBefore { beatNow(at: now, into: &actions) }
    }
}

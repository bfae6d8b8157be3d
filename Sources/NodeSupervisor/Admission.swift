// Which tasks the node takes. The queue chooses them, by priority and by what fits; here is decided when to ask, for
// how much, and that no answer, however old, ever puts more on this node than it has.

import TaskModel

extension NodeSupervisor {
    /// What the tasks on this node are and requested, from launch until the group of each is gone.
    struct Taken: Equatable {
        private(set) var lines: Set<String> = []
        private(set) var memoryBytes: UInt64 = 0
        private(set) var millicores = 0
        /// Those of them whose main process has ended, and of which nothing is known to be left: their slots and cores are the next
        /// ones' already, their memory is not before it is seen to be free.
        private(set) var closingCount = 0
        private(set) var closingMillicores = 0

        // Sums stay below the node's limits, because `add` follows a check of what is free; so neither overflows.
        mutating func add(_ line: TaskLine) {
            lines.insert(line.text)
            memoryBytes += line.memoryBytes
            millicores += max(0, line.millicores)
        }

        mutating func subtract(_ line: TaskLine) {
            lines.remove(line.text)
            assert(memoryBytes >= line.memoryBytes && millicores >= line.millicores, "more given back than was taken")
            memoryBytes -= line.memoryBytes
            millicores -= max(0, line.millicores)
        }

        /// One of them begins or ceases to be closing.
        mutating func setClosing(_ isClosing: Bool, _ line: TaskLine) {
            closingCount += isClosing ? 1 : -1
            closingMillicores += isClosing ? max(0, line.millicores) : -max(0, line.millicores)
            assert(closingCount >= 0 && closingMillicores >= 0, "more ceased to be closing than began")
        }
    }

    struct Admission {
        /// A claim whose answer is awaited.
        struct Outstanding {
            let claim: Claim
            let sentAt: Instant
            /// How many tasks may wait for room.
            let prefetchCountMax: Int
        }

        /// There is reason to think the queue has something for us.
        var isWanted = false
        var outstanding: Outstanding?
        /// When to look without a reason; nil while a reason is there or the node could take nothing.
        var pollAt: Instant?
        /// No claim before: what was given back would come again.
        var pausedUntil: Instant?
        /// Too many reports wait for their answer.
        var reportsPileUp = false

        static let pauseSeconds = 1.0
        /// A delayed task that is due "now" was not given to us: another has it, or a clock is off. No spinning on it.
        static let dueSecondsMin = 0.05

        var nextDeadline: Instant? {
            guard let pollAt, let pausedUntil else { return pollAt ?? pausedUntil }
            return min(pollAt, pausedUntil)
        }

        mutating func tick(at now: Instant) {
            if let until = pausedUntil, until <= now { pausedUntil = nil }
            if let at = pollAt, at <= now {
                pollAt = nil
                isWanted = true
            }
        }

        /// What was given back is on offer again at once: without a pause we would take it and give it back at the
        /// speed of the network.
        mutating func pauseAfterGivingBack(at now: Instant) {
            if pausedUntil == nil { pausedUntil = now.advanced(bySeconds: Self.pauseSeconds) }
        }
    }

    // MARK: - What is free

    /// What the tasks that are here have asked for.
    public var askedMemoryBytes: UInt64 { taken.memoryBytes }
    public var askedMillicores: Int { taken.millicores }

    var freeTaskCount: Int { max(0, settings.taskCountMax - (tasks.count - taken.closingCount)) }
    var freeMemoryBytes: UInt64 {
        let used = taken.memoryBytes &+ memory.leftovers.bytes  // Both are memory of this machine.
        return settings.memoryBytes > used ? settings.memoryBytes - used : 0
    }
    var freeMillicores: Int {
        // Processors of its own are given to the next task only once this one has left them.
        let closing = settings.pinsProcessors ? 0 : taken.closingMillicores
        return max(0, settings.millicores - (taken.millicores - closing))
    }

    func hasRoom(for line: TaskLine) -> Bool {
        freeTaskCount > 0 && line.memoryBytes <= freeMemoryBytes && line.millicores <= freeMillicores
            && (line.resources.isEmpty || resources.share(for: line.resources) != nil)
    }

    /// What is free of the resources besides memory and cores, for a claim. Those that wait here for room have theirs before others.
    var freeResources: String {
        guard !resources.resources.isEmpty else { return "" }
        var pool = resources
        for waiting in prefetch.waiting where !waiting.task.line.resources.isEmpty {
            if let share = pool.share(for: waiting.task.line.resources) { pool.take(share) }
        }
        return pool.freeText
    }

    // MARK: - Asking

    /// Asks for tasks when there is room for one, reason to ask, and nothing that forbids it.
    mutating func claimIfRoom(at now: Instant, into actions: inout [Action]) {
        guard membership.isMember(at: now), !membership.isReconciling, departure == .none, admission.isWanted,
            admission.outstanding == nil, admission.pausedUntil == nil, trouble == nil, !admission.reportsPileUp
        else { return }
        let prefetchCountMax = prefetch.expectedCount(at: now)
        // What waits may be used up to the half before more is asked for, in one request.
        guard freeTaskCount > prefetch.requested.count || prefetch.requested.count < (prefetchCountMax + 1) / 2 else {
            return
        }
        let count = min(freeTaskCount + prefetchCountMax - prefetch.requested.count, settings.claimCountMax)
        guard count > 0, memoryAllowsMore(at: now, into: &actions) else { return }

        let room = roomAboutToBeFree(prefetchCountMax, at: now)
        let memoryBytes = freeMemoryBytes + room.memoryBytes
        let claim = Claim(
            number: newRequestNumber(), count: count,
            freeMemoryBytes: memoryBytes - min(memoryBytes, prefetch.requested.memoryBytes),
            freeMillicores: max(0, freeMillicores + room.millicores - prefetch.requested.millicores),
            freeResources: freeResources)
        admission.outstanding = .init(claim: claim, sentAt: now, prefetchCountMax: prefetchCountMax)
        admission.isWanted = false
        admission.pollAt = nil
        actions.append(.claim(claim))
    }

    /// The queue answered the claim. It knew what was free when we asked; what is free now decides.
    mutating func claimed(
        _ number: RequestNumber, _ given: [ClaimedTask], refusedCount: Int, dueSeconds: Double?, at now: Instant,
        into actions: inout [Action]
    ) {
        // An answer to an older claim: the connection was lost since, and reconciling tells what came of it.
        guard let outstanding = admission.outstanding, outstanding.claim.number == number else { return }
        admission.outstanding = nil
        membership.renew(sentAt: outstanding.sentAt, at: now, settings: settings)

        var areAllTaken = true
        for task in given where !admit(task, prefetchCountMax: outstanding.prefetchCountMax, at: now, into: &actions) {
            areAllTaken = false
        }
        if given.count + refusedCount >= outstanding.claim.count && areAllTaken {
            admission.isWanted = true  // There may be more.
        } else {
            let due = max(dueSeconds ?? settings.idlePollSeconds, Admission.dueSecondsMin)
            admission.pollAt = now.advanced(bySeconds: min(settings.idlePollSeconds, due))
        }
    }

    /// Launches a task that is ours, has it wait, or gives it back. Says whether it was kept.
    @discardableResult
    mutating func admit(
        _ task: ClaimedTask, prefetchCountMax: Int = 0, at now: Instant, into actions: inout [Action]
    ) -> Bool {
        if prefetch.requested.count < prefetchCountMax, mayWait(task, at: now) {
            prefetch.append(task, at: now)
            return true
        }
        if let reason = reasonToGiveBack(task, at: now) {
            let number = newTaskNumber()
            if prefetchCountMax > 0, reason == .noRoom {
                prefetch.pause(at: now)  // What room there is was overestimated; the next claim asks for what is free.
            } else {
                actions.append(.log(.givenBack(number, line: task.line.text, reason)))
                admission.pauseAfterGivingBack(at: now)
            }
            actions.append(.report(Report(number: number, task: task, result: .returned(reason))))
            return false
        }
        begin(task, at: now, into: &actions)
        return true
    }

    /// Launches a task there is room for.
    ///
    /// - Parameter claimedAt: since when it waited here; nil is now.
    mutating func begin(
        _ task: ClaimedTask, claimedAt: Instant? = nil, at now: Instant, into actions: inout [Action]
    ) {
        let number = newTaskNumber()
        let timeoutSeconds = task.line.timeoutSeconds(default: settings.defaultTimeoutSeconds)
        var task = task
        if !task.line.resources.isEmpty, let share = resources.share(for: task.line.resources) {
            task.share = share
            resources.take(share)
        }
        tasks[number] = TaskLifecycle(
            number: number, task: task, timeoutSeconds: timeoutSeconds, claimedAt: claimedAt ?? now, at: now)
        taken.add(task.line)
        actions.append(.launch(number, task))
    }

    /// Whether the task is one of those prefetched: behind others, or there is no room for it yet.
    private func mayWait(_ task: ClaimedTask, at now: Instant) -> Bool {
        membership.isMember(at: now) && departure == .none && trouble == nil
            && (hasPrefetched || !hasRoom(for: task.line))
            && !taken.lines.contains(task.line.text)
            && task.line.memoryBytes <= settings.memoryBytes && task.line.millicores <= settings.millicores
            && (task.line.resources.isEmpty || settings.resources.totals.canHold(task.line.resources))
    }

    private func reasonToGiveBack(_ task: ClaimedTask, at now: Instant) -> ReturnReason? {
        guard membership.isMember(at: now), departure == .none, hasRoom(for: task.line) else { return .noRoom }
        if let trouble { return .launch(trouble) }
        // Only a group that will not empty outlives its report; without this check the line would run twice at once.
        return taken.lines.contains(task.line.text) ? .earlierAttemptRemains : nil
    }
}

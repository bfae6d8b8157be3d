// Leaving for want of work (`idle_exit_seconds`). The node cannot decide that alone: a task may be on its way while it goes. So its
// last word is a claim, in which the queue either gives it something, and it stays, or gives it nothing from then on; nothing comes
// in between the two.

import TaskModel

extension NodeSupervisor {
    struct Idleness {
        /// Since when there is nothing here; nil while there is, and while nobody asks.
        var since: Instant?
        /// No such claim before: the last one was not answered, or the queue could not let the node go.
        var notBefore: Instant?
        /// The memory was asked for, for the next such claim.
        var isMeasured = false

        /// So long its answer is waited for.
        static let measureSeconds = 0.2
    }

    /// Before such a claim is repeated.
    private var idleRetrySeconds: Double { max(1, settings.idlePollSeconds) }

    /// When to claim for the last time; nil while that is not the question.
    var idleClaimAt: Instant? {
        guard let since = idleness.since, membership.isConnected, membership.leaseUntil != nil,
            !membership.isReconciling,
            admission.outstanding == nil, !departure.isLeaving
        else { return nil }
        let due = since.advanced(bySeconds: settings.idleExitSeconds)
        return max(due, idleness.notBefore ?? due)
    }

    mutating func watchIdleness(at now: Instant) {
        guard settings.idleExitSeconds > 0, tasks.isEmpty, !hasPrefetched else {
            idleness = Idleness()
            return
        }
        if idleness.since == nil { idleness.since = now }
    }

    /// One that can take nothing at present, for want of memory or because tasks cannot be started here, has nothing to stay for either.
    mutating func claimLast(at now: Instant, into actions: inout [Action]) {
        guard membership.isMember(at: now) else { return }  // The lease ends in this very moment.
        if !memory.isFresh(at: now) {
            // What is free is not known: the answer comes before the next try, or that goes without.
            measureMemory(at: now, into: &actions)
            guard idleness.isMeasured else {
                idleness.isMeasured = true
                idleness.notBefore = now.advanced(bySeconds: Idleness.measureSeconds)
                return
            }
        }
        let takesOn =
            departure == .none && trouble == nil && !admission.reportsPileUp && memory.isFresh(at: now)
            && memoryIsEnough
        let claim = Claim(
            number: newRequestNumber(), count: takesOn ? min(freeTaskCount, settings.claimCountMax) : 0,
            freeMemoryBytes: freeMemoryBytes, freeMillicores: freeMillicores, freeResources: freeResources,
            leavesIfIdle: true)
        admission.outstanding = .init(claim: claim, sentAt: now, prefetchCountMax: 0)
        admission.isWanted = false
        admission.pollAt = nil
        idleness.notBefore = now.advanced(bySeconds: idleRetrySeconds)
        idleness.isMeasured = false
        actions.append(.claim(claim))
    }

    /// The queue has nothing for this node, and will have nothing.
    mutating func letGo(at now: Instant, into actions: inout [Action]) {
        guard !departure.isLeaving, let since = idleness.since else { return }
        actions.append(.log(.leavesIdle(seconds: now.seconds(since: since))))
        departure.close()
    }
}

// The queue's trust in this node. It holds a lease; when it is not renewed, others may run our tasks. The lease is counted
// from when a renewal was sent, which is never later than the queue counts it from.
//
// A lease that ends unheard of leaves two possibilities: this node alone is cut off, and others take its tasks over; or Redis
// is away for everybody, and nobody does. From here they look the same. By default tasks go on, so that an outage costs
// nobody his work: the queue renews a lease that nobody has acted upon, and when others have, it says so in its first answer,
// and ours are killed at once. Their reports are refused, so at most the work was done twice. Where even that must not be,
// `killsWhenCutOff` has tasks killed before anybody else may run them.

import TaskModel

extension NodeSupervisor {
    struct Membership {
        enum Standing: Equatable {
            case outside
            /// `register` was sent.
            case registering(sentAt: Instant)
            case member(leaseUntil: Instant)
            /// The lease is over by our clock, and the queue has not said whether it is over by its own.
            case outOfTouch
        }

        var isConnected = false
        var standing = Standing.outside
        var heartbeatAt: Instant?
        /// When to compare anew what the queue thinks we hold with what we hold. A claim sent over a connection that
        /// broke may reach the queue after all, long after the next connection asked.
        var reconcileAt: Instant?
        /// A request failed; what is still to be asked is asked again then.
        var retryAt: Instant?
        /// Set while the answer to `reconcile` is awaited.
        var reconciliation: Reconciliation?
        /// A claim may have been answered without our hearing it.
        var mustReconcile = false

        /// The pause before a request that the queue could not answer is sent again. Whoever waits to register looks at the queue's
        /// clock often enough that nobody need fear an outage in between.
        static func retrySeconds(_ settings: Settings) -> Double { min(1, settings.leaseSeconds / 12) }

        struct Reconciliation {
            let number: RequestNumber
            /// What we held when asking.
            let knownTokens: Set<String>
        }

        var isReconciling: Bool { mustReconcile || reconciliation != nil }

        /// Nil when there is none, and when it is over.
        var leaseUntil: Instant? {
            if case .member(let until) = standing { until } else { nil }
        }

        /// Whether the queue knew this node, and has not said otherwise.
        var hasIncarnation: Bool {
            switch standing {
            case .outside, .registering: false
            case .member, .outOfTouch: true
            }
        }

        var nextDeadline: Instant? {
            var earliest = leaseUntil
            if let at = heartbeatAt { earliest = min(earliest ?? at, at) }
            if let at = reconcileAt { earliest = min(earliest ?? at, at) }
            if let at = retryAt { earliest = min(earliest ?? at, at) }
            return earliest
        }

        func isMember(at now: Instant) -> Bool {
            guard isConnected, let leaseUntil else { return false }
            return now < leaseUntil
        }

        /// A renewal holds from when it was sent; answers may overtake each other, so the latest counts.
        mutating func renew(sentAt: Instant, at now: Instant, settings: Settings) {
            let renewed = min(sentAt, now).advanced(bySeconds: settings.leaseSeconds)
            switch standing {
            case .outside, .registering: break  // It was lost meanwhile, and with it the incarnation renewed.
            case .member(let until): standing = .member(leaseUntil: max(until, renewed))
            case .outOfTouch: if now < renewed { standing = .member(leaseUntil: renewed) }
            }
        }

        mutating func beatSoon(sentAt: Instant, settings: Settings) {
            guard let at = heartbeatAt else { return }
            heartbeatAt = min(at, sentAt.advanced(bySeconds: settings.leaseSeconds / 12))
        }
    }

    // MARK: - The connection

    mutating func connected(at now: Instant, into actions: inout [Action]) {
        guard !membership.isConnected else { return }  // Told twice.
        membership.isConnected = true
        endLeaseIfOver(at: now, into: &actions)
        if membership.hasIncarnation {
            // While we were away a claim may have been answered, or a task given to another by hand.
            membership.mustReconcile = true
            beat(at: now, into: &actions)
        }
        askWhatIsOpen(at: now, into: &actions)
        admission.isWanted = true
    }

    /// Requests under way have no answer any more. Tasks go on.
    mutating func disconnected() {
        guard membership.isConnected else { return }  // Told twice.
        membership.isConnected = false
        if !membership.hasIncarnation { membership.standing = .outside }
        membership.heartbeatAt = nil
        membership.reconcileAt = nil
        membership.retryAt = nil
        membership.reconciliation = nil
        admission.outstanding = nil
        admission.pollAt = nil
    }

    /// Asks all that is to be asked and is not under way.
    private mutating func askWhatIsOpen(at now: Instant, into actions: inout [Action]) {
        guard membership.isConnected else { return }
        switch membership.standing {
        case .outside:
            // Nothing will be taken; only what runs needs a lease.
            guard !departure.isLeaving || !tasks.isEmpty else { break }
            membership.standing = .registering(sentAt: now)
            actions.append(.register)
        case .registering, .member, .outOfTouch:
            break  // The answer is awaited, or was given.
        }
        askWhatWeHold(at: now, into: &actions)
    }

    /// Not while a claim is under way: whether its tasks are ours already could not be told from the answer.
    mutating func askWhatWeHold(at now: Instant, into actions: inout [Action]) {
        guard membership.mustReconcile, membership.reconciliation == nil, membership.isMember(at: now),
            membership.retryAt == nil, admission.outstanding == nil
        else { return }
        let number = newRequestNumber()
        let tokens = Set(tasks.values.map(\.task.token)).union(prefetch.waiting.map(\.task.token))
        membership.mustReconcile = false
        membership.reconciliation = .init(number: number, knownTokens: tokens)
        membership.reconcileAt = now.advanced(bySeconds: settings.leaseSeconds)
        actions.append(.reconcile(number))
    }

    /// The queue could not answer. What the request wanted is still wanted, a little later.
    mutating func requestFailed(_ request: Request, at now: Instant) {
        switch request {
        case .heartbeat:
            return  // The next one comes by itself, well within the lease.
        case .register:
            guard case .registering = membership.standing else { return }
            membership.standing = .outside
        case .reconcile(let number):
            guard membership.reconciliation?.number == number else { return }
            membership.reconciliation = nil
            membership.mustReconcile = true
        case .claim(let number):
            guard admission.outstanding?.claim.number == number else { return }
            admission.outstanding = nil
            admission.isWanted = true
            membership.mustReconcile = true  // A script that failed half-way has not been undone.
        }
        guard membership.isConnected, membership.retryAt == nil else { return }
        membership.retryAt = now.advanced(bySeconds: Membership.retrySeconds(settings))
    }

    // MARK: - The lease

    mutating func registered(sentAt: Instant, at now: Instant) {
        // Told twice, or of an earlier connection.
        guard case .registering = membership.standing else { return }
        membership.standing = .member(leaseUntil: sentAt.advanced(bySeconds: settings.leaseSeconds))
        membership.heartbeatAt = now.advanced(bySeconds: heartbeatSeconds)
        membership.reconcileAt = now.advanced(bySeconds: settings.leaseSeconds)
        membership.mustReconcile = false  // A new incarnation holds nothing.
        membership.reconciliation = nil
        admission.isWanted = true
    }

    mutating func fenced(at now: Instant, into actions: inout [Action]) {
        // Every request under way is refused when one is; the first refusal was enough.
        guard membership.hasIncarnation else { return }
        loseLease(at: now, into: &actions)
        askWhatIsOpen(at: now, into: &actions)
    }

    /// The queue does not know us. What runs goes on until a new incarnation has asked whose it is.
    mutating func outside(at now: Instant, into actions: inout [Action]) {
        guard membership.hasIncarnation else { return }
        actions.append(.log(.outside(taskCount: tasks.count)))
        beOutside()
        askWhatIsOpen(at: now, into: &actions)
    }

    private mutating func beOutside() {
        membership.standing = .outside
        membership.heartbeatAt = nil
        membership.reconcileAt = nil
        membership.mustReconcile = false
        membership.reconciliation = nil
        admission.outstanding = nil
        admission.pollAt = nil
    }

    /// Others have these tasks: ours are killed, and nothing is reported of them.
    mutating func takenAway(_ tokens: Set<String>, at now: Instant, into actions: inout [Action]) {
        for number in tasks.keys.sorted() {
            guard let task = tasks[number], task.isRunningOrStopped, tokens.contains(task.task.token) else { continue }
            actions.append(.log(.noLongerHeld(number, line: task.task.line.text)))
            advance(number, .stop(.notOurs), at: now, into: &actions)
        }
        for waiting in prefetch.waiting where tokens.contains(waiting.task.token) {
            prefetch.remove(token: waiting.task.token)
        }
    }

    /// What time brings: the end of the lease, the next heartbeat, another try.
    mutating func keepMembership(at now: Instant, into actions: inout [Action]) {
        if endLeaseIfOver(at: now, into: &actions) { askWhatIsOpen(at: now, into: &actions) }
        if let at = membership.heartbeatAt, at <= now { beat(at: now, into: &actions) }
        if let at = membership.reconcileAt, at <= now {
            membership.reconcileAt = nil
            membership.mustReconcile = true
        }
        if let at = membership.retryAt, at <= now {
            membership.retryAt = nil
            askWhatIsOpen(at: now, into: &actions)
        }
    }

    /// The lease has come to its end by our clock. Says whether it did so now. While there is a connection heartbeats go on,
    /// one of them at once where this process has slept, and an answer settles it.
    @discardableResult
    private mutating func endLeaseIfOver(at now: Instant, into actions: inout [Action]) -> Bool {
        guard let until = membership.leaseUntil, until <= now else { return false }
        if settings.killsWhenCutOff {
            loseLease(at: now, into: &actions)
        } else {
            membership.standing = .outOfTouch
            actions.append(.log(.outOfTouch(taskCount: tasks.count, seconds: settings.leaseSeconds)))
        }
        return true
    }

    /// Others run our tasks from now on, or soon: ours die at once, and nothing is reported of them. Reports of tasks
    /// that ended before are still sent, for the queue to judge.
    private mutating func loseLease(at now: Instant, into actions: inout [Action]) {
        actions.append(.log(.leaseLost(taskCount: tasks.count)))
        beOutside()
        actions.append(.leaseLost)
        keepPrefetched(heldBy: [])
        stopAll(because: .leaseLost, at: now, into: &actions)
    }

    /// What a heartbeat says has changed: it is said now rather than at the next one.
    mutating func beatNow(at now: Instant, into actions: inout [Action]) {
        if membership.isMember(at: now) { beat(at: now, into: &actions) }
    }

    private mutating func beat(at now: Instant, into actions: inout [Action]) {
        membership.heartbeatAt = now.advanced(bySeconds: heartbeatSeconds)
        actions.append(.heartbeat)
    }

    /// Two heartbeats may be lost before the lease is.
    private var heartbeatSeconds: Double { min(settings.heartbeatSeconds, settings.leaseSeconds / 3) }

    // MARK: - Reconciling

    /// Compares what the queue thinks we hold with what we hold. What it gave us in an answer that was lost is taken
    /// now; what it no longer holds for ours is stopped, for somebody has given it away by hand.
    mutating func reconcile(
        _ number: RequestNumber, with held: [ClaimedTask], at now: Instant, into actions: inout [Action]
    ) {
        guard let asked = membership.reconciliation, asked.number == number else { return }
        membership.reconciliation = nil
        let heldTokens = Set(held.map(\.token))
        // Nothing was claimed while the answer was awaited, so every task here was here when we asked.
        for number in tasks.keys.sorted() {
            guard let task = tasks[number], task.isRunningOrStopped, !heldTokens.contains(task.task.token) else {
                continue
            }
            actions.append(.log(.noLongerHeld(number, line: task.task.line.text)))
            advance(number, .stop(.notOurs), at: now, into: &actions)
        }
        keepPrefetched(heldBy: heldTokens)
        // What ended since we asked is still in the answer: hence the tokens known then, not now.
        for task in held where !asked.knownTokens.contains(task.token) { admit(task, at: now, into: &actions) }
        admission.isWanted = true
    }
}

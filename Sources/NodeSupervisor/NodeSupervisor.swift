// The node's decisions, and nothing but decisions: what happened goes in, with the time; what is to be done comes out.
// No call is made, no clock read and no descriptor held here, so a seeded simulation can put a node through years of
// trouble in seconds, and every run can be repeated.
//
// This file holds what the node knows and the way of an event through it. Each subject has its own file: one task
// (TaskLifecycle, Verdict), taking tasks (Admission, Prefetch), being unable to start any (LaunchTrouble), the queue's trust in us
// (Membership), short memory (MemoryPressure), going away (Leaving, Idleness). How the queue is told all that is NodeProtocol's subject.

import TaskModel

/// Decides for one node which tasks it takes, when they are stopped, how their endings are named, and what the queue is
/// told. The daemon feeds it events and performs the actions, in their order.
///
/// It starts disconnected and knows no measurement: send ``Event/connected`` once the queue answers.
public struct NodeSupervisor: Sendable {
    var settings: Settings
    var tasks: [TaskNumber: TaskLifecycle] = [:]
    var timers = TimerHeap()
    var taken = Taken()
    var resources: ResourcePool
    var nextTaskNumber: UInt64 = 1
    var nextRequestNumber: UInt64 = 1

    var membership = Membership()
    var admission = Admission()
    var launchTrouble = LaunchTrouble()
    var prefetch = Prefetch()
    var memory = MemoryWatch()
    var departure = Departure.none
    var idleness = Idleness()
    /// Whether it leaves because the queue's people told all nodes to, for as long as that stands.
    public private(set) var wasClosed = false

    /// When every task is looked at anew; nil while there is none.
    var sweepAt: Instant?

    public init(settings: Settings) {
        self.settings = settings
        resources = ResourcePool(settings.resources)
    }

    /// Decides what follows from one event. The same as a batch of one.
    public mutating func handle(_ event: Event, at now: Instant) -> [Action] {
        var actions: [Action] = []
        take(event, at: now, into: &actions)
        settle(at: now, into: &actions)
        return actions
    }

    /// Decides what follows from events that came together, in the order in which they were read. What concerns all of
    /// them, as the next claim, is decided once, at the end.
    public mutating func handle(_ events: [Event], at now: Instant) -> [Action] {
        var actions: [Action] = []
        for event in events { take(event, at: now, into: &actions) }
        settle(at: now, into: &actions)
        return actions
    }

    /// When ``Event/tick`` is next needed; nil while nothing waits for time. Valid until the next call of `handle`.
    public var nextDeadline: Instant? {
        if departure == .left { return nil }
        var earliest = timers.earliest ?? .distantFuture
        if let at = sweepAt { earliest = min(earliest, at) }
        if let at = membership.nextDeadline { earliest = min(earliest, at) }
        if let at = admission.nextDeadline { earliest = min(earliest, at) }
        if let at = launchTrouble.trialAt { earliest = min(earliest, at) }
        if membership.isConnected, let at = prefetch.nextDeadline { earliest = min(earliest, at) }
        if let at = departure.nextDeadline { earliest = min(earliest, at) }
        if let at = idleClaimAt { earliest = min(earliest, at) }
        return earliest == .distantFuture ? nil : earliest
    }

    /// Whether it was asked to leave.
    public var isLeaving: Bool { departure.isLeaving }

    /// What is to become of a launch that was asked for and has had to wait for its turn.
    public enum LaunchTurn: Equatable, Sendable {
        case now
        /// The lease is over by our clock, as after a sleep: the queue's answer decides whether the task is still ours.
        case later
        /// The task is not wanted any more, or cannot be begun here. To be answered by `launchFailed` with this, since nothing was
        /// begun.
        case never(LaunchFailure)
    }

    /// To be asked just before a launch is made: a task given to another meanwhile must not be begun here as well.
    public func launchTurn(of number: TaskNumber, at now: Instant) -> LaunchTurn {
        guard case .launching(stop: nil)? = tasks[number]?.state else {
            return .never(.stoppedBeforeItBegan)
        }
        if let trouble { return .never(trouble) }
        guard let leaseUntil = membership.leaseUntil, now < leaseUntil else { return .later }
        return .now
    }

    /// What the node holds, for `worker_status` and for whoever looks.
    public var load: Load {
        Load(
            taskCount: tasks.count, memoryBytes: taken.memoryBytes, millicores: taken.millicores)
    }

    /// The node's tasks and what they requested, until the group of each is gone.
    public struct Load: Equatable, Sendable {
        public let taskCount: Int
        public let memoryBytes: UInt64
        public let millicores: Int
    }

    // MARK: - The way of an event

    private mutating func take(_ event: Event, at now: Instant, into actions: inout [Action]) {
        if departure == .left { return }  // The daemon is on its way out; the lease ends what is left.
        switch event {
        case .connected: connected(at: now, into: &actions)
        case .disconnected: disconnected()
        case .registered(let sentAt): registered(sentAt: sentAt, at: now)
        case .leaseRenewed(let sentAt): membership.renew(sentAt: sentAt, at: now, settings: settings)
        case .beatSoon(let sentAt): membership.beatSoon(sentAt: sentAt, settings: settings)
        case .fenced: fenced(at: now, into: &actions)
        case .outside: outside(at: now, into: &actions)
        case .takenAway(let tokens): takenAway(tokens, at: now, into: &actions)
        case .requestFailed(let request): requestFailed(request, at: now)

        case .wake: admission.isWanted = true
        case .claimed(let number, let given, let refusedCount, let dueSeconds):
            claimed(number, given, refusedCount: refusedCount, dueSeconds: dueSeconds, at: now, into: &actions)
        case .letGo: letGo(at: now, into: &actions)
        case .held(let number, let held): reconcile(number, with: held, at: now, into: &actions)
        case .reportsPileUp(let doPileUp):
            admission.reportsPileUp = doPileUp
            if !doPileUp { admission.isWanted = true }
        case .cancelRequested(let line): cancel(line: line, at: now, into: &actions)

        case .launched(let number, let begunAt): advance(number, .launched(begunAt: begunAt), at: now, into: &actions)
        case .launchFailed(let number, let failure):
            if failure.fault == .node, tasks[number]?.isUnreported == true {
                nodeCannotLaunch(failure, at: now, into: &actions)
            }
            advance(number, .launchFailed(failure), at: now, into: &actions)
        case .exited(let number, let status):
            if let task = tasks[number] { launchTrouble.aTaskHasRun(begunAt: task.begunAt) }
            advance(number, .exited(status), at: now, into: &actions)
        case .partKilledForMemory(let number):
            advance(number, .stop(.partKilledForMemory), at: now, into: &actions)
        case .collected(let number, let collected): advance(number, .collected(collected), at: now, into: &actions)
        case .trialEnded(let failure): trialEnded(failure, at: now, into: &actions)

        case .tick: tick(at: now, into: &actions)
        case .memory(let availableBytes): measured(availableBytes: availableBytes, at: now, into: &actions)

        case .leftovers(let leftovers): found(leftovers, at: now, into: &actions)

        case .drained: tellAllOfDrain(into: &actions)
        case .stopRequested: stopRequested(at: now, into: &actions)
        case .closeRequested:
            if !departure.isLeaving { wasClosed = true }
            departure.close()
        case .drain: departure.drain()
        case .resume:
            departure.resume()
            admission.isWanted = true
        case .settingsChanged(let settings):
            self.settings = settings
            resources.resources = settings.resources
            admission.isWanted = true  // There may be more room than before.
        }
    }

    /// What is decided once a batch, when everything in it is known.
    private mutating func settle(at now: Instant, into actions: inout [Action]) {
        if departure == .left { return }
        timers.discardStale(in: tasks)
        if tasks.isEmpty {
            sweepAt = nil
        } else if sweepAt == nil {
            sweepAt = now.advanced(bySeconds: settings.sweepSeconds)
        }
        usePrefetched(at: now, into: &actions)
        askWhatWeHold(at: now, into: &actions)
        watchIdleness(at: now)
        if departure.isLeaving {
            leaveIfDone(at: now, into: &actions)
        } else if let at = idleClaimAt, at <= now {
            claimLast(at: now, into: &actions)
        } else {
            claimIfRoom(at: now, into: &actions)
        }
    }

    /// Everything that waited for this moment.
    private mutating func tick(at now: Instant, into actions: inout [Action]) {
        // What falls due by this, as the end of a grace of 0, has the next tick: no loop may depend on what tasks do.
        for number in timers.popDue(at: now) { advance(number, .due, at: now, into: &actions) }
        if let at = sweepAt, at <= now { sweep(at: now, into: &actions) }
        keepMembership(at: now, into: &actions)
        admission.tick(at: now)
        tickTrouble(at: now, into: &actions)
        tickDeparture(at: now, into: &actions)
    }

    /// Looks at every task itself rather than at the index of their deadlines, and has the memory measured.
    private mutating func sweep(at now: Instant, into actions: inout [Action]) {
        sweepAt = now.advanced(bySeconds: settings.sweepSeconds)
        for number in tasks.keys.sorted() { advance(number, .due, at: now, into: &actions) }
        timers.rebuild(from: tasks)
        measureMemory(at: now, into: &actions)
    }

    // MARK: - Tasks

    /// Gives a task's event to the task, and keeps account of what came of it. An unknown task has ended long since.
    mutating func advance(_ number: TaskNumber, _ event: TaskEvent, at now: Instant, into actions: inout [Action]) {
        guard let index = tasks.index(forKey: number) else { return }
        let timerBefore = tasks.values[index].timer
        let wasClosing = tasks.values[index].isClosing
        let report = tasks.values[index].handle(event, at: now, settings: settings, into: &actions)
        // A timer for this very moment may be the one just taken out: a grace of 0 begins where the deadline was.
        if let timer = tasks.values[index].timer, timer != timerBefore || timer <= now { timers.set(number, at: timer) }

        let task = tasks.values[index]
        if task.isClosing != wasClosing { taken.setClosing(task.isClosing, task.task.line) }
        if !task.isUnreported { victimMayBeGone(number, at: now, into: &actions) }
        if task.state == .gone {
            taken.subtract(task.task.line)
            resources.giveBack(task.task.share)
            tasks.remove(at: index)
            prefetch.taskEnded(after: now.seconds(since: task.begunAt), at: now)
            admission.isWanted = true
        }
        if let report {
            if case .returned(let reason) = report.result, case .nodeTrouble(let failure) = reason {
                actions.append(.log(.givenBack(number, line: report.task.line.text, reason)))
                nodeCannotLaunch(failure, at: now, into: &actions)
            }
            actions.append(.report(report))
        }
    }

    /// Stops all tasks for one reason, in the order in which they came.
    mutating func stopAll(because reason: StopReason, at now: Instant, into actions: inout [Action]) {
        for number in tasks.keys.sorted() { advance(number, .stop(reason), at: now, into: &actions) }
    }

    private mutating func cancel(line: String, at now: Instant, into actions: inout [Action]) {
        let numbers = tasks.values.filter { $0.task.line.text == line }.map(\.number).sorted()
        for number in numbers { advance(number, .stop(.cancelled), at: now, into: &actions) }
        giveBackPrefetched(line: line, into: &actions)
    }

    mutating func newTaskNumber() -> TaskNumber {
        defer { nextTaskNumber += 1 }
        return TaskNumber(nextTaskNumber)
    }

    mutating func newRequestNumber() -> RequestNumber {
        defer { nextRequestNumber += 1 }
        return RequestNumber(nextRequestNumber)
    }
}

// What one image of the daemon leaves to the next when it executes itself anew: the tasks that run, and the lease they run under.
// Everything else is either over by then or found out again.

import TaskModel

extension NodeSupervisor {
    /// A node at rest but for tasks that run.
    public struct ReExecState: Equatable, Sendable {
        public struct RunningTask: Equatable, Sendable {
            public let number: TaskNumber
            public let task: ClaimedTask
            public let timeoutSeconds: Double?
            public let begunAt: Instant
            public let deadline: Instant?
            /// When it is to be told that its time is nearly up; nil once it has been.
            public let warnAt: Instant?

            public init(
                number: TaskNumber, task: ClaimedTask, timeoutSeconds: Double?, begunAt: Instant, deadline: Instant?,
                warnAt: Instant? = nil
            ) {
                self.number = number
                self.task = task
                self.timeoutSeconds = timeoutSeconds
                self.begunAt = begunAt
                self.deadline = deadline
                self.warnAt = warnAt
            }
        }

        /// In the order in which they were taken.
        public let tasks: [RunningTask]
        public let nextTaskNumber: UInt64
        /// Nil when the queue does not know this node.
        public let leaseUntil: Instant?

        public init(tasks: [RunningTask], nextTaskNumber: UInt64, leaseUntil: Instant?) {
            self.tasks = tasks
            self.nextTaskNumber = nextTaskNumber
            self.leaseUntil = leaseUntil
        }
    }

    /// What could be left to the re-executed daemon now; nil while a launch, an ending, a claim or a report is under way, or tasks wait.
    /// ``Event/drain`` brings that about, unless tasks are being stopped, or the queue cannot be reached.
    public var reExecState: ReExecState? {
        guard !hasPrefetched, admission.outstanding == nil, membership.reconciliation == nil
        else { return nil }
        var running: [ReExecState.RunningTask] = []
        for number in tasks.keys.sorted() {
            guard let task = tasks[number]?.runningTask else { return nil }
            running.append(task)
        }
        // A lease that is over by our clock may not be over by the queue's: the next program asks, as this one would have.
        let leaseUntil = membership.leaseUntil ?? (membership.hasIncarnation ? Instant(nanoseconds: 0) : nil)
        return ReExecState(tasks: running, nextTaskNumber: nextTaskNumber, leaseUntil: leaseUntil)
    }

    /// Goes on with what a predecessor left.
    public init(settings: Settings, resuming reExecState: ReExecState) {
        self.init(settings: settings)
        nextTaskNumber = reExecState.nextTaskNumber
        for inherited in reExecState.tasks {
            tasks[inherited.number] = TaskLifecycle(resuming: inherited)
            taken.add(inherited.task.line)
            resources.take(inherited.task.share)
        }
        timers.rebuild(from: tasks)
        if let until = reExecState.leaseUntil { membership.standing = .member(leaseUntil: until) }
    }
}

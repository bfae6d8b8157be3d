// What the log is told. A value rather than a text, so that tests can ask for it, and the daemon can log its parts as
// fields; the text says what happens next, because a reader of a log has nobody to ask.

import TaskModel

extension NodeSupervisor {
    /// What somebody who runs the node may want to know.
    public enum LogEvent: Hashable, Sendable, CustomStringConvertible {
        /// The main process has ended, and something in its group does not die.
        case groupNotEmpty(TaskNumber, seconds: Double)
        case groupEmptiedLate(TaskNumber, seconds: Double)
        /// The main process does not die.
        case willNotDie(TaskNumber, line: String)
        case leaseLost(taskCount: Int)
        /// The queue does not know this incarnation any more.
        case outside(taskCount: Int)
        /// The queue has not answered for a lease; perhaps it is away for everybody.
        case outOfTouch(taskCount: Int, seconds: Double)
        case dropped(TaskNumber, line: String)
        case noLongerHeld(TaskNumber, line: String)
        case memoryShort(TaskNumber, availableBytes: UInt64, isAlone: Bool)
        case givenBack(TaskNumber, line: String, ReturnReason)
        case nodeCannotLaunch(LaunchFailure, retrySeconds: Double)
        case nodeLaunchesAgain
        case leftWithout(taskCount: Int)
        case leftInMemory(Leftovers)
        case leftoversGone
        /// There was nothing to do for so long.
        case leavesIdle(seconds: Double)

        /// Whether it tells of trouble, rather than of the ordinary course of things.
        public var isWarning: Bool {
            switch self {
            case .groupNotEmpty, .willNotDie, .leaseLost, .outside, .outOfTouch, .dropped, .noLongerHeld, .memoryShort,
                .nodeCannotLaunch, .leftWithout, .leftInMemory:
                true
            case .groupEmptiedLate, .givenBack, .nodeLaunchesAgain, .leftoversGone, .leavesIdle: false
            }
        }

        /// Whether it tells why nothing is begun here any more, or that it is again.
        public var isOfWholeNode: Bool {
            switch self {
            case .nodeCannotLaunch, .nodeLaunchesAgain, .leftInMemory, .leftoversGone: true
            default: false
            }
        }

        /// The task line it is about, where it is about one; not part of the description, so that a log can keep it as a field.
        public var line: String? {
            switch self {
            case .willNotDie(_, let line), .dropped(_, let line), .noLongerHeld(_, let line),
                .givenBack(_, let line, _):
                line
            case .groupNotEmpty, .groupEmptiedLate, .leaseLost, .outside, .outOfTouch, .memoryShort, .nodeCannotLaunch,
                .nodeLaunchesAgain, .leftWithout, .leftInMemory, .leftoversGone, .leavesIdle:
                nil
            }
        }

        /// One line: what happened, and what happens next.
        public var description: String {
            switch self {
            case .groupNotEmpty(let number, let seconds):
                "\(number): processes remain \(Int(seconds)) s after it ended; killing them again until they are gone, "
                    + "what it requested stays taken"
            case .groupEmptiedLate(let number, let seconds):
                "\(number): its last process is gone \(Int(seconds)) s after it ended; what it requested is free again"
            case .willNotDie(let number, _):
                "\(number) does not die though killed: killing it again every second"
            case .leaseLost(let taskCount):
                "the lease is lost, others run what this node held: killing \(taskCount) tasks and registering anew"
            case .outside(let taskCount):
                "the lease is lost: registering anew, and asking whose the \(taskCount) tasks here are; those that others have "
                    + "are killed, the others go on"
            case .outOfTouch(let taskCount, let seconds):
                "the queue has not answered for \(AmountText.seconds(seconds)): \(taskCount) tasks go on, and those that "
                    + "others took over meanwhile are killed when it answers"
            case .dropped(let number, _):
                "\(number) ended unreported, another node runs it"
            case .noLongerHeld(let number, _):
                "\(number) is no longer held by this node, killing it"
            case .memoryShort(let number, let availableBytes, let isAlone):
                "memory is short (\(availableBytes / 1_000_000) MB available): killing \(number), the newest, "
                    + (isAlone ? "which fails, for nothing else runs here" : "which goes back to the queue")
            case .givenBack(let number, _, let reason):
                "\(number) goes back to the queue, \(reason)"
            case .nodeCannotLaunch(let failure, let retrySeconds):
                "no task can be started here (\(failure)): none is taken until a trial works, the next in "
                    + "\(Int(retrySeconds)) s; what could not be started goes back untried"
            case .nodeLaunchesAgain:
                "tasks can be started here again"
            case .leftInMemory(let leftovers): "\(leftovers); until then it is not offered to tasks"
            case .leftoversGone: "what ended tasks had left in memory is gone"
            case .leavesIdle(let seconds):
                "there was nothing to do here for \(AmountText.seconds(seconds)): leaving, as idle_exit_seconds asks"
            case .leftWithout(let taskCount): "leaving with \(taskCount) tasks not gone; their lease will end"
            }
        }
    }
}

extension NodeSupervisor.TaskNumber: CustomStringConvertible {
    public var description: String { "task \(rawValue)" }
}

extension NodeSupervisor.LaunchFailure: CustomStringConvertible {
    /// The step and why it failed, as `mkdir /srv/result/x: Read-only file system`.
    public var description: String { "\(step): \(message)" }
}

extension NodeSupervisor.ReturnReason: CustomStringConvertible {
    /// Why, as the end of a sentence.
    public var description: String {
        switch self {
        case .memoryPressure: "memory ran short here"
        case .nodeStopping: "this node stops"
        case .launch(let failure): "this node could not start it (\(failure))"
        case .nodeTrouble(let failure): "its output could not be written here (\(failure))"
        case .noRoom: "there is no room for it"
        case .earlierAttemptRemains: "an earlier attempt has not quite gone"
        }
    }
}

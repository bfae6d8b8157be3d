// The lifecycle of one task, every state with every event. The table below is written out by hand rather than computed:
// it says once more, in another form, what TaskLifecycle says, and a pair that is missing from it fails as well.

import TaskModel
import Testing

@testable import NodeSupervisor

/// A moment of the table: the task's deadlines are at 100, its grace is 5 s.
private let now = at(50)
private let task = claimed("1:2G:1:100:true")

private let ended = NodeSupervisor.Ending(manner: .exited(.code(3)), stopped: nil, at: at(40))
private let timedOut = NodeSupervisor.Ending(manner: .exited(.signal(15)), stopped: .timeout, at: at(49))
private let returning = NodeSupervisor.Ending(manner: .exited(.signal(15)), stopped: .nodeStopping, at: at(49.9))

/// What is left has until then to clean up; by default it is killed at once.
private func ending(
    _ manner: NodeSupervisor.Ending.Manner, _ stopped: NodeSupervisor.StopReason? = nil, killAt: Double = 50,
    isTold: Bool = false
) -> Lifecycle.State {
    .emptying(
        .init(manner: manner, stopped: stopped, at: now), .init(since: now, killAt: at(killAt), isTold: isTold))
}

private func emptying(
    since seconds: Double, killAt: Double? = nil, isTold: Bool = false, collectAt: Double? = nil, attempts: Int = 0
) -> Lifecycle.Emptying {
    .init(
        since: at(seconds), killAt: at(killAt ?? seconds), isTold: isTold, collectAt: collectAt.map(at),
        attemptCount: attempts)
}

/// The states, each with what distinguishes its answers.
private enum From: String, CaseIterable {
    case launching, launchingToStop, launchingToDrop, running, runningPastDeadline, runningForever, stopping,
        stoppingPastGrace, killing
    case cleaningUp, cleaningUpInItsGrace
    case killingAgain, emptying, emptyingToCollect, emptyingTooLong, emptyingReturned, reported, reportedToCollect, gone

    var state: Lifecycle.State {
        switch self {
        case .launching: .launching(stop: nil)
        case .launchingToStop: .launching(stop: .nodeStopping)
        case .launchingToDrop: .launching(stop: .leaseLost)
        case .running: .running(deadline: at(100))
        case .runningPastDeadline: .running(deadline: at(50))
        case .runningForever: .running(deadline: nil)
        case .stopping: .stopping(.timeout, killAt: at(52))
        case .stoppingPastGrace: .stopping(.timeout, killAt: at(50))
        case .killing: .killing(.timeout, againAt: at(51), count: 1)
        case .killingAgain: .killing(.timeout, againAt: at(50), count: 1)
        case .cleaningUp: .emptying(ended, NodeSupervisorTests.emptying(since: 49.9, killAt: 50.2))
        case .cleaningUpInItsGrace:
            .emptying(timedOut, NodeSupervisorTests.emptying(since: 49, killAt: 54, isTold: true, attempts: 9))
        case .emptying: .emptying(ended, NodeSupervisorTests.emptying(since: 49))
        case .emptyingToCollect: .emptying(ended, NodeSupervisorTests.emptying(since: 49, collectAt: 50, attempts: 2))
        case .emptyingTooLong: .emptying(ended, NodeSupervisorTests.emptying(since: 45, attempts: 9))
        case .emptyingReturned: .emptying(returning, NodeSupervisorTests.emptying(since: 49.9))
        case .reported: .reported(NodeSupervisorTests.emptying(since: 44, attempts: 9))
        case .reportedToCollect: .reported(NodeSupervisorTests.emptying(since: 44, collectAt: 50, attempts: 9))
        case .gone: .gone
        }
    }
}

private enum On: String, CaseIterable {
    case launched, launchFailed, exited, collectedGone, collectedRemains, cancel, leaseLost, due

    var event: NodeSupervisor.TaskEvent {
        switch self {
        case .launched: .launched()
        case .launchFailed: .launchFailed(notFound)
        case .exited: .exited(.code(3))
        case .collectedGone: .collected(collected(removed: true))
        case .collectedRemains: .collected(collected(removed: false))
        case .cancel: .stop(.cancelled)
        case .leaseLost: .stop(.leaseLost)
        case .due: .due
        }
    }
}

private enum Does: Equatable {
    case terminate, kill, collect
    case reports(Cause)
    case returns(NodeSupervisor.ReturnReason)
}

private struct Row {
    let to: Lifecycle.State
    let does: [Does]

    init(_ to: Lifecycle.State, _ does: Does...) {
        self.to = to
        self.does = does
    }
}

private func stays(_ from: From) -> Row { Row(from.state) }

/// What the kill after an incomplete removal leads to: the next look after the pause.
private func again(_ ending: NodeSupervisor.Ending, since: Double, pauseSeconds: Double, attempts: Int)
    -> Lifecycle.State
{
    .emptying(ending, emptying(since: since, collectAt: 50 + pauseSeconds, attempts: attempts))
}

private func cancelling(_ killAt: Double = 55) -> Lifecycle.State { .stopping(.cancelled, killAt: at(killAt)) }
private let losing = Lifecycle.State.killing(.leaseLost, againAt: at(51), count: 1)
private let exit3 = Cause.exit(code: 3)

// swift-format-ignore
private let table: [From: [On: Row]] = [
    .launching: [
        .launched: Row(.running(deadline: at(150))), .launchFailed: Row(ending(.notStarted(notFound)), .collect),
        .exited: Row(ending(.exited(.code(3)), killAt: 50.3), .collect), .collectedGone: stays(.launching),
        .collectedRemains: stays(.launching), .cancel: Row(.launching(stop: .cancelled)),
        .leaseLost: Row(.launching(stop: .leaseLost)), .due: stays(.launching),
    ],
    .launchingToStop: [
        .launched: Row(.stopping(.nodeStopping, killAt: at(55)), .terminate),
        .launchFailed: Row(ending(.notStarted(notFound), .nodeStopping), .collect),
        .exited: Row(ending(.exited(.code(3)), .nodeStopping, killAt: 50.3), .collect), .collectedGone: stays(.launchingToStop),
        .collectedRemains: stays(.launchingToStop), .cancel: Row(.launching(stop: .cancelled)),
        .leaseLost: Row(.launching(stop: .leaseLost)), .due: stays(.launchingToStop),
    ],
    .launchingToDrop: [
        .launched: Row(losing, .kill), .launchFailed: Row(ending(.notStarted(notFound), .leaseLost), .collect),
        .exited: Row(ending(.exited(.code(3)), .leaseLost), .collect), .collectedGone: stays(.launchingToDrop),
        .collectedRemains: stays(.launchingToDrop), .cancel: stays(.launchingToDrop),
        .leaseLost: stays(.launchingToDrop), .due: stays(.launchingToDrop),
    ],
    .running: [
        .launched: stays(.running), .launchFailed: Row(ending(.notStarted(notFound)), .collect),
        .exited: Row(ending(.exited(.code(3)), killAt: 50.3), .collect), .collectedGone: stays(.running),
        .collectedRemains: stays(.running), .cancel: Row(cancelling(), .terminate), .leaseLost: Row(losing, .kill),
        .due: stays(.running),
    ],
    .runningPastDeadline: [
        .launched: stays(.runningPastDeadline), .launchFailed: Row(ending(.notStarted(notFound)), .collect),
        .exited: Row(ending(.exited(.code(3)), killAt: 50.3), .collect), .collectedGone: stays(.runningPastDeadline),
        .collectedRemains: stays(.runningPastDeadline), .cancel: Row(cancelling(), .terminate),
        .leaseLost: Row(losing, .kill), .due: Row(.stopping(.timeout, killAt: at(55)), .terminate),
    ],
    .runningForever: [
        .launched: stays(.runningForever), .launchFailed: Row(ending(.notStarted(notFound)), .collect),
        .exited: Row(ending(.exited(.code(3)), killAt: 50.3), .collect), .collectedGone: stays(.runningForever),
        .collectedRemains: stays(.runningForever), .cancel: Row(cancelling(), .terminate),
        .leaseLost: Row(losing, .kill), .due: stays(.runningForever),
    ],
    .stopping: [
        .launched: stays(.stopping), .launchFailed: Row(ending(.notStarted(notFound), .timeout), .collect),
        .exited: Row(ending(.exited(.code(3)), .timeout, killAt: 52, isTold: true), .collect), .collectedGone: stays(.stopping),
        .collectedRemains: stays(.stopping), .cancel: Row(cancelling(52)), .leaseLost: Row(losing, .kill),
        .due: stays(.stopping),
    ],
    .stoppingPastGrace: [
        .launched: stays(.stoppingPastGrace), .launchFailed: Row(ending(.notStarted(notFound), .timeout), .collect),
        .exited: Row(ending(.exited(.code(3)), .timeout, killAt: 50.3, isTold: true), .collect), .collectedGone: stays(.stoppingPastGrace),
        .collectedRemains: stays(.stoppingPastGrace), .cancel: Row(cancelling(50)), .leaseLost: Row(losing, .kill),
        .due: Row(.killing(.timeout, againAt: at(51), count: 1), .kill),
    ],
    .killing: [
        .launched: stays(.killing), .launchFailed: Row(ending(.notStarted(notFound), .timeout), .collect),
        .exited: Row(ending(.exited(.code(3)), .timeout), .collect), .collectedGone: stays(.killing),
        .collectedRemains: stays(.killing), .cancel: Row(.killing(.cancelled, againAt: at(51), count: 1)),
        .leaseLost: Row(losing), .due: stays(.killing),
    ],
    .killingAgain: [
        .launched: stays(.killingAgain), .launchFailed: Row(ending(.notStarted(notFound), .timeout), .collect),
        .exited: Row(ending(.exited(.code(3)), .timeout), .collect), .collectedGone: stays(.killingAgain),
        .collectedRemains: stays(.killingAgain), .cancel: Row(.killing(.cancelled, againAt: at(50), count: 1)),
        .leaseLost: Row(.killing(.leaseLost, againAt: at(50), count: 1)),
        .due: Row(.killing(.timeout, againAt: at(51), count: 2), .kill),
    ],
    .cleaningUp: [
        .launched: stays(.cleaningUp),
        .launchFailed: Row(
            .emptying(
                .init(manner: .notStarted(notFound), stopped: nil, at: at(40)), emptying(since: 49.9, killAt: 50.2))),
        .exited: stays(.cleaningUp), .collectedGone: Row(.gone, .reports(exit3)),
        .collectedRemains: Row(
            .emptying(ended, emptying(since: 49.9, killAt: 50.2, isTold: true, collectAt: 50.001, attempts: 1)),
            .terminate),
        .cancel: stays(.cleaningUp), .leaseLost: Row(.emptying(ended, emptying(since: 49.9, killAt: 50))),
        .due: stays(.cleaningUp),
    ],
    .cleaningUpInItsGrace: [
        .launched: stays(.cleaningUpInItsGrace),
        .launchFailed: Row(
            .emptying(
                .init(manner: .notStarted(notFound), stopped: .timeout, at: at(49)),
                emptying(since: 49, killAt: 54, isTold: true, attempts: 9))),
        .exited: stays(.cleaningUpInItsGrace), .collectedGone: Row(.gone, .reports(.timeout)),
        .collectedRemains: Row(
            .emptying(timedOut, emptying(since: 49, killAt: 54, isTold: true, collectAt: 50.1, attempts: 10))),
        .cancel: Row(
            .emptying(
                .init(manner: .exited(.signal(15)), stopped: .cancelled, at: at(49)),
                emptying(since: 49, killAt: 54, isTold: true, attempts: 9))),
        .leaseLost: Row(
            .emptying(
                .init(manner: .exited(.signal(15)), stopped: .leaseLost, at: at(49)),
                emptying(since: 49, killAt: 50, isTold: true, attempts: 9))),
        .due: stays(.cleaningUpInItsGrace),
    ],
    .emptying: [
        .launched: stays(.emptying),
        .launchFailed: Row(
            .emptying(.init(manner: .notStarted(notFound), stopped: nil, at: at(40)), emptying(since: 49))),
        .exited: stays(.emptying), .collectedGone: Row(.gone, .reports(exit3)),
        .collectedRemains: Row(again(ended, since: 49, pauseSeconds: 0.001, attempts: 1), .kill),
        .cancel: stays(.emptying), .leaseLost: stays(.emptying), .due: stays(.emptying),
    ],
    .emptyingToCollect: [
        .launched: stays(.emptyingToCollect),
        .launchFailed: Row(
            .emptying(
                .init(manner: .notStarted(notFound), stopped: nil, at: at(40)),
                emptying(since: 49, collectAt: 50, attempts: 2))),
        .exited: stays(.emptyingToCollect), .collectedGone: Row(.gone, .reports(exit3)),
        .collectedRemains: Row(again(ended, since: 49, pauseSeconds: 0.004, attempts: 3), .kill),
        .cancel: stays(.emptyingToCollect), .leaseLost: stays(.emptyingToCollect),
        .due: Row(.emptying(ended, emptying(since: 49, attempts: 2)), .collect),
    ],
    .emptyingTooLong: [
        .launched: stays(.emptyingTooLong),
        .launchFailed: Row(
            .emptying(
                .init(manner: .notStarted(notFound), stopped: nil, at: at(40)), emptying(since: 45, attempts: 9))),
        .exited: stays(.emptyingTooLong), .collectedGone: Row(.gone, .reports(exit3)),
        .collectedRemains: Row(
            .reported(emptying(since: 45, collectAt: 50.1, attempts: 10)), .kill, .reports(exit3)),
        .cancel: stays(.emptyingTooLong), .leaseLost: stays(.emptyingTooLong), .due: stays(.emptyingTooLong),
    ],
    .emptyingReturned: [
        .launched: stays(.emptyingReturned),
        .launchFailed: Row(
            .emptying(
                .init(manner: .notStarted(notFound), stopped: .nodeStopping, at: at(49.9)), emptying(since: 49.9))),
        .exited: stays(.emptyingReturned), .collectedGone: Row(.gone, .returns(.nodeStopping)),
        .collectedRemains: Row(again(returning, since: 49.9, pauseSeconds: 0.001, attempts: 1), .kill),
        .cancel: Row(
            .emptying(.init(manner: .exited(.signal(15)), stopped: .cancelled, at: at(49.9)), emptying(since: 49.9))),
        .leaseLost: Row(
            .emptying(.init(manner: .exited(.signal(15)), stopped: .leaseLost, at: at(49.9)), emptying(since: 49.9))),
        .due: stays(.emptyingReturned),
    ],
    .reported: [
        .launched: stays(.reported), .launchFailed: stays(.reported), .exited: stays(.reported),
        .collectedGone: Row(.gone),
        .collectedRemains: Row(.reported(emptying(since: 44, collectAt: 50.1, attempts: 10)), .kill),
        .cancel: stays(.reported), .leaseLost: stays(.reported), .due: stays(.reported),
    ],
    .reportedToCollect: [
        .launched: stays(.reportedToCollect), .launchFailed: stays(.reportedToCollect),
        .exited: stays(.reportedToCollect), .collectedGone: Row(.gone),
        .collectedRemains: Row(.reported(emptying(since: 44, collectAt: 50.1, attempts: 10)), .kill),
        .cancel: stays(.reportedToCollect), .leaseLost: stays(.reportedToCollect),
        .due: Row(.reported(emptying(since: 44, attempts: 9)), .collect),
    ],
    .gone: [
        .launched: stays(.gone), .launchFailed: stays(.gone), .exited: stays(.gone), .collectedGone: stays(.gone),
        .collectedRemains: stays(.gone), .cancel: stays(.gone), .leaseLost: stays(.gone), .due: stays(.gone),
    ],
]

@Suite("The lifecycle of one task")
struct LifecycleTableTests {
    @Test("does in every state, on every event, what the table says", arguments: From.allCases.map(\.rawValue))
    fileprivate func followsTable(from name: String) throws {
        let from = try #require(From(rawValue: name))
        for on in On.allCases {
            let row = try #require(table[from]?[on], "\(from) on \(on) is not in the table")
            var lifecycle = Lifecycle(
                number: number(7), task: task, timeoutSeconds: 100, at: at(0), state: from.state)
            var actions: [Action] = []
            let settings = Node().settings
            let report = lifecycle.handle(on.event, at: now, settings: settings, into: &actions)
            #expect(lifecycle.state == row.to, "\(from) on \(on)")
            #expect(did(actions, report) == row.does, "\(from) on \(on)")
        }
    }

    private func did(_ actions: [Action], _ report: NodeSupervisor.Report?) -> [Does] {
        var does: [Does] = actions.compactMap { action in
            switch action {
            case .terminate(number(7)): .terminate
            case .kill(number(7)): .kill
            case .collect(number(7)): .collect
            default: nil
            }
        }
        switch report?.result {
        case .ended(let outcome): does.append(.reports(outcome.cause))
        case .returned(let reason): does.append(.returns(reason))
        case nil: break
        }
        return does
    }

    @Test("a stronger reason to stop replaces a weaker one, and never the other way round")
    func strongerReasonWins() {
        for earlier in NodeSupervisor.StopReason.allCases {
            for later in NodeSupervisor.StopReason.allCases {
                var lifecycle = Lifecycle(
                    number: number(7), task: task, timeoutSeconds: nil, at: at(0), state: .running(deadline: nil))
                var actions: [Action] = []
                for reason in [earlier, later] {
                    _ = lifecycle.handle(.stop(reason), at: now, settings: Node().settings, into: &actions)
                }
                switch lifecycle.state {
                case .stopping(let reason, _), .killing(let reason, _, _): #expect(reason == max(earlier, later))
                default: Issue.record("\(earlier), \(later): \(lifecycle.state)")
                }
                let killsNow = earlier.killsAtOnce || later.killsAtOnce
                #expect(actions.contains(.kill(number(7))) == killsNow, "\(earlier), \(later)")
            }
        }
    }
}

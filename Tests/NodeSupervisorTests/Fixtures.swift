// Short names for what the tests of the supervisor need over and over.

import TaskModel

@testable import NodeSupervisor

typealias Event = NodeSupervisor.Event
typealias Action = NodeSupervisor.Action
typealias Lifecycle = NodeSupervisor.TaskLifecycle

/// The moment so many seconds after the boot.
func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0).advanced(bySeconds: seconds) }

func number(_ rawValue: UInt64) -> NodeSupervisor.TaskNumber { .init(rawValue) }

func request(_ rawValue: UInt64) -> NodeSupervisor.RequestNumber { .init(rawValue) }

/// A task with the fields that matter here, written as its line: `priority:memory:cores:timeout:command`.
func claimed(_ fields: String, token: String? = nil, attempt: Int = 1) -> NodeSupervisor.ClaimedTask {
    do {
        return .init(
            line: try TaskLine(parsing: "shell:\(fields)"), token: token ?? "token of \(fields)", attempt: attempt)
    } catch {
        preconditionFailure("\(fields): \(error)")
    }
}

func collected(removed: Bool, oomKills: UInt64? = 0) -> NodeSupervisor.Collected {
    let usage = Usage(
        wallSeconds: 0, userSeconds: 0.5, systemSeconds: 0.25, memoryPeakBytes: 1_000_000, oomKills: oomKills)
    return .init(usage: usage, removed: removed, stderrTail: "tail", stdoutPath: "out", stderrPath: "err")
}

let notFound = NodeSupervisor.LaunchFailure(
    step: "execve ./x", errno: 2, message: "No such file or directory", fault: .task)
let noProcesses = NodeSupervisor.LaunchFailure(
    step: "posix_spawn", errno: 11, message: "Resource temporarily unavailable", fault: .node)
let diskFull = NodeSupervisor.LaunchFailure(
    step: "write below /results", errno: 28, message: "No space left on device", fault: .node)

extension Sequence<NodeSupervisor.Action> {
    /// Without what is only told to the log.
    var withoutLog: [NodeSupervisor.Action] {
        filter { if case .log = $0 { false } else { true } }
    }

    var reports: [NodeSupervisor.Report] {
        compactMap { if case .report(let report) = $0 { report } else { nil } }
    }

    var causes: [Cause] {
        reports.compactMap { if case .ended(let outcome) = $0.result { outcome.cause } else { nil } }
    }

    var returns: [NodeSupervisor.ReturnReason] {
        reports.compactMap { if case .returned(let reason) = $0.result { reason } else { nil } }
    }

    var launched: [NodeSupervisor.TaskNumber] {
        compactMap { if case .launch(let number, _) = $0 { number } else { nil } }
    }

    var claim: NodeSupervisor.Claim? {
        for case .claim(let claim) in self { return claim }
        return nil
    }

    var notices: [NodeSupervisor.LogEvent] {
        compactMap { if case .log(let notice) = $0 { notice } else { nil } }
    }
}

/// A supervisor with its clock beside it, so that a test reads as what happens after what.
struct Node {
    var supervisor: NodeSupervisor
    var now = at(1000)
    let settings: NodeSupervisor.Settings

    init(_ change: (inout NodeSupervisor.Settings) -> Void = { _ in }) {
        var settings = NodeSupervisor.Settings(
            worker: "node", taskCountMax: 4, memoryBytes: 8 << 30, millicores: 4000,
            memoryBytesMinToAccept: 1_000_000_000, memoryBytesMinToKeep: 500_000_000, idlePollSeconds: 5,
            defaultTimeoutSeconds: 3600, heartbeatSeconds: 10, leaseSeconds: 30, killGraceSeconds: 5,
            stopGraceSeconds: 20, leaveWithinSeconds: 10)
        change(&settings)
        self.settings = settings
        supervisor = NodeSupervisor(settings: settings)
    }

    /// Registered and with memory to spare: its first claim is under way.
    static func waitingForTasks(_ change: (inout NodeSupervisor.Settings) -> Void = { _ in }) -> Node {
        var node = Node(change)
        node.hear(.connected)
        node.hear(.registered(sentAt: node.now), .memory(availableBytes: 8 << 30))
        return node
    }

    /// With these tasks running. The claim's answer is short, so the node waits.
    static func running(
        _ tasks: NodeSupervisor.ClaimedTask..., change: (inout NodeSupervisor.Settings) -> Void = { _ in }
    ) -> Node {
        var node = waitingForTasks(change)
        for launched in node.hear(.claimed(request(1), tasks, refusedCount: 0, dueSeconds: nil)).launched {
            node.hear(.launched(launched))
        }
        return node
    }

    @discardableResult
    mutating func hear(_ events: Event...) -> [Action] { supervisor.handle(events, at: now) }

    /// Lets time pass, firing every deadline at its moment; returns what was done.
    @discardableResult
    mutating func pass(seconds: Double) -> [Action] {
        let end = now.advanced(bySeconds: seconds)
        var actions: [Action] = []
        while let deadline = supervisor.nextDeadline, deadline <= end {
            now = max(now, deadline)
            actions += hear(.tick)
        }
        now = end
        return actions
    }

    /// The same, with a queue that renews the lease at every heartbeat and holds what it is thought to hold, and memory
    /// to spare.
    @discardableResult
    mutating func passAnswered(seconds: Double, availableBytes: UInt64 = 8 << 30) -> [Action] {
        let end = now.advanced(bySeconds: seconds)
        var actions: [Action] = []
        while let deadline = supervisor.nextDeadline, deadline <= end {
            now = max(now, deadline)
            var done = hear(.tick)
            while !done.isEmpty {
                actions += done
                let answers = done.flatMap { self.answers(to: $0, availableBytes: availableBytes) }
                done = answers.isEmpty ? [] : supervisor.handle(answers, at: now)
            }
        }
        now = end
        return actions
    }

    private func answers(to action: Action, availableBytes: UInt64) -> [Event] {
        switch action {
        case .heartbeat: [.leaseRenewed(sentAt: now)]
        case .reconcile(let number): [.held(number, supervisor.tasks.values.map(\.task))]
        case .measureMemory: [.memory(availableBytes: availableBytes)]
        default: []
        }
    }

    /// The main process ends and its group is removed at once.
    @discardableResult
    mutating func end(
        _ number: NodeSupervisor.TaskNumber, _ status: NodeSupervisor.ExitStatus = .code(0), oomKills: UInt64? = 0
    ) -> [Action] {
        hear(.exited(number, status), .collected(number, collected(removed: true, oomKills: oomKills)))
    }
}

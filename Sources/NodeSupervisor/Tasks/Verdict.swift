// How a task's ending is named. Everything known of it meets in one place, because a wrong cause sends a user looking
// in the wrong direction: an outside SIGKILL called "oom", or a timeout called "signal 15".
//
// The table, read from the top; the first line that fits holds.
//
//   stopped by us because     main process        oom kills | verdict
//   ------------------------- ------------------- --------- | ----------------------------------------------------
//   lease lost, not ours      any                 any       | dropped: the queue has given the task to another node
//   cancelled                 any                 any       | cancelled
//   timeout                   any                 any       | timeout
//   a child killed for memory any                 any       | oom
//   memory short, alone       any                 any       | memory pressure
//   memory short, node stops  any                 any       | returned without a mark
//   -                         not started, node   any       | returned without a mark
//   -                         not started, task   any       | launch: step and errno
//   -                         any                 > 0       | oom
//   -                         exit 0              0         | exit 0
//   output cannot be written  exit n, signal n    0         | returned without a mark, unless it is the task that filled the disk
//   -                         exit n              0         | exit n
//   -                         signal n            0         | signal n
//
// Why the reason for which we stopped a task wins over how it then ended: after TERM an exit code is what a handler
// chose, and after a kill a shell may see its child die first and still exit by itself, so neither tells whether the
// work was done. An `exit 0` after a timeout is a timeout; a second run of a returned task is safe, a false "finished"
// is not. So is an `exit 0` beside a child that the kernel killed for memory: `sort BIG | wc -l` counts 0 lines then, and says
// that all is well. What was seen beside the cause is in the notes: nothing is hidden.

import TaskModel

extension NodeSupervisor {
    /// Why a task was stopped before it ended by itself, the weakest reason first: a stronger one replaces a weaker.
    enum StopReason: Int, Comparable, CaseIterable {
        /// This node stops. The task goes back.
        case nodeStopping
        /// The same, and whoever asked for it asks again. The task goes back.
        case nodeStoppingAtOnce
        /// Memory is short, and others run as well. The task goes back.
        case memoryShort
        /// Memory is short, and nothing else runs here. The task fails.
        case memoryShortAlone
        /// The kernel killed a part of it at its cap, and the rest went on, as it does under cgroup v1.
        case partKilledForMemory
        case timeout
        case cancelled
        /// The lease ended or was refused. The task runs elsewhere, or soon will.
        case leaseLost
        /// The queue no longer holds this task for ours.
        case notOurs

        static func < (left: StopReason, right: StopReason) -> Bool { left.rawValue < right.rawValue }

        /// Whether the task is killed without TERM and grace, or without the rest of it: somebody waits, the memory is
        /// needed now, or the task must not overlap with its next run.
        var killsAtOnce: Bool {
            switch self {
            case .nodeStopping, .timeout, .cancelled: false
            case .nodeStoppingAtOnce, .memoryShort, .memoryShortAlone, .partKilledForMemory, .leaseLost, .notOurs: true
            }
        }
    }

    /// How the main process of a task came to its end.
    struct Ending: Equatable {
        enum Manner: Equatable {
            case exited(ExitStatus)
            case notStarted(LaunchFailure)
        }

        var manner: Manner
        var stopped: StopReason?
        let at: Instant
    }

    /// What an ending amounts to.
    enum Verdict: Equatable {
        case ended(Cause, notes: [String])
        case returned(ReturnReason)
        case dropped
    }
}

extension NodeSupervisor.Ending {
    typealias Verdict = NodeSupervisor.Verdict

    /// The table above. `usage.oomKills` is nil where the kernel does not count them for this group.
    func verdict(
        for line: TaskLine, usage: Usage, shortage: NodeSupervisor.OutputShortage? = nil
    ) -> Verdict {
        if let stopped { return verdict(stoppedFor: stopped, line, usage) }
        switch manner {
        case .notStarted(let failure): return verdict(notStarted: failure)
        case .exited(.signal(Self.signalKill)) where (usage.oomKills ?? 0) > 0: return .ended(.oom, notes: [])
        case .exited(let status) where (usage.oomKills ?? 0) > 0: return .ended(.oom, notes: [Self.phrase(status)])
        case .exited(.code(0)): return .ended(.exit(code: 0), notes: [])
        case .exited(let status): return verdict(exited: status, usage, shortage)
        }
    }

    private func verdict(
        exited status: NodeSupervisor.ExitStatus, _ usage: Usage, _ shortage: NodeSupervisor.OutputShortage?
    ) -> Verdict {
        if let shortage, shortage.ownBytes < Self.ownBytesSmall { return .returned(.nodeTrouble(shortage.failure)) }
        let notes = shortage == nil ? [] : ["the disk under result_dir is full"]
        switch status {
        case .code(let code): return .ended(.exit(code: code), notes: notes)
        case .signal(let signal):
            let mayBeMemory = signal == Self.signalKill && usage.oomKills == nil
            return .ended(.signal(signal), notes: (mayBeMemory ? [Self.memoryUnknownNote] : []) + notes)
        }
    }

    private func verdict(stoppedFor reason: NodeSupervisor.StopReason, _ line: TaskLine, _ usage: Usage) -> Verdict {
        switch reason {
        case .nodeStopping, .nodeStoppingAtOnce: .returned(.nodeStopping)
        case .memoryShort: .returned(.memoryPressure)
        case .memoryShortAlone: .ended(.memoryPressure, notes: endingNotes(line, usage))
        case .partKilledForMemory: .ended(.oom, notes: endingNotes())
        case .timeout: .ended(.timeout, notes: endingNotes(line, usage) + capNotes(usage))
        case .cancelled: .ended(.cancelled, notes: endingNotes(line, usage))
        case .leaseLost, .notOurs: .dropped
        }
    }

    private func verdict(notStarted failure: NodeSupervisor.LaunchFailure) -> Verdict {
        switch failure.fault {
        case .node: .returned(.launch(failure))
        case .task:
            .ended(.launch(step: failure.step, errno: failure.errno, message: failure.message), notes: [])
        }
    }

    // MARK: - Notes

    private static let signalKill: Int32 = 9
    private static let signalTerminate: Int32 = 15
    /// Whose output is less than this did not fill a disk.
    private static let ownBytesSmall: UInt64 = 1 << 20
    /// Each time the kernel finds some tens of pages, so this often is some megabytes that were wanted and not there.
    private static let capHitsMany: UInt64 = 100
    private static let memoryUnknownNote = "this node cannot tell whether it was killed for memory"

    /// What is worth knowing of a task we stopped: how it ended, unless it was by the signals we sent.
    private func endingNotes() -> [String] {
        switch manner {
        case .exited(.signal(Self.signalKill)), .exited(.signal(Self.signalTerminate)): []
        case .exited(let status): [Self.phrase(status)]
        case .notStarted(let failure): ["it had not started: \(failure.step): \(failure.message)"]
        }
    }

    private func endingNotes(_ line: TaskLine, _ usage: Usage) -> [String] {
        endingNotes() + memoryNotes(line, usage)
    }

    /// Of a task that was slow, whether want of memory may be why.
    private func capNotes(_ usage: Usage) -> [String] {
        guard let hits = usage.memoryCapHits, hits >= Self.capHitsMany else { return [] }
        return ["it was at its memory cap \(hits) times"]
    }

    private func memoryNotes(_ line: TaskLine, _ usage: Usage) -> [String] {
        guard let kills = usage.oomKills, kills > 0 else { return [] }
        let capBytes = line.memoryBytes == 0 ? nil : line.memoryBytes
        return [TaskOutcome.childKilledForMemory(capBytes: capBytes, peakBytes: usage.memoryPeakBytes)]
    }

    private static func phrase(_ status: NodeSupervisor.ExitStatus) -> String {
        switch status {
        case .code(let code): "its main process ended with exit \(code)"
        case .signal(let signal): "its main process ended by signal \(signal)"
        }
    }
}

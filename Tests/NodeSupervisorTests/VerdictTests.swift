// How endings are named: the table at the head of Verdict.swift, line by line.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("The cause of an ending")
struct VerdictTests {
    private let line = claimed("1:2G:1:100:true").line

    private func verdict(
        _ manner: NodeSupervisor.Ending.Manner, stopped: NodeSupervisor.StopReason? = nil, oomKills: UInt64? = 0,
        fullWithOwnBytes ownBytes: UInt64? = nil
    ) -> NodeSupervisor.Verdict {
        let usage = Usage(
            wallSeconds: 1, userSeconds: nil, systemSeconds: nil, memoryPeakBytes: 2 << 30, oomKills: oomKills)
        return NodeSupervisor.Ending(manner: manner, stopped: stopped, at: at(0)).verdict(
            for: line, usage: usage, shortage: ownBytes.map { NodeSupervisor.OutputShortage(diskFull, ownBytes: $0) })
    }

    private func cause(
        _ status: NodeSupervisor.ExitStatus, stopped: NodeSupervisor.StopReason? = nil, oomKills: UInt64? = 0
    ) -> Cause? {
        guard case .ended(let cause, _) = verdict(.exited(status), stopped: stopped, oomKills: oomKills) else {
            return nil
        }
        return cause
    }

    private func notes(
        _ status: NodeSupervisor.ExitStatus, stopped: NodeSupervisor.StopReason? = nil, oomKills: UInt64? = 0
    ) -> [String] {
        guard case .ended(_, let notes) = verdict(.exited(status), stopped: stopped, oomKills: oomKills) else {
            return []
        }
        return notes
    }

    @Test("an exit code is itself, with nothing to add")
    func exitCode() {
        #expect(verdict(.exited(.code(0))) == .ended(.exit(code: 0), notes: []))
        #expect(verdict(.exited(.code(3))) == .ended(.exit(code: 3), notes: []))
        #expect(verdict(.exited(.code(137))) == .ended(.exit(code: 137), notes: []))
    }

    @Test("a SIGKILL from outside is signal 9, not oom")
    func outsideKill() {
        #expect(verdict(.exited(.signal(9))) == .ended(.signal(9), notes: []))
    }

    @Test("where nobody counts oom kills, signal 9 stays signal 9 and says what is not known")
    func uncounted() {
        #expect(cause(.signal(9), oomKills: nil) == .signal(9))
        #expect(notes(.signal(9), oomKills: nil).count == 1)
        #expect(notes(.signal(11), oomKills: nil).isEmpty)
    }

    @Test("an oom kill explains every ending")
    func oom() {
        #expect(cause(.signal(9), oomKills: 1) == .oom)
        #expect(cause(.signal(6), oomKills: 1) == .oom)
        #expect(cause(.code(137), oomKills: 1) == .oom)
        #expect(notes(.code(137), oomKills: 1) == ["its main process ended with exit 137"])
    }

    @Test("a child killed at the cap while the main process exits 0 is an oom: a wrong result is never a success")
    func childKilled() {
        #expect(cause(.code(0), oomKills: 1) == .oom)
        #expect(notes(.code(0), oomKills: 1) == ["its main process ended with exit 0"])
    }

    @Test("a task stopped because a part of it was killed for memory is an oom, however the rest of it ends")
    func partKilled() {
        #expect(
            verdict(.exited(.signal(9)), stopped: .partKilledForMemory, oomKills: 1) == .ended(.oom, notes: []))
        #expect(cause(.code(0), stopped: .partKilledForMemory, oomKills: 1) == .oom)
        #expect(
            notes(.code(0), stopped: .partKilledForMemory, oomKills: 1) == ["its main process ended with exit 0"])
    }

    @Test("a timeout tells how often the task was at its memory cap, if that was often")
    func atItsCap() {
        func notes(hits: UInt64?) -> [String] {
            let usage = Usage(wallSeconds: 100, memoryCapHits: hits, oomKills: 0)
            let ending = NodeSupervisor.Ending(manner: .exited(.signal(15)), stopped: .timeout, at: at(0))
            guard case .ended(.timeout, let notes) = ending.verdict(for: line, usage: usage) else { return ["?"] }
            return notes
        }
        #expect(notes(hits: nil).isEmpty && notes(hits: 99).isEmpty)
        #expect(notes(hits: 12_345) == ["it was at its memory cap 12345 times"])
    }

    @Test("a timeout stays a timeout, whatever the task did with its TERM")
    func timeout() {
        #expect(cause(.code(0), stopped: .timeout) == .timeout)
        #expect(notes(.code(0), stopped: .timeout) == ["its main process ended with exit 0"])
        #expect(verdict(.exited(.signal(15)), stopped: .timeout) == .ended(.timeout, notes: []))
        #expect(verdict(.exited(.signal(9)), stopped: .timeout) == .ended(.timeout, notes: []))
        #expect(cause(.signal(9), stopped: .timeout, oomKills: 2) == .timeout)
        #expect(notes(.signal(9), stopped: .timeout, oomKills: 2).count == 1)
    }

    @Test("cancelled is cancelled, and says so of a task that had not started")
    func cancelled() {
        #expect(cause(.signal(15), stopped: .cancelled) == .cancelled)
        #expect(
            verdict(.notStarted(notFound), stopped: .cancelled)
                == .ended(.cancelled, notes: ["it had not started: execve ./x: No such file or directory"]))
    }

    @Test("alone under memory pressure it fails, with others it goes back")
    func memoryPressure() {
        #expect(cause(.signal(9), stopped: .memoryShortAlone) == .memoryPressure)
        #expect(verdict(.exited(.signal(9)), stopped: .memoryShort) == .returned(.memoryPressure))
        #expect(verdict(.exited(.code(0)), stopped: .memoryShort) == .returned(.memoryPressure))
    }

    @Test("a stopping node returns what it stopped, even after an exit 0")
    func nodeStopping() {
        #expect(verdict(.exited(.code(0)), stopped: .nodeStopping) == .returned(.nodeStopping))
    }

    @Test("a launch fails with its step and errno, unless the node was short of something")
    func launch() {
        let cause = Cause.launch(step: "execve ./x", errno: 2, message: "No such file or directory")
        #expect(verdict(.notStarted(notFound)) == .ended(cause, notes: []))
        #expect(verdict(.notStarted(noProcesses)) == .returned(.launch(noProcesses)))
    }

    @Test("a task that fails beside a full disk goes back, unless its own output is what filled it")
    func diskIsFull() {
        for status in [NodeSupervisor.ExitStatus.code(1), .signal(25)] {
            #expect(verdict(.exited(status), fullWithOwnBytes: 0) == .returned(.nodeTrouble(diskFull)))
            #expect(verdict(.exited(status), fullWithOwnBytes: (1 << 20) - 1) == .returned(.nodeTrouble(diskFull)))
        }
        let notes = ["the disk under result_dir is full"]
        #expect(verdict(.exited(.code(1)), fullWithOwnBytes: 1 << 20) == .ended(.exit(code: 1), notes: notes))
        #expect(verdict(.exited(.signal(25)), fullWithOwnBytes: 1 << 30) == .ended(.signal(25), notes: notes))
    }

    @Test("a full disk changes nothing for what succeeded, was killed at its cap, or was stopped")
    func diskIsFullOtherwise() {
        #expect(verdict(.exited(.code(0)), fullWithOwnBytes: 0) == .ended(.exit(code: 0), notes: []))
        #expect(verdict(.exited(.signal(9)), oomKills: 1, fullWithOwnBytes: 0) == .ended(.oom, notes: []))
        #expect(verdict(.exited(.signal(15)), stopped: .timeout, fullWithOwnBytes: 0) == .ended(.timeout, notes: []))
        #expect(
            verdict(.exited(.code(1)), stopped: .nodeStopping, fullWithOwnBytes: 0) == .returned(.nodeStopping))
    }

    @Test("a task that others run is not reported at all")
    func dropped() {
        #expect(verdict(.exited(.code(0)), stopped: .leaseLost) == .dropped)
        #expect(verdict(.exited(.signal(9)), stopped: .notOurs) == .dropped)
    }
}

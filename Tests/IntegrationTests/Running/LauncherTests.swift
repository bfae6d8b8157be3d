// The launchers that stay: what becomes of tasks when they die, and that they are no more than a way to begin tasks.

import Glibc
import LinuxSystem
import Testing

@Suite("launchers that stay", .aFewAtATime, .enabled(if: Host.isRoot, "needs root, for control groups"))
struct LauncherTests {
    @Test("those that are killed take no task with them, and others begin what comes")
    func killed() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "2"])
            let go = fleet.scratch.path + "/go"
            let log = fleet.scratch.path + "/log"
            for round in 1...3 {
                let waits = (1...2).map {
                    "shell:1:0:0:echo up >> \(log); until [ -e \(go)\(round) ]; do sleep 0.05; done; echo \(round)\($0)"
                }
                try await fleet.submit(waits)
                try await eventually("they run") { fleet.scratch.lines("log").count == round * 2 }
                let launchers = fleet.scratch.stayingLaunchers()
                for launcher in launchers { kill(launcher, SIGKILL) }
                try fleet.scratch.write("go\(round)", "")
                try await fleet.untilFinished((round - 1) * 22 + 2)
                try await fleet.submit((0..<20).map { "shell:1:0:0:echo next \(round) \($0)" })
                try await eventually("all have ended") { try fleet.hash("finished_tasks").count == round * 22 }
            }
            #expect(try fleet.hash("failed_tasks").isEmpty)
            #expect(try await node.stop().status == 0)
            #expect(fleet.scratch.stayingLaunchers().isEmpty && fleet.scratch.processes().isEmpty)
        }
    }

    @Test("one that is stopped, or hangs, is ended, and what it was told of is begun by others")
    func stopped() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "4", "lease_seconds": "3"])
            // One is begun by the launch that waits, and the others by launchers.
            try await fleet.submit((1...4).map { "shell:1:0:0:sleep 0.2; echo first \($0)" })
            try await fleet.untilFinished(4)
            let launchers = fleet.scratch.stayingLaunchers()
            #expect(launchers.count >= 2)
            for launcher in launchers { kill(launcher, SIGSTOP) }
            try await fleet.submit((1...12).map { "shell:1:0:0:echo \($0)" })
            try await fleet.untilFinished(16)
            #expect(try fleet.hash("failed_tasks").isEmpty)
            try await node.logs("launchers have not begun what they were told of")
            #expect(try await node.stop().status == 0)
            #expect(fleet.scratch.stayingLaunchers().isEmpty)
        }
    }
}

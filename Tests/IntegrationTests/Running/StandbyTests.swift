// The launch that waits for a task while a node is at rest.

import Glibc
import LinuxSystem
import Testing

@Suite("a node at rest", .aFewAtATime, .enabled(if: Host.isRoot, "needs root, for control groups"))
struct StandbyTests {
    /// The one launch that waits.
    private func waiting(_ fleet: Fleet) async throws -> pid_t {
        try await eventually("a launch waits") {
            let all = fleet.scratch.waitingLaunches()
            return all.count == 1 ? all[0] : nil
        }
    }

    @Test("has a launch waiting, which becomes the next task; then there is another")
    func becomesTask() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            for round in 1...3 {
                let process = try await waiting(fleet)
                let line = "shell:1:64M:0:echo $$ in round \(round)"
                try await fleet.submit([line])
                try await fleet.untilFinished(round)
                #expect(try fleet.hash("finished_tasks")[line] == "a: \"\(process) in round \(round)\\n\"")
            }
            #expect(try await node.stop().status == 0)
            #expect(fleet.scratch.waitingLaunches().isEmpty)
            #expect(try fleet.scratch.taskGroups().isEmpty)
        }
    }

    @Test("runs the task all the same when the launch that waited has been killed")
    func killedLaunch() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            kill(try await waiting(fleet), SIGKILL)
            try await fleet.submit(["shell:1:64M:0:echo one"])
            try await fleet.untilFinished(1)
            try await fleet.submit(["shell:1:64M:0:echo two"])
            try await fleet.untilFinished(2)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("and is killed takes the launch that waits with it, and the next life clears its group")
    func killedDaemon() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["lease_seconds": "1"])
            _ = try await waiting(fleet)
            try await node.kill9()
            try await eventually("nobody waits any more") { fleet.scratch.waitingLaunches().isEmpty }
            try await node.start()
            _ = try await waiting(fleet)
            #expect(try fleet.scratch.taskGroupsInUse().isEmpty)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("tells a command that cannot be started as any other, and one too long for the launch that waits runs")
    func oddCommands() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            _ = try await waiting(fleet)
            try await fleet.submit(["shell:1:0:0:/no/such/program"])
            try await fleet.untilIdle()
            let reason = try fleet.hash("task_fail_reason")["shell:1:0:0:/no/such/program"] ?? ""
            #expect(reason.hasPrefix("launch failed: execve"), "\(reason)")
            _ = try await waiting(fleet)
            let words = String(repeating: "word ", count: 14_000)
            try await fleet.submit(["shell:1:0:0:echo \(words)| wc -w"])
            try await fleet.untilFinished(1)
            #expect(try fleet.hash("finished_tasks").values.first == "a: \"14000\\n\"")
            #expect(try await node.stop().status == 0)
        }
    }
}

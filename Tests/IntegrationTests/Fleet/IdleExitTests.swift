// Nodes that end by themselves when there is nothing to do.

import LinuxSystem
import Testing

@Suite("a node with idle_exit_seconds", .aFewAtATime)
struct IdleExitTests {
    private let soon = ["idle_exit_seconds": "0.3"]

    @Test(
        "runs what there is, and ends with 0 when there has been nothing for so long; nothing of it is left in the queue"
    )
    func ends() async throws {
        try await withFleet { fleet in
            try await fleet.submit((1...20).map { "shell:1:0:0:echo \($0)" } + ["shell:0:0:0:sleep 1.5"])
            let node = try fleet.node("a", soon)
            try node.launch()
            let result = try await #require(node.program).result()
            #expect(result.status == 0, "\(result)")
            #expect(result.errors.contains("leaving, as idle_exit_seconds asks"), "\(result.errors)")
            #expect(try fleet.count("finished_tasks") == 21)
            #expect(try fleet.count("worker_status") == 0)
            #expect(try fleet.call("EXISTS", "distcomp:leases", "distcomp:nodes").int == 0)
        }
    }

    @Test("is handed no task that it does not run, however often it goes just when one comes")
    func race() async throws {
        try await withFleet { fleet in
            // It may have gone before anybody sees that it came.
            let node = try fleet.node("a", ["idle_exit_seconds": "0.02"])
            try node.launch()
            var exits = 0
            for number in 1...20 {
                try await fleet.submit(["shell:1:0:0:echo \(number)"])
                try await eventually("task \(number) has finished", node.log) {
                    if node.program?.hasEnded == true {
                        exits += 1
                        try node.launch()
                    }
                    return try fleet.count("finished_tasks") == number
                }
            }
            #expect(exits > 0)
            #expect(try fleet.count("failed_tasks") == 0)
            #expect(try fleet.call("EXISTS", "distcomp:lost", "distcomp:attempts").int == 0, "none was taken over")
            _ = try await node.program?.result()
        }
    }

    @Test("ends too when it is drained; without the setting a node stays")
    func drained() async throws {
        try await withFleet { fleet in
            let go = fleet.scratch.path + "/go"
            try await fleet.submit(["shell:1:0:0:while ! test -e \(go); do sleep 0.05; done"])
            let node = try fleet.node("a", soon)
            try node.launch()
            try await eventually("it runs", node.log) { try fleet.count("in_progress_tasks") == 1 }
            let staying = try await fleet.startedNode("stays")
            #expect(try await fleet.distcomp("drain", "a", "stays").status == 0)
            try await fleet.submit(["shell:1:0:0:true"])
            try fleet.scratch.write("go", "")
            #expect(try await node.program?.result().status == 0)
            #expect(try fleet.count("todo_tasks") == 1)
            #expect(staying.program?.hasEnded == false)
            #expect(try await staying.stop().status == 0)
        }
    }
}

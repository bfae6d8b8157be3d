// Orders that are only tried.

import LinuxSystem
import Testing

@Suite("orders that are only tried", .aFewAtATime)
struct OrderCautionTests {
    @Test("an order that is only tried lists what it would be done to, with the number, and does nothing")
    func dryRun() async throws {
        try await withFleet { fleet in
            func tried(_ words: String..., saying text: String, naming tasks: String...) async throws {
                let result = try await fleet.distcomp(words + ["--dry-run"])
                #expect(result.status == 0 && result.output.hasSuffix(text), "\(words): \(result)")
                #expect(result.output.split(separator: "\n").count == (tasks.isEmpty ? 1 : tasks.count + 2))
                for task in tasks { #expect(result.output.contains(task + "\n"), "\(words): \(result.output)") }
            }
            let node = try await fleet.startedNode("n", ["max_retry_per_task": "1", "max_task_per_worker": "1"])
            _ = try await fleet.distcomp("submit", "--name", "f", "--", "exit {}", ":::", "3", "0", "4")
            #expect(try await fleet.distcomp("watch", "-q", "f").status == 1)
            try await fleet.submit(["shell:9:0:0:0:sleep 300"])
            try await eventually("one runs", node.log) { try fleet.count("in_progress_tasks") == 1 }
            _ = try await fleet.distcomp("submit", "--name", "w", "--", "echo", "w{}", ":::", "1", "2", "3")

            try await tried(
                "cancel", "w", saying: "cancel: 3 tasks; nothing was done\n", naming: "echo w1", "echo w2", "echo w3")
            try await tried("cancel", "*w1", "*none*", saying: "cancel: 1 task; nothing was done\n", naming: "echo w1")
            try await tried("retry", "f", saying: "retry: 2 tasks; nothing was done\n", naming: "exit 3", "exit 4")
            try await tried(
                "retry", "--cause", "exit", saying: "retry: 2 tasks; nothing was done\n", naming: "exit 3", "exit 4")
            try await tried("retry", "w", saying: "retry: 0 tasks; nothing was done\n")
            try await tried("requeue", "--all", saying: "requeue: 1 task; nothing was done\n", naming: "sleep 300")
            try await tried("requeue", "--node", "n", "--json", saying: "{\"dry_run\":true,\"tasks\":1}\n")
            try await tried(
                "forget", "f", saying: "forget: 3 tasks; nothing was done\n", naming: "exit 3", "exit 0", "exit 4")
            try await tried(
                "forget", "--failed", saying: "forget: 2 tasks; nothing was done\n", naming: "exit 3", "exit 4")
            let file = try fleet.scratch.write("some.tasks", "shell:9:0:0:0:sleep 300\n")
            try await tried(
                "requeue", "--file", file, saying: "requeue: 1 task; nothing was done\n", naming: "sleep 300")

            #expect(try fleet.count("in_progress_tasks") == 1)
            let jobs = try await fleet.distcomp("jobs", "--json").output
            #expect(jobs.contains(#""todo":3,"in_progress":0,"finished":0,"failed":0"#), "\(jobs)")
            #expect(jobs.contains(#""todo":0,"in_progress":0,"finished":1,"failed":2"#), "\(jobs)")
            try await node.stop()
        }
    }
}

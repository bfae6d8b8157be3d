// A task that takes far longer than its like, on a fleet of two nodes.

import LinuxSystem
import Testing

@Suite("Second copies of tasks that take long", .aFewAtATime)
struct SecondCopyTests {
    @Test("the other node runs what hangs on the first, the first to finish counts, and nothing of the other is left")
    func fleet() async throws {
        try await withFleet { fleet in
            let settings = ["max_task_per_worker": "1", "max_retry_per_task": "1"]
            let nodes = [try await fleet.startedNode("a", settings), try await fleet.startedNode("b", settings)]
            let directory = fleet.scratch.path + "/shared"
            try FileSystem.createDirectories(directory, mode: 0o777)
            #expect(try await RunningProgram("/bin/chmod", ["777", directory], in: fleet.scratch).result().status == 0)
            // Whoever is first hangs.
            let command = "test {} -lt 7 || ! mkdir \(directory)/first 2>/dev/null || exec sleep 86399; echo {}"
            let words = ["submit", "--name", "j", "--idempotent", "--", command, ":::"]
            #expect(try await fleet.distcomp(words + (1...7).map(String.init)).status == 0)
            #expect(try await fleet.distcomp("watch", "j").status == 0)
            let results = try await fleet.distcomp("results", "j", "--format", "jsonl").outputLines.map {
                try jsonObject(String($0))
            }
            #expect(results.count == 7 && results.allSatisfy { $0.string("state") == "finished" }, "\(results)")
            let late = try #require(results.first { $0.string("stdout") == "7\n" })
            #expect(late.integer("attempts") == 1)
            try await eventually("the first copy is ended") { fleet.scratch.tasks(with: "86399").isEmpty }
            // Whichever comes first, the option or the second word.
            #expect(try await fleet.distcomp("jobs", "show", "j").output.contains("a task may be run twice at once"))
            #expect(try await fleet.distcomp("jobs", "--json", "show", "j").output.contains(#""idempotent":true"#))
            for node in nodes { #expect(try await node.stop().status == 0) }
        }
    }
}

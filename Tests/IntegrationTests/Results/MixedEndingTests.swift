// A line fails on a node of ours, and an old worker has its next try. It writes to the six hashes alone: what it does there is done
// here by hand. Whoever asks is told the same by every command.

import Foundation
import RedisClient
import Testing

@Suite("a line that failed here first and ended on an old worker", .aFewAtATime)
struct MixedEndingTests {
    private let line = "shell:5:0:0:echo ours; exit 3"

    /// Gives `body` a queue in which an old worker runs the line, after it has failed on node a; another has been cancelled.
    private func withOldWorker(_ body: (Fleet) async throws -> Void) async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "2", "retry_delay_seconds": "600"])
            try await fleet.submit([line, "shell:1:9999:0:cancelled"])
            try await eventually("it waits for its retry") {
                try fleet.hash("failed_tasks")[line] == "a," && fleet.hash("todo_tasks")[line] != nil
            }
            try await fleet.distcomp("cancel", "*:cancelled")
            try await node.stop()
            _ = try fleet.call("HDEL", "todo_tasks", line)
            _ = try fleet.call("HSET", "in_progress_tasks", line, "old")
            try await body(fleet)
        }
    }

    private func expectCounts(_ fleet: Fleet, finished: Int, failed: Int) async throws {
        let status = try jsonObject(try await fleet.distcomp("status", "--json").output)
        #expect(status.integer("finished") == finished && status.integer("failed") == failed, "\(status)")
        #expect(status.integer("todo") == 0 && status.integer("in_progress") == 0)
        let watch = try await fleet.distcomp("watch", "--json")
        #expect(watch.status == 1, "one was cancelled")
        #expect(try jsonObject(watch.output).integer("failed") == failed)
        let states = try await fleet.distcomp("results", "--json").outputLines
            .map { try jsonObject(String($0)).string("state") }
        #expect(states.count { $0 == "failed" } == failed && states.count { $0 == "finished" } == finished, "\(states)")
    }

    private func result(_ fleet: Fleet) async throws -> [String: Any] {
        let lines = try await fleet.distcomp("results", "--json", "--match", "*ours*").outputLines
        #expect(lines.count == 1, "\(lines)")
        return try jsonObject(String(lines.first ?? ""))
    }

    /// What our node reported of its own try is not told of the old worker's.
    private func expectNothingOfOurs(_ result: [String: Any]) {
        #expect(result.string("worker") == "old", "\(result)")
        for name in ["cause", "exit_code", "attempts", "wall_seconds", "memory_peak_bytes", "stdout_path"] {
            #expect(result[name] is NSNull, "\(name) in \(result)")
        }
    }

    @Test("failed for good there, it is counted, listed, and fails a watch")
    func failed() async throws {
        try await withOldWorker { fleet in
            _ = try fleet.call("HSET", "failed_tasks", line, "a,old,")
            _ = try fleet.call("HSET", "task_fail_reason", line, "it returned 3")
            _ = try fleet.call("HDEL", "in_progress_tasks", line)
            try await expectCounts(fleet, finished: 0, failed: 2)
            let result = try await result(fleet)
            #expect(result.string("state") == "failed" && result.string("reason") == "it returned 3")
            expectNothingOfOurs(result)
            let shown = try await fleet.distcomp("show", "*ours*").output
            #expect(shown.contains("state      failed: it returned 3\n"), "\(shown)")
            #expect(
                try await fleet.distcomp("why", "*ours*").output.contains(
                    "It has failed for good on a, old: it returned 3."))
            #expect(try await fleet.distcomp("retry", "*ours*").output == "1 queued again\n")
        }
    }

    @Test("finished there, it is finished, with nothing of our failure, and hides no failure of another")
    func finished() async throws {
        try await withOldWorker { fleet in
            _ = try fleet.call("HSET", "finished_tasks", line, #"old: "theirs\n""#)
            _ = try fleet.call("HDEL", "failed_tasks", line)
            _ = try fleet.call("HDEL", "in_progress_tasks", line)
            try await expectCounts(fleet, finished: 1, failed: 1)
            let result = try await result(fleet)
            #expect(result.string("state") == "finished" && result.string("stdout") == "theirs\n")
            #expect(result.string("reason") == "exit 0")
            expectNothingOfOurs(result)
            #expect(try await fleet.distcomp("why", "*ours*").output.contains("It has finished on old."))
        }
    }

    @Test("finished there by a worker that leaves the failure where it is, it is finished all the same")
    func finishedAndLeft() async throws {
        try await withOldWorker { fleet in
            _ = try fleet.call("HSET", "finished_tasks", line, #"old: "theirs\n""#)
            _ = try fleet.call("HDEL", "in_progress_tasks", line)
            try await expectCounts(fleet, finished: 1, failed: 1)
            #expect(try await result(fleet).string("state") == "finished")
            #expect(try await fleet.distcomp("tasks", "--match", "*ours*").outputLines.count == 2)
        }
    }
}

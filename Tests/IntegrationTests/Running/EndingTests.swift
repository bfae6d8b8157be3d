// How tasks end that leave something, or that memory ends: what they left may clean up, what the kernel did is told, and what stays
// in memory is known.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("the ending of a task", .aFewAtATime, .enabled(if: Host.isRoot, "needs root"))
struct EndingTests {
    private func results(_ fleet: Fleet) async throws -> [[String: Any]] {
        try await fleet.distcomp("results", "--format", "jsonl").outputLines.map { try jsonObject(String($0)) }
    }

    /// A name in /dev/shm that no other test has.
    private func newName(_ fleet: Fleet) -> String {
        "distcomp-test-" + (fleet.scratch.path.split(separator: "-").last.map { String($0) } ?? "")
    }

    // MARK: A word before its time is up

    @Test("all processes of a task have the signal of --signal before its timeout, and what it does then is its ending")
    func warned() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let program = try fleet.scratch.write(
                "saves.sh",
                """
                sh -c 'trap "echo child saved; exit 0" USR1; while :; do sleep 0.05; done' &
                trap 'wait; echo "saved $((DISTCOMP_DEADLINE - $(date +%s) <= 60))"; exit 0' USR1
                while :; do sleep 0.05; done
                """)
            let submitted = try await fleet.distcomp(
                "submit", "--timeout", "1m", "--signal", "USR1@59s", "--name", "saves", "--", "sh", program)
            #expect(submitted.status == 0)
            #expect(try await fleet.distcomp("watch", "saves").status == 0)
            let result = try #require(try await results(fleet).first)
            #expect(result.string("cause") == "exit" && result.integer("exit_code") == 0, "\(result)")
            #expect(result.string("stdout") == "child saved\nsaved 1\n")
            #expect(try await fleet.distcomp("jobs", "--json").output.contains("\"signal\":\"USR1@59\""))
            #expect(try await node.stop().status == 0)
        }
    }

    // MARK: What it leaves

    @Test("Python's resource tracker removes the shared memory of a task that exits, raises, or meets its timeout")
    func sharedMemory() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let name = newName(fleet)
            let program = try fleet.scratch.write(
                "segment.py",
                """
                from multiprocessing import shared_memory
                from os import _exit
                from sys import argv
                from time import sleep
                segment = shared_memory.SharedMemory(name="\(name)-" + argv[1], create=True, size=1 << 20)
                print("made", flush=True)
                if argv[1] == "raises": raise ValueError("on purpose")
                if argv[1] == "fails": _exit(1)
                if argv[1] == "hangs": sleep(1000)
                _exit(0)
                """)
            // The tracker, a second Python, has 0.3 s for it, which a machine that is busy with other tests may not give it each time.
            var kept = ["exits", "raises", "fails", "hangs"]
            for round in 1...5 where !kept.isEmpty {
                try await fleet.submit(
                    kept.map { "shell:\(round):0:0:\($0 == "hangs" ? 2 : 60):python3 \(program) \($0)" })
                try await fleet.untilIdle()
                kept = kept.filter { FileSystem.exists("/dev/shm/\(name)-\($0)") }
                for way in kept { unlink("/dev/shm/\(name)-\(way)") }
            }
            #expect(kept.isEmpty)
            #expect(Set(try await results(fleet).compactMap { $0.string("cause") }) == ["exit", "timeout"])
            try await node.stop()
        }
    }

    @Test("what a task leaves is told to end before it is killed, and a task that leaves nothing waits for nobody")
    func isTold() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let marks = fleet.scratch.path + "/marks"
            try FileSystem.createDirectories(marks, mode: 0o777)
            chmod(marks, 0o777)
            func leaving(_ name: String, _ handler: String) -> String {
                "shell:1:0:0:60:sh -c 'trap \"\(handler)\" TERM; touch \(marks)/\(name)-ready; "
                    + "while true; do sleep 0.01; done' & until [ -e \(marks)/\(name)-ready ]; do sleep 0.01; done"
            }
            try await fleet.submit([
                leaving("obeys", "touch \(marks)/obeys-told; exit"), leaving("ignores", "touch \(marks)/ignores-told"),
            ])
            try await fleet.untilIdle()
            let results = try await results(fleet)
            #expect(results.allSatisfy { $0.string("state") == "finished" }, "\(results)")
            #expect(FileSystem.exists(marks + "/obeys-told") && FileSystem.exists(marks + "/ignores-told"))
            let groups = try fleet.scratch.taskGroupsInUse()
            #expect(groups.isEmpty)
            try await node.stop()
        }
    }

    // MARK: Killed for memory

    @Test("a child killed for memory makes its task fail by oom, though it exits 0, and every listing says so")
    func childKilledForMemory() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:32M:0:60:sh -c 'tail /dev/zero' | wc -l; exit 0"])
            try await fleet.untilIdle()
            let result = try #require(try await results(fleet).first)
            #expect(result.string("state") == "failed" && result.string("cause") == "oom", "\(result)")
            let reason = try #require(result.string("reason"))
            #expect(reason.hasPrefix("oom (cap 32 MB, peak "))
            for listing in [
                ["results", "--format", "csv"], ["results"], ["tasks", "--state", "failed"], ["why", "*tail*"],
                ["show", "*tail*"],
            ] {
                let output = try await fleet.distcomp(listing).output
                #expect(output.contains("oom (cap 32 MB, peak"), "\(listing): \(output)")
            }
            #expect(try await fleet.distcomp("status").output.contains("failed by 1 oom"))
            try await node.logs("failed: oom (cap 32 MB")
            try await node.stop()
        }
    }

    @Test("a task of which the kernel killed a part is not left to go on with the rest")
    func partKilledForMemory() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:32M:0:1000:sh -c 'tail /dev/zero'; sleep 1000.75"])
            try await fleet.untilIdle()
            let result = try #require(try await results(fleet).first)
            #expect(result.string("cause") == "oom", "\(result)")
            #expect(fleet.scratch.processes(with: "sleep 1000.75").isEmpty)
            try await node.stop()
        }
    }

    @Test("an oom says how much of the memory was files in a tmpfs")
    func filesInMemory() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let file = "/dev/shm/" + newName(fleet)
            defer { unlink(file) }
            try await fleet.submit(["shell:1:48M:0:60:head -c 36M /dev/zero > \(file); exec tail /dev/zero"])
            try await fleet.untilIdle()
            let result = try #require(try await results(fleet).first)
            #expect(result.string("cause") == "oom")
            #expect(
                result.string("reason")?.contains("36 MB files in /dev/shm or another tmpfs") == true, "\(result)")
            #expect(result.integer("oom_tmpfs_bytes") == 36 << 20)
            try await node.stop()
        }
    }

    // MARK: What it needed

    @Test("files that a task read or wrote do not count as memory it needs")
    func needed() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit([
                "shell:1:256M:0:60:head -c 100M /dev/zero > $DISTCOMP_OUTPUT_DIR/big",
                "shell:1:256M:0:60:head -c 64M /dev/zero | tail -n 1 | wc -c",
            ])
            try await fleet.untilIdle()
            let results = try await results(fleet)
            let writer = try #require(results.first { $0.string("task")?.contains("big") == true })
            #expect(try #require(writer.integer("memory_peak_bytes")) > 90 << 20)
            #expect(try #require(writer.integer("memory_needed_bytes")) < 16 << 20)
            let user = try #require(results.first { $0.string("task")?.contains("tail") == true })
            #expect(try #require(user.integer("memory_needed_bytes")) > 64 << 20)
            let summary = try await fleet.distcomp("results", "--summary", "--match", "*big*").output
            #expect(summary.contains("without files it read or wrote"), "\(summary)")
            try await node.stop()
        }
    }

    // MARK: What stays

    @Test("files in memory that ended tasks left are named in the log, once, and so is that they are gone")
    func leftInMemory() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let file = "/dev/shm/" + newName(fleet)
            defer { unlink(file) }
            try await fleet.submit(["shell:1:0:0:60:head -c 96M /dev/zero > \(file)"])
            try await fleet.untilIdle()
            let told = "of files in /dev/shm or another tmpfs left by ended tasks: "
            try await eventually("it is told", node.log) { node.log.contains(told) }
            try await node.logs("\(file) (96 MB)")
            try await fleet.submit(["shell:1:0:0:60:true"])
            try await fleet.untilIdle()
            unlink(file)
            try await eventually("that it is gone is told", node.log) {
                node.log.contains("what ended tasks had left in memory is gone")
            }
            #expect(node.log.split(separator: "\n").filter { $0.contains(told) }.count == 1, "\(node.log)")
            try await node.stop()
        }
    }
}

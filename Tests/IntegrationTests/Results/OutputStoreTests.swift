// What a node keeps of what its tasks write, and how: seen from outside, by whoever looks at it later.

import Foundation
import Glibc
import LinuxSystem
import TaskModel
import Testing

@Suite("the output store of a node", .aFewAtATime)
struct OutputStoreTests {
    private func untilThere(_ file: String) -> String { "while [ ! -e \(file) ]; do sleep 0.05; done" }

    /// What a node keeps in its place, without what waits for the next task.
    private func entries(_ fleet: Fleet, _ node: String = "a") throws -> [String] {
        try FileSystem.entries(of: "\(fleet.scratch.path)/result-\(node)").filter { !$0.hasPrefix(".spare-") }.sorted()
    }

    private func logs(_ fleet: Fleet, of node: Node, _ words: String...) async throws -> ProgramResult {
        try await RunningProgram(
            Products.distcomp,
            ["logs"] + words + ["--redis", fleet.url(.watcher), "--config", node.configurationPath], in: fleet.scratch
        ).result()
    }

    @Test(
        "fifty tasks leave one file, from which each is read; those that wrote nothing and those that never began leave none"
    )
    func manyTasks() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["node_name": "\"a\"", "max_retry_per_task": "1"])
            let lines = (1...50).map { "shell:1:0:0:echo out \($0); echo err \($0) >&2; [ $((\($0) % 5)) != 0 ]" }
            try await fleet.submit(lines + ["shell:1:0:0:true", "shell:1:0:0:no-such-program-here now"])
            try await eventually("all have ended", node.log) {
                try fleet.count("finished_tasks") == 41 && fleet.count("failed_tasks") == 11
            }
            #expect(try entries(fleet) == ["segments"])
            #expect(
                try FileSystem.entries(of: fleet.scratch.path + "/result-a/segments").sorted()
                    == ["00000001", "00000001.attempts"])
            for number in [1, 5, 50] {
                #expect(try await logs(fleet, of: node, "*out \(number);*").output == "out \(number)\n")
                #expect(try await logs(fleet, of: node, "--stderr", "*out \(number);*").output == "err \(number)\n")
            }
            // The output of one that failed is in no report.
            let results = try await fleet.distcomp(
                "results", "--format", "jsonl", "--failed", "--config", node.configurationPath)
            let failed = try results.outputLines.map { try jsonObject(String($0)) }
            #expect(failed.compactMap { $0.string("stdout") }.filter { $0.hasPrefix("out ") }.count == 10)
            let launch = try #require(failed.first { $0.string("cause") == "launch" })
            #expect(launch["output_segment"] is NSNull && launch["stdout_path"] is NSNull)
            let silent = try await logs(fleet, of: node, "shell:1:0:0:true")
            #expect(silent.output == "" && silent.status == 0, "\(silent.errors)")
            try await node.stop()
            #expect(
                try FileSystem.entries(of: fleet.scratch.path + "/result-a") == ["segments"], "spares go with the node")
        }
    }

    @Test("what a task wrote before its node was killed is the first attempt's, and read beside the second's")
    func killedNode() async throws {
        try await withFleet { fleet in
            let settings = ["node_name": "\"a\"", "lease_seconds": "2"]
            let node = try await fleet.startedNode("a", settings)
            let go = fleet.scratch.path + "/go"
            let line =
                "shell:1:0:0:echo attempt $DISTCOMP_ATTEMPT; echo bad $DISTCOMP_ATTEMPT >&2; \(untilThere(go)); echo end"
            try await fleet.submit([line])
            let file = "\(fleet.scratch.path)/result-a/\(TaskLine.identifier(of: line))/stdout"
            try await eventually("it can be followed by its name", node.log) { text(of: file) == "attempt 1\n" }
            try await node.kill9()
            try await node.start()
            try await eventually("the second attempt", node.log) { text(of: file) == "attempt 2\n" }
            try fleet.scratch.write("go", "")
            try await fleet.untilFinished(1)
            #expect(try await logs(fleet, of: node, "*attempt*").output == "attempt 2\nend\n")
            #expect(try await logs(fleet, of: node, "--attempt", "1", "*attempt*").output == "attempt 1\n")
            #expect(try await logs(fleet, of: node, "--attempt", "1", "--stderr", "*attempt*").output == "bad 1\n")
            try await node.stop()
        }
    }

    @Test(
        "a program put in place of the node while a task runs loses none of its output, and packs it",
        arguments: [0, 100_000])
    func replacedNode(more: Int) async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["node_name": "\"a\"", "restart_mode": "\"keep\""])
            let (go, begun) = (fleet.scratch.path + "/go", fleet.scratch.path + "/begun")
            try await fleet.submit([
                "shell:1:0:0:echo before; touch \(begun); \(untilThere(go)); echo after; head -c \(more) /dev/zero >&2"
            ])
            chmod(fleet.scratch.path, 0o777)
            try await eventually("it runs", node.log) { FileSystem.exists(begun) }
            func lives() -> Int { node.log.split(separator: "\n").count { $0.contains(" connected") } }
            let before = lives()
            node.program?.send(SIGHUP)
            try await eventually("it is replaced", node.log) { lives() > before }
            try fleet.scratch.write("go", "")
            try await fleet.untilFinished(1)
            #expect(try await logs(fleet, of: node, "*before*").output == "before\nafter\n")
            #expect(try await logs(fleet, of: node, "--stderr", "*before*").output.utf8.count == more)
            // The segment of the small one, or the folder of the large one.
            #expect(try entries(fleet).count == 1)
            try await node.stop()
        }
    }

    @Test("outputs of a node that kept them in files are found after the upgrade, and again after going back")
    func upgrade() async throws {
        try await withFleet { fleet in
            let common = ["node_name": "\"a\"", "max_retry_per_task": "2"]
            var node = try await fleet.startedNode("a", common.merging(["output_store": "\"files\""]) { $1 })
            try await fleet.submit(["shell:1:0:0:echo old; exit 1", "shell:1:0:0:echo kept > $DISTCOMP_OUTPUT_DIR/own"])
            try await eventually("the old ones have ended", node.log) {
                try fleet.count("finished_tasks") == 1 && fleet.hash("failed_tasks").first?.value == "a,a,"
                    && fleet.count("todo_tasks") == 0 && fleet.count("in_progress_tasks") == 0
            }
            try await node.stop()
            let before = try entries(fleet)
            #expect(before.count == 2)
            node = try await fleet.startedNode("a", common)
            try await fleet.submit(["shell:1:0:0:echo new"])
            try await fleet.untilFinished(2)
            #expect(try entries(fleet) == before + ["segments"])
            try await fleet.distcomp("retry", "*old*", "--yes")
            try await eventually("the old one has failed again", node.log) {
                try fleet.hash("failed_tasks").first?.value == "a,a," && fleet.count("todo_tasks") == 0
                    && fleet.count("in_progress_tasks") == 0
            }
            try await node.stop()
            node = try await fleet.startedNode("a", common.merging(["output_store": "\"files\""]) { $1 })
            #expect(try await logs(fleet, of: node, "*new*").output == "new\n")
            #expect(try await logs(fleet, of: node, "*old*").output == "old\n")
            #expect(try await logs(fleet, of: node, "--attempt", "1", "*old*").output == "old\n")
            try await node.stop()
        }
    }

    @Test("what a task puts into its folder is there for its next attempt, and stays where the task was told")
    func folders() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["node_name": "\"a\"", "max_retry_per_task": "2"])
            try await fleet.submit([
                "shell:1:0:0:cd $DISTCOMP_OUTPUT_DIR; echo $DISTCOMP_ATTEMPT >> log; pwd; [ $DISTCOMP_ATTEMPT = 2 ]",
                "shell:1:0:0:cd $DISTCOMP_OUTPUT_DIR; touch file; rm file",
            ])
            try await fleet.untilFinished(2)
            let place = try await logs(fleet, of: node, "*pwd*").output.dropLast()
            #expect(text(of: place + "/log") == "1\n2\n")
            let identifier = try #require(place.split(separator: "/").last)
            #expect(try entries(fleet) == [String(identifier), "segments"])
            #expect(try await logs(fleet, of: node, "--attempt", "1", "*pwd*").output == place + "\n")
            try await node.stop()
        }
    }

    @Test("a run that shows what tasks write as they write it leaves no files of small ones, and shows all of them")
    func streamed() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, (1...40).map { "shell:1:0:0:echo line \($0)" })
            let result = try await run.launch("--output", "stream").result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.outputLines.map { String($0) }.sorted() == (1...40).map { "line \($0)" }.sorted())
            #expect(try FileSystem.entries(of: run.state + "/result") == ["segments"])
            #expect(try await run.distcomp("logs", "*line 7").output == "line 7\n")
        }
    }

    @Test("a node that is told to keep outputs for a time, or so many, removes what is older")
    func retention() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["node_name": "\"a\""])
            try await fleet.submit(["shell:1:0:0:echo old; echo > $DISTCOMP_OUTPUT_DIR/own", "shell:1:0:0:echo older"])
            try await fleet.untilFinished(2)
            try await node.stop()
            let results = fleet.scratch.path + "/result-a"
            #expect(try entries(fleet).count == 2)
            let paths = try FileSystem.entries(of: results).filter { $0 != "segments" }.flatMap {
                ["\(results)/\($0)/own", "\(results)/\($0)"]
            }
            for path in paths + [results + "/segments/00000001"] {
                var times = [
                    timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0), timespec(tv_sec: time(nil) - 90_000, tv_nsec: 0),
                ]
                #expect(utimensat(AT_FDCWD, path, &times, 0) == 0)
            }
            let next = try await fleet.startedNode("a", ["node_name": "\"a\"", "results_keep_days": "1"])
            try await eventually("they are gone", next.log) {
                try entries(fleet) == ["segments"] && FileSystem.entries(of: results + "/segments").isEmpty
            }
            try await fleet.submit(["shell:1:0:0:echo new"])
            try await fleet.untilFinished(3)
            #expect(try await logs(fleet, of: next, "*new*").output == "new\n")
            try await next.stop()
        }
    }
}

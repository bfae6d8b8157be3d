// What is given to a job that is there: by the same command again, by another file, by `set`; and what is refused of that.

import Foundation
import LinuxSystem
import Testing

@Suite("what a job that is there is given", .serialized)
struct SubmittedAgainTests {
    private func job(_ fleet: Fleet, _ name: String) async throws -> [String: Any] {
        let output = try await fleet.distcomp("jobs", "--json").output
        let jobs = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]] ?? []
        return try #require(jobs.first { $0["job"] as? String == name }, "\(output)")
    }

    /// What tasks of a job have that it has not, by their commands.
    private func own(_ fleet: Fleet, _ name: String) throws -> [String: String] {
        let identifier = try #require(try fleet.call("HGET", "distcomp:job-names", name).string)
        let values = try fleet.hash("distcomp:job:\(identifier):own")
        return Dictionary(
            uniqueKeysWithValues: values.map { line, own in
                (
                    line.firstMatch(of: /"command":"([^"]*)"/).map { String($0.1) }
                        ?? line.split(separator: " ").dropFirst().joined(separator: " "), own
                )
            })
    }

    /// In which sizes what waits for nothing is given out, with how many there are of each.
    private func classes(_ fleet: Fleet) throws -> Set<String> {
        let names = try fleet.call("ZRANGE", "distcomp:classes", "0", "-1").elements ?? []
        return Set(names.compactMap { $0.string?.split(separator: " ").last.map(String.init) })
    }

    @Test(
        "a submit, or a set, that is refused leaves its job as it was, and what waits for it still waits for its tasks alone"
    )
    func refused() async throws {
        try await withFleet { fleet in
            func submit(_ words: String...) async throws {
                let result = try await fleet.distcomp(["submit"] + words)
                #expect(result.status == 0, "\(words): \(result)")
            }
            func refuse(_ words: String..., saying text: String) async throws {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 2 && result.errors.contains(text), "\(words): \(result)")
            }
            try await submit("--name", "p", "--memory", "64M", "--", "true", "{}", ":::", "1", "2")
            try await submit("--name", "r", "--after", "p", "--", "true")
            try await refuse(
                "submit", "--name", "p", "--after", "r", "--", "true", "{}", ":::", "1", "2",
                saying: "these jobs would wait for each other: p after r after p")
            try await refuse(
                "set", "p", "--memory", "32M", "--after", "r",
                saying: "these jobs would wait for each other: p after r after p")
            #expect(try await job(fleet, "p")["memory_bytes"] as? Int == 64 << 20)

            let first = try fleet.scratch.write("first.jsonl", #"{"command":"true a","memory":"32M"}"# + "\n")
            try await submit("--name", "q", first)
            try await submit("--name", "s", "--after", "q", "--", "true")
            let more = try fleet.scratch.write(
                "more.jsonl",
                #"{"command":"true b","memory":"16M"}"# + "\n"
                    + #"{"command":"true c","memory":"16M","resources":{"licence":1}}"# + "\n")
            try await refuse(
                "submit", "--name", "q", more, saying: "all tasks of a job have the same resources")
            #expect(try await job(fleet, "q")["memory_bytes"] as? Int == 32 << 20)
            // Of what comes by itself not all can be looked at before the first is added.
            try await submit("--name", "c", "--", "true", "{}", ":::", "1")
            #expect(try fleet.count("distcomp:job-loads") == 0)

            let node = try await fleet.startedNode("n")
            #expect(try await fleet.distcomp("watch", "--quiet", "r").status == 0)
            #expect(try await fleet.distcomp("watch", "--quiet", "s").status == 0)
            try await node.stop()
        }
    }

    @Test("set changes what it says, and what single tasks have of the rest stays their own")
    func set() async throws {
        try await withFleet { fleet in
            let dag = try fleet.scratch.write(
                "dag.jsonl",
                """
                {"name": "prep", "command": "true prep"}
                {"name": "fit-a", "command": "true fit-a", "memory": "8G"}
                {"name": "fit-b", "command": "true fit-b", "after": ["prep"], "memory": "4G", "memory_max": "16G"}
                {"name": "fit-c", "command": "true fit-c", "timeout": "1h"}

                """)
            #expect(try await fleet.distcomp("submit", dag).status == 0)
            func set(_ words: String...) async throws {
                let result = try await fleet.distcomp(["set", "dag"] + words)
                #expect(result.status == 0, "\(result)")
            }
            try await set("--cores", "2")
            #expect(
                try own(fleet, "dag") == [
                    "true fit-a": "\(8 << 30):2000 default", "true fit-b": "\(4 << 30):2000 default max=\(16 << 30)",
                    "true fit-c": "0:2000 3600.0",
                ])
            #expect(try classes(fleet) == ["0:2000:", "\(8 << 30):2000:"])
            try await set("--timeout", "2h")
            let given = try own(fleet, "dag")
            #expect(given["true fit-a"] == "\(8 << 30):2000 7200" && given["true fit-c"] == nil)
            #expect(given["true fit-b"] == "\(4 << 30):2000 7200 max=\(16 << 30)")
            try await set("--memory", "1G", "--memory-max", "2G")
            #expect(try own(fleet, "dag").isEmpty)
            #expect(try classes(fleet) == ["\(1 << 30):2000:"])
        }
    }

    @Test("a file that is submitted again with another first line, or other lines, gives each task what it says now")
    func otherLines() async throws {
        try await withFleet { fleet in
            func submit(_ lines: String...) async throws {
                let file = try fleet.scratch.write("sizes.jsonl", lines.joined(separator: "\n") + "\n")
                let result = try await fleet.distcomp("submit", "--name", "sizes", file)
                #expect(result.status == 0, "\(result)")
            }
            try await submit(
                #"{"command":"true 1"}"#, #"{"command":"true 2","memory":"8G"}"#,
                #"{"command":"true 3","timeout":"1h"}"#)
            try await submit(
                #"{"command":"true 1","memory":"1G"}"#, #"{"command":"true 2","memory":"8G"}"#,
                #"{"command":"true 3","memory":"1G","timeout":"1h"}"#)
            #expect(
                try own(fleet, "sizes") == ["true 2": "\(8 << 30):0 default", "true 3": "\(1 << 30):0 3600.0"])
            #expect(try classes(fleet) == ["\(1 << 30):0:", "\(8 << 30):0:"])
            // The first line is as it was, and the others are put right.
            try await submit(
                #"{"command":"true 1","memory":"1G"}"#, #"{"command":"true 2","memory":"16G","memory_max":"32G"}"#,
                #"{"command":"true 3","memory":"2G","timeout":"2h"}"#)
            #expect(
                try own(fleet, "sizes") == [
                    "true 2": "\(16 << 30):0 default max=\(32 << 30)", "true 3": "\(2 << 30):0 7200.0",
                ])
            #expect(try classes(fleet) == ["\(1 << 30):0:", "\(2 << 30):0:", "\(16 << 30):0:"])
        }
    }

    @Test("tasks that wait for earlier ones are found to be such in what can be read only once, be it one file or two")
    func readOnlyOnce() async throws {
        try await withFleet { fleet in
            let first = #"{"name":"prep","command":"true prep","memory":"1G"}"# + "\n"
            let second = #"{"name":"fit","command":"true fit","memory":"2G","after":["prep"]}"# + "\n"
            let wrong = #"{"name":"all","command":"true all","after":["pret"]}"# + "\n"
            /// Submits what is written into a pipe for each of these texts.
            func submit(_ name: String, _ texts: [String]) async throws -> ProgramResult {
                let files = texts.indices.map { "<(cat \(fleet.scratch.path)/\(name)-\($0))" }
                for (index, text) in texts.enumerated() { try fleet.scratch.write("\(name)-\(index)", text) }
                let command = "'\(Products.distcomp)' submit --redis '\(fleet.url(.submitter))' --name \(name) "
                return try await RunningProgram(
                    "/bin/bash", ["-c", command + files.joined(separator: " ")], in: fleet.scratch
                ).result()
            }
            for (name, texts) in [("one", [first + second]), ("two", [first, second])] {
                let result = try await submit(name, texts)
                #expect(result.status == 0, "\(result)")
                let status = try await job(fleet, name)
                #expect(status["todo"] as? Int == 2 && status["waits_for_others"] as? Int == 1, "\(status)")
            }
            // And what is wrong is found before anything is changed.
            let before = try await job(fleet, "one")
            let result = try await submit("one", [first.replacing("1G", with: "4G") + wrong])
            #expect(
                result.status == 2 && result.errors.contains("after: there is no task named `pret`")
                    && result.errors.contains("nothing was added"), "\(result)")
            #expect(try await job(fleet, "one")["memory_bytes"] as? Int == before["memory_bytes"] as? Int)
        }
    }

    @Test("a task that is submitted without what it waited for waits for nothing, and ends for nobody's sake")
    func withoutAfter() async throws {
        try await withFleet { fleet in
            func submit(_ after: String) async throws {
                let file = try fleet.scratch.write(
                    "dag.jsonl",
                    """
                    {"name": "prep", "command": "false"}
                    {"name": "fit", "command": "true fit"\(after)}
                    {"name": "all", "command": "true all", "after": ["fit"]}

                    """)
                let result = try await fleet.distcomp("submit", file)
                #expect(result.status == 0, "\(result)")
            }
            try await submit(#", "after": ["prep"]"#)
            #expect(try await job(fleet, "dag")["waits_for_others"] as? Int == 2)
            try await submit("")
            #expect(try await job(fleet, "dag")["waits_for_others"] as? Int == 1)
            let node = try await fleet.startedNode("n", ["max_retry_per_task": "1"])
            #expect(try await fleet.distcomp("watch", "--quiet", "dag").status == 1)
            let status = try await job(fleet, "dag")
            #expect(status["finished"] as? Int == 2 && status["failed"] as? Int == 1, "\(status)")
            try await node.stop()
        }
    }
}

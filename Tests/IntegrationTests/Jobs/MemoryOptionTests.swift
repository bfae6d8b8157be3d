// How much memory the tasks of a job get: learned, taken from an earlier job, and what is said where no node has it. What happens to a task
// that runs out of it is in JobCommandTests.

import Foundation
import LinuxSystem
import Testing

@Suite("the memory of a job", .aFewAtATime)
struct MemoryOptionTests {
    @Test("--memory-like begins with what the tasks of an earlier job needed, and wants to know of five")
    func like() async throws {
        try await withScratch { scratch in
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            func distcomp(_ words: [String]) async throws -> ProgramResult {
                let state = ["--state", scratch.path + "/state"]
                return try await RunningProgram(
                    Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
                ).result()
            }
            let command = ["--", "head -c 20M /dev/zero | tail -c 20M | wc -c > /dev/null # {}", ":::"]
            let few = try await distcomp(["run", "--name", "few", "--memory", "400M"] + command + ["1", "2"])
            #expect(few.status == 0, "\(few)")
            let unknown = ["run", "--name", "new", "--memory", "auto", "--memory-like"]
            for (name, said) in [("few", "it is of 2"), ("nobody", "nobody")] {
                let refused = try await distcomp(unknown + [name] + command + ["1"])
                #expect(refused.status == 2 && refused.errors.contains(said), "\(refused)")
            }
            let more = try await distcomp(
                ["run", "--name", "few", "--memory", "400M"] + command + ["3", "4", "5", "6"])
            #expect(more.status == 0, "\(more)")
            let new = try await distcomp(unknown + ["few"] + command + ["7"])
            #expect(new.status == 0, "\(new)")
            let jobs = try await distcomp(["jobs", "--json"]).output
            let objects = try JSONSerialization.jsonObject(with: Data(jobs.utf8)) as? [[String: Any]]
            let job = try #require(objects?.first { $0["job"] as? String == "new" })
            let bytes = try #require(job.integer("memory_bytes"))
            #expect(bytes > 20 << 20 && bytes < 200 << 20 && job["memory_auto"] as? Bool == true, "\(job)")
        }
    }

    @Test("submit says that no node has what its tasks may come to ask for; set takes that back")
    func noted() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let words = ["submit", "--name", "j", "--memory", "1M", "--memory-max", "900000G", "--", "true"]
            let submitted = try await fleet.distcomp(words)
            #expect(
                submitted.status == 0 && submitted.errors.contains("j: its tasks may come to ask for"), "\(submitted)")
            func most() async throws -> Int? {
                let jobs = try await fleet.distcomp("jobs", "--json").output
                return try jsonObject(String(jobs.dropFirst().dropLast(2))).integer("memory_max_bytes")
            }
            #expect(try await most() == 900_000 << 30)
            #expect(try await fleet.distcomp("set", "j", "--memory-max", "0").status == 0)
            #expect(try await most() == nil)
            let wrong = try await fleet.distcomp("set", "j", "--memory-max", "much")
            #expect(wrong.status == 2 && wrong.errors.contains("--memory-max much: expected"), "\(wrong)")
            try await node.stop()
        }
    }
}

// Jobs for nodes with labels, on nodes that have them.

import LinuxSystem
import Testing

@Suite("Jobs for nodes with labels", .aFewAtATime)
struct LabelFleetTests {
    @Test(
        "tasks go to such nodes as their job is for; where there is none that is said, and one that is given other labels takes them"
    )
    func fleet() async throws {
        try await withFleet { fleet in
            let fast = try await fleet.startedNode("fast", ["labels": #"["big", "ssd"]"#])
            let other = try await fleet.startedNode("other", ["labels": #"["tape"]"#])
            let words = ["submit", "--name", "j", "--where", "ssd&!spot", "--", "true {}", ":::"]
            #expect(try await fleet.distcomp(words + (1...6).map(String.init)).status == 0)
            #expect(try await fleet.distcomp("watch", "j").status == 0)
            let workers = try await fleet.distcomp("results", "j", "--format", "jsonl").outputLines.map {
                try jsonObject(String($0)).string("worker")
            }
            #expect(workers == Array(repeating: "fast", count: 6))

            let late = try await fleet.distcomp("submit", "--name", "late", "--where", "spot", "--", "true")
            #expect(
                late.status == 0 && late.errors.contains("no live node is such as it is for (--where 'spot')"),
                "\(late)")
            let why = try await fleet.distcomp("why", "late")
            #expect(why.output.contains("the labels there are: big, ssd, tape"), "\(why)")
            let text = try FileSystem.text(of: other.configurationPath)
            let edited = text.split(separator: "tape", omittingEmptySubsequences: false).joined(separator: "spot")
            try FileSystem.replace(other.configurationPath, with: Array(edited.utf8), mode: 0o644)
            #expect(try await fleet.distcomp("watch", "late").status == 0)
            let listed = try await fleet.distcomp("workers", "--json").output
            #expect(listed.contains(#""labels":["big","ssd"]"#) && listed.contains(#""labels":["spot"]"#), "\(listed)")
            #expect(try await fast.stop().status == 0)
            #expect(try await other.stop().status == 0)
        }
    }

    @Test("a run for other nodes than this machine ends and says so; set lets it go on")
    func oneMachine() async throws {
        try await withScratch { scratch in
            let state = ["--state", scratch.path + "/state"]
            func distcomp(_ words: String...) async throws -> ProgramResult {
                scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
                return try await RunningProgram(
                    Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
                ).result()
            }
            let refused = try await distcomp("run", "--where", "a b", "--", "true")
            #expect(refused.status == 2 && refused.errors.contains("--where"), "\(refused)")
            let run = try await distcomp("run", "--name", "j", "--where", "ssd", "--", "true")
            #expect(run.status == 1 && run.errors.contains("1 task is for nodes that this machine is not"), "\(run)")
            let set = try await distcomp("set", "j", "--where", "any")
            #expect(set.status == 0, "\(set)")
            #expect(try await distcomp("run").status == 0)
        }
    }
}

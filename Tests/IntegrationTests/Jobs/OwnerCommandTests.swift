// A fleet that several people use, as they see it: commands, a real node, real tasks.

import Foundation
import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("owners who share a fleet", .aFewAtATime)
struct OwnerCommandTests {
    /// A fleet whose Redis knows no users, so that anybody may submit as anybody.
    private func withOpenFleet(_ body: (Fleet) async throws -> Void) async throws {
        let redis = try RedisServerFixture()
        defer { redis.stop() }
        try await withScratch { scratch in
            defer { for process in scratch.processes(with: "--node") { kill(process, SIGTERM) } }
            try await body(Fleet(scratch: scratch, redis: redis))
        }
    }

    private func objects(_ fleet: Fleet, _ words: String...) async throws -> [[String: Any]] {
        let output = try await fleet.distcomp(words).output
        return try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]], "\(output)")
    }

    @Test("whoever comes second has the next task, and why, status and shares say so")
    func second() async throws {
        try await withOpenFleet { fleet in
            let go = fleet.scratch.path + "/go"
            let marks = try fleet.scratch.write("marks", "")
            chmod(marks, 0o666)
            let command = "echo {} >> \(marks); while ! test -e \(go); do sleep 0.05; done"
            func submit(_ owner: String, _ values: [String]) async throws {
                let words = ["submit", "--owner", owner, "--name", owner, "--cores", "1", "--", command, ":::"]
                let result = try await fleet.distcomp(words + values)
                #expect(result.status == 0, "\(result)")
            }
            let ann = (1...12).map { "ann\($0)" }
            try await submit("ann", ann)
            let alone = try #require(
                try JSONSerialization.jsonObject(
                    with: Data(try await fleet.distcomp("status", "--json").output.utf8)) as? [String: Any])
            #expect(alone["owners"] == nil)
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1"])
            try await eventually("one runs", node.log) { fleet.scratch.lines("marks").count == 1 }
            try await submit("bob", ["bob1", "bob2"])
            // What runs is counted when the node is heard of next.
            var owners: [[String: Any]] = []
            try await eventually("ann's share is counted") {
                owners = try await objects(fleet, "shares", "--json")
                return (owners.first?["cores"] as? Double ?? 0) > 0
            }
            #expect(owners.map { $0["owner"] as? String } == ["ann", "bob"])
            #expect(owners.allSatisfy { $0["waiting"] as? Bool == true && $0["share"] as? Double == 1 }, "\(owners)")
            let why = try await fleet.distcomp("why", "ann")
            #expect(why.output.contains("the next is another owner's") && why.output.contains("for bob ("), "\(why)")
            let status = try await fleet.distcomp("status")
            #expect(status.output.contains("shared by ann "), "\(status.output)")
            let set = ["shares", "set", "bob", "2.5", "--redis", fleet.redisURL]
            #expect(try await RunningProgram(Products.distcomp, set, in: fleet.scratch).result().status == 0)
            let listing = try await fleet.distcomp("shares").output
            #expect(listing.contains("bob") && listing.contains("2.5"), "\(listing)")

            try fleet.scratch.write("go", "")
            for job in ["ann", "bob"] { #expect(try await fleet.distcomp("watch", "--quiet", job).status == 0) }
            // The node may have had one more of ann's in hand.
            let place = try #require(fleet.scratch.lines("marks").firstIndex(of: "bob1"))
            #expect(place <= 2, "\(fleet.scratch.lines("marks"))")
            _ = try await node.stop()
        }
    }

    @Test("who has most of the GPUs is told to have as much of the fleet, and which they are")
    func resources() async throws {
        try await withOpenFleet { fleet in
            chmod(fleet.scratch.path, 0o777)
            let go = fleet.scratch.path + "/go"
            let wait = "while ! test -e \(go); do sleep 0.05; done"
            let settings = [
                "max_task_per_worker": "8", "resources": #"{"gpu": ["GPU-0a1b", "GPU-2c3d"], "licence": 4}"#,
            ]
            let node = try await fleet.startedNode("a", settings)
            func submit(_ owner: String, _ words: String...) async throws {
                let result = try await fleet.distcomp(["submit", "--owner", owner, "--name", owner] + words)
                #expect(result.status == 0, "\(result)")
            }
            try await submit("ann", "--", wait)
            try await submit("bob", "--gpus", "2", "--resources", "licence=0.5", "--", wait)
            var owners: [[String: Any]] = []
            try await eventually("bob's GPUs are counted") {
                owners = try await objects(fleet, "shares", "--json")
                return owners.last?["fleet_fraction"] as? Double == 1
            }
            #expect(owners.last?["resources"] as? [String: Double] == ["gpu": 2, "licence": 0.5], "\(owners)")
            #expect((owners.first?["resources"] as? [String: Double])?.isEmpty == true, "\(owners)")
            let listing = try await fleet.distcomp("shares").outputLines
            #expect(listing.first?.contains("RESOURCES") == true, "\(listing)")
            let last = try #require(listing.last)
            #expect(last.contains("100.0 %") && last.contains("2/2 gpu 0.5/4 licence"), "\(listing)")
            #expect(try await fleet.distcomp("status").output.contains("shared by bob 100.0 %"))
            try fleet.scratch.write("go", "")
            for job in ["ann", "bob"] { #expect(try await fleet.distcomp("watch", "--quiet", job).status == 0) }
            _ = try await node.stop()
        }
    }

    @Test("task lines become a job where they would count as somebody else's, and stay lines otherwise")
    func lines() async throws {
        try await withOpenFleet { fleet in
            let me = Account(userIdentifier: getuid())?.name ?? "\(getuid())"
            let file = try fleet.scratch.write("lines.txt", "shell:1:0:0:true\n")
            #expect(try await fleet.distcomp("submit", file).output == "1 task added\n")
            #expect(try await fleet.distcomp("submit", "--owner", "bob", "--", "true").status == 0)
            // The first to come is whoever runs this test, whose the lines are.
            let more = try fleet.scratch.write("more.txt", "shell:1:0:0:echo\n")
            #expect(try await fleet.distcomp("submit", more).output == "1 task added\n")
            #expect(try await objects(fleet, "shares", "--json").first?["owner"] as? String == me)

            let own = try fleet.scratch.write("own.txt", "shell:1:0:0:date\n")
            let named = try await fleet.distcomp("submit", "--owner", "zoe", own)
            #expect(named.output == "job own: 1 task added\n", "\(named)")
            let jobs = try await objects(fleet, "jobs", "--json")
            #expect(jobs.first { $0["job"] as? String == "own" }?["owner"] as? String == "zoe", "\(jobs)")
        }
    }

    @Test("a user of Redis submits as itself, and as nobody else")
    func users() async throws {
        try await withFleet { fleet in
            #expect(try await fleet.distcomp("submit", "--name", "own", "--", "true").status == 0)
            let jobs = try await objects(fleet, "jobs", "--json")
            #expect(jobs.first?["owner"] as? String == "distcomp-submitter", "\(jobs)")
            let forged = try await fleet.distcomp("submit", "--owner", "eve", "--", "echo")
            #expect(forged.status != 0 && forged.errors.contains("may not submit as eve"), "\(forged)")
            #expect(try await objects(fleet, "jobs", "--json").count == 1)
        }
    }
}

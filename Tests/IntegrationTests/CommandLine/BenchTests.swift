// The performance suite at its smallest: what it measures on the day is another matter, but each measurement runs to its end, says
// what it promises to, and leaves nothing behind.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("the performance suite", .aFewAtATime)
struct BenchTests {
    /// A measurement in words that keep it small, and figures that it must have.
    struct Small: CustomTestStringConvertible, Sendable {
        let words: String
        let figures: [String]

        var testDescription: String { words }
    }

    static let measurements = [
        Small(
            words: "throughput --tasks 20 --slots 2 --rounds 1",
            figures: ["2 slots: tasks", "2 slots: share of xargs", "2 slots: daemon CPU per task"]),
        Small(
            words: "latency --tasks 3",
            figures: ["submit to the first instruction", "the first instruction: difference of the medians"]),
        Small(words: "spawn --tasks 3", figures: ["posix_spawn of sh -c true", "added by a new control group"]),
        Small(
            words: "timeout --tasks 5 --processes 5",
            figures: ["over after the deadline", "a tree of 5 processes is gone after"]),
        Small(
            words: "pipeline --tasks 20",
            figures: [
                "put in by pipelined HSETNX: to the old way", "taken by our claim, 16 a call: to single calls by us",
            ]),
        Small(
            words: "fetch --queued 100 --rounds 3",
            figures: ["100 queued: old fetch, per task", "100 queued: old fetch to claim of 16"]),
        Small(
            words: "nodes --nodes 10 --tasks 100 --idle-seconds 1",
            figures: [
                "requests of an idle distcompd", "10 nodes: claimed and reported", "10 nodes: most tasks of a node",
            ]),
        Small(
            words: "queue --queued 1000 --finished 20",
            figures: ["distcomp status at 1000 queued", "distcomp results of 20 finished"]),
        Small(
            words: "after --edges 20 --children 20 --reports 20",
            figures: [
                "distcomp submit of 20 edges", "20 wait for one that has failed: calls",
                "a report of a job that another waits for: the same",
            ]),
        Small(
            words: "owners --owners 3 --jobs 3 --shapes 2 --tasks 60 --claims 3 --running 16",
            figures: ["a claim of 16: of 3 owners to one", "owners of what runs in the end: most tasks"]),
        Small(
            words: "memory --tasks 40 --at-once 4",
            figures: [
                "alike to 1 %: wasted by auto", "all six that are not wide: wasted by --memory auto: failed attempts",
            ]),
        Small(
            words: "schedule --tasks 60 --users 3 --nodes 2 --cores 4",
            figures: [
                "first come first served: all have ended after", "DistComp: all have ended after",
                "DistComp: slowdown to that of first come first served", "first fit by size: all have ended after",
                "fair, first fit by age: wait of those that want half a node, or more",
            ]),
        Small(
            words: "scale --running 10 --queued 1000 --seconds 1",
            figures: ["idle: daemon memory", "10 running: daemon CPU", "1000 queued: Redis per task of 102 bytes"]),
    ]

    private func bench(_ words: [String], in scratch: Scratch) throws -> RunningProgram {
        try RunningProgram("/usr/bin/env", ["TMPDIR=\(scratch.path)", Products.bench] + words, in: scratch)
    }

    private func placesLeft(in scratch: Scratch) throws -> [String] {
        try FileSystem.entries(of: scratch.path).filter { $0.hasPrefix("distcomp-bench-") }
    }

    @Test("prints one JSON object a measurement and leaves nothing behind", arguments: measurements)
    func object(small: Small) async throws {
        try await withScratch { scratch in
            let words = small.words.split(separator: " ").map { String($0) }
            let result = try await bench(words + ["--json"], in: scratch).result()
            try #require(result.status == 0, "\(result.errors)\(result.output)")
            let object = try jsonObject(result.output)
            #expect(object.string("measurement") == words[0])
            let figures = try #require(object["figures"] as? [[String: Any]])
            let names = figures.compactMap { $0.string("figure") }
            #expect(names.count == figures.count && Set(names).count == names.count)
            #expect(Set(small.figures).isSubset(of: names), "\(names)")
            for figure in figures { #expect(isComplete(figure), "\(figure)") }
            #expect(try placesLeft(in: scratch).isEmpty)
        }
    }

    /// A value, or a spread whose percentiles are in their order; and a unit.
    private func isComplete(_ figure: [String: Any]) -> Bool {
        guard figure.string("unit") != nil else { return false }
        if figure["value"] is Double { return true }
        let values = ["p50", "p95", "p99", "max"].compactMap { figure[$0] as? Double }
        return values.count == 4 && values == values.sorted() && figure["mean"] is Double
            && (figure.integer("count") ?? 0) > 0
    }

    @Test("tasks of NumPy are measured where there is one, and elsewhere it says so")
    func threads() async throws {
        try await withScratch { scratch in
            let result = try await bench(["threads", "--rounds", "1", "--products", "1"], in: scratch).result()
            if result.status == 0 {
                #expect(result.output.contains("of 1 core: pinned, to untold"))
            } else {
                #expect(result.errors.contains("numpy"), "\(result.errors)")
            }
            #expect(try placesLeft(in: scratch).isEmpty)
        }
    }

    @Test("a table has the figures of a measurement below its name")
    func table() async throws {
        try await withScratch { scratch in
            let lines = try await bench(["pipeline", "--tasks", "20"], in: scratch).result().outputLines
            #expect(lines.first == "pipeline")
            #expect(lines.dropFirst().allSatisfy { $0.hasPrefix("  ") })
        }
    }

    @Test("its Redis, its daemon, their tasks and all files go with it when it is killed")
    func killed() async throws {
        try await withScratch { scratch in
            let program = try bench(["scale", "--running", "10", "--seconds", "600"], in: scratch)
            try await eventually("a Redis and a daemon", scratch.processes().description) {
                scratch.processes(with: "distcompd --config").count == 1
                    && scratch.processes(with: "redis-server").count == 1
            }
            program.send(SIGKILL)
            try await program.result()
            try await eventually("the end of all files") { try placesLeft(in: scratch).isEmpty }
        }
    }
}

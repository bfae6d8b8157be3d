// Redis stands still for longer than a lease and goes on, or its clock is set: nobody who lives loses what it runs, and nothing waits
// for longer than it was told to. See "Time" in docs/REDIS.md.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("a Redis that stands still", .aFewAtATime)
struct StandstillTests {
    private static let settings = [
        "lease_seconds": "2", "max_task_per_worker": "4", "retry_delay_seconds": "10", "max_retry_per_task": "20",
    ]

    /// A task that says it has started, and ends when the test says so.
    private func held(_ number: Int, _ fleet: Fleet) -> String {
        let log = fleet.scratch.path + "/log"
        return "shell:1:0:0:echo \(number) >> \(log); while ! test -e \(log).go; do sleep 0.05; done"
    }

    /// Nodes that have run these tasks between them for longer than a lease.
    private func busyNodes(_ count: Int, tasks: Int, _ fleet: Fleet) async throws -> [Node] {
        try fleet.scratch.write("log", "")
        chmod(fleet.scratch.path + "/log", 0o666)
        var nodes: [Node] = []
        for index in 0..<count { nodes.append(try await fleet.startedNode("n\(index)", Self.settings)) }
        try await fleet.submit((1...tasks).map { held($0, fleet) })
        try await eventually("all run") { fleet.scratch.lines("log").count == tasks }
        try await eventually("all have been connected for longer than a lease") {
            let clients = try fleet.call("CLIENT", "LIST").string ?? ""
            let ages = clients.split(separator: "\n").filter { $0.contains(" name=distcompd-") }.compactMap { client in
                client.split(separator: " ").first { $0.hasPrefix("age=") }.flatMap { Int($0.dropFirst(4)) }
            }
            return ages.count == count && ages.allSatisfy { $0 > 3 }
        }
        return nodes
    }

    /// Waits until every node has been heard of anew, `times` times.
    private func heardOf(_ nodes: [Node], times: Int, _ fleet: Fleet) async throws {
        for _ in 0..<times {
            let before = try fleet.hash("worker_status")
            try await eventually("all are heard of") {
                let now = try fleet.hash("worker_status")
                return nodes.allSatisfy { now[$0.name] != nil && now[$0.name] != before[$0.name] }
            }
        }
    }

    private func expectEachRunsOnce(_ count: Int, _ nodes: [Node], _ fleet: Fleet) async throws {
        try fleet.scratch.write("log.go", "")
        try await fleet.untilFinished(count)
        #expect(fleet.scratch.lines("log").count == count, "nothing was begun a second time")
        for node in nodes {
            #expect(!node.log.contains("killing"), "\(node.log)")
            try await node.stop()
        }
    }

    @Test(
        "frozen for more than a lease: what was sent before takes nothing from anybody afterwards", arguments: [1, 4])
    func frozen(nodeCount: Int) async throws {
        try await withFleet { fleet in
            let nodes = try await busyNodes(nodeCount, tasks: nodeCount * 3, fleet)
            fleet.redis.pause()
            for node in nodes {
                try await eventually("\(node.name) is out of touch", node.log) {
                    node.log.contains("has not answered for 2 s")
                }
            }
            fleet.redis.resume()
            try await heardOf(nodes, times: 3, fleet)
            try await expectEachRunsOnce(nodeCount * 3, nodes, fleet)
        }
    }

    @Test(
        "a clock set forwards, by a minute and an hour, ends no lease",
        .enabled(if: RedisServerFixture.canHaveOwnClock, "needs cc"))
    func forwards() async throws {
        try await withFleet(ownClock: true) { fleet in
            let nodes = try await busyNodes(2, tasks: 6, fleet)
            for seconds in [60.0, 60, 3600] {
                fleet.redis.stepClock(bySeconds: seconds)
                try await heardOf(nodes, times: 2, fleet)
            }
            try await expectEachRunsOnce(6, nodes, fleet)
        }
    }

    @Test(
        "a clock set back by an hour: a retry comes when it is due, and a dead node's tasks are taken over",
        .enabled(if: RedisServerFixture.canHaveOwnClock, "needs cc"))
    func back() async throws {
        try await withFleet(ownClock: true) { fleet in
            let nodes = try await busyNodes(2, tasks: 6, fleet)
            // It fails on one of the two. Its second try is the third's, which has room for it beside all of the dead one's.
            try await fleet.submit(["shell:9:0:0:test $DISTCOMP_ATTEMPT -gt 1"])
            try await eventually("it has failed once", nodes[0].log) { try fleet.count("failed_tasks") == 1 }
            let third = try await fleet.startedNode(
                "third", Self.settings.merging(["max_task_per_worker": "8"]) { $1 })
            fleet.redis.stepClock(bySeconds: -3600)
            try await nodes[0].kill9()
            try await fleet.untilFinished(1)
            try await eventually("others run what the dead node had", third.log) {
                fleet.scratch.lines("log").count > 6
            }
            try fleet.scratch.write("log.go", "")
            try await fleet.untilFinished(7)
            try await nodes[0].start()  // It clears what its last life left.
            for node in nodes + [third] { try await node.stop() }
        }
    }

    @Test("emptied while tasks run: they finish, their results are kept, and the log says what happened")
    func emptied() async throws {
        try await withFleet { fleet in
            let nodes = try await busyNodes(2, tasks: 6, fleet)
            _ = try fleet.call("FLUSHALL")
            try await eventually("all six are known again", nodes[0].log) { try fleet.count("in_progress_tasks") == 6 }
            for node in nodes { try await node.logs("the queue is gone") }
            try await expectEachRunsOnce(6, nodes, fleet)
        }
    }
}

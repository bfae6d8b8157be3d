// A fleet whose Redis is under Sentinel: the master changes while tasks run, and none of them is lost.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("a fleet under Sentinel", .aFewAtATime)
struct SentinelFleetTests {
    /// Tasks that have said they started.
    private func started(_ fleet: Fleet) -> Set<String> { Set(fleet.scratch.lines("log")) }

    private func makeLog(_ fleet: Fleet) throws {
        try fleet.scratch.write("log", "")
        chmod(fleet.scratch.path + "/log", 0o666)
    }

    /// Tasks that end when the test says so, and short ones that come after them.
    private func submit(held: Int, short: Int, _ fleet: Fleet) async throws {
        let log = fleet.scratch.path + "/log"
        let held = (1...held).map {
            "shell:9:0:0:0:echo held \($0) >> \(log); while ! test -e \(log).go; do sleep 0.05; done"
        }
        try await fleet.submit(held + (1...short).map { "shell:1:0:0:echo short \($0) >> \(log)" })
    }

    private func expectAllFinished(_ count: Int, _ fleet: Fleet) async throws {
        try await fleet.untilFinished(count)
        try await fleet.untilIdle()
        #expect(try fleet.count("finished_tasks") == count)
        #expect(try fleet.count("failed_tasks") == 0)
        #expect(started(fleet).count == count)
        let status = try await fleet.distcomp("status", "--json")
        #expect(status.status == 0, "\(status.errors)")
        #expect(try jsonObject(status.output).integer("finished") == count)
    }

    @Test("a failover by command: running tasks go on, and all finish on the new master")
    func failover() async throws {
        try await withSentinelFleet { fleet in
            try makeLog(fleet)
            let sentinels = try #require(fleet.sentinels)
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "4"])
            try await submit(held: 3, short: 60, fleet)
            try await eventually("tasks run", node.log) { started(fleet).count >= 5 }
            let doctor = ["doctor", "--config", node.configurationPath]
            let found = try await RunningProgram(Products.distcomp, doctor, in: fleet.scratch).result()
            #expect(found.output.contains("\(fleet.redis.internetEndpoint) (mymaster)"), "\(found.output)")
            let running = Set(fleet.scratch.tasks(with: "log.go"))
            #expect(running.count == 3)
            try sentinels.failOver()
            let new = try #require(sentinels.servers[1].port)
            try await eventually("the node is at the new master", node.log) {
                node.log.contains("redis=127.0.0.1:\(new) (mymaster)")
            }
            #expect(Set(fleet.scratch.tasks(with: "log.go")).isSubset(of: running), "none was started again")
            try fleet.scratch.write("log.go", "")
            try await expectAllFinished(63, fleet)
            try await node.stop()
        }
    }

    @Test("a master killed with -9: tasks go on, what ends meanwhile is reported to the new one, and all finish")
    func masterKilled() async throws {
        try await withSentinelFleet { fleet in
            try makeLog(fleet)
            let sentinels = try #require(fleet.sentinels)
            let first = try await fleet.startedNode("a", ["max_task_per_worker": "4"])
            let second = try await fleet.startedNode("b", ["max_task_per_worker": "4"])
            try await submit(held: 4, short: 200, fleet)
            try await eventually("tasks run", first.log) { started(fleet).count >= 10 }
            fleet.redis.kill9()
            try await eventually("both notice", first.log + second.log) {
                first.log.contains("tasks go on") && second.log.contains("tasks go on")
            }
            try fleet.scratch.write("log.go", "")
            try sentinels.untilReplaced(fleet.redis)
            try await expectAllFinished(204, fleet)
            try await first.stop()
            try await second.stop()
        }
    }
}

// Redis is away, and tasks go on, tasks end, daemons die, disks are full: what was done is told once Redis is back, and not
// done again.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("while Redis is away", .aFewAtATime)
struct OutboxTests {
    private static let persistent = ["appendonly yes", "appendfsync always"]

    /// A task that says it has started, and ends when the test says so.
    private func held(_ name: String, _ fleet: Fleet, exit code: Int = 0) -> String {
        let log = fleet.scratch.path + "/log"
        return "shell:1:0:0:echo \(name) >> \(log); while ! test -e \(log).go; do sleep 0.05; done; echo \(name) done; "
            + "exit \(code)"
    }

    private func makeLog(_ fleet: Fleet) throws {
        try fleet.scratch.write("log", "")
        chmod(fleet.scratch.path + "/log", 0o666)
    }

    private func release(_ fleet: Fleet) throws { try fleet.scratch.write("log.go", "") }

    private func started(_ fleet: Fleet) -> [String] { fleet.scratch.lines("log").sorted() }

    private func reports(of node: String, _ fleet: Fleet) -> String { fleet.scratch.path + "/state/\(node)/reports" }

    private func stored(of node: String, _ fleet: Fleet) -> [String] {
        ((try? FileSystem.entries(of: reports(of: node, fleet))) ?? []).filter { $0.hasSuffix(".report") }
    }

    /// Until when each node has its lease, in the queue's time.
    private func leases(_ fleet: Fleet) throws -> [(name: String, until: Double)] {
        let names = try fleet.call("ZRANGE", "distcomp:leases", "0", "-1").elements ?? []
        return try names.compactMap(\.string).sorted().map { name in
            guard case .double(let until) = try fleet.call("ZSCORE", "distcomp:leases", name) else {
                throw NeverHappened(description: "\(name) has no lease")
            }
            return (name, until)
        }
    }

    /// A node with these tasks running.
    private func nodeRunning(
        _ lines: [String], _ fleet: Fleet, _ settings: [String: String] = [:]
    ) async throws -> Node {
        try makeLog(fleet)
        let node = try fleet.node("a", ["max_task_per_worker": "8"].merging(settings) { $1 })
        try await node.start()
        try await fleet.submit(lines)
        try await eventually("all run", node.log) { started(fleet).count == lines.count }
        return node
    }

    @Test("a daemon killed while Redis is away: its next life delivers what its tasks did, and they do not run again")
    func killedWhileAway() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let lines = [held("one", fleet), held("two", fleet), held("three", fleet, exit: 3)]
            let node = try await nodeRunning(lines, fleet, ["max_retry_per_task": "1"])
            #expect(stored(of: "a", fleet) == [])
            fleet.redis.kill9()
            try release(fleet)
            try await eventually("three reports are on disk", node.log) { stored(of: "a", fleet).count == 3 }
            try await node.kill9()
            try fleet.redis.start()
            try await node.start()
            try await fleet.untilIdle()
            try await eventually("the reports are gone", node.log) { stored(of: "a", fleet) == [] }
            #expect(started(fleet) == ["one", "three", "two"])
            #expect(try fleet.hash("finished_tasks") == [lines[0]: #"a: "one done\n""#, lines[1]: #"a: "two done\n""#])
            #expect(try fleet.hash("failed_tasks") == [lines[2]: "a,"])
            #expect(try fleet.hash("task_fail_reason")[lines[2]] == "exit 3")
            let records = try await fleet.distcomp("results", "--json").outputLines.map { try jsonObject(String($0)) }
            #expect(records.map { $0.integer("attempts") } == [1, 1, 1])
            try await eventually("it is told of each", node.log) {
                node.log.split(separator: "\n").count { $0.contains("delivered the report of an earlier life") } == 3
            }
            try await node.stop()
        }
    }

    @Test("Redis away and back: reports are on disk while it is away, delivered when it is back, and gone then")
    func awayAndBack() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let names = (1...8).map { String($0) }
            let node = try await nodeRunning(names.map { held($0, fleet) }, fleet)
            fleet.redis.terminate()
            try release(fleet)
            try await eventually("eight reports are on disk", node.log) { stored(of: "a", fleet).count == 8 }
            try fleet.redis.start()
            try await fleet.untilFinished(8)
            try await eventually("the reports are gone", node.log) { stored(of: "a", fleet) == [] }
            #expect(started(fleet) == names)
            try await node.stop()
        }
    }

    @Test("with a connection nothing is written")
    func fastPath() async throws {
        try await withFleet { fleet in
            let node = try await nodeRunning([held("one", fleet)], fleet)
            // A write would be refused, and the log would say so.
            try FileSystem.removeDirectory(reports(of: "a", fleet))
            try release(fleet)
            try await fleet.submit((1...100).map { "shell:1:0:0:echo \($0)" })
            try await fleet.untilFinished(101)
            #expect(!node.log.contains("memory alone"))
            try await node.stop()
        }
    }

    @Test("a report whose lease ended before its node came back is refused and deleted: the line ran elsewhere, once")
    func tooLate() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let node = try await nodeRunning([held("one", fleet)], fleet, ["lease_seconds": "1"])
            fleet.redis.kill9()
            try release(fleet)
            try await eventually("its report is on disk", node.log) { stored(of: "a", fleet).count == 1 }
            try await node.kill9()
            try fleet.redis.start()
            let other = try await fleet.startedNode("b", ["lease_seconds": "1"])
            try await fleet.untilFinished(1)
            try await node.start()
            try await eventually("the report is gone", node.log) { stored(of: "a", fleet) == [] }
            try await node.logs("the report of an earlier life came too late")
            #expect(started(fleet) == ["one", "one"])
            #expect(try fleet.hash("finished_tasks").values.map { String($0) } == [#"b: "one done\n""#])
            try await node.stop()
            try await other.stop()
        }
    }

    @Test(
        "a node told to stop while Redis is away leaves its reports and what it gave back; its next life delivers both")
    func stoppedWhileAway() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let node = try await nodeRunning([held("one", fleet)], fleet)
            fleet.redis.terminate()
            try await eventually("the node notices", node.log) { node.log.contains("tasks go on") }
            #expect(try await node.stop().status == 0)
            #expect(stored(of: "a", fleet).count == 1)
            try fleet.redis.start()
            try release(fleet)
            try await node.start()
            try await fleet.untilFinished(1)
            #expect(stored(of: "a", fleet) == [])
            #expect(started(fleet) == ["one", "one"], "it was stopped, and ran again")
            let records = try await fleet.distcomp("results", "--json").outputLines.map { try jsonObject(String($0)) }
            #expect(records.map { $0.integer("attempts") } == [1], "without a mark")
            try await node.stop()
        }
    }

    @Test("Redis gone for longer than the lease: what two nodes run goes on, is reported, and runs nowhere else")
    func longerThanTheLease() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            // Above the longest pause between two attempts to connect.
            let lease = ["lease_seconds": "6"]
            let first = try await nodeRunning([held("one", fleet), held("two", fleet)], fleet, lease)
            let second = try await fleet.startedNode("b", lease)
            try await fleet.submit((1...8).map { held("other \($0)", fleet) })
            try await eventually("all run", second.log) { started(fleet).count == 10 }
            let tasks = Set(fleet.scratch.tasks(with: "log.go"))
            let before = try leases(fleet)
            fleet.redis.kill9()
            for node in [first, second] {
                try await eventually("it is out of touch", node.log) { node.log.contains("has not answered for 6 s") }
            }
            try fleet.redis.start()
            try await eventually("the leases are renewed") {
                try zip(leases(fleet), before).allSatisfy { $0.name == $1.name && $0.until > $1.until }
            }
            #expect(Set(fleet.scratch.tasks(with: "log.go")) == tasks)
            try release(fleet)
            try await fleet.untilFinished(10)
            #expect(started(fleet).count == 10)
            for node in [first, second] {
                #expect(!node.log.contains("the lease is lost"), "\(node.log)")
                try await node.stop()
            }
        }
    }

    @Test("a Redis that answers nothing for several leases: tasks go on, and what ends meanwhile is reported")
    func silent() async throws {
        try await withFleet { fleet in
            let node = try await nodeRunning([held("one", fleet), held("two", fleet)], fleet, ["lease_seconds": "0.5"])
            fleet.redis.pause()
            try await eventually("it is out of touch", node.log) { node.log.contains("has not answered for 0.5 s") }
            #expect(fleet.scratch.tasks(with: "log.go").count == 2)
            try release(fleet)
            try await eventually("both have ended", node.log) { fleet.scratch.tasks(with: "log.go").isEmpty }
            fleet.redis.resume()
            try await fleet.untilFinished(2)
            #expect(started(fleet) == ["one", "two"])
            try await node.stop()
        }
    }

    @Test("a node cut off alone: another takes its tasks over, and at its first answer it kills its own")
    func cutOffAlone() async throws {
        try await withFleet { fleet in
            let socket = fleet.scratch.path + "/a.sock"
            #expect(symlink(fleet.redis.socketPath, socket) == 0)
            let lease = ["lease_seconds": "1"]
            let first = try fleet.node("a", lease)
            try makeLog(fleet)
            try first.launch(["--redis", "unix://" + socket])
            try await fleet.submit([held("one", fleet)])
            try await eventually("it runs", first.log) { started(fleet) == ["one"] }
            let own = fleet.scratch.tasks(with: "log.go")

            try FileSystem.remove(socket)
            try disconnect("distcompd-a", fleet)
            let second = try await fleet.startedNode("b", lease)
            try await eventually("it runs elsewhere too", second.log) { started(fleet).count == 2 }
            #expect(Set(own).isSubset(of: fleet.scratch.tasks(with: "log.go")), "it goes on, for all its node knows")

            #expect(symlink(fleet.redis.socketPath, socket) == 0)
            try await eventually("its own is killed", first.log) {
                Set(own).isDisjoint(with: fleet.scratch.tasks(with: "log.go"))
            }
            try await first.logs("the lease is lost")
            try release(fleet)
            try await fleet.untilFinished(1)
            #expect(try fleet.hash("finished_tasks").values.map { String($0) } == [#"b: "one done\n""#])
            #expect(started(fleet) == ["one", "one"])
            try await first.stop()
            try await second.stop()
        }
    }

    /// Ends the connections of that name, as a network that breaks does.
    private func disconnect(_ name: String, _ fleet: Fleet) throws {
        let clients = try fleet.call("CLIENT", "LIST").string ?? ""
        for client in clients.split(separator: "\n") where client.contains(" name=\(name) ") {
            let identifier = client.split(separator: " ").first?.dropFirst("id=".count) ?? ""
            _ = try fleet.call("CLIENT", "KILL", "ID", String(identifier))
        }
    }

    @Test("what is no report is set aside at the start, and the node works")
    func damaged() async throws {
        try await withFleet { fleet in
            try FileSystem.createDirectories(reports(of: "a", fleet), mode: 0o700)
            try fleet.scratch.write("state/a/reports/1.report", "{\"version\":1,")
            let node = try await fleet.startedNode("a")
            #expect(try FileSystem.entries(of: reports(of: "a", fleet)) == ["1.report.damaged"])
            #expect(node.log.split(separator: "\n").count { $0.contains("holds no report") } == 1)
            try await fleet.submit(["shell:1:0:0:true"])
            try await fleet.untilFinished(1)
            try await node.stop()
        }
    }

    @Test("more reports than a connection may hold are delivered after an outage, over one connection")
    func large() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let (log, names) = (fleet.scratch.path + "/log", (1...70).map { String($0) })
            let lines = names.map { name in
                "shell:1:0:0:echo \(name) >> \(log); while ! test -e \(log).go; do sleep 0.5; done; "
                    + "head -c 1000000 /dev/zero | tr '\\0' x"
            }
            let node = try await nodeRunning(lines, fleet, ["max_task_per_worker": "70"])
            fleet.redis.kill9()
            try release(fleet)
            try await eventually("all reports are on disk", node.log) { stored(of: "a", fleet).count == 70 }
            try fleet.redis.start()
            try await fleet.untilFinished(70)
            try await eventually("the reports are gone", node.log) { stored(of: "a", fleet) == [] }
            #expect(node.log.split(separator: "\n").count { $0.contains(" connected ") } == 2, "\(node.log)")
            #expect(started(fleet) == names.sorted())
            try await node.stop()
        }
    }

    @Test(
        "a full disk under the reports: one warning, tasks and daemon go on, and all is delivered from memory",
        .enabled(if: canMount))
    func fullDisk() async throws {
        try await withFleet(redis: Self.persistent) { fleet in
            let directory = reports(of: "a", fleet)
            try FileSystem.createDirectories(directory, mode: 0o700)
            // Room for one file of a page.
            try #require(mount("none", directory, "tmpfs", 0, "size=4k") == 0)
            defer { umount2(directory, Int32(MNT_DETACH)) }
            let node = try await nodeRunning(["one", "two", "three"].map { held($0, fleet) }, fleet)
            fleet.redis.kill9()
            try release(fleet)
            try await eventually("the warning", node.log) { node.log.contains("No space left on device") }
            try await eventually("all have ended", node.log) { fleet.scratch.tasks(with: "log.go").isEmpty }
            try fleet.redis.start()
            try await fleet.untilFinished(3)
            #expect(node.log.split(separator: "\n").count { $0.contains("kept in memory alone") } == 1, "\(node.log)")
            #expect(started(fleet) == ["one", "three", "two"])
            try await eventually("nothing is left", node.log) {
                try FileSystem.entries(of: directory).isEmpty
            }
            try await node.stop()
        }
    }
}

/// Root of a container may not mount.
private let canMount: Bool = {
    guard Host.isRoot, let folder = try? FileSystem.makeTemporaryDirectory("/tmp/distcomp-mount-") else { return false }
    defer { _ = try? FileSystem.removeDirectory(folder) }
    return mount("none", folder, "tmpfs", 0, "size=4k") == 0 && umount2(folder, 0) == 0
}()

// A claim that is the last one if it brings nothing.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("A node that leaves if there is nothing for it")
struct IdleLeaveTests {
    private func lastClaim(_ node: BenchNode, _ count: Int = 1, silence: Int? = nil) throws -> ClaimTasks.Reply {
        try node.bench.perform(
            ClaimTasks(
                keys: node.bench.keys, incarnation: node.incarnation, leaseMilliseconds: node.leaseMilliseconds,
                count: count, freeMemoryBytes: 64 << 30, freeMillicores: 64_000, silence: silence ?? node.known.silence,
                leavesIfIdle: true))
    }

    private func isThere(_ node: BenchNode) throws -> Bool {
        try node.bench.command("ZSCORE", node.bench.keys.leases, node.incarnation.text) != .null
    }

    @Test("with nothing to be given it leaves in the same step: it is known no more, and refused whatever it asks")
    func leaves() throws {
        let bench = try QueueBench()
        let node = try bench.node("a", labels: ["ssd"], resources: "gpu:d1")
        #expect(try lastClaim(node).hasLeft)
        #expect(try !isThere(node))
        #expect(try bench.command("HLEN", bench.keys.workerStatus) == .integer(0))
        #expect(
            try bench.command("EXISTS", "distcomp:nodes", "distcomp:sizes", "distcomp:labels", "distcomp:resources")
                == .integer(0))
        try bench.submit("shell:1:0:0:a")
        #expect(throws: try bench.fenced) { try node.claim() }
        #expect(throws: try bench.fenced) { try node.beat() }
        // Its last word changes nothing, and the next life takes what came.
        #expect(try bench.perform(LeaveQueue(keys: bench.keys, incarnation: node.incarnation)) == 0)
        #expect(try bench.node("a", life: 2).claim().count == 1)
    }

    @Test("what waits in that step is given to it, and it stays")
    func stays() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit("shell:1:0:0:a")
        let reply = try lastClaim(node)
        #expect(reply.tasks.count == 1 && !reply.hasLeft)
        #expect(try isThere(node))
        // It holds a task.
        #expect(try !lastClaim(node).hasLeft)
        try node.finish(reply.tasks[0])
        #expect(try lastClaim(node).hasLeft)
    }

    @Test("what does not fit it, or is for others, is no reason to stay")
    func unfit() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        try bench.submit("shell:1:999:0:a")
        // Whether it is for want of an index is looked at first.
        let first = try lastClaim(node)
        #expect(first.needsSweep && !first.hasLeft)
        #expect(try lastClaim(node).hasLeft)
    }

    @Test("one that asks for nothing leaves, and so does one that is drained, and any while the queue is paused")
    func nothing() throws {
        let bench = try QueueBench()
        try bench.submit("shell:1:0:0:a")
        #expect(try lastClaim(bench.node("a"), 0).hasLeft)
        let drained = try bench.node("b")
        _ = try bench.drain("b")
        #expect(try lastClaim(drained).hasLeft)
        try bench.perform(PauseQueue(true, keys: bench.keys))
        #expect(try lastClaim(bench.node("c")).hasLeft)
        #expect(try bench.numbers == [1, 0, 0, 0])
    }

    @Test("sent before a silence, with lines that no index knows, or with a task taken from it by hand it stays")
    func uncertain() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        #expect(try !lastClaim(node, silence: node.known.silence + 1).hasLeft)
        try bench.command("HSET", bench.keys.todo, "shell:1:0:0:old", "")
        let reply = try lastClaim(node)
        #expect(reply.needsSweep && !reply.hasLeft)
        try bench.command("DEL", bench.keys.todo)

        try bench.submit("shell:1:0:0:a")
        let task = try #require(node.claim().first)
        try bench.perform(RequeueTasks([try TaskLine(parsing: task.line)], keys: bench.keys))
        #expect(try !lastClaim(node).hasLeft)
    }
}

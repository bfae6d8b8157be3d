// Two nodes that cannot be told apart, or share a name; and a node that is there but takes nothing.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Twins and troubles")
struct TwinTests {
    @Test("a copy of a living node is told so with its address, and nothing is done")
    func twin() throws {
        let bench = try QueueBench()
        let first = try bench.node("a", life: 5, earlier: [], address: "10.0.0.7:4711")
        try bench.submit(line("x"))
        let task = try #require(try first.claim().first)
        for life: Int64 in [4, 6] {
            let error = #expect(throws: QueueError.self) {
                try bench.node("a", life: life, earlier: [Incarnation(name: "a", machine: "ma", life: 1)])
            }
            guard case .twin("10.0.0.7:4711", let remaining) = error else {
                Issue.record("\(String(describing: error))")
                continue
            }
            #expect((1...60_000).contains(remaining))
        }
        #expect(try bench.perform(ReadNodes(keys: bench.keys)).map(\.incarnation) == [first.incarnation])
        #expect(try first.beat().reapedCount == 0)
        #expect(try first.finish(task) == .accepted)
    }

    @Test("a node that knows its earlier lives takes their place at once, also where its clock has gone back")
    func ownLives() throws {
        let bench = try QueueBench()
        let first = try bench.node("a", life: 9, earlier: [])
        try bench.submit(line("x"))
        _ = try first.claim()
        let second = try bench.node("a", life: 5, earlier: [first.incarnation])
        #expect(throws: try bench.fenced) { try first.beat() }
        #expect(try second.claim().map(\.attempt) == [2])
    }

    @Test("whoever asks often enough is let in when the twin's lease is over, and gets what it held")
    func twinIsOver() throws {
        let bench = try QueueBench()
        let lease = 600_000
        let first = try bench.node("a", life: 1, leaseMilliseconds: lease)
        try bench.submit(line("x"))
        _ = try first.claim()
        var remaining: [Int] = []
        var second: BenchNode?
        while second == nil, remaining.count < 20 {
            do throws(any Error) {
                second = try bench.node("a", life: 2, earlier: [], leaseMilliseconds: lease)
            } catch QueueError.twin(nil, let milliseconds) {
                remaining.append(milliseconds)
                try bench.stepClock(bySeconds: 51)
            }
        }
        #expect(remaining.count == 12 && remaining == remaining.sorted(by: >), "\(remaining)")
        #expect(try second?.claim().map(\.attempt) == [2])
    }

    @Test("in the time after a silence nobody's lease counts as over")
    func quiet() throws {
        let bench = try QueueBench()
        let first = try bench.node("a", life: 1)
        try first.loseLease()
        try bench.setClock { $0.quiet = $0.queue + 30_000 }
        let error = #expect(throws: QueueError.self) { try bench.node("a", life: 2, earlier: [], isQuietOver: false) }
        guard case .twin(nil, let remaining) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect((20_000...30_000).contains(remaining))
        #expect(try first.beat().reapedCount == 0)
    }

    @Test("another machine of the same name is refused with the address of the one that has it")
    func nameTaken() throws {
        let bench = try QueueBench()
        let first = try bench.node("a", address: "10.0.0.7:4711")
        let error = #expect(throws: QueueError.self) { try bench.node("a", machine: "other") }
        guard case .nameTaken("a", "10.0.0.7:4711", _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(error?.description.contains("10.0.0.7:4711") == true)
        try first.loseLease()
        _ = try bench.node("a", machine: "other")
    }

    @Test("a node in trouble is listed with it, and nothing is kept for it, until it says that it is well")
    func trouble() throws {
        let bench = try QueueBench()
        let a = try bench.node("a")
        let b = try bench.node("b", address: "host:1", trouble: "result_dir: Read-only file system")
        func rows() throws -> [ReadNodes.Node] {
            try bench.perform(ReadNodes(keys: bench.keys)).sorted { $0.incarnation.text < $1.incarnation.text }
        }
        #expect(try rows().map(\.trouble) == ["", "result_dir: Read-only file system"])
        #expect(try rows().map(\.address) == ["", "host:1"])
        #expect(try rows().map(\.version) == ["1.0.0", "1.0.0"])
        try bench.submit(line("x"))
        try a.fail(try #require(try a.claim().first), attemptsMax: 9)
        try a.fail(try #require(try a.claim().first, "b takes nothing"), attemptsMax: 9)
        try b.beat(description: a.description)
        #expect(try rows().map(\.trouble) == ["", ""])
        #expect(try a.claim().isEmpty, "b can take it")
        let long = String(repeating: "\u{fc}", count: 5000)
        try b.beat(
            description: NodeDescription(memoryBytes: 1, millicores: 1, version: "a b\n", address: "c d", trouble: long)
        )
        #expect(try rows()[1].trouble.utf8.count <= 1026)
        #expect(try rows()[1].version == "ab" && rows()[1].address == "cd")
        try b.loseLease()
        try a.beat()
        #expect(try bench.command("EXISTS", "distcomp:troubles").int == 0, "it goes with the node")
    }

    @Test(
        "an old hash of another type is named when a node registers, and nothing is given out by a claim that meets one"
    )
    func wrongTypes() throws {
        let bench = try QueueBench()
        let keys = bench.keys
        for key in [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason, keys.workerStatus] {
            try bench.command("FLUSHALL")
            try bench.command("SET", key, "x")
            let error = #expect(throws: QueueError.self) { try bench.node("a") }
            #expect(error == .wrongType("\(key) is a string, not a hash: rename or delete it"))
        }
        for key in [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason] {
            try bench.command("FLUSHALL")
            let node = try bench.node("a")
            try bench.submit(line("x"))
            try bench.command("DEL", key)
            try bench.command("SADD", key, "x")
            try bench.stepClock(bySeconds: 0.1)
            let error = #expect(throws: QueueError.self, "\(key)") { try node.claim() }
            guard case .wrongType = error else {
                Issue.record("\(key): \(String(describing: error))")
                continue
            }
            #expect(try node.held == [], "\(key)")
            try bench.command("DEL", key)
            try bench.stepClock(bySeconds: 0.1)
            if key == keys.todo { continue }
            #expect(try node.claim().map(\.attempt) == [1], "\(key)")
        }
    }
}

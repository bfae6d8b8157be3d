// Which task gets which device, and that nobody else has it.

import TaskModel
import Testing

@testable import NodeSupervisor

private func request(_ typed: String) -> ResourceRequest {
    guard let request = ResourceRequest(typed: typed) else { preconditionFailure(typed) }
    return request
}

/// A task of a job that asks for this.
private func claimed(_ command: String, needing typed: String) -> NodeSupervisor.ClaimedTask {
    var settings = Job.Settings()
    settings.resources = request(typed)
    let job = Job(identifier: "j1", name: "j", settings: settings, definition: Job.Definition())
    do {
        return .init(line: try TaskLine(command: command, of: job), token: command, attempt: 1)
    } catch {
        preconditionFailure("\(error)")
    }
}

extension Node {
    /// Becomes a member of the queue; returns its first claim.
    fileprivate mutating func connect() -> NodeSupervisor.Claim? {
        hear(.connected)
        return hear(.registered(sentAt: now), .memory(availableBytes: 8 << 30)).claim
    }
}

@Suite("Devices and other resources of a node")
struct ResourcePoolTests {
    private let three = NodeResources(["gpu": .devices(["A", "B", "C"]), "licence": .amount(4000)])

    @Test(
        "whole devices are the first that are free; a part is of the device with the least left, so that whole ones stay whole"
    )
    func choice() throws {
        var pool = ResourcePool(three)
        func take(_ typed: String) throws -> [String]? {
            guard let share = pool.share(for: request(typed)) else { return nil }
            pool.take(share)
            return share.parts["gpu"]?.devices
        }
        #expect(try take("gpu=0.5") == ["A"])
        #expect(try take("gpu=1") == ["B"])
        #expect(try take("gpu=0.25") == ["A"])
        #expect(pool.freeText == "gpu@250,0,1000 licence:4000")
        #expect(try take("gpu=2") == nil)
        #expect(try take("gpu=0.5") == ["C"])
        #expect(try take("gpu=1") == nil)
        #expect(try take("gpu=0.25,licence=4.5") == nil)
        #expect(try take("gpu=0.25,licence=4") == ["A"])
        #expect(pool.freeText == "gpu@0,0,500 licence:0")
        #expect(try take("tape=1") == nil)
    }

    @Test("through any series of tasks no device is given twice, and in the end all of it is free again")
    func random() throws {
        var random = SystemRandomNumberGenerator()
        var pool = ResourcePool(three)
        var shares: [ResourceShare] = []
        for _ in 0..<4000 {
            let typed = [
                "gpu=1", "gpu=2", "gpu=0.5", "gpu=0.3", "gpu=0.001,licence=1", "licence=0.5", "gpu=3,licence=4",
            ]
            if Bool.random(), let share = pool.share(for: request(typed.randomElement(using: &random) ?? "")) {
                pool.take(share)
                shares.append(try #require(ResourceShare(text: share.text)))
            } else if let index = shares.indices.randomElement(using: &random) {
                pool.giveBack(shares.remove(at: index))
            }
            for device in ["A", "B", "C"] {
                let parts = shares.compactMap { $0.parts["gpu"] }.filter { $0.devices.contains(device) }
                #expect(parts.reduce(0) { $0 + $1.thousandths / $1.devices.count } <= 1000)
                #expect(parts.count == 1 || parts.allSatisfy { $0.thousandths < 1000 })
            }
            #expect(shares.compactMap { $0.parts["licence"]?.thousandths }.reduce(0, +) <= 4000)
        }
        for share in shares { pool.giveBack(share) }
        #expect(pool == ResourcePool(three))
    }

    @Test(
        "a claim says what is free; what is given has its devices from its launch until its group is gone, not only until its process is"
    )
    func life() throws {
        var node = Node { $0.resources = three }
        let first = node.connect()
        let claim = try #require(first)
        #expect(claim.freeResources == "gpu@1000,1000,1000 licence:4000")
        let (one, two) = (claimed("a", needing: "gpu=2"), claimed("b", needing: "gpu=0.5,licence=1"))
        let begun = node.hear(.claimed(claim.number, [one, two], refusedCount: 0, dueSeconds: nil))
        let launches = begun.compactMap { if case .launch(_, let task) = $0 { task } else { nil } }
        #expect(launches.map(\.share.parts["gpu"]?.devices) == [["A", "B"], ["C"]])
        node.hear(.launched(number(1)), .launched(number(2)))
        #expect(node.supervisor.resources.freeText == "gpu@0,0,500 licence:3000")
        node.hear(.exited(number(1), .code(0)), .collected(number(1), collected(removed: false)))
        #expect(node.supervisor.resources.freeText == "gpu@0,0,500 licence:3000")
        node.hear(.collected(number(1), collected(removed: true)))
        #expect(node.supervisor.resources.freeText == "gpu@1000,1000,500 licence:3000")
    }

    @Test("what does not fit, or asks for what is not here, goes back as if it had not been taken")
    func goesBack() throws {
        var node = Node { $0.resources = NodeResources(["gpu": .devices(["A"])]) }
        let first = node.connect()
        let claim = try #require(first)
        let given = [claimed("a", needing: "gpu=1"), claimed("b", needing: "gpu=1"), claimed("c", needing: "tape=1")]
        let actions = node.hear(.claimed(claim.number, given, refusedCount: 0, dueSeconds: nil))
        #expect(actions.launched == [number(1)] && actions.returns == [.noRoom, .noRoom])
    }

    @Test("after a re-exec tasks have the devices that they had, also those that the node has no more")
    func reExec() throws {
        let node = Node.running(claimed("a", needing: "gpu=2")) { $0.resources = three }
        let state = try #require(node.supervisor.reExecState)
        var settings = node.settings
        settings.resources = NodeResources(["gpu": .devices(["B", "C"])])
        var successor = NodeSupervisor(settings: settings, resuming: state)
        #expect(successor.resources.freeText == "gpu@0,1000")
        _ = successor.handle(.exited(number(1), .code(0)), at: node.now)
        _ = successor.handle(.collected(number(1), collected(removed: true)), at: node.now)
        #expect(successor.resources == ResourcePool(settings.resources))
    }

    @Test(
        "what is handed on of a share is read back; what is none is not",
        arguments: ["gpu", "gpu=0", "gpu=x=A", "GPU=1000=A", "gpu=1000=A:B"])
    func text(wrong: String) {
        var share = ResourceShare()
        share.add("gpu", .init(thousandths: 2000, devices: ["GPU-0a", "MIG-1/2"]))
        share.add("licence", .init(thousandths: 500))
        #expect(share.text == "gpu=2000=GPU-0a,MIG-1/2 licence=500")
        #expect(ResourceShare(text: share.text) == share && ResourceShare(text: "") == ResourceShare())
        #expect(ResourceShare(text: wrong) == nil)
    }
}

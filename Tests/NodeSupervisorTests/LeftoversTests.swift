// Memory that ended tasks left in use: it is not offered, it is told, and a node that stands still because of it says so.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("What ended tasks left in memory")
struct LeftoversTests {
    private func left(_ bytes: UInt64) -> Event {
        .leftovers(.init(bytes: bytes, names: bytes == 0 ? "" : "/dev/shm/left1 (100 MB)"))
    }

    @Test("is left out of what the node asks for, and comes back when it is removed")
    func isNotOffered() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        #expect(node.hear(left(1 << 30)).claim?.freeMemoryBytes == 7 << 30)
        node.hear(.claimed(request(2), [], refusedCount: 0, dueSeconds: nil))
        #expect(node.hear(left(0)).claim?.freeMemoryBytes == 8 << 30)
    }

    @Test("has a task that fits no longer go back")
    func noRoom() {
        var node = Node.waitingForTasks()
        node.hear(left(1 << 30))
        let actions = node.hear(.claimed(request(1), [claimed("1:8G:1:true")], refusedCount: 0, dueSeconds: nil))
        #expect(actions.returns == [.noRoom] && actions.launched.isEmpty)
    }

    @Test("is told once for each that is new, and when all is gone")
    func isTold() {
        var node = Node.waitingForTasks()
        #expect(
            node.hear(left(1 << 30)).notices == [.leftInMemory(.init(bytes: 1 << 30, names: "/dev/shm/left1 (100 MB)"))]
        )
        #expect(node.hear(left(1 << 30)).notices.isEmpty)
        #expect(node.hear(left(1 << 29)).notices.isEmpty)
        #expect(node.hear(left(1 << 30)).notices.count == 1)
        #expect(node.hear(left(0)).notices == [.leftoversGone])
        #expect(node.hear(left(0)).notices.isEmpty)
    }

    @Test("is told again once it has a name")
    func isNamed() {
        var node = Node.waitingForTasks()
        #expect(node.hear(.leftovers(.init(bytes: 1 << 30))).notices.count == 1)
        #expect(node.hear(left(1 << 30)).notices.count == 1)
        #expect(node.hear(left(1 << 30)).notices.isEmpty)
    }

    @Test("hinders a node that has too little else, which says so at once and takes nothing until it is gone")
    func hinders() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        node.hear(left(1 << 30))
        #expect(node.supervisor.hindrance == nil)
        node.hear(.claimed(request(2), [], refusedCount: 0, dueSeconds: nil))

        let actions = node.hear(left(7_800 << 20))
        #expect(actions.contains(.heartbeat) && actions.claim == nil)
        #expect(
            node.supervisor.hindrance
                == "7.62 GB of files in /dev/shm or another tmpfs left by ended tasks: /dev/shm/left1 (100 MB); removing them"
                + " gives it back")
        #expect(node.passAnswered(seconds: 20).claim == nil)
        let gone = node.hear(left(0))
        #expect(gone.contains(.heartbeat) && node.supervisor.hindrance == nil)
        #expect((gone + node.passAnswered(seconds: 10)).claim?.freeMemoryBytes == 8 << 30)
    }

    @Test("is the cause that is told when the machine has too little memory left for another task")
    func machineIsShort() {
        var node = Node.waitingForTasks()
        node.hear(left(1 << 30), .memory(availableBytes: 900_000_000))
        #expect(node.supervisor.hindrance?.hasPrefix("1 GB of files") == true)
        node.hear(left(32 << 20))
        #expect(node.supervisor.hindrance == nil, "without so little it would be short just as well")
        node.hear(left(1 << 30), .memory(availableBytes: 8 << 30))
        #expect(node.supervisor.hindrance == nil)
    }

    @Test("is second to what keeps the node from starting anything")
    func launchTrouble() {
        var node = Node.waitingForTasks()
        node.hear(left(4 << 30), .trialEnded(diskFull))
        #expect(node.supervisor.hindrance == "\(diskFull)")
    }
}

// Stopping, closing, leaving; and memory pressure, which also sends tasks back.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A node that is told to go")
struct LeavingTests {
    @Test("lets tasks finish within the stop grace, reports them, and leaves")
    func finishes() {
        var node = Node.running(claimed("1:0:0:a"))
        #expect(node.hear(.stopRequested) == [])
        let actions = node.end(number(1))
        #expect(actions.causes == [.exit(code: 0)])
        #expect(actions.last == .leave)
        #expect(node.hear(.wake, .tick, .connected) == [])
        #expect(node.supervisor.nextDeadline == nil)
    }

    @Test("stops what is left after the grace, kills it after the next, and returns it without a mark")
    func returnsTasks() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.stopRequested)
        #expect(!node.passAnswered(seconds: 19.999).contains(.terminate(number(1))))
        #expect(node.passAnswered(seconds: 0.001).contains(.terminate(number(1))))
        #expect(node.passAnswered(seconds: 5).contains(.kill(number(1))))
        let actions = node.end(number(1), .signal(9))
        #expect(actions.returns == [.nodeStopping])
        #expect(actions.last == .leave)
    }

    @Test("is hastened by a second order, and kills at a third")
    func hastened() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.stopRequested)
        #expect(node.hear(.stopRequested).withoutLog == [.terminate(number(1))])
        #expect(node.hear(.stopRequested) == [.kill(number(1))])
    }

    @Test("stops at once when there is no stop grace, as for distcomp run")
    func noGrace() {
        var node = Node.running(claimed("1:0:0:a")) { $0.stopGraceSeconds = 0 }
        #expect(node.hear(.stopRequested).withoutLog == [.terminate(number(1))])
    }

    @Test("gives back what a claim under way still brings, and leaves after that")
    func claimUnderWay() {
        var node = Node.waitingForTasks()
        #expect(node.hear(.stopRequested) == [])
        let actions = node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil))
        #expect(actions.returns == [.noRoom])
        #expect(actions.last == .leave)
    }

    @Test("leaves without a process that not even KILL ends, after a bound")
    func unkillable() {
        var node = Node.running(claimed("1:0:0:a")) { $0.stopGraceSeconds = 0 }
        node.hear(.stopRequested)
        #expect(!node.passAnswered(seconds: 14.999).contains(.leave))
        let actions = node.passAnswered(seconds: 0.001)
        #expect(actions.contains(.leave))
        #expect(actions.notices.contains(.leftWithout(taskCount: 1)))
    }

    @Test("closing finishes what runs, however long, takes nothing new, and leaves")
    func closing() {
        var node = Node.running(claimed("1:0:0:0:a"))
        node.hear(.closeRequested)
        let actions = node.passAnswered(seconds: 100_000)
        #expect(actions.claim == nil)
        #expect(!actions.contains(.terminate(number(1))))
        #expect(node.end(number(1)).last == .leave)
    }

    @Test("closing can be overtaken by a stop, and not undone by a resume")
    func closingThenStop() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.closeRequested, .resume)
        #expect(node.hear(.wake).claim == nil)
        node.hear(.stopRequested)
        #expect(node.passAnswered(seconds: 20).contains(.terminate(number(1))))
    }

    @Test("leaves at once when it holds nothing")
    func idle() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        #expect(node.hear(.closeRequested) == [.leave])
    }
}

@Suite("A node short of memory")
struct MemoryPressureTests {
    private let low: UInt64 = 400_000_000

    @Test("kills the newest task at once and returns it; the oldest goes on")
    func newest() {
        var node = Node.running(claimed("1:0:0:old"), claimed("1:0:0:new"))
        #expect(node.hear(.memory(availableBytes: low)).withoutLog == [.takeBackMemory, .kill(number(2))])
        let actions = node.end(number(2), .signal(9))
        #expect(actions.returns == [.memoryPressure])
        #expect(actions.contains(.measureMemory))
        #expect(actions.claim == nil)
        #expect(node.supervisor.load.taskCount == 1)
    }

    @Test("stops one at a time, and measures again before the next")
    func oneAtATime() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"), claimed("1:0:0:c"))
        node.hear(.memory(availableBytes: low))
        #expect(node.hear(.memory(availableBytes: low)) == [.takeBackMemory])
        node.end(number(3), .signal(9))
        #expect(node.hear(.memory(availableBytes: low)).withoutLog == [.takeBackMemory, .kill(number(2))])
    }

    @Test("fails a task that runs alone")
    func alone() {
        var node = Node.running(claimed("1:0:0:a"))
        #expect(node.hear(.memory(availableBytes: low)).withoutLog == [.takeBackMemory, .kill(number(1))])
        #expect(node.end(number(1), .signal(9)).causes == [.memoryPressure])
    }

    @Test("does not choose a task that is being stopped already")
    func skipsStopping() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"))
        node.hear(.cancelRequested(line: "shell:1:0:0:b"))
        #expect(node.hear(.memory(availableBytes: low)).withoutLog == [.takeBackMemory, .kill(number(1))])
    }

    @Test("has it measured by every sweep")
    func sweep() {
        var node = Node.running(claimed("1:0:0:a")) { $0.sweepSeconds = 7 }
        #expect(node.pass(seconds: 7).contains(.measureMemory))
    }
}

// When a node asks for tasks, for how many, and what it does with an answer that does not fit.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A node takes tasks")
struct AdmissionTests {
    @Test("only when it is registered and knows how much memory is available")
    func firstClaim() {
        var node = Node()
        #expect(node.hear(.wake) == [])
        #expect(node.hear(.connected) == [.register])
        #expect(node.hear(.registered(sentAt: node.now)) == [.measureMemory])
        let claim = node.hear(.memory(availableBytes: 8 << 30)).claim
        #expect(claim?.count == 4)
        #expect(claim?.freeMemoryBytes == 8 << 30)
        #expect(claim?.freeMillicores == 4000)
    }

    @Test("with one claim under way at a time, however often it is woken")
    func oneClaim() {
        var node = Node.waitingForTasks()
        #expect(node.hear(.wake, .wake) == [])
        // The wake came after we asked.
        #expect(node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil)).claim != nil)
    }

    @Test("asking for what is left beside what it holds")
    func remaining() {
        var node = Node.running(claimed("1:3G:1:true"), claimed("1:1G:0.5:false"))
        let claim = node.hear(.wake).claim
        #expect(claim?.count == 2)
        #expect(claim?.freeMemoryBytes == 4 << 30)
        #expect(claim?.freeMillicores == 2500)
    }

    @Test("again at once when the queue gave all it was asked for, and there is room")
    func filled() {
        var node = Node.waitingForTasks { $0.claimCountMax = 1 }
        let actions = node.hear(.claimed(request(1), [claimed("1:0:0:true")], refusedCount: 0, dueSeconds: nil))
        #expect(actions.launched.count == 1)
        #expect(actions.claim?.count == 1)
    }

    @Test("after the idle poll when the queue had fewer, or when a delayed task falls due")
    func poll() {
        var node = Node.waitingForTasks()
        #expect(node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil)) == [])
        #expect(node.passAnswered(seconds: 4.999).claim == nil)
        #expect(node.passAnswered(seconds: 0.001).claim?.number == request(2))
        node.hear(.claimed(request(2), [], refusedCount: 0, dueSeconds: 0.5))
        #expect(node.passAnswered(seconds: 0.499).claim == nil)
        #expect(node.passAnswered(seconds: 0.001).claim != nil)
    }

    @Test("without spinning on a task that is always due now")
    func dueNow() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: 0))
        #expect(node.passAnswered(seconds: 0.049).claim == nil)
    }

    @Test("as soon as one has ended, with its report in the same batch, before the claim")
    func afterEnd() {
        var node = Node.running(claimed("1:0:0:true"))
        let actions = node.end(number(1))
        #expect(actions.first == .collect(number(1)))
        #expect(actions.count == 3)
        #expect(actions.reports.count == 1)
        #expect(actions.last.map { if case .claim = $0 { true } else { false } } == true)
    }

    @Test("not beyond its slots")
    func slots() {
        var node = Node.running(claimed("1:0:0:a"), claimed("1:0:0:b"), claimed("1:0:0:c"), claimed("1:0:0:d"))
        #expect(node.hear(.wake).claim == nil)
        #expect(node.end(number(2)).claim?.count == 1)
    }

    @Test("and gives back what came without room for it: memory, cores, slots")
    func givesBack() {
        var node = Node.running(claimed("1:6G:3:a"))
        node.hear(.wake)
        let given = [
            claimed("1:3G:0:b"), claimed("1:0:2:c"), claimed("1:2G:1:d"), claimed("1:0:0:e"), claimed("1:0:0:f"),
        ]
        let actions = node.hear(.claimed(request(2), given + [claimed("1:0:0:g")], refusedCount: 0, dueSeconds: nil))
        #expect(actions.launched.count == 3)
        #expect(actions.returns == [.noRoom, .noRoom, .noRoom])
        #expect(node.supervisor.load.memoryBytes == 8 << 30)
        #expect(node.supervisor.load.taskCount == 4)
    }

    @Test("and pauses after giving one back, for it would only be given the same again")
    func pausesAfterGivingBack() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [claimed("1:9G:0:b")], refusedCount: 0, dueSeconds: nil))
        #expect(node.hear(.wake).claim == nil)
        #expect(node.passAnswered(seconds: 1).claim != nil)
    }

    @Test("but not a line of which an earlier attempt has not quite gone")
    func earlierAttempt() {
        var node = Node.running(claimed("1:0:0:true", token: "first"))
        node.hear(.wake)
        let again = claimed("1:0:0:true", token: "second", attempt: 2)
        #expect(
            node.hear(.claimed(request(2), [again], refusedCount: 0, dueSeconds: nil)).returns == [
                .earlierAttemptRemains
            ])
    }

    @Test("not while drained, and again when resumed")
    func drain() {
        var node = Node.running(claimed("1:0:0:a"))
        node.hear(.drain)
        #expect(node.hear(.wake).claim == nil)
        #expect(node.end(number(1)).claim == nil)
        #expect(node.hear(.resume).claim != nil)
    }

    @Test("given while it was drained back")
    func drainedMeanwhile() {
        var node = Node.waitingForTasks()
        node.hear(.drain)
        #expect(
            node.hear(.claimed(request(1), [claimed("1:0:0:a")], refusedCount: 0, dueSeconds: nil)).returns == [.noRoom]
        )
    }

    @Test("not while memory is short, and looks again at every idle poll")
    func memoryShort() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        #expect(node.passAnswered(seconds: 20, availableBytes: 900_000_000).claim == nil)
        #expect(node.passAnswered(seconds: 5).claim != nil)
    }

    @Test("by a fresh measurement only")
    func staleMeasurement() {
        var node = Node.waitingForTasks()
        node.hear(.claimed(request(1), [], refusedCount: 0, dueSeconds: nil))
        node.now = node.now.advanced(bySeconds: 2)
        #expect(node.hear(.wake) == [.measureMemory])
        #expect(node.hear(.wake) == [])
        #expect(node.hear(.memory(availableBytes: 900_000_000)) == [.takeBackMemory])
    }

    @Test("for want of memory only when what its ended tasks left was taken back, and at once when that was enough")
    func leftMemory() {
        var node = Node()
        node.hear(.connected)
        #expect(node.hear(.registered(sentAt: node.now)) == [.measureMemory])
        #expect(node.hear(.memory(availableBytes: 900_000_000)) == [.takeBackMemory])
        #expect(node.hear(.memory(availableBytes: 8 << 30)).claim != nil)
        #expect(!node.hear(.memory(availableBytes: 8 << 30)).contains(.takeBackMemory))
    }

    @Test("not while the memory cannot be measured, which is tried again at every idle poll")
    func unmeasurable() {
        var node = Node()
        node.hear(.connected)
        #expect(node.hear(.registered(sentAt: node.now)) == [.measureMemory])
        #expect(node.pass(seconds: 5) == [.measureMemory])
        #expect(node.hear(.memory(availableBytes: 8 << 30)).claim != nil)
    }

    @Test("by the limits of a new configuration, without harm to what runs beyond them")
    func reload() {
        var node = Node.running(claimed("1:6G:1:a"), claimed("1:0:0:b"))
        var settings = node.settings
        settings.memoryBytes = 4 << 30
        settings.taskCountMax = 1
        #expect(node.hear(.settingsChanged(settings)).claim == nil)
        settings.taskCountMax = 3
        let claim = node.hear(.settingsChanged(settings)).claim
        #expect(claim?.count == 1)
        #expect(claim?.freeMemoryBytes == 0)
    }
}

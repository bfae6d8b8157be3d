// Tasks claimed before there is room for them: when that is done, how many, and that they are never kept from others for long.

import TaskModel
import Testing

@testable import NodeSupervisor

/// A node and a queue that never runs out: every claim is answered with all that was asked for.
private struct BusyNode {
    var node: Node
    /// What the queue gives: `priority:memory:cores:timeout`, without the command.
    var kind = "1:0:0:60"
    private(set) var running: [NodeSupervisor.TaskNumber] = []
    private(set) var actions: [Action] = []
    private var count = 0

    init(_ kind: String = "1:0:0:60", _ change: (inout NodeSupervisor.Settings) -> Void = { _ in }) {
        node = Node(change)
        self.kind = kind
        hear(.connected)
        hear(.registered(sentAt: node.now), .memory(availableBytes: 8 << 30))
    }

    var waitingCount: Int { node.supervisor.prefetch.waiting.count }

    /// The next lines of the queue that fit together into what a claim names.
    mutating func given(_ claim: NodeSupervisor.Claim) -> [NodeSupervisor.ClaimedTask] {
        var (memoryBytes, millicores) = (claim.freeMemoryBytes, claim.freeMillicores)
        var tasks: [NodeSupervisor.ClaimedTask] = []
        while tasks.count < claim.count {
            let task = claimed("\(kind):true \(count)")
            guard task.line.memoryBytes <= memoryBytes, task.line.millicores <= millicores else { break }
            memoryBytes -= task.line.memoryBytes
            millicores -= task.line.millicores
            count += 1
            tasks.append(task)
        }
        return tasks
    }

    /// Hears, and answers what is asked for until nothing is; returns what was done.
    @discardableResult
    mutating func hear(_ events: Event...) -> [Action] {
        var pending = events
        var done: [Action] = []
        while !pending.isEmpty {
            let actions = node.supervisor.handle(pending, at: node.now)
            done += actions
            pending = []
            for action in actions {
                switch action {
                case .claim(let claim):
                    pending.append(.claimed(claim.number, given(claim), refusedCount: 0, dueSeconds: nil))
                case .launch(let number, _):
                    running.append(number)
                    pending.append(.launched(number))
                case .measureMemory: pending.append(.memory(availableBytes: 8 << 30))
                default: break
                }
            }
        }
        return done
    }

    mutating func pass(milliseconds: Double) { node.now = node.now.advanced(bySeconds: milliseconds / 1000) }

    /// The oldest task, whose end the test tells itself.
    mutating func takeOldest() -> NodeSupervisor.TaskNumber { running.removeFirst() }

    /// The oldest task ends, or the oldest but so many.
    @discardableResult
    mutating func endOldest(but index: Int = 0) -> [Action] {
        let number = running.remove(at: index)
        return hear(.exited(number, .code(0)), .collected(number, collected(removed: true)))
    }

    /// So many tasks end, one after the other, this far apart.
    mutating func end(count: Int, everyMilliseconds gap: Double) {
        for _ in 0..<count {
            pass(milliseconds: gap)
            endOldest()
        }
    }

    /// Lets time pass as far as the node has plans for it.
    @discardableResult
    mutating func passWithTicks(seconds: Double) -> [Action] {
        let end = node.now.advanced(bySeconds: seconds)
        var done: [Action] = []
        while let deadline = node.supervisor.nextDeadline, deadline <= end {
            node.now = max(node.now, deadline)
            done += hear(.tick)
        }
        node.now = end
        return done
    }
}

@Suite("A node prefetching")
struct PrefetchTests {
    @Test("the next begins when the main process of one has ended, before anybody has looked what is left of it")
    func atOnce() {
        var busy = BusyNode("1:0:1:60")
        busy.end(count: 200, everyMilliseconds: 1)
        busy.pass(milliseconds: 1)
        let ended = busy.takeOldest()
        #expect(busy.hear(.exited(ended, .code(0))).launched.count == 1)
        // It has left something, which is ended; until then all stand as they are.
        #expect(busy.hear(.collected(ended, collected(removed: false))).launched.isEmpty)
        let another = busy.takeOldest()
        #expect(busy.hear(.exited(another, .code(0))).launched.isEmpty, "with what was left there are four")
        #expect(busy.hear(.collected(another, collected(removed: true))).launched.isEmpty)
        #expect(busy.hear(.collected(ended, collected(removed: true))).launched.count == 1)
        #expect(busy.running.count == 4)
    }

    @Test("the next one of memory begins once that of the last is seen to be free")
    func memoryOfTheLast() {
        var busy = BusyNode("1:2G:0:60")
        busy.end(count: 200, everyMilliseconds: 1)
        let ended = busy.takeOldest()
        #expect(busy.hear(.exited(ended, .code(0))).launched.isEmpty)
        #expect(busy.hear(.collected(ended, collected(removed: true))).launched.count == 1)
    }

    @Test("processors of its own are the next one's once nothing is left of the last")
    func pinned() {
        var busy = BusyNode("1:0:1:60") { $0.pinsProcessors = true }
        busy.end(count: 200, everyMilliseconds: 1)
        let ended = busy.takeOldest()
        #expect(busy.hear(.exited(ended, .code(0))).launched.isEmpty)
        #expect(busy.hear(.collected(ended, collected(removed: true))).launched.count == 1)
    }

    @Test("nothing while its tasks take long, however many end at once")
    func longTasks() {
        var busy = BusyNode { $0.taskCountMax = 64 }
        busy.pass(milliseconds: 10_000)
        for _ in 0..<64 { busy.endOldest() }
        #expect(busy.running.count == 64)
        #expect(busy.waitingCount == 0)
    }

    @Test(
        "as many short tasks as should begin within 20 ms, and the end of one begins the next without a word with the queue"
    )
    func shortTasks() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        #expect((10...20).contains(busy.waitingCount), "\(busy.waitingCount)")
        busy.pass(milliseconds: 1)
        let actions = busy.endOldest()
        #expect(actions.launched.count == 1)
        #expect(busy.running.count == 4)
        #expect(actions.claim == nil || busy.waitingCount >= 10)
    }

    @Test("what waits begins in the order in which the queue gave it")
    func order() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let next = busy.node.supervisor.prefetch.waiting.prefix(3).map(\.task)
        var begun: [NodeSupervisor.ClaimedTask] = []
        for _ in 0..<3 {
            busy.pass(milliseconds: 1)
            for case .launch(_, let task) in busy.endOldest() { begun.append(task) }
        }
        #expect(begun == next)
    }

    @Test("and gives back after a tenth of a second what could not begin, unmarked, for a node that is idle to have it")
    func givesBack() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let waiting = busy.node.supervisor.prefetch.waiting.map(\.task.token)
        busy.kind = "1:64G:0:60"  // What is given back shall not be given again.
        #expect(busy.passWithTicks(seconds: 0.07).reports.isEmpty)
        let reports = busy.passWithTicks(seconds: 0.031).reports
        #expect(Set(reports.map(\.task.token)) == Set(waiting))
        #expect(reports.allSatisfy { $0.result == .returned(.noRoom) })
        #expect(busy.waitingCount == 0)
    }

    @Test(
        "nothing for a second after it gave back, and nothing ever while long tasks fill it after a burst of short ones"
    )
    func longAfterShort() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let done = busy.passWithTicks(seconds: 1)  // The four that run now do not end.
        #expect(!done.returns.isEmpty && done.returns.count < 30, "\(done.returns.count)")
        for _ in 0..<20 {
            busy.hear(.wake)
            #expect(busy.passWithTicks(seconds: 1).claim == nil)
            #expect(busy.waitingCount == 0)
        }
    }

    @Test(
        "no more memory and cores than short tasks are about to give up, so that nothing comes that cannot begin soon")
    func bounds() {
        // Eight of them fit; each takes 80 ms.
        var busy = BusyNode("1:1G:0.5:60") { $0.taskCountMax = 100 }
        for _ in 0..<50 {
            busy.pass(milliseconds: 10)
            let actions = busy.endOldest()
            #expect(actions.returns.isEmpty)
            #expect(busy.running.count == 8)
        }
        #expect((1...2).contains(busy.waitingCount), "\(busy.waitingCount)")
    }

    @Test("leaving out what a long task holds: none is claimed that would have to wait for that")
    func longTaskAmongShort() {
        var busy = BusyNode("1:6G:0:60")
        busy.kind = "1:1G:0:60"
        busy.hear(.wake)
        #expect(busy.running.count == 3)
        busy.pass(milliseconds: 1000)
        for _ in 0..<200 {
            busy.pass(milliseconds: 1)
            let actions = busy.endOldest(but: 1)
            #expect(actions.claim.map { $0.freeMemoryBytes <= 2 << 30 } ?? true)
            #expect(actions.returns.isEmpty)
        }
        #expect(busy.waitingCount > 0)
    }

    @Test("and what comes too much for it goes back at once, without a pause of the claims for what is free")
    func tooMuch() throws {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        var (supervisor, now) = (busy.node.supervisor, busy.node.now)
        /// Tasks end until the node asks for more.
        func nextClaim() throws -> NodeSupervisor.Claim {
            for _ in 0..<50 {
                now = now.advanced(bySeconds: 0.001)
                let oldest = try #require(supervisor.tasks.keys.min())
                let ends = [Event.exited(oldest, .code(0)), .collected(oldest, collected(removed: true))]
                if let claim = supervisor.handle(ends, at: now).claim { return claim }
            }
            throw NoClaim()
        }
        let claim = try nextClaim()
        var settings = busy.node.settings
        settings.memoryBytes = 1 << 30
        _ = supervisor.handle([.settingsChanged(settings)], at: now)
        let actions = supervisor.handle(
            [.claimed(claim.number, [claimed("1:2G:0:60:large")], refusedCount: 0, dueSeconds: nil)], at: now)
        #expect(actions.returns == [.noRoom])
        #expect(actions.notices.isEmpty)
        #expect(try nextClaim().count > 0)
    }

    private struct NoClaim: Error {}

    @Test("a task that fits begins past one that waits for more room than there is")
    func pastTheHead() {
        var busy = BusyNode("1:1G:0:60")
        busy.end(count: 200, everyMilliseconds: 1)
        var supervisor = busy.node.supervisor
        supervisor.prefetch = .init()
        supervisor.prefetch.append(claimed("1:7G:0:60:large"), at: busy.node.now)
        supervisor.prefetch.append(claimed("1:0:0:60:small"), at: busy.node.now)
        let ended = busy.running[0]
        let actions = supervisor.handle(
            [.exited(ended, .code(0)), .collected(ended, collected(removed: true))], at: busy.node.now)
        let begun = actions.compactMap { if case .launch(_, let task) = $0 { task.line.command } else { nil } }
        #expect(begun == ["small"])
        #expect(supervisor.prefetch.waiting.map(\.task.line.command) == ["large"])
    }

    @Test("nothing that waits begins while memory is short")
    func memoryShort() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        var supervisor = busy.node.supervisor
        let now = busy.node.now
        // Under what is needed to take one, above what is needed to keep those that run.
        _ = supervisor.handle([.memory(availableBytes: 900_000_000)], at: now)
        let first = busy.running[0]
        let actions = supervisor.handle(
            [.exited(first, .code(0)), .collected(first, collected(removed: true))], at: now)
        #expect(actions.launched.isEmpty)
        // A victim has gone; what it freed is not known yet.
        var afterVictim = busy.node.supervisor
        #expect(!afterVictim.handle([.memory(availableBytes: 100)], at: now).isEmpty)
        let victim = busy.running[busy.running.count - 1]
        let done = afterVictim.handle(
            [.exited(victim, .signal(9)), .collected(victim, collected(removed: true))], at: now)
        #expect(done.launched.isEmpty)
        #expect(done.contains(.measureMemory))
        #expect(!afterVictim.handle([.memory(availableBytes: 8 << 30)], at: now).launched.isEmpty)
    }

    @Test("nothing that waits begins while the node itself cannot launch")
    func cannotLaunch() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let first = busy.running[0]
        let actions = busy.node.supervisor.handle(
            [.launchFailed(first, noProcesses), .collected(first, collected(removed: true))], at: busy.node.now)
        #expect(actions.launched.isEmpty)
    }

    @Test("a line of which an attempt runs here does not begin a second time")
    func sameLine() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        var supervisor = busy.node.supervisor
        let runs = supervisor.tasks.values.map(\.task.line).sorted { $0.text < $1.text }
        supervisor.prefetch = .init()
        supervisor.prefetch.append(.init(line: runs[0], token: "another", attempt: 1), at: busy.node.now)
        let other = supervisor.tasks.first { $0.value.task.line != runs[0] }?.key ?? number(0)
        let actions = supervisor.handle(
            [.exited(other, .code(0)), .collected(other, collected(removed: true))], at: busy.node.now)
        #expect(actions.launched.isEmpty)
    }

    @Test(
        "on its way out, or drained, it gives back at once what waits",
        arguments: [Event.drain, .closeRequested, .stopRequested])
    func leaving(order: Event) {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let waitingCount = busy.waitingCount
        let actions = busy.node.hear(order)
        #expect(actions.returns.filter { $0 == .noRoom }.count == waitingCount)
        #expect(busy.waitingCount == 0)
    }

    @Test("cancelled while it waits, a task goes back, which makes the queue's order good, and never begins")
    func cancelled() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let task = busy.node.supervisor.prefetch.waiting[1].task
        let actions = busy.node.hear(.cancelRequested(line: task.line.text))
        #expect(actions.reports.map(\.task) == [task])
        #expect(!busy.node.supervisor.prefetch.waiting.contains { $0.task == task })
    }

    @Test("fenced, it forgets what waits, and says nothing of it")
    func fenced() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        #expect(busy.node.hear(.fenced).returns.isEmpty)
        #expect(busy.waitingCount == 0)
    }

    @Test("cut off, it begins what waits as its tasks end, gives nothing back, and has no timer run in vain")
    func cutOff() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let waitingCount = busy.waitingCount
        busy.node.hear(.disconnected)
        busy.pass(milliseconds: 500)
        if let deadline = busy.node.supervisor.nextDeadline { #expect(deadline > busy.node.now) }
        busy.node.hear(.tick)
        #expect(busy.waitingCount == waitingCount)
        let first = busy.running[0]
        let actions = busy.node.hear(.exited(first, .code(0)), .collected(first, collected(removed: true)))
        #expect(actions.launched.count == 1)
        #expect(busy.node.hear(.connected).returns.count == waitingCount - 1)
    }

    @Test("what waits counts as held when the node compares itself with the queue")
    func reconciled() throws {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        let waiting = Array(busy.node.supervisor.prefetch.waiting.map(\.task))
        busy.node.hear(.disconnected)
        let asked = busy.node.hear(.connected)
        let reconcile = try #require(
            asked.compactMap { if case .reconcile(let number) = $0 { number } else { nil } }.first)
        // The queue has taken one of them away meanwhile.
        let held = busy.node.supervisor.tasks.values.map(\.task) + waiting.dropFirst()
        #expect(busy.node.hear(.held(reconcile, held)).launched.isEmpty)
        #expect(busy.node.supervisor.prefetch.waiting.map(\.task) == Array(waiting.dropFirst()))
    }

    @Test("nothing a re-exec keeps while tasks wait")
    func reExecState() {
        var busy = BusyNode()
        busy.end(count: 200, everyMilliseconds: 1)
        #expect(busy.waitingCount > 0)
        #expect(busy.node.supervisor.reExecState == nil)
        busy.hear(.drain)
        #expect(busy.node.supervisor.reExecState != nil)
    }
}

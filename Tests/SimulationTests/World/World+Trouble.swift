// All that goes wrong, and what people do.

import NodeProtocol
import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension World {
    func make(_ trouble: Trouble) {
        count("trouble: \(trouble.kind)")
        trace("*** \(trouble)")
        let isUndisturbing = trouble.isByPeople
        if !isUndisturbing { judge.disturb(until: now + Int64(trouble.seconds * 1e9), now) }
        let node = trouble.node.map { nodes[$0 % nodes.count] }
        if let node, trouble.cutsOff {
            node.ownTroubles.append((now, now + Int64((trouble.seconds + trouble.latency * 2) * 1e9)))
        }
        switch trouble {
        case .freeze(let seconds): freeze(seconds)
        case .clockStep(let seconds): stepClock(seconds)
        case .restart(let seconds, let kept, let step): stopServer(seconds, keeping: kept, clockStep: step)
        case .flush: if isServerUp, frozenUntil <= now { flush() }
        case .submit(let count): if isReachable { submit(count) }
        case .addByHand(let count): if isReachable { addByHand(count) }
        case .cancel(let line): if isReachable { cancel(line) }
        case .requeue(let line):
            if isReachable { ask(RequeueTasks([lines[line % lines.count]], keys: queue.keys).request) }
        case .retryFailed:
            let failed = lines.filter { queue.failed[$0.text] != nil && !queue.retrying.contains($0.text) }
            for some in [failed.filter { $0.job == nil }, failed.filter { $0.job != nil }]
            where isReachable && !some.isEmpty {
                ask(RetryTasks(some[...], keys: queue.keys).request)
            }
        case .pauseQueue: if isReachable { ask(PauseQueue(true, keys: queue.keys).request) }
        case .resumeQueue: if isReachable { ask(PauseQueue(false, keys: queue.keys).request) }
        default: if let node { make(trouble, on: node) }
        }
    }

    private func make(_ trouble: Trouble, on node: SimulatedNode) {
        let nanoseconds = Int64(trouble.seconds * 1e9)
        switch trouble {
        case .cut:
            node.refusesUntil = max(node.refusesUntil, now + nanoseconds)
            if let connection = node.anyConnection { breakOff(connection) }
        case .silence: node.silentUntil = max(node.silentUntil, now + nanoseconds)
        case .slow(_, _, let latency): (node.slowUntil, node.latency) = (now + nanoseconds, latency)
        case .kill:
            guard node.isUp else { break }
            end(node, isKilled: true)
            schedule(.start(node, life: node.life), in: nanoseconds)
        case .stop:
            guard node.isUp else { break }
            judge.restarts[node.index] = nanoseconds
            deliver(.supervisor(.stopRequested), to: node)
        case .pause: node.pausedUntil = max(node.pausedUntil, now + nanoseconds)
        case .pauseMachine: stopMachine(node, trouble.seconds)
        case .reExec: beginReExec(node)
        case .memoryShort:
            node.memoryShortUntil = now + nanoseconds
            node.wasLow = true
            deliver(.supervisor(.memory(availableBytes: 500_000_000)), to: node)
        case .cannotLaunch: node.cannotLaunchUntil = now + nanoseconds
        case .diskRefuses: node.disk.refusesUntil = now + nanoseconds
        case .wallClock(_, let seconds): node.wallOffset += Int64(seconds * 1e9)
        case .refuse: node.isRefusedUntil = now + nanoseconds
        case .drain: if isReachable { ask(DrainNodes([node.name], isDraining: true, keys: queue.keys).request) }
        case .resume: if isReachable { ask(DrainNodes([node.name], isDraining: false, keys: queue.keys).request) }
        case .freeze, .clockStep, .restart, .flush, .submit, .addByHand, .cancel, .requeue, .retryFailed, .pauseQueue,
            .resumeQueue:
            break  // Not a node's.
        }
    }

    /// The troubles are over, and orders that hold things up are taken back.
    func resumeAll() {
        if !isServerUp { startServer(keeping: .all, clockStep: 0) }
        frozenUntil = min(frozenUntil, now)
        thaw()
        for node in nodes {
            (node.refusesUntil, node.slowUntil) = (0, 0)
            (node.cannotLaunchUntil, node.memoryShortUntil, node.isRefusedUntil) = (0, 0, 0)
            node.silentUntil = min(node.silentUntil, now)
            node.disk.refusesUntil = 0
            if node.pausedUntil > now, node.isRoundScheduled {
                (node.pausedUntil, node.isRoundScheduled) = (now, false)
                wake(node)
            }
            node.pausedUntil = min(node.pausedUntil, now)
            resumeMachine(node)
        }
        ask(PauseQueue(false, keys: queue.keys).request)
        for name in queue.drained.sorted() { ask(DrainNodes([name], isDraining: false, keys: queue.keys).request) }
        judge.disturb(until: now, now)
    }

    // MARK: - People

    private var isReachable: Bool { isServerUp && frozenUntil <= now }

    @discardableResult
    private func ask(_ request: RedisRequest) -> RESPValue { execute(request, from: nil, sentAt: now) }

    private func newLine() -> TaskLine {
        var numbers = Numbers(seed: scenario.seed, of: "line", lines.count)
        let memory = scenario.taskSeconds == nil ? ["0", "200M", "1G", "4G"][numbers.below(10) / 3] : "0"
        let cores = scenario.taskSeconds == nil ? ["0", "1", "1", "4"][numbers.below(10) / 3] : "1"
        let timeout = scenario.taskSeconds == nil ? ["", "0:", "1:", "10:"][numbers.below(4)] : "0:"
        let priority = numbers.below(3)
        do {
            return try TaskLine(parsing: "shell:\(priority):\(memory):\(cores):\(timeout)true \(lines.count)")
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// A task of a job that waits for up to three of those before it.
    private func newDependent() -> DependentTask {
        var numbers = Numbers(seed: scenario.seed, of: "after", lines.count)
        let others = lines.filter { $0.job != nil }.map(\.text)
        let parents =
            others.isEmpty
            ? [] : (0..<numbers.below(4)).map { _ in others[max(0, others.count - 1 - numbers.below(9))] }
        do {
            return DependentTask(try TaskLine(command: "true \(lines.count)", of: Self.job), after: parents)
        } catch {
            preconditionFailure("\(error)")
        }
    }

    private func submitDependent(_ count: Int) {
        var tasks: [DependentTask] = []
        for _ in 0..<count {
            let task = newDependent()
            judge.lineNumbers[task.line.text] = lines.count
            lines.append(task.line)
            tasks.append(task)
            judge.expected.insert(task.line.text)
        }
        for operation in SubmitDependent.operations(tasks, keys: queue.keys, queueCandidate: queueCandidate()) {
            ask(operation.request)
        }
        // What the queue does not know has been forgotten, or was lost, and counts as finished.
        for task in tasks {
            judge.parents[task.line.text] = task.parents.filter {
                queue.todo.contains($0) || queue.doing[$0] != nil || queue.failed[$0] != nil
            }
        }
    }

    func submit(_ count: Int) {
        if scenario.tasksWait { submitDependent(count / 2) }
        let count = scenario.tasksWait ? count - count / 2 : count
        var new: [TaskLine] = []
        for _ in 0..<count {
            let line = newLine()
            judge.lineNumbers[line.text] = lines.count
            lines.append(line)
            new.append(line)
            judge.expected.insert(line.text)
        }
        ask(SubmitTasks(new[...], keys: queue.keys, queueCandidate: queueCandidate()).request)
    }

    private func addByHand(_ count: Int) {
        for _ in 0..<count {
            let line = newLine()
            judge.lineNumbers[line.text] = lines.count
            lines.append(line)
            judge.expected.insert(line.text)
            ask(.command(RedisCommand("HSET", queue.keys.todo, line.text, "")))
        }
    }

    private func cancel(_ index: Int) {
        let line = lines[index % lines.count].text
        ask(CancelTask(line, keys: queue.keys, jobs: [Self.job.identifier: Self.job]).request)
    }
}

extension SimulatedNode {
    /// The one it has, or is about to have.
    var anyConnection: Connection? {
        switch link {
        case .waiting: nil
        case .connecting(let connection, _), .ready(let connection, _): connection
        }
    }
}

extension Trouble {
    var kind: String { String("\(self)".prefix { $0 != "(" }) }

    /// How long it lasts by itself.
    var seconds: Double {
        switch self {
        case .freeze(let seconds), .restart(let seconds, _, _), .cut(_, let seconds), .silence(_, let seconds),
            .slow(_, let seconds, _), .kill(_, let seconds), .stop(_, let seconds), .pause(_, let seconds),
            .pauseMachine(_, let seconds), .memoryShort(_, let seconds), .cannotLaunch(_, let seconds),
            .diskRefuses(_, let seconds), .refuse(_, let seconds):
            seconds
        case .wallClock, .clockStep, .flush, .reExec, .submit, .addByHand, .cancel, .requeue, .retryFailed, .pauseQueue,
            .resumeQueue, .drain, .resume:
            0
        }
    }

    fileprivate var latency: Double { if case .slow(_, _, let latency) = self { latency } else { 0 } }

    /// Whether it may keep the node from renewing its lease.
    fileprivate var cutsOff: Bool {
        switch self {
        case .cut, .silence, .slow, .kill, .stop, .pause, .pauseMachine, .refuse: true
        case .freeze, .clockStep, .restart, .flush, .reExec, .memoryShort, .cannotLaunch, .diskRefuses, .wallClock,
            .submit, .addByHand, .cancel, .requeue, .retryFailed, .pauseQueue, .resumeQueue, .drain, .resume:
            false
        }
    }

    fileprivate var isByPeople: Bool {
        switch self {
        case .submit, .addByHand, .cancel, .requeue, .retryFailed, .pauseQueue, .resumeQueue, .drain, .resume,
            .memoryShort, .cannotLaunch, .diskRefuses, .wallClock:
            true
        default: false
        }
    }
}

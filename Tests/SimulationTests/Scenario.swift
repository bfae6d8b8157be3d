// What happens in one simulated world, as a list: nodes, tasks, and what goes wrong when. A seed makes one; shrinking takes things
// out of it; and its text can be pasted as a test.

/// One thing that goes wrong, or that people do. Nodes are counted from 0, lines by their arrival.
enum Trouble: Equatable, Sendable {
    // MARK: The queue

    /// It answers nothing for so long; what is sent meanwhile is run after it.
    case freeze(seconds: Double)
    case clockStep(seconds: Double)
    /// The process ends, and another is there after so long, with what is kept of the data and by a clock that may be another.
    case restart(downSeconds: Double, keeping: Kept, clockStep: Double = 0)
    /// FLUSHALL.
    case flush

    enum Kept: Equatable, Sendable {
        case all
        /// Also: rolled back to an older state.
        case allBut(lastSeconds: Double)
        case nothing
    }

    // MARK: The network of one node

    /// The connection breaks; the next is refused for so long.
    case cut(node: Int, seconds: Double)
    /// No byte passes for so long, and all do after it.
    case silence(node: Int, seconds: Double)
    case slow(node: Int, seconds: Double, latency: Double)

    // MARK: A node

    /// kill -9, and a start after so long.
    case kill(node: Int, downSeconds: Double)
    /// SIGTERM, and a start after so long.
    case stop(node: Int, downSeconds: Double)
    /// SIGSTOP: the daemon stands still, its tasks do not, nor does its clock.
    case pause(node: Int, seconds: Double)
    /// The machine stands still, its tasks and its clock with it.
    case pauseMachine(node: Int, seconds: Double)
    case reExec(node: Int)
    case memoryShort(node: Int, seconds: Double)
    case cannotLaunch(node: Int, seconds: Double)
    /// No report can be written, nor the file of lives.
    case diskRefuses(node: Int, seconds: Double)
    case wallClock(node: Int, seconds: Double)
    /// Redis refuses what this node asks for so long, as when it is out of memory.
    case refuse(node: Int, seconds: Double)

    // MARK: People

    case submit(count: Int)
    /// An old manager adds lines, without an index.
    case addByHand(count: Int)
    case cancel(line: Int)
    case requeue(line: Int)
    case retryFailed
    case pauseQueue
    case resumeQueue
    case drain(node: Int)
    case resume(node: Int)
}

/// A trouble and its time.
struct Happening: Equatable, Sendable {
    let at: Double
    let trouble: Trouble

    init(_ at: Double, _ trouble: Trouble) {
        self.at = at
        self.trouble = trouble
    }
}

struct Scenario: Equatable, Sendable {
    var seed: UInt64
    var nodeCount: Int
    var lineCount: Int
    var leaseSeconds: Double
    /// When trouble is over and all is brought to its end.
    var seconds: Double
    var happenings: [Happening]

    /// How the nodes are set; nil: as the seed has it.
    var killsWhenCutOff: Bool?
    var taskCountMax: Int?
    /// How long each task takes, and what it writes; nil: as the seed has it, with every kind of ending.
    var taskSeconds: Double?
    var outputBytes = 0
    var retryDelaySeconds: Double?
    /// After so long without a task a node leaves; it is started again a second later.
    var idleExitSeconds: Double?
    /// Whether half of the tasks are of a job, and wait for others of it.
    var tasksWait = false
    /// How many of the nodes are copies of the first, disk and name included.
    var cloneCount = 0

    init(
        seed: UInt64, nodes nodeCount: Int, lines lineCount: Int, lease leaseSeconds: Double, seconds: Double,
        _ happenings: [Happening]
    ) {
        self.seed = seed
        self.nodeCount = nodeCount
        self.lineCount = lineCount
        self.leaseSeconds = leaseSeconds
        self.seconds = seconds
        self.happenings = happenings
    }
}

extension Scenario {
    /// The world of this seed.
    init(seed: UInt64) {
        var numbers = Numbers(seed: seed, of: "scenario")
        let lease = numbers.pick([3.0, 6, 10, 30])
        let nodes = numbers.pick([1, 2, 2, 3, 3, 4, 5, 8])
        let isLarge = numbers.oneIn(100)
        let seconds = (lease * (isLarge ? 6 : numbers.seconds(5, 40)) * 1e3).rounded() / 1e3
        self.init(
            seed: seed, nodes: isLarge ? 100 : nodes, lines: (isLarge ? 150 : 4) + numbers.below(60), lease: lease,
            seconds: seconds, [])
        idleExitSeconds = seed % 4 == 0 ? lease / 3 : nil
        // From a trouble now and then to several in a lease.
        let pause = lease * numbers.pick([0.2, 0.7, 2, 5])
        let kinds = Kinds(&numbers)
        var at = numbers.seconds(0.01, pause)
        while at < seconds {
            happenings.append(Happening((at * 1e3).rounded() / 1e3, trouble(kinds, &numbers)))
            at += numbers.seconds(pause / 20, pause * 2)
        }
    }

    /// Which troubles there are in this world: all of them together would never let one do its work.
    private struct Kinds {
        let all: [Int]

        init(_ numbers: inout Numbers) {
            var all: [Int] = []
            for kind in 0..<26 where numbers.oneIn(3) { all.append(kind) }
            self.all = all.isEmpty ? [0] : all
        }
    }

    private func trouble(_ kinds: Kinds, _ numbers: inout Numbers) -> Trouble {
        let node = numbers.below(nodeCount)
        let line = numbers.below(lineCount)
        let lease = leaseSeconds
        // Around a lease there is most to go wrong.
        func span() -> Double {
            let share = numbers.pick([0.01, 0.1, 0.3, 0.45, 0.55, 0.8, 1.05, 1.5, 2.2, 4])
            return (lease * share * numbers.seconds(0.8, 1.2) * 1e3).rounded() / 1e3
        }
        switch numbers.pick(kinds.all) {
        case 0, 1: return .freeze(seconds: span())
        case 2: return .clockStep(seconds: step(&numbers))
        case 3: return .restart(downSeconds: span(), keeping: .all, clockStep: numbers.oneIn(3) ? step(&numbers) : 0)
        case 4:
            return .restart(
                downSeconds: span(), keeping: .allBut(lastSeconds: numbers.seconds(0.01, lease * 3)),
                clockStep: numbers.oneIn(3) ? step(&numbers) : 0)
        case 5: return numbers.oneIn(4) ? .restart(downSeconds: span(), keeping: .nothing) : .freeze(seconds: span())
        case 6: return numbers.oneIn(4) ? .flush : .clockStep(seconds: step(&numbers))
        case 7, 8: return .cut(node: node, seconds: numbers.oneIn(2) ? numbers.seconds(0.001, 0.5) : span())
        case 9: return .silence(node: node, seconds: span())
        case 10: return .slow(node: node, seconds: span(), latency: numbers.seconds(0.01, lease / 4))
        case 11: return .kill(node: node, downSeconds: span())
        case 12: return .stop(node: node, downSeconds: span())
        case 13: return .pause(node: node, seconds: span())
        case 14: return .pauseMachine(node: node, seconds: span())
        case 15: return .reExec(node: node)
        case 16: return .memoryShort(node: node, seconds: numbers.seconds(0.01, 3))
        case 17: return .cannotLaunch(node: node, seconds: numbers.seconds(0.01, 20))
        case 18: return .diskRefuses(node: node, seconds: span())
        case 19: return .wallClock(node: node, seconds: step(&numbers))
        case 20: return .refuse(node: node, seconds: span())
        case 21:
            return numbers.oneIn(3) ? .addByHand(count: 1 + numbers.below(8)) : .submit(count: 1 + numbers.below(20))
        case 22: return .cancel(line: line)
        case 23: return .requeue(line: line)
        case 24: return numbers.oneIn(2) ? .retryFailed : numbers.oneIn(3) ? .pauseQueue : .resumeQueue
        default: return numbers.oneIn(3) ? .drain(node: node) : .resume(node: node)
        }
    }

    private func step(_ numbers: inout Numbers) -> Double {
        let seconds = numbers.pick([0.005, 0.5, leaseSeconds * 0.1, leaseSeconds * 0.4, leaseSeconds * 1.5, 60, 3600])
        return numbers.oneIn(2) ? seconds : -seconds
    }
}

extension Scenario {
    /// Swift that makes this world, to be pasted as a test.
    var asCode: String {
        var lines = [
            "var scenario = Scenario(",
            "    seed: \(seed), nodes: \(nodeCount), lines: \(lineCount), lease: \(leaseSeconds), "
                + "seconds: \(seconds),", "    [",
        ]
        lines += happenings.map { "        Happening(\($0.at), .\($0.trouble.asCode))," }
        lines.append("    ])")
        if let killsWhenCutOff { lines.append("scenario.killsWhenCutOff = \(killsWhenCutOff)") }
        if let idleExitSeconds { lines.append("scenario.idleExitSeconds = \(idleExitSeconds)") }
        if let taskCountMax { lines.append("scenario.taskCountMax = \(taskCountMax)") }
        if let taskSeconds { lines.append("scenario.taskSeconds = \(taskSeconds)") }
        if outputBytes > 0 { lines.append("scenario.outputBytes = \(outputBytes)") }
        if let retryDelaySeconds { lines.append("scenario.retryDelaySeconds = \(retryDelaySeconds)") }
        if tasksWait { lines.append("scenario.tasksWait = true") }
        if cloneCount > 0 { lines.append("scenario.cloneCount = \(cloneCount)") }
        return lines.joined(separator: "\n")
    }
}

extension Trouble {
    var asCode: String {
        switch self {
        case .restart(let down, let keeping, let step):
            let kept =
                switch keeping {
                case .all: ".all"
                case .allBut(let seconds): ".allBut(lastSeconds: \(seconds))"
                case .nothing: ".nothing"
                }
            return "restart(downSeconds: \(down), keeping: \(kept)" + (step == 0 ? ")" : ", clockStep: \(step))")
        default: return "\(self)"
        }
    }

    /// The node whose own trouble it is.
    var node: Int? {
        switch self {
        case .cut(let node, _), .silence(let node, _), .slow(let node, _, _), .kill(let node, _), .stop(let node, _),
            .pause(let node, _), .pauseMachine(let node, _), .reExec(let node), .memoryShort(let node, _),
            .cannotLaunch(let node, _), .diskRefuses(let node, _), .wallClock(let node, _), .refuse(let node, _),
            .drain(let node), .resume(let node):
            node
        case .freeze, .clockStep, .restart, .flush, .submit, .addByHand, .cancel, .requeue, .retryFailed, .pauseQueue,
            .resumeQueue:
            nil
        }
    }

    /// The line it is about.
    var line: Int? {
        switch self {
        case .cancel(let line), .requeue(let line): line
        default: nil
        }
    }
}

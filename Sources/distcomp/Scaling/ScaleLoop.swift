// `distcomp scale --exec`: looks, has the hook do what follows, and notes it, again and again. What is started is noted before the hook
// is asked, so that whoever comes after a loop that died in between starts nothing twice.

import LinuxSystem
import Scaling
import TaskModel
import TaskQueue

/// The administrator's program that starts and removes nodes.
struct ScaleHook {
    enum Answer: Equatable {
        case done
        /// It does not want that now.
        case refused
        /// It was killed, and may have done it or not; what happened, in words.
        case unsure(String)
    }

    let path: String
    let withinSeconds: Double

    init(path: String, withinSeconds: Double) throws(CommandError) {
        guard path.contains("/") else {
            throw .usage(
                "--exec \(TerminalText.escaped(path)): expected the path of a program, such as ./\(TerminalText.escaped(path))"
            )
        }
        guard FileSystem.isExecutable(path) else {
            throw .usage("--exec \(TerminalText.escaped(path)): there is no such program, or it may not be executed")
        }
        self.path = path
        self.withinSeconds = withinSeconds
    }

    /// Has it do one thing that can be asked for again. Exit 0 is yes, 1 is no to a question; all else is a failure.
    func call(
        _ action: String, _ shape: NodeShape, _ nodes: [String], _ plan: ScalePlan
    ) throws(CommandError) -> Answer {
        let answer = try callOnce(action, shape, nodes, plan)
        if case .unsure(let message) = answer { throw .failed(message) }
        return answer
    }

    /// Has it do one thing that may not be done twice.
    func callOnce(
        _ action: String, _ shape: NodeShape, _ nodes: [String], _ plan: ScalePlan
    ) throws(CommandError) -> Answer {
        var told = JSONObjectWriter()
        told.field("action", action)
        var kind = JSONObjectWriter()
        shape.write(into: &kind)
        told.field("shape", json: kind.bytes)
        told.field("nodes", nodes)
        told.field("count", nodes.count)
        told.field("plan", json: Array(plan.json.utf8))
        let variables = [
            "SHAPE_MEMORY_BYTES=\(shape.memoryBytes)", "SHAPE_MILLICORES=\(shape.millicores)",
            "SHAPE_LABELS=\(shape.labels.sorted().joined(separator: ","))",
            "SHAPE_RESOURCES=\(shape.resources.sorted.map { "\($0.name)=\(ResourceRequest.amountText($0.total.thousandths))" }.joined(separator: ","))",
        ]
        let what = "the hook \(TerminalText.escaped(path)), asked to \(action) \(nodes.count) of \(shape.name)"
        let result: (printed: [UInt8], ending: ChildProcesses.HookEnding)
        do {
            result = try ChildProcesses.callHook(
                path, [action, shape.name] + nodes, variables: variables, input: told.bytes,
                withinSeconds: withinSeconds)
        } catch {
            throw .failed("\(what), could not be called: \(error)")
        }
        let printed = String(decoding: result.printed, as: UTF8.self).split(separator: "\n")
        for line in printed.prefix(100) { standardError.write("hook: \(TerminalText.escaped(String(line)))\n") }
        switch result.ending {
        case .ended(.exit(code: 0)): return .done
        case .ended(.exit(code: 1)) where action == "may-drain": return .refused
        case .ended(.exit(let code)): throw .failed("\(what), ended with exit \(code)")
        case .ended(.signal(let number)): return .unsure("\(what), was ended by signal \(number)")
        case .tookTooLong: return .unsure("\(what), took more than \(AmountText.seconds(withinSeconds)) and was killed")
        }
    }
}

struct ScaleLoop {
    let queue: QueueClient
    let shapes: [NodeShape]
    let settings: ScaleSettings
    let hook: ScaleHook
    private let end: EndRequest
    private let everySeconds: Double?
    /// In a row; of the hook, and of rounds in which nodes were awaited in vain.
    private var failureCount = 0
    private var lateCount = 0
    private static let failuresMax = 3
    private let worker = ScaleWorker()
    /// For how long it has the turn when it asks for it.
    private let turnSeconds: Double
    /// Whether another loop was at work when this one looked last.
    private var isWaiting = false

    /// - Parameter everySeconds: between two looks; nil: one look is all.
    init(
        queue: QueueClient, shapes: [NodeShape], settings: ScaleSettings, hook: ScaleHook, everySeconds: Double?,
        until end: EndRequest
    ) {
        (self.queue, self.shapes, self.settings, self.hook, self.end) = (queue, shapes, settings, hook, end)
        self.everySeconds = everySeconds
        // From one look, or one call of the hook, to the next.
        turnSeconds = (everySeconds ?? 0) + hook.withinSeconds + 30
    }

    /// Looks until something ends it. Told to end it waits for the hook that is under way, calls none after that, and gives up its turn.
    mutating func run() throws {
        // Where it cannot be given up, it is over when its time is.
        defer { _ = try? queue.perform(TakeScalingTurn(as: worker.text, forMilliseconds: 0, keys: queue.keys)) }
        try keepLooking()
        // What systemd stops has not failed.
        if end.signal == .interrupt || end.signal != nil && everySeconds == nil { throw CommandError.interrupted }
    }

    private mutating func keepLooking() throws {
        let seconds = everySeconds
        while !end.isMade {
            do throws(CommandError) {
                // A connection that was lost is made anew, else kept.
                if !isConnected { try queue.reconnect() }
                isConnected = true
                try look()
            } catch {
                guard case .unreachable(let message) = error, seconds != nil else { throw error }
                isConnected = false
                // Nodes go on without the queue, and so does this.
                tell("\(message); looking again in \(AmountText.seconds(seconds ?? 0))")
            }
            guard let seconds else {
                if !end.isMade, failureCount > 0 || lateCount > 0 { throw CommandError.tasksFailed }
                return
            }
            try end.wait(seconds: seconds)
        }
    }

    /// Whether the connection was good when it was used last.
    private var isConnected = true

    private func tell(_ text: String) { standardError.write("distcomp scale: \(text)\n") }

    /// Whether this loop may go on.
    private mutating func hasTurn() throws(CommandError) -> Bool {
        guard let other = try takeTurn() else {
            isWaiting = false
            return true
        }
        let who = ScaleWorker(text: other.name)?.words ?? TerminalText.escaped(other.name)
        let what = "another distcomp scale --exec (\(who)) makes this fleet larger and smaller"
        guard everySeconds != nil else { throw .failed("\(what): nothing was done") }
        if !isWaiting { tell("\(what): waiting for its end") }
        isWaiting = true
        return false
    }

    /// Takes the turn, or keeps it; who else has it, if somebody has.
    private func takeTurn() throws(CommandError) -> TakeScalingTurn.Other? {
        let milliseconds = Int(min(turnSeconds, 86_400) * 1000)
        func take(insteadOf gone: String) throws(CommandError) -> TakeScalingTurn.Other? {
            try queue.perform(
                TakeScalingTurn(as: worker.text, forMilliseconds: milliseconds, insteadOf: gone, keys: queue.keys))
        }
        let other = try take(insteadOf: "")
        guard let other, ScaleWorker(text: other.name)?.isGone == true else { return other }
        return try take(insteadOf: other.name)
    }

    private mutating func look() throws(CommandError) {
        guard try hasTurn() else { return }
        let before = try queue.scaleNotes()
        var round = try queue.scaleRound(before, shapes, settings)
        if !round.lateNodes.isEmpty {
            tell(
                "\(round.lateNodes.joined(separator: " ")): started, and not come within \(AmountText.seconds(settings.bootSeconds)); no longer awaited"
            )
            lateCount += 1
        }
        if round.hasArrivals { lateCount = 0 }
        guard lateCount < Self.failuresMax else {
            throw .failed(
                "nodes were started and did not come, \(lateCount) times in a row: stopped, for they may cost something. Nothing more is started"
            )
        }
        if !round.goneDrained.isEmpty { _ = try queue.drain(round.goneDrained, isDraining: false) }
        var noted = before
        try note(round, &noted)
        for step in round.steps {
            guard !end.isMade, try hasTurn() else { return }
            do throws(CommandError) {
                if try perform(step, &round, &noted) { failureCount = 0 }
            } catch {
                guard case .failed(let message) = error else { throw error }
                // What ends this may end its hook too.
                failureCount += end.isMade ? 0 : 1
                guard failureCount < Self.failuresMax else {
                    try note(round, &noted)
                    throw .failed(
                        "\(message); that was the third failure in a row: stopped. Nothing is started or removed until distcomp scale runs again"
                    )
                }
                tell(message)
            }
            try note(round, &noted)
        }
    }

    private func note(_ round: ScaleRound, _ noted: inout ScaleNotes) throws(CommandError) {
        try queue.note(round.notes, insteadOf: noted)
        noted = round.notes
    }

    /// Says whether the hook did what it was asked.
    private func perform(
        _ step: ScaleStep, _ round: inout ScaleRound, _ noted: inout ScaleNotes
    ) throws(CommandError) -> Bool {
        switch step {
        case .resume(let names):
            _ = try queue.drain(names, isDraining: false)
            round.resumed(names)
            tell("\(names.joined(separator: " ")): wanted again, takes tasks again")
            return false
        case .start(let shape, let names):
            round.started(shape, names, isSo: true)
            try note(round, &noted)
            let answer: ScaleHook.Answer
            do throws(CommandError) {
                answer = try hook.callOnce("start", shape, names, round.plan)
            } catch {
                round.started(shape, names, isSo: false)
                throw error
            }
            // Asked for others instead, it might start them all.
            if case .unsure(let message) = answer {
                throw .failed("\(message): \(names.joined(separator: " ")) may come, and are awaited")
            }
            tell("\(names.joined(separator: " ")): started")
            return true
        case .drain(let shape, let names):
            guard try hook.call("may-drain", shape, names, round.plan) == .done else {
                round.refused(shape)
                tell("\(names.joined(separator: " ")): not wanted, but the hook wants to keep them")
                return true
            }
            _ = try queue.drain(names, isDraining: true)
            round.drained(shape, names)
            tell("\(names.joined(separator: " ")): not wanted, drained")
            return true
        case .remove(let shape, let names):
            _ = try hook.call("remove", shape, names, round.plan)
            round.removed(names)
            tell("\(names.joined(separator: " ")): drained and idle, asked to go")
            return true
        }
    }
}

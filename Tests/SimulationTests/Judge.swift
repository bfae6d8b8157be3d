// What must hold, whatever happens. The judge sees all: what the queue did, what runs where, and who was in trouble of his own.

import NodeSupervisor
import QueueModel
import RedisClient
import TaskModel
import TaskQueue

@testable import NodeProtocol

struct Judge {
    /// Every token that was given.
    var tokens: Set<Int> = []
    /// What runs now, by the token of its attempt.
    var runs: [Int: (node: SimulatedNode, number: TaskNumber)] = [:]
    var runsOfLine: [String: Set<Int>] = [:]
    /// Attempts that people took from their nodes, begun or not: another may run the line while its node has not heard of it.
    var requeued: Set<Int> = []
    /// Attempts whose line was given to another while they ran.
    var wasGivenAgain: Set<Int> = []
    /// Every line that must come to an end in the queue that is there.
    var expected: Set<String> = []
    var lineNumbers: [String: Int] = [:]
    /// For which lines one waits.
    var parents: [String: [String]] = [:]
    /// What has finished at any time, whatever the queue has lost since.
    var everFinished: Set<String> = []
    /// Lines that the queue lost while these nodes ran them.
    var lostWhileRunning: [String: Set<Int>] = [:]
    /// When nothing was answered, by the world's clock: frozen, or away.
    var freezes: [(from: Int64, to: Int64)] = []
    var downSince: Int64?
    /// Until when trouble was at work, whoever's.
    private(set) var disturbedUntil: Int64 = 0
    var lastSilenceAt: Int64 = 0
    /// Lines that wait for their retry.
    var delays: [String: (since: Int64, milliseconds: Int, silence: Int)] = [:]
    /// Nodes that are started again once they have left, and after how long.
    var restarts: [Int: Int64] = [:]
    /// When each line was first seen in the hands of a dead node.
    let leaseNanoseconds: Int64

    init(_ scenario: Scenario) { leaseNanoseconds = Int64(scenario.leaseSeconds * 1e9) }

    /// What has not come to its end; nil when all has.
    func unfinished(_ queue: QueueModel) -> String? {
        for line in expected where queue.done[line] == nil {
            if queue.failed[line] != nil, !queue.todo.contains(line), !queue.retrying.contains(line),
                queue.doing[line] == nil
            {
                continue
            }
            let place = queue.todo.contains(line) ? "todo" : queue.doing[line].map { "at \($0)" } ?? "nowhere"
            return "\(line) is \(place)"
        }
        return nil
    }

    mutating func disturb(until: Int64, _ now: Int64) { disturbedUntil = max(disturbedUntil, until, now) }

    /// How long the queue answered nothing between these moments.
    func frozenNanoseconds(from: Int64, to: Int64) -> Int64 {
        freezes.reduce(Int64(0)) { $0 + max(0, min($1.to, to) - max($1.from, from)) }
    }

    /// A node was killed, or left: what it alone knew of is lost.
    mutating func lifeEnds(_ node: SimulatedNode, _ queue: QueueModel) {
        for line in lostWhileRunning.keys.sorted() { release(line, node, queue) }
    }

    mutating func leaseLost(_ node: SimulatedNode) {
        for line in lostWhileRunning.keys.sorted() {
            lostWhileRunning[line]?.remove(node.index)
            if lostWhileRunning[line]?.isEmpty == true { expected.remove(line) }
        }
    }

    mutating func release(_ line: String, _ node: SimulatedNode, _ queue: QueueModel) {
        guard lostWhileRunning[line]?.remove(node.index) != nil, lostWhileRunning[line]?.isEmpty == true else { return }
        lostWhileRunning[line] = nil
        if !queue.todo.contains(line), queue.doing[line] == nil { expected.remove(line) }
    }
}

extension World {
    // MARK: - What the queue did

    func judge(_ request: RedisRequest, _ value: RESPValue, from node: SimulatedNode?, sentAt: Int64) {
        if case .script(let call) = request, let node {
            if ["register", "heartbeat", "claim"].contains(call.script.name), value.error == nil {
                node.renewedAt = now
            }
            if call.script.name == "heartbeat" { judgeWhatWaits() }
        }
        let journal = queue.journal
        queue.journal.removeAll()
        for happening in journal {
            switch happening {
            case .gave(let line, let token, let receiver): given(line, token, to: receiver, sentAt: sentAt)
            case .putBack(let line, let token, _, let why): putBack(line, token, why)
            case .restored(let line, let token, _):
                count("task restored")
                judge.lostWhileRunning[line] = nil
                judge.expected.insert(line)
                if let (node, number) = judge.runs[token] { node.tasks[number]?.isExcusedUntilRestored = false }
            case .finished(let line, _, _, let wasFinished):
                count("finished")
                if wasFinished { fail("\(line) is accepted as finished twice") }
                judge.everFinished.insert(line)
                judge.lostWhileRunning[line] = nil
            case .failedForGood(let line, _):
                count("failed for good")
                if queue.reasons[line]?.hasPrefix("dependency") == true { count("failed in vain") }
                judge.lostWhileRunning[line] = nil
            case .delayed(let line, let milliseconds):
                count("delayed")
                judge.delays[line] = (now, milliseconds, queue.clock?.silence ?? 0)
            case .promoted(let line): judge.delays[line] = nil
            case .silence:
                count("silence")
                judge.lastSilenceAt = now
            }
        }
    }

    private func given(_ line: String, _ token: Int, to receiver: String, sentAt: Int64) {
        count("given")
        for parent in judge.parents[line] ?? [] where !judge.everFinished.contains(parent) {
            fail("\(line) is given before \(parent) has finished, for which it waits")
        }
        if judge.parents[line]?.isEmpty == false { count("given behind others") }
        if !judge.tokens.insert(token).inserted { fail("\(line) is given with a token that was given before") }
        let lease = judge.leaseNanoseconds
        // Restarts break connections; only a freeze keeps what was sent.
        if judge.freezes.contains(where: {
            sentAt < $0.from && $0.to <= now && ($0.to - $0.from) * 2 > lease + 200_000_000
        }) {
            fail("\(line) is given for a claim that was sent before a silence")
        }
        for other in judge.runsOfLine[line] ?? [] where other != token {
            guard let (node, number) = judge.runs[other], let task = node.tasks[number], task.isWorking else {
                continue
            }
            if judge.requeued.contains(other) || task.isExcusedUntilRestored {
                judge.wasGivenAgain.insert(other)
                continue
            }
            fail("\(line) is given to \(receiver) while \(node.name) runs it, which is alive and connected")
        }
    }

    private func putBack(_ line: String, _ token: Int, _ why: QueueModel.Happening.Why) {
        count("put back: \(why)")
        if why == .requeued { judge.requeued.insert(token) }
        guard let (node, number) = judge.runs[token], let task = node.tasks[number], task.isWorking else { return }
        switch why {
        case .reaped:
            if isCutOff(node) {
                node.tasks[number]?.isExcusedUntilRestored = true
                count("taken over, cut off")
            } else {
                count("taken over though alive")
            }
        case .requeued, .registered, .left, .returned, .failed: break
        }
    }

    /// Whether the queue could not hear this node for reasons of its own.
    func isCutOff(_ node: SimulatedNode) -> Bool {
        let own = node.troubledNanoseconds(from: node.renewedAt - judge.leaseNanoseconds / 3, to: now)
        if own * 2 >= judge.leaseNanoseconds { return true }
        // A little of its own, and the queue away as well.
        guard own * 12 >= judge.leaseNanoseconds else { return false }
        count("taken over, partly cut off")
        return true
    }

    /// The queue has forgotten something, or all.
    func judgeLossOfData() {
        judge.disturb(until: now, now)
        for (token, (node, number)) in judge.runs {
            guard let task = node.tasks[number] else { continue }
            let isKnown = queue.held[node.dialogue.incarnation.text]?[task.line]?.token == token
            if isKnown { continue }
            node.tasks[number]?.isExcusedUntilRestored = true
            if task.isWorking, !node.settings.killsWhenCutOff {
                judge.lostWhileRunning[task.line, default: []].insert(node.index)
            }
        }
        let kept = judge.lostWhileRunning.keys
        judge.expected = queue.todo.union(queue.doing.keys).union(queue.done.keys).union(queue.failed.keys).union(kept)
        judge.delays = judge.delays.filter { queue.delayed[$0.key] != nil }
    }

    // MARK: - Looked at with every heartbeat

    private func judgeWhatWaits() {
        let lease = judge.leaseNanoseconds
        let calmSince = max(judge.disturbedUntil, judge.lastSilenceAt)
        // Somebody must be there to notice.
        guard
            nodes.contains(where: {
                $0.isUp && $0.connection != nil && $0.troubledNanoseconds(from: now - lease * 2, to: now) == 0
            })
        else { return }
        let beat = lease / 3 + 500_000_000
        for (incarnation, rows) in queue.held where !rows.isEmpty {
            guard let node = nodes.first(where: { $0.dialogue.incarnation.text == incarnation }), !node.isUp,
                let diedAt = node.diedAt, scenario.cloneCount == 0
            else { continue }
            // A reconnecting node may be a backoff and a handshake late.
            if now - max(diedAt, calmSince + 10_000_000_000) > lease + beat {
                fail(
                    "\(rows.count) tasks of \(node.name) are not taken over \(Double(now - diedAt) / 1e9) s after its death"
                )
            }
        }
        for (line, delay) in judge.delays {
            guard queue.delayed[line] != nil else {
                judge.delays[line] = nil
                continue
            }
            let live = now - delay.since - judge.frozenNanoseconds(from: delay.since, to: now)
            let silences = Int64((queue.clock?.silence ?? 0) - delay.silence)
            let bound = Int64(delay.milliseconds) * 1_000_000 + lease * (1 + silences) + beat
            if live > bound, now - calmSince > 10_000_000_000 + beat {
                fail("\(line) waits for its retry for \(Double(live) / 1e9) s instead of \(delay.milliseconds) ms")
            }
        }
    }

    // MARK: - What runs where

    func judgeLaunch(_ number: TaskNumber, _ task: SimulatedTask, _ node: SimulatedNode) {
        for other in judge.runsOfLine[task.line] ?? [] where other != task.token {
            guard let (otherNode, otherNumber) = judge.runs[other], let run = otherNode.tasks[otherNumber],
                run.isMainAlive
            else { continue }
            if otherNode === node { fail("\(node.name) launches \(task.line) beside an earlier attempt") }
            guard run.isWorking else { continue }
            count("ran twice")
            let wasTaken = judge.requeued.contains(other) || judge.requeued.contains(task.token)
            // One that slept begins what it was given before; it learns of its loss a moment later.
            if !wasTaken, !run.isExcusedUntilRestored, !isCutOff(node) {
                fail("\(task.line) is launched by \(node.name) while \(otherNode.name) runs it")
            }
        }
    }

    /// A node kills what it runs because others have it. Somebody must.
    func judgeKill(_ number: TaskNumber, _ line: String, _ node: SimulatedNode) {
        defer { judge.release(line, node, queue) }
        guard let task = node.tasks[number], task.isWorking, !judge.requeued.contains(task.token) else { return }
        if queue.done[line] != nil || queue.hasFailedForGood(line) { return }
        if queue.held.contains(where: { $0.value[line].map { $0.token != task.token } ?? false }) { return }
        // It may have been given to another and come back meanwhile.
        if task.isExcusedUntilRestored, judge.wasGivenAgain.contains(task.token) { return }
        fail("\(node.name) kills \(line), which nobody has taken from it")
    }

    // MARK: - One machine

    func judgeMachine(_ node: SimulatedNode, ticked: Bool) {
        if ticked, !node.isDone, let overdue = node.overdue(at: node.clock(at: now)) {
            fail("\(node.name): \(overdue)")
        }
        if node.numbers.oneIn(16), let wrong = node.dialogue.inconsistency(at: node.clock(at: now)) {
            fail("\(node.name): \(wrong)")
        }
    }

    func check(_ report: NodeSupervisor.Report, _ node: SimulatedNode) {
        guard let task = node.tasks[report.number] else {
            // Never launched: it can only have been given back.
            switch report.result {
            case .returned(.noRoom): return count("given back: no room")
            case .returned(.earlierAttemptRemains): return count("given back: earlier attempt")
            case .returned(.launch): return count("given back: trouble")
            case .returned, .ended: return fail("\(node.name): a report of \(report.number), which never ran")
            }
        }
        if task.task.token != report.task.token { return fail("\(node.name): \(report.number) is reported as another") }
        if task.report != nil { return fail("\(node.name): a second report of \(report.number)") }
        node.tasks[report.number]?.report = report.result
        tally(report.result)
        if let contradiction = node.contradiction(report.result, task) {
            fail("\(node.name): \(report.number): \(contradiction)")
        }
    }

    private func tally(_ result: NodeSupervisor.Report.Result) {
        switch result {
        case .ended(let outcome): count("ended: \(outcome.cause.word)")
        case .returned(.memoryPressure): count("returned: memory")
        case .returned(.nodeStopping): count("returned: stop")
        case .returned(.launch): count("returned: launch")
        case .returned: break
        }
    }
}

extension SimulatedNode {
    /// Every deadline and every grace that is over was acted upon; nil when that is so.
    func overdue(at now: Instant) -> String? {
        for (number, task) in tasks where task.endHeardAt == nil && task.isBegun {
            if let deadline = task.deadline, deadline <= now, task.signalledAt == nil {
                return "\(number) runs past its deadline"
            }
            if let last = task.lastKillAt, task.isMainAlive, last.advanced(bySeconds: 1) <= now {
                return "\(number) survived a kill and was not killed again"
            }
            // A TERM of this very batch came after its tick.
            guard let terminatedAt = task.terminatedAt, terminatedAt < now, task.killedAt == nil else { continue }
            if terminatedAt.advanced(bySeconds: settings.killGraceSeconds) <= now {
                return "\(number) was not killed after its grace"
            }
        }
        return nil
    }

    /// Whether the report tells what happened to the task; nil when it does.
    func contradiction(_ result: NodeSupervisor.Report.Result, _ task: SimulatedTask) -> String? {
        if task.endHeardAt == nil { return "reported before its end" }
        guard case .ended(let outcome) = result else { return contradiction(ofReturn: result, task) }
        switch outcome.cause {
        case .timeout:
            guard let deadline = task.deadline, let at = task.signalledAt, deadline <= at else {
                return "timeout though not stopped for one"
            }
        case .cancelled: if !cancelledLines.contains(task.line) { return "cancelled though nobody asked" }
        case .memoryPressure: if !wasLow { return "memory pressure though there was none" }
        case .nodeLost: return "node lost, said by the node"
        case .dependency: return "never run, said by the node that ran it"
        case .exit, .signal, .oom, .launch:
            if task.hasSignalBeforeEnd { return "ended \(outcome.cause) though we stopped it" }
            if outcome.cause != task.ownCause {
                return "\(outcome.cause) instead of \(String(describing: task.ownCause))"
            }
        }
        return nil
    }

    private func contradiction(ofReturn result: NodeSupervisor.Report.Result, _ task: SimulatedTask) -> String? {
        guard case .returned(let reason) = result else { return nil }
        switch reason {
        case .memoryPressure: return wasLow ? nil : "returned for memory though there was enough"
        case .nodeStopping: return isStopping ? nil : "returned for a stop nobody asked for"
        case .launch:
            return task.failure?.fault == .node || !task.isBegun ? nil : "returned for a launch the node did not fail"
        case .nodeTrouble: return "returned for a trouble that never was"
        case .noRoom, .earlierAttemptRemains: return task.isBegun ? "given back after it had run" : nil
        }
    }
}

extension NodeProtocol {
    /// Whether its own account of reports is exact, and what it keeps bounded; nil when both are so.
    func inconsistency(at now: Instant) -> String? {
        let records = reports.records.values
        let unanswered = records.reduce(0) { $0 + ($1.isUnanswered ? 1 : 0) }
        if unanswered != reports.unansweredCount {
            return "\(reports.unansweredCount) unanswered reports, in fact \(unanswered)"
        }
        let bytes = records.reduce(0) { $0 + ($1.isUnanswered ? $1.bytes : 0) }
        if bytes != reports.bytes { return "\(reports.bytes) bytes of reports, in fact \(bytes)" }
        let answered = records.reduce(0) { $0 + ($1.isUnanswered ? 0 : $1.bytes) }
        if answered != reports.answeredBytes {
            return "\(reports.answeredBytes) bytes of answered reports, in fact \(answered)"
        }
        if bytes > Reports.bytesMax + (14 << 20) { return "\(bytes) bytes of reports in memory" }
        if answered > Reports.answeredBytesMax { return "\(answered) bytes of answered reports in memory" }
        if records.count > Reports.countMax * 2 + Reports.answeredCountMax { return "\(records.count) records" }
        if outstanding.count > records.count * 2 + 64 { return "\(outstanding.count) requests under way" }
        if lives.count > Registering.livesMax { return "\(lives.count) lives remembered" }
        return nil
    }
}

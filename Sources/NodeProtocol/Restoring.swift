// Taking up again what the queue has forgotten. The node says what it runs and what it has to report; the queue answers for each
// whether it is held for this node (again), or whether somebody else has it by now. So nothing is killed that nobody else has
// begun: neither when others put back what this node held, nor when Redis was emptied or came back with an older state.

import DequeModule
import NodeSupervisor
import TaskModel
import TaskQueue

extension NodeProtocol {
    /// The tasks that are still to be asked about.
    struct Restoration: Sendable {
        var remaining: Deque<String>
        var restoredCount = 0
        var takenTokens: Set<String> = []

        /// What one call asks about.
        static let tasksMax = 500
    }

    /// Begins to ask, or goes on.
    mutating func restore(into actions: inout [Action]) {
        if restoration == nil { restoration = Restoration(remaining: reports.tokensToRestore) }
        var tokens: [String] = []
        while tokens.count < Restoration.tasksMax, let token = restoration?.remaining.popFirst() {
            tokens.append(token)
        }
        let tasks = tokens.compactMap { reports.task(of: $0) }
        if tasks.isEmpty, !registering.keepsEarlier { return finishRestoring(into: &actions) }
        let isLast = restoration?.remaining.isEmpty ?? true
        let request = RestoreTasks(
            tasks[...], keys: keys, incarnation: incarnation, earlier: earlierLives, isLast: isLast
        ).request
        send(request, for: .restore(tokens: tasks.map(\.token), isLast: isLast), into: &actions)
    }

    mutating func restored(
        _ tokens: [String], _ answers: [RestoreTasks.Answer], isLast: Bool, into actions: inout [Action]
    ) {
        guard restoration != nil, tokens.count == answers.count else { return }
        for (token, answer) in zip(tokens, answers) {
            switch answer {
            case .held: reports.isOurs(token)
            case .restored:
                restoration?.restoredCount += 1
                reports.isOursAgain(token)
            case .taken:
                if reports.isRunning(token) { restoration?.takenTokens.insert(token) }
                lose(token, into: &actions)
            }
        }
        if isLast { registering.keepsEarlier = false }
        restore(into: &actions)
    }

    /// Somebody else has the task, or it is over: what is known of it here is of no use to anybody.
    mutating func lose(_ token: String, into actions: inout [Action]) {
        guard let record = reports.remove(token), record.isUnanswered else { return }
        release(record, into: &actions)
        actions.append(.log(.reportRefused(line: record.line, .stale)))
    }

    mutating func lose(_ earlier: EarlierReport, into actions: inout [Action]) {
        actions.append(.releaseEarlierReport(name: earlier.name))
        actions.append(.log(.earlierReport(line: earlier.report.line, .stale)))
    }

    /// The queue has answered it: nothing of it is needed any more.
    func release(_ record: ReportRecord, into actions: inout [Action]) {
        actions.append(.release(token: record.token, record.number))
        if let name = record.earlierFile { actions.append(.releaseEarlierReport(name: name)) }
    }

    // MARK: - One report that was refused

    /// The queue does not hold this task for ours. That others have it is one possibility; that the queue has forgotten is another,
    /// and then a result would be lost. So it is asked, once.
    mutating func doubt(_ token: String, into actions: inout [Action]) -> Bool {
        guard reports.doubt(token), let task = reports.task(of: token) else { return false }
        let request = RestoreTasks([task][...], keys: keys, incarnation: incarnation, earlier: earlierLives).request
        send(request, for: .doubt(token: token), into: &actions)
        return true
    }

    mutating func doubtSettled(_ token: String, _ answers: [RestoreTasks.Answer], into actions: inout [Action]) {
        switch answers.first {
        case .held: reports.isOurs(token)
        case .restored: reports.isOursAgain(token)
        case .taken, nil: lose(token, into: &actions)
        }
    }

    private mutating func finishRestoring(into actions: inout [Action]) {
        guard let done = restoration else { return }
        restoration = nil
        registering.mustRestore = false
        if done.restoredCount > 0 {
            actions.append(.log(.restored(count: done.restoredCount, takenCount: done.takenTokens.count)))
        }
        if !done.takenTokens.isEmpty { actions.append(.tell(.takenAway(tokens: done.takenTokens))) }
        // After a loss of the connection the supervisor asks first.
        if registering.isUnderWay { tellRegistered(into: &actions) }
        open(into: &actions)
    }
}

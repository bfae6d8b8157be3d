// What each reply means. An error is looked at by what was asked: some end the incarnation, some the connection, and most are
// asked again by whoever wanted the answer.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    mutating func understand(_ value: RESPValue, _ purpose: Purpose, at now: Instant, into actions: inout [Action]) {
        do throws(QueueError) {
            switch purpose {
            case .inspection: inspected(value, into: &actions)
            case .register(let sentAt):
                registered(try RegisterNode.parse(value), sentAt: sentAt, into: &actions)
            case .heartbeat(let sentAt): heartbeatAnswered(try Heartbeat.parse(value), sentAt: sentAt, into: &actions)
            case .claim(let claim, let sentAt, let isRepeated):
                let reply = try ClaimTasks.parse(value)
                registering.renewedAt = sentAt
                claimAnswered(reply, claim, isRepeated: isRepeated, at: now, into: &actions)
            case .reconcile(let number, let knownTokens):
                held(try HeldTasks.parse(value), number, knownTokens: knownTokens, into: &actions)
            case .report(let token): reportAnswered(token, try ReportTask.parse(value), at: now, into: &actions)
            case .earlierReport(let earlier):
                earlierReport(earlier, answered: try ReportTask.parse(value), into: &actions)
            case .restore(let tokens, let isLast):
                restored(tokens, try RestoreTasks.parse(value), isLast: isLast, into: &actions)
            case .doubt(let token): doubtSettled(token, try RestoreTasks.parse(value), into: &actions)
            case .cancellations(let thenClaim):
                for line in try TakeCancellations.parse(value) {
                    reports.stoppedByOrder(line: line)
                    actions.append(.tell(.cancelRequested(line: line)))
                }
                if thenClaim { actions.append(.tell(.wake)) }
            case .sweepPage: adopt(try ScanHash.parse(value), into: &actions)
            case .retention: retained(try RetainResults.parse(value), at: now, into: &actions)
            case .leave:
                departure = .left
                actions.append(.left)
            case .nothing: break
            }
        } catch {
            refused(error, purpose, at: now, into: &actions)
        }
    }

    private mutating func refused(
        _ error: QueueError, _ purpose: Purpose, at now: Instant, into actions: inout [Action]
    ) {
        if case .fenced(let queue) = error { return fenced(by: queue, into: &actions) }
        if case .refused(let reply) = error, reply.remedy == .reconnect { return actions.append(.closeConnection) }
        if case .register = purpose {
            registering.isUnderWay = false
            switch error {
            case .twin(let address, let remaining):
                return twin(at: address, remainingMilliseconds: remaining, at: now, into: &actions)
            case .nameTaken(_, let address, let remaining):
                return nameTaken(
                    error, at: address, remainingMilliseconds: remaining, at: now, into: &actions)
            case .fenced, .wrongType, .refused, .unexpectedReply: break
            }
            if isFinal(error) { return actions.append(.giveUp("\(error)")) }
        }
        if refusals.isNews("\(error)", at: now) { actions.append(.log(.refused("\(error)"))) }
        switch purpose {
        case .register: actions.append(.tell(.requestFailed(.register)))
        case .heartbeat: actions.append(.tell(.requestFailed(.heartbeat)))
        case .claim(let claim, _, _): actions.append(.tell(.requestFailed(.claim(claim.number))))
        case .reconcile(let number, _): actions.append(.tell(.requestFailed(.reconcile(number))))
        case .report(let token): reports.refused(token, at: now)
        case .earlierReport(let earlier): earlierReport(earlier, answered: nil, into: &actions)
        // A connection on which this is refused is of no use, and the next one asks again.
        case .restore, .doubt: actions.append(.closeConnection)
        case .leave:
            departure = .left
            actions.append(.left)
        case .retention: retaining.refused(at: now)
        case .inspection, .cancellations, .sweepPage, .nothing: break  // The next round asks again by itself.
        }
    }

    /// Whether a refusal to have this node is a mistake in the settings: told at the start, it ends the daemon. One that has been
    /// a member goes on asking, since what changed may be changed back.
    private func isFinal(_ error: QueueError) -> Bool {
        switch error {
        case .wrongType: !registering.hasSucceeded
        case .refused(let reply): reply.remedy == .giveUp && !registering.hasSucceeded
        case .fenced, .twin, .nameTaken, .unexpectedReply: false
        }
    }

    // MARK: - The lease

    private mutating func heartbeatAnswered(_ reply: Heartbeat.Reply, sentAt: Instant, into actions: inout [Action]) {
        if reply.reapedCount > 0 { actions.append(.log(.reaped(count: reply.reapedCount))) }
        if reply.recoveredCount > 0 { actions.append(.log(.recovered(count: reply.recoveredCount))) }
        registering.silence = reply.silence
        registering.renewedAt = sentAt
        connection.serverIsTold = true
        note(reply.queue, into: &actions)
        note(isDrained: reply.isDrained, into: &actions)
        actions.append(.tell(.leaseRenewed(sentAt: sentAt)))
        if reply.beatsSoon { actions.append(.tell(.beatSoon(sentAt: sentAt))) }
        if reply.closeRequested { actions.append(.tell(.closeRequested)) }
        if reply.hasCancellations { askForCancellations(into: &actions) }
        goOnRetaining(at: sentAt, into: &actions)
    }

    // MARK: - Tasks

    func claimTasks(_ claim: NodeSupervisor.Claim) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: incarnation, leaseMilliseconds: leaseMilliseconds, count: claim.count,
            freeMemoryBytes: claim.freeMemoryBytes, freeMillicores: claim.freeMillicores,
            freeResources: claim.freeResources,
            withSignatures: facts.taskKey != nil, silence: registering.silence, known: knownJobs,
            leavesIfIdle: claim.leavesIfIdle && reports.unansweredCount == 0
        ).request
    }

    private mutating func claimAnswered(
        _ reply: ClaimTasks.Reply, _ claim: NodeSupervisor.Claim, isRepeated: Bool, at now: Instant,
        into actions: inout [Action]
    ) {
        // Its right to look was taken with the answer: unused, nobody looks while it lasts.
        if reply.needsSweep { sweepPage(from: "0", into: &actions) }
        // The claim was on its way while the queue was silent, and got nothing for that. It is asked once more, knowingly.
        if reply.silence != registering.silence {
            registering.silence = reply.silence
            if !isRepeated {
                return send(claimTasks(claim), for: .claim(claim, sentAt: now, isRepeated: true), into: &actions)
            }
        }
        if reply.isHeldBack { askForCancellations(thenClaim: true, into: &actions) }
        knownJobs.take(reply)
        let tasks = given(reply.tasks, of: knownJobs)
        actions.append(
            .tell(
                .claimed(
                    claim.number, tasks.map(\.task), refusedCount: reply.tasks.count - tasks.count,
                    dueSeconds: reply.dueMilliseconds.map { Double($0) / 1000 })))
        if reply.closeRequested { actions.append(.tell(.closeRequested)) }
        if reply.hasLeft { actions.append(.tell(.letGo)) }
    }

    mutating func reconcile(_ number: NodeSupervisor.RequestNumber, into actions: inout [Action]) {
        let held = HeldTasks(keys: keys, incarnation: incarnation, withSignatures: facts.taskKey != nil)
        // What ends while the answer is awaited is still in it: hence the tokens known now, not then.
        let purpose = Purpose.reconcile(number, knownTokens: reports.endedTokens)
        send(held.request, for: purpose, into: &actions)
    }

    private mutating func held(
        _ rows: [ClaimTasks.Claimed], _ number: NodeSupervisor.RequestNumber, knownTokens: Set<String>,
        into actions: inout [Action]
    ) {
        let ended = knownTokens.union(reports.endedTokens)
        // What was accepted a moment ago and is still held here: the server has lost that moment, and is told again.
        let unknown = rows.filter { !ended.contains($0.token) && !reports.isToldAgain($0.token) }
        var jobs = KnownJobs()
        for task in unknown {
            let identifier = Job.identifier(ofLine: task.line)
            if let record = task.jobRecord, jobs.jobs[identifier] == nil { jobs.take(identifier, record) }
        }
        actions.append(.tell(.held(number, given(unknown, of: jobs).map(\.task))))
    }

    /// The tasks of these that may be run here. The others fail, with the reason, and the supervisor never hears of them.
    private mutating func given(
        _ claimed: [ClaimTasks.Claimed], of jobs: KnownJobs
    ) -> [(token: String, task: NodeSupervisor.ClaimedTask)] {
        claimed.compactMap { claimed in
            switch LineInspection(facts, jobs).result(of: claimed) {
            case .task(let task):
                reports.given(task)
                return (claimed.token, task)
            case .refused(let result, let reason):
                reports.refuse(claimed, result, reason: reason)
                return nil
            }
        }
    }
}

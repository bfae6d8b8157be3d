// Reports on their way. A task is off our hands when the queue has said so, not when we have: until then its record is kept, and
// the report sent again over every new connection. The queue takes the same report twice without harm.
//
// What is in memory is bounded, whatever tasks write: reports are put into their form one at a time, and only while little of that
// is unanswered. Without a connection they go to the disk and out of memory; what they are made of is still there.

import DequeModule
import NodeSupervisor
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Reports: Sendable {
        private(set) var records: [String: ReportRecord] = [:]
        /// Those that are to be sent, in the order in which they were made.
        private var unsent: Deque<String> = []
        /// Those that were accepted, oldest first, with the time.
        private var answered: Deque<(token: String, at: Instant)> = []
        /// Which one is being put into its form.
        private var encodingToken: String?
        private var storingToken: String?
        /// What the reports in memory take.
        private(set) var bytes = 0
        private(set) var answeredBytes = 0
        private(set) var unansweredCount = 0
        /// When what the queue could not take is sent again.
        var retryAt: Instant?
        var hasTold = false

        /// More is not put into its form while this much is in memory and unanswered. One more can go beyond it.
        static let bytesMax = 8 << 20
        /// No tasks are taken while so many reports wait, so a queue that refuses every one cannot fill our memory.
        static let countMax = 1024
        /// What was accepted is kept so long: more than a server loses that writes once a second, or than a replica lags behind.
        static let answeredSeconds = 10.0
        static let answeredBytesMax = 4 << 20
        static let answeredCountMax = 1024
        /// A pause before what the queue could not take is sent again.
        static let retrySeconds = 1.0

        // MARK: What there is

        var isFull: Bool { unansweredCount >= Self.countMax }
        var areAllSent: Bool { unsent.isEmpty }
        var runningCount: Int { records.values.reduce(0) { if case .running = $1.state { $0 + 1 } else { $0 } } }
        /// Of those that ended and are not answered.
        var endedTokens: Set<String> { Set(records.values.lazy.filter(\.isUnanswered).map(\.token)) }
        var isEmpty: Bool { records.isEmpty }
        var areAllStored: Bool {
            encodingToken == nil && storingToken == nil
                && records.values.allSatisfy { !$0.isUnanswered || $0.disk == .stored || $0.disk == .refused }
        }

        func isRunning(_ token: String) -> Bool {
            if case .running = records[token]?.state { true } else { false }
        }

        /// All that is to be asked about, those that run first.
        var tokensToRestore: Deque<String> {
            let wanted = records.values.filter { !$0.isStoppedByOrder }
            let running = wanted.filter { if case .running = $0.state { true } else { false } }.map(\.token)
            let ended = wanted.filter { if case .running = $0.state { false } else { true } }.map(\.token)
            return Deque(running.sorted() + ended.sorted())
        }

        func task(of token: String) -> RestoreTasks.Running? {
            guard let task = records[token]?.task else { return nil }
            return RestoreTasks.Running(line: task.line, token: token, attempt: task.attempt)
        }

        // MARK: From running to made

        mutating func given(_ task: NodeSupervisor.ClaimedTask) {
            guard records[task.token] == nil else { return }
            records[task.token] = ReportRecord(
                number: nil, line: task.line.text, task: task, token: task.token, state: .running(task))
        }

        mutating func ended(_ report: NodeSupervisor.Report) {
            let token = report.task.token
            // Told twice.
            if let known = records[token], known.isUnanswered { return }
            let isStoppedByOrder = remove(token)?.isStoppedByOrder ?? false
            add(
                ReportRecord(
                    number: report.number, line: report.task.line.text, task: report.task, token: token, report: report,
                    state: .ended(report), isStoppedByOrder: isStoppedByOrder))
        }

        /// A line that may not be run here.
        mutating func refuse(_ claimed: ClaimTasks.Claimed, _ result: ReportTask.Result, reason: String) {
            guard records[claimed.token] == nil else { return }
            add(
                ReportRecord(
                    number: nil, line: claimed.line, task: nil, token: claimed.token, state: .made(result)))
            bytes += result.bytes
            refusedLines.append((claimed.line, reason))
        }

        /// To be told to the log.
        var refusedLines: [(line: String, reason: String)] = []

        /// Takes a report that an earlier life could not deliver and that the queue did not want under its name. It is told again, under
        /// this life, should the queue say that it had forgotten the task. False: it is no report of a task.
        mutating func adopt(_ earlier: EarlierReport) -> Bool {
            let jobs = earlier.report.job.map { [$0.identifier: $0] } ?? [:]
            guard let line = try? TaskLine(parsing: earlier.report.line, of: jobs), records[earlier.report.token] == nil
            else {
                return false
            }
            let task = NodeSupervisor.ClaimedTask(line: line, token: earlier.report.token, attempt: 1)
            records[task.token] = ReportRecord(
                number: nil, line: line.text, task: task, token: task.token, state: .made(earlier.report.result),
                disk: .stored, earlierFile: earlier.name, isDoubted: true)
            unansweredCount += 1
            bytes += earlier.report.result.bytes
            return true
        }

        private mutating func add(_ record: ReportRecord) {
            records[record.token] = record
            unsent.append(record.token)
            unansweredCount += 1
        }

        mutating func encoded(_ token: String, _ result: ReportTask.Result) {
            if encodingToken == token { encodingToken = nil }
            guard case .encoding = records[token]?.state else { return }  // Answered or taken away meanwhile.
            records[token]?.state = .made(result)
            bytes += result.bytes
        }

        // MARK: On the way

        /// What is to be done for the next report to be sent; nil when nothing can be.
        enum Step {
            case encode(token: String, NodeSupervisor.Report)
            case send(token: String, line: String, ReportTask.Result)
        }

        mutating func nextToSend() -> Step? {
            while retryAt == nil, let token = unsent.first {
                switch records[token]?.state {
                case .ended(let report):
                    guard encodingToken == nil, bytes < Self.bytesMax else { return nil }
                    return encode(token, report)
                case .encoding: return nil
                case .made(let result):
                    unsent.removeFirst()
                    records[token]?.state = .sent(result)
                    return .send(token: token, line: records[token]?.line ?? "", result)
                case .running, .sent, .accepted, nil: unsent.removeFirst()  // Nothing of it is to be sent any more.
                }
            }
            return nil
        }

        private mutating func encode(_ token: String, _ report: NodeSupervisor.Report) -> Step {
            encodingToken = token
            records[token]?.state = .encoding(report)
            return .encode(token: token, report)
        }

        /// The connection is gone: nothing is on its way.
        mutating func disconnected() {
            retryAt = nil
            for (token, record) in records {
                if case .sent(let result) = record.state { records[token]?.state = .made(result) }
            }
            let waiting = records.values.filter(\.isUnanswered)
            unsent = Deque(waiting.sorted { Self.isEarlier($0, $1) }.map(\.token))
        }

        private static func isEarlier(_ one: ReportRecord, _ other: ReportRecord) -> Bool {
            guard let first = one.number, let second = other.number else {
                return one.number == nil && other.number != nil
            }
            return first < second
        }

        /// The queue could not take it for now.
        mutating func refused(_ token: String, at now: Instant) {
            guard let record = records[token], case .sent(let result) = record.state else { return }
            records[token]?.state = .made(result)
            unsent.prepend(token)
            if retryAt == nil { retryAt = now.advanced(bySeconds: Self.retrySeconds) }
        }

        // MARK: Answered

        /// The queue has answered. Returns the record, when the report was waiting for that.
        mutating func answered(_ token: String, _ reply: ReportTask.Reply, at now: Instant) -> ReportRecord? {
            guard let record = records[token], case .sent(let result) = record.state else { return nil }
            remove(token)
            if reply != .stale, record.task != nil, result.bytes <= Self.answeredBytesMax / 16 {
                var kept = record
                kept.state = .accepted(result)
                kept.disk = .none
                records[token] = kept
                answeredBytes += result.bytes
                answered.append((token, now))
            }
            return record
        }

        /// Lets go of what was accepted long enough ago.
        mutating func dropOldAnswered(at now: Instant) {
            while let oldest = answered.first,
                answered.count > Self.answeredCountMax || answeredBytes > Self.answeredBytesMax
                    || now.seconds(since: oldest.at) > Self.answeredSeconds
            {
                answered.removeFirst()
                if case .accepted = records[oldest.token]?.state { remove(oldest.token) }
            }
        }

        /// The queue they were told to is gone.
        mutating func forgetAnswered() {
            for (token, _) in answered { if case .accepted = records[token]?.state { remove(token) } }
            answered.removeAll()
        }

        /// The server has lost that it accepted this report. Says whether that is so; then it is sent again, from what is in memory:
        /// the task's output has been let go of.
        mutating func isToldAgain(_ token: String) -> Bool {
            guard let record = records[token], case .accepted(let result) = record.state else { return false }
            remove(token)
            add(
                ReportRecord(number: nil, line: record.line, task: record.task, token: token, state: .made(result)))
            bytes += result.bytes
            return true
        }

        /// The queue holds this task for ours: what it is to hear of it is sent, or sent again.
        mutating func isOurs(_ token: String) {
            if isToldAgain(token) { return }
            guard let record = records[token], record.isUnanswered, !unsent.contains(token) else { return }
            if case .sent = record.state { return }
            unsent.append(token)
        }

        /// Somebody ordered the end of what runs of this line.
        mutating func stoppedByOrder(line: String) {
            for record in records.values where record.line == line {
                if case .running = record.state { records[record.token]?.isStoppedByOrder = true }
            }
        }

        /// The same, of a task that the queue had forgotten. It may forget it once more.
        mutating func isOursAgain(_ token: String) {
            records[token]?.isDoubted = false
            isOurs(token)
        }

        /// The queue refused this report. Says whether that is to be doubted, as it is once.
        mutating func doubt(_ token: String) -> Bool {
            guard let record = records[token], case .sent(let result) = record.state, !record.isDoubted,
                !record.isStoppedByOrder,
                record.task != nil
            else { return false }
            records[token]?.isDoubted = true
            records[token]?.state = .made(result)
            return true
        }

        /// Of what runs nothing is to be taken up again.
        mutating func forgetRunning() {
            for record in records.values { if case .running = record.state { remove(record.token) } }
        }

        @discardableResult
        mutating func remove(_ token: String) -> ReportRecord? {
            guard let record = records.removeValue(forKey: token) else { return nil }
            if record.isUnanswered {
                unansweredCount -= 1
                assert(unansweredCount >= 0)
                bytes -= record.bytes
                assert(bytes >= 0)
            } else if case .accepted(let result) = record.state {
                answeredBytes -= result.bytes
                assert(answeredBytes >= 0)
            }
            if storingToken == token { storingToken = nil }
            return record
        }

        // MARK: On the disk

        enum DiskStep {
            case encode(token: String, NodeSupervisor.Report)
            case store(token: String, line: String, ReportTask.Result)
        }

        /// What is to be done for the next report to be on the disk; nil when nothing is to be, or something is under way.
        mutating func nextToStore() -> DiskStep? {
            guard storingToken == nil, encodingToken == nil else { return nil }
            for token in unsent {
                guard let record = records[token], record.disk == .none else { continue }
                switch record.state {
                case .ended(let report):
                    guard case .encode(let token, let report) = encode(token, report) else { return nil }
                    return .encode(token: token, report)
                case .made(let result), .sent(let result):
                    storingToken = token
                    records[token]?.disk = .asked
                    return .store(token: token, line: record.line, result)
                case .running, .encoding, .accepted: continue
                }
            }
            return nil
        }

        /// What is sent and unanswered counts as unsent: time is over.
        mutating func giveUpWaiting() { disconnected() }

        mutating func stored(_ token: String, isStored: Bool) {
            if storingToken == token { storingToken = nil }
            guard let record = records[token], record.disk == .asked else { return }
            records[token]?.disk = isStored ? .stored : .refused
            // It is made again when it is needed.
            if case .made(let result) = record.state, let report = record.report {
                bytes -= result.bytes
                assert(bytes >= 0)
                records[token]?.state = .ended(report)
            }
        }
    }

    // MARK: - Reports as events and actions

    mutating func reportAnswered(
        _ token: String, _ reply: ReportTask.Reply, at now: Instant, into actions: inout [Action]
    ) {
        if reply == .stale, doubt(token, into: &actions) { return }
        guard let record = reports.answered(token, reply, at: now) else { return }
        release(record, into: &actions)
        if reply != .accepted { actions.append(.log(.reportRefused(line: record.line, reply))) }
    }

    /// Sends what can be sent, or has it written where there is no connection.
    mutating func sendReports(into actions: inout [Action]) {
        for (line, reason) in reports.refusedLines { actions.append(.log(.notRun(line: line, reason: reason))) }
        reports.refusedLines.removeAll()
        switch connection.phase {
        case .open where departure != .storing && !registering.isUnderWay && registering.hasIncarnation:
            deliverReports(into: &actions)
        case .none: storeReports(all: false, into: &actions)
        case .open, .inspecting, .deliveringEarlier, .restoring: break  // In a moment it can be sent.
        }
        if reports.isFull != reports.hasTold {
            reports.hasTold = reports.isFull
            actions.append(.tell(.reportsPileUp(reports.isFull)))
        }
    }

    private mutating func deliverReports(into actions: inout [Action]) {
        while let step = reports.nextToSend() {
            switch step {
            case .encode(let token, let report): return actions.append(.encode(token: token, report))
            case .send(let token, let line, let result):
                let report = ReportTask(
                    keys: keys, incarnation: incarnation, line: line, job: reports.task(of: token)?.line.job,
                    token: token, result: result)
                send(report.request, for: .report(token: token), into: &actions)
            }
        }
    }

    /// - Parameter all: also what is on its way and unanswered.
    mutating func storeReports(all: Bool, into actions: inout [Action]) {
        if all { reports.giveUpWaiting() }
        switch reports.nextToStore() {
        case .encode(let token, let report): actions.append(.encode(token: token, report))
        case .store(let token, let line, let result):
            let report = ReportTask(
                keys: keys, incarnation: incarnation, line: line, job: reports.task(of: token)?.line.job, token: token,
                result: result)
            actions.append(.store(token: token, report))
        case nil: break
        }
    }
}

// The judge. It asks Redis itself, past the proxy, and reads what the tasks left on disk; what the nodes believe does not count.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// What is true after the run.
struct Findings {
    var finished = 0
    /// Failed as they were meant to.
    var failedAsMeant = 0
    /// Given up after three nodes were lost with them.
    var failedForLostNodes = 0
    /// Tries, not tasks: they met a full disk as they wrote.
    var failedForFullDisk = 0

    // None of these may be.
    var lost = 0
    var finishedTwice = 0
    var failedUnmeant = 0
    /// Tries that were held against a task for what its node could not do.
    var chargedForNode = 0
    /// Tasks with more tries held against them than they were executed.
    var chargedTwice = 0
    var wrongResults = 0
    var strangeTraces = 0
    var queuesBelievedLost = 0
    var stalls = 0
    var leftovers = 0
    var crashes = 0

    // Executions.
    var executions = 0
    var repeated = Reasons()
    var overlapping = Reasons()

    /// A few of each of the things that may not be, in words.
    private(set) var examples: [String] = []

    /// Counts one of the things that may not be.
    mutating func note(_ kind: WritableKeyPath<Findings, Int>, _ text: String) {
        self[keyPath: kind] += 1
        if self[keyPath: kind] <= 5 { examples.append(text) }
    }

    var isSound: Bool {
        [
            lost, finishedTwice, failedUnmeant, chargedForNode, chargedTwice, wrongResults, strangeTraces,
            queuesBelievedLost, stalls,
            leftovers, crashes,
            repeated.unfounded, overlapping.unfounded,
        ].allSatisfy { $0 == 0 }
    }
}

struct Checker {
    let fleet: Fleet
    let tasks: TaskSet
    let traces: Traces
    let history: QueueHistory
    let explanation: Explanation
    /// Times without an ending that were too long.
    let stalls: [Double]
    private let keys = QueueKeys()

    func check() throws -> Findings {
        var findings = Findings()
        let finished = try hash(keys.finished)
        let failed = try hash(keys.failed)
        let reasons = try hash(keys.failReason)
        let outcomes = try hash(keys.outcomes)
        let waiting = try Set(hash(keys.todo).keys).union(hash(keys.inProgress).keys)
        for number in 0..<tasks.count {
            let state = (finished[number], failed[number], waiting.contains(number))
            judge(number, state, outcome: outcomes[number], reason: reasons[number] ?? "", &findings)
            judgeHistory(number, &findings)
            judgeTries(number, &findings)
            countExecutions(number, &findings)
        }
        for text in traces.strangeLines {
            findings.note(\.strangeTraces, "a trace that makes no sense: \(text)")
        }
        findings.queuesBelievedLost = explanation.logs.lostQueues
        for seconds in stalls { findings.note(\.stalls, "for \(Int(seconds)) s no task ended, though there were some") }
        for text in explanation.journal.crashes { findings.note(\.crashes, text) }
        for text in try leftovers() {
            findings.note(\.leftovers, "left behind: \(text)")
        }
        return findings
    }

    // MARK: Redis

    /// A hash by task number, whole: read page by page.
    private func hash(_ key: String) throws -> [Int: String] {
        var values: [Int: String] = [:]
        var cursor = "0"
        repeat {
            guard let reply = fleet.ask(ScanHash(key, cursor: cursor).request) else {
                throw ChaosError(description: "Redis does not answer the checker")
            }
            let page = try ScanHash.parse(reply)
            cursor = page.cursor
            for (field, value) in page.entries {
                let line = String(decoding: field, as: UTF8.self)
                guard let number = tasks.number(in: line), number < tasks.count, tasks.line(number) == line else {
                    throw ChaosError(description: "\(key) holds what nobody submitted: \(line)")
                }
                values[number] = String(decoding: value, as: UTF8.self)
            }
        } while cursor != "0"
        return values
    }

    private func judge(
        _ number: Int, _ state: (finished: String?, failed: String?, isWaiting: Bool), outcome: String?, reason: String,
        _ findings: inout Findings
    ) {
        let isMeantToFail = tasks.kind(number).fails
        switch state {
        case (nil, nil, let isWaiting),
            (_, _, let isWaiting) where isWaiting:
            findings.note(\.lost, "task \(number) \(isWaiting ? "was never settled" : "has vanished")")
        case (.some, .some, _):
            findings.note(\.finishedTwice, "task \(number) has finished and failed")
        case (.some(let value), nil, _):
            findings.finished += 1
            guard isMeantToFail || !isResult(value, of: number) else { return }
            findings.note(\.wrongResults, "task \(number) has a result that no execution of it wrote: \(value)")
        case (nil, .some, _) where QueueHistory.cause(outcome) == .nodeLost:
            findings.failedForLostNodes += 1
        case (nil, .some(let workers), _):
            if isMeantToFail {
                findings.failedAsMeant += 1
            } else {
                findings.note(\.failedUnmeant, "task \(number) failed on \(workers) though it fails nowhere: \(reason)")
            }
        }
    }

    /// Whether an execution that came to its end on that node wrote this.
    private func isResult(_ value: String, of number: Int) -> Bool {
        let parsed = FinishedValue(parsing: Array(value.utf8))
        let output = String(decoding: parsed.standardOutputJSON ?? [], as: UTF8.self)
        return traces.runs[number].contains { run in
            run.hasEnded && run.node == parsed.worker && output == "\"\(number) \(run.process)\\n\""
        }
    }

    private func judgeHistory(_ number: Int, _ findings: inout Findings) {
        if history.finishCounts[number] > 1 {
            findings.note(
                \.finishedTwice, "task \(number) was written to finished_tasks \(history.finishCounts[number]) times")
        } else if history.revived.contains(number) {
            findings.note(\.finishedTwice, "task \(number) went back to todo after it had finished")
        }
    }

    /// What each failure was held against: of a task that fails nowhere, only a lost node and a full disk can be blamed, and the disk
    /// only by what ran as it filled: from then on the node is to know.
    private func judgeTries(_ number: Int, _ findings: inout Findings) {
        let (tries, runs) = (reportedTries(number), traces.runs[number].count)
        if tries > runs {
            findings.note(\.chargedTwice, "task \(number) was executed \(runs) times and failed \(tries) times")
        }
        for cause in history.failedTries[number] ?? [] {
            switch cause {
            case .nodeLost: continue
            case .exit where tasks.kind(number).fails: continue
            case .exit where traces.runs[number].contains(where: explanation.metFillingDisk):
                findings.failedForFullDisk += 1
            default:
                findings.note(\.chargedForNode, "task \(number) was charged with a try: \(cause)")
            }
        }
    }

    // MARK: Executions

    /// How often an execution of it was reported as failed.
    private func reportedTries(_ number: Int) -> Int {
        history.failedTries[number]?.count { if case .exit = $0 { true } else { false } } ?? 0
    }

    /// A task that fails is executed as often as that was reported: it has its tries, and has them anew when its manager, whose call
    /// was cut off, submits it again. All beyond that, and beyond one execution of the others, needs a reason.
    private func countExecutions(_ number: Int, _ findings: inout Findings) {
        let runs = traces.runs[number]
        findings.executions += runs.count
        var retries = tasks.kind(number).fails ? max(0, reportedTries(number) - 1) : 0
        let pairs = zip(runs, runs.dropFirst()).map { earlier, later in
            (earlier, later, reason: explanation.reason(number, earlier, before: later))
        }
        // Which of them were those retries cannot be told; first of all those with no other reason.
        for (earlier, later, reason) in pairs.filter({ $0.reason.isUnfounded })
            + pairs.filter({ !$0.reason.isUnfounded })
        {
            if retries > 0, earlier.hasEnded {
                retries -= 1
            } else {
                findings.repeated.add(reason, number, earlier, later)
            }
        }
        for (index, later) in runs.enumerated() {
            // Lines of one task stand in its file in the order in which they were written.
            guard let earlier = runs[..<index].last(where: { $0.lastLine > later.firstLine }) else { continue }
            findings.overlapping.add(explanation.reason(number, earlier, before: later), number, earlier, later)
        }
    }

    // MARK: What may be left on the machine

    private func leftovers() throws -> [String] {
        var found: [String] = []
        for name in try FileSystem.entries(of: "/proc") where Int32(name) != nil {
            // Processes end while we look; one that is gone is not left.
            let command = (try? FileSystem.contents(of: "/proc/\(name)/cmdline", bytesMax: 4 << 20)) ?? []
            let text = String(decoding: command.map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
            if text.contains(fleet.place + "/"), !text.hasPrefix("redis-server") {
                found.append("process \(name): \(text)")
            }
        }
        let mounts = try ControlGroupMounts.current()
        for parent in [mounts.unified, mounts.legacyMemory, mounts.legacyProcesses].compactMap({ $0 }) {
            for name in try FileSystem.entries(of: parent) {
                if fleet.nodes.contains(where: { name.hasPrefix("distcomp.\($0.name).") }) {
                    found.append("control group \(parent)/\(name)")
                }
            }
        }
        return found
    }
}

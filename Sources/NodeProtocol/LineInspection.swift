// Whether a line that Redis hands out may be run here. Redis is not trusted with that: what it says about a line beside the line
// itself (memory, priority) has served to find it a node, and is not looked at again.

import NodeSupervisor
import TaskModel
import TaskQueue

struct LineInspection {
    enum Result {
        case task(NodeSupervisor.ClaimedTask)
        case refused(ReportTask.Result, reason: String)
    }

    private let facts: NodeProtocol.Facts
    private let jobs: KnownJobs

    init(_ facts: NodeProtocol.Facts, _ jobs: KnownJobs) {
        self.facts = facts
        self.jobs = jobs
    }

    func result(of claimed: ClaimTasks.Claimed) -> Result {
        var line: TaskLine
        do {
            line = try TaskLine(parsing: claimed.line, of: jobs.jobs)
        } catch {
            if let error = jobs.unreadable[Job.identifier(ofLine: claimed.line)] {
                // Perhaps it is this node that is of an earlier version: others are to try it.
                return refusal(of: claimed, step: "read the job", "\(error)", attemptsMax: facts.attemptsMax)
            }
            // It got into the index by no hand of ours.
            return refusal(of: claimed, step: "read the line", "\(error)", attemptsMax: 0)
        }
        if let text = claimed.own {
            guard let own = OwnSettings(text: text) else {
                // Perhaps of a later version.
                return refusal(
                    of: claimed, step: "read what the task may use",
                    "found \(text), expected memory:millicores timeout",
                    attemptsMax: facts.attemptsMax)
            }
            line = line.taking(own)
        }
        switch facts.taskKey?.problem(with: line, signature: claimed.signature) {
        case nil: return .task(NodeSupervisor.ClaimedTask(line: line, token: claimed.token, attempt: claimed.attempt))
        case .missing?:
            return refusal(
                of: claimed, step: "check the signature", SignatureProblem.missing.description, attemptsMax: 0)
        case .wrong?:
            // Perhaps it is this node that has the wrong key: others are to try it, as they try what failed here.
            return refusal(
                of: claimed, step: "check the signature", SignatureProblem.wrong.description,
                attemptsMax: facts.attemptsMax)
        }
    }

    private func refusal(
        of claimed: ClaimTasks.Claimed, step: String, _ message: String, attemptsMax: Int
    ) -> Result {
        let outcome = TaskOutcome(
            cause: .launch(step: step, errno: 0, message: message), usage: Usage(wallSeconds: 0), node: facts.name,
            attempt: claimed.attempt)
        let result = ReportTask.Result.failed(
            reason: outcome.reason, record: outcome.record, attemptsMax: attemptsMax,
            retryMilliseconds: Int(min(facts.retryDelaySeconds, 1e9) * 1000))
        return .refused(result, reason: outcome.reason)
    }
}
